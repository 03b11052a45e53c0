"""Recurrent layers of ONNX files, step after step: as many copies of a cell as the sequence is long.

    x (T, N, C) ── W, b ── all steps at once ──┬── step 0 ── h ──┬── step 1 ── h ── …
                                               └ the part of a step └ h · R is added to it

Weights and biases are one for all steps: their gradients add up. A state that begins at zero is left out of the first
step. Sequences of different lengths in one batch, and activations beside the usual ones, are not supported.
"""

from collections.abc import Callable

import numpy as np

from workbench.errors import ModelError
from workbench.frontends.emitter import Operand, shape_of
from workbench.frontends.onnx.shared import Call, Imported, array_of, each_one
from workbench.ir.build import Value

MOST_STEPS = 256
DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
USUAL = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}
State = dict[str, Operand | None]


class Layer:
    """One direction of a layer: its weights, and how it does a step."""

    def __init__(self, call: Call, kind: str, at: int, gates: int, w, r, b) -> None:
        self.call, self.emit, self.label = call, call.emit, f"{call.label}.{at}" if at else call.label
        self.size = shape_of(r)[2]
        ending = "_reverse" if at else ""
        self.w, self.r = (
            self._of_direction(x, at, f"{name}{ending}") for x, name in ((w, "weight_ih"), (r, "weight_hh"))
        )
        biases = np.zeros((1, 2 * gates * self.size), np.float32) if b is None else array_of(b, "biases")
        if shape_of(self.w)[0] != gates * self.size or biases.shape[-1] != 2 * gates * self.size:
            raise ModelError(f"its weights are {shape_of(w)} and {shape_of(r)}, its biases {biases.shape}")
        self.of_x, self.of_h = np.split(biases[at if len(biases) > at else 0], 2)
        self.kind, self.ending, self.has_bias = kind, ending, b is not None

    def _of_direction(self, x, at: int, part: str) -> Operand:
        directions, rows, columns = shape_of(x)
        if directions == 1:
            return self.emit.reshape(x if not isinstance(x, np.ndarray) else each_one(self.call.parameter(x, part)),
                                     (rows, columns), self.label)  # fmt: skip
        return each_one(self.call.parameter(array_of(x, "weights")[at], part))

    def bias(self, values: np.ndarray, part: str) -> Operand | None:
        return self.call.parameter(values, f"{part}{self.ending}") if self.has_bias else None

    def gate(self, x: Operand, at: int) -> Operand:
        return self.emit.part(x, 1, at * self.size, (at + 1) * self.size, self.label)

    def add(self, a: Operand, b: Operand | None) -> Operand:
        return a if b is None else self.emit.of_two("add", a, b, self.label)

    def times(self, a: Operand, b: Operand) -> Operand:
        return self.emit.of_two("multiply", a, b, self.label)

    def times_r(self, h: Operand | None, b: Operand | None = None, r: Operand | None = None) -> Operand | None:
        if h is None:
            return b
        return self.emit.linear(h, self.r if r is None else r, b, f"{self.label}.recurrent")

    def of(self, function: str, x: Operand) -> Operand:
        return self.call.of(function, x, label=f"{self.label}.{function}")


def rnn(call: Call, x, w, r, b=None, lengths=None, h=None) -> list[Operand]:
    kinds = call.option("activations", ("Tanh",))
    if not set(kinds) <= {"Tanh", "Relu"}:
        raise ModelError(f"its activations are {', '.join(kinds)}; Tanh and Relu are supported")

    def make(at: int):
        layer, function = Layer(call, "RNN", at, 1, w, r, b), kinds[at if len(kinds) > at else 0].lower()
        bias = layer.bias(layer.of_x + layer.of_h, "bias")

        def step(x: Operand, state: State) -> State:
            return {"h": layer.of(function, layer.add(x, layer.times_r(state["h"])))}

        return layer, bias, step

    return _unrolled(call, x, lengths, {"h": h}, make)


def gru(call: Call, x, w, r, b=None, lengths=None, h=None) -> list[Operand]:
    """z, r and h̃ in this order; h = (1 - z) · h̃ + z · h."""
    _require_usual(call, "GRU")
    apart = not call.whole("linear_before_reset", 0)

    def make(at: int):
        layer = Layer(call, "GRU", at, 3, w, r, b)
        size, rest = layer.size, np.concatenate([layer.of_h[: 2 * layer.size], np.zeros(layer.size, np.float32)])
        bias = layer.bias(layer.of_x + (layer.of_h if apart else rest), "bias")
        late = None if apart else layer.bias(layer.of_h[2 * size :], "bias_hh")
        both = candidate = None
        if apart:
            stored = array_of(layer.r, "weights")
            both = call.parameter(stored[: 2 * size], f"weight_hh_gates{layer.ending}")
            candidate = call.parameter(stored[2 * size :], f"weight_hh_candidate{layer.ending}")

        def step(x: Operand, state: State) -> State:
            h = state["h"]
            product = layer.times_r(h, None, both)
            sums = [layer.add(layer.gate(x, at), None if product is None else layer.gate(product, at)) for at in (0, 1)]
            z, reset = (layer.of("sigmoid", each) for each in sums)
            if h is not None and apart:
                more = layer.times_r(layer.times(reset, h), None, candidate)
            elif product is not None:
                more = layer.times(reset, layer.add(layer.gate(product, 2), late))
            else:
                more = None if late is None else layer.times(reset, late)
            new = layer.of("tanh", layer.add(layer.gate(x, 2), more))
            kept = layer.emit.of_two("subtract", new, layer.times(z, new), layer.label)
            return {"h": kept if h is None else layer.add(kept, layer.times(z, h))}

        return layer, bias, step

    return _unrolled(call, x, lengths, {"h": h}, make)


def lstm(call: Call, x, w, r, b=None, lengths=None, h=None, c=None, peepholes=None) -> list[Operand]:
    """i, o, f and c̃ in this order; c = f · c + i · c̃, h = o · tanh(c)."""
    _require_usual(call, "LSTM")
    if call.whole("input_forget", 0):
        raise ModelError("gates that are coupled are not supported")

    def make(at: int):
        layer = Layer(call, "LSTM", at, 4, w, r, b)
        bias = layer.bias(layer.of_x + layer.of_h, "bias")
        seen = None if peepholes is None else np.split(array_of(peepholes, "peepholes")[at], 3)

        def step(x: Operand, state: State) -> State:
            c, gates = state["c"], layer.add(x, layer.times_r(state["h"]))
            i, o, f, new = (layer.gate(gates, number) for number in range(4))
            if seen is not None and c is not None:
                i, f = (layer.add(gate, layer.times(c, each)) for gate, each in ((i, seen[0]), (f, seen[2])))
            total = layer.times(layer.of("sigmoid", i), layer.of("tanh", new))
            if c is not None:
                total = layer.add(total, layer.times(layer.of("sigmoid", f), c))
            if seen is not None:
                o = layer.add(o, layer.times(total, seen[1]))
            return {"h": layer.times(layer.of("sigmoid", o), layer.of("tanh", total)), "c": total}

        return layer, bias, step

    return _unrolled(call, x, lengths, {"h": h, "c": c}, make)


def _require_usual(call: Call, kind: str) -> None:
    given = call.option("activations") or USUAL[kind]
    if tuple(given) != USUAL[kind] * (len(given) // len(USUAL[kind])):
        raise ModelError(f"its activations are {', '.join(given)}; {', '.join(USUAL[kind])} are supported")


def _unrolled(call: Call, x, lengths, begin: State, make: Callable) -> list[Operand]:
    """Y of all steps, and the last states."""
    emit, label = call.emit, call.label
    batch_first, direction = call.whole("layout", 0), call.option("direction", "forward")
    if direction not in DIRECTIONS or call.option("clip") is not None:
        raise ModelError("a cell that clips, or that runs in no direction, is not supported")
    x = emit.transpose(each_one(x), (1, 0, 2), label) if batch_first else each_one(x)
    steps, batch, _ = shape_of(x)
    if lengths is not None and (array_of(lengths, "lengths") != steps).any():
        raise ModelError("sequences of different lengths are not supported")
    if steps > MOST_STEPS:
        raise ModelError(f"has {steps} steps; up to {MOST_STEPS} are unrolled")
    every: list[Operand] = []
    last: dict[str, list[Operand]] = {name: [] for name in begin}
    for at, backwards in enumerate(DIRECTIONS[direction]):
        layer, bias, step = make(at)
        seen = emit.linear(x, layer.w, bias, layer.label)
        state = {name: _at_first(call, each, at, bool(batch_first)) for name, each in begin.items()}
        states: list[Operand] = []
        for number in reversed(range(steps)) if backwards else range(steps):
            part = emit.part(seen, 0, number, number + 1, f"{layer.label}.step")
            state = step(emit.reshape(part, (batch, shape_of(seen)[2]), layer.label), state)
            states.append(emit.reshape(each_one(state["h"]), (1, 1, batch, layer.size), layer.label))
        every.append(emit.joined(states[::-1] if backwards else states, 0, layer.label))
        for name, each in state.items():
            last[name].append(emit.reshape(each_one(each), (1, batch, layer.size), layer.label))
    y, ends = emit.joined(every, 1, label), [emit.joined(each, 0, label) for each in last.values()]
    if batch_first:
        y, ends = emit.transpose(y, (2, 0, 1, 3), label), [emit.transpose(each, (1, 0, 2), label) for each in ends]
    return [y, *ends]


def _at_first(call: Call, state: Operand | None, at: int, batch_first: bool) -> Operand | None:
    """(N, H) of this direction; None where it is zero."""
    if state is None or (not isinstance(state, Value) and not array_of(state, "states").any()):
        return None
    axis = 1 if batch_first else 0
    part = call.emit.part(state, axis, at, at + 1, call.label)
    return call.emit.reshape(part, [size for each, size in enumerate(shape_of(part)) if each != axis], call.label)


OPERATORS = {
    "GRU": Imported(gru, "unrolled, up to 256 steps; both forms, both directions"),
    "LSTM": Imported(lstm, "unrolled, up to 256 steps; peepholes, both directions"),
    "RNN": Imported(rnn, "unrolled, up to 256 steps; tanh and relu, both directions"),
}
