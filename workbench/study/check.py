"""Hold the emulated firmware against numpy: every entry, operator by operator, over three training steps.

    wb_forward   step 1   wb_forward   step 2   wb_forward   step 3         a step: wb_accumulate …, wb_train_step

Under the memory trace, the core pauses before each operator. What it reads must be what was last written there, bit by
bit; its results must be those of numpy on these operands, but for what the order of a sum may change (ir/ranges.py).
So each difference is told where it arises, and what agrees everywhere is the interpreter's step. Beside it each call
as a whole is held against the interpreter's.

Steps differ in their data, in their seeds, and in their rates, which differ for weights and biases. The last one is
hard: half of its images is blank, so that windows hold equal values; a logit of the first one, or whatever the network
gives first, is moved to 100, the exp of which float32 cannot hold; its rates drive int8 weights to their ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Any

import numpy as np

from workbench.artifacts import Built
from workbench.autodiff import fed_targets, loss_nodes
from workbench.emulate.symbols import parse_elf
from workbench.errors import FirmwareFault
from workbench.feeding import Step, Training, first_steps
from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.ranges import exactly
from workbench.ir.types import NUMPY, TensorType
from workbench.study.findings import Checked, Difference, Finding, Outcome, beyond, changed
from workbench.study.whole import distances, nodes_of
from workbench.tables import OpRow
from workbench.trace.tracer import Tracer
from workbench.training import device_of, read_parameter

OVERALL = 1e-3  # of the norm: what rounding, and clips that fall the other way, may add up to over a call
RATES = (None, (0.05, 0.02), (5.0, 3.0))  # of weights and biases; None: the asked rate, and 0.6 of it
HARD_LOGIT = 100.0


@dataclass(frozen=True)
class Call:
    """One call of the firmware, and what it is fed. `counted`: steps done before; `hard`: move a logit up."""

    entry: str
    step: Step
    batch: tuple[np.ndarray, np.ndarray]
    label: str
    counted: int
    hard: bool = False


def check(built: Built, options: Training) -> Outcome:
    """All comparisons and all findings. A fault of the firmware ends the check, and is one of the findings."""
    count, missing = len(built.project.ops), _missing(built)
    if missing:
        return Outcome(count, (), (), missing, 0.0)
    watch = _Watch(built)
    called = []
    try:
        watch.start()
        for call in _calls(built, options):
            called.append(call.label)
            watch.run(call)
    except FirmwareFault as fault:
        watch.findings.append(Finding(watch.label, "fault", message=str(fault)))
    return Outcome(count, tuple(called), tuple(watch.rows), tuple(watch.findings), watch.whole)


def _missing(built: Built) -> tuple[Finding, ...]:
    """Findings for symbols that the linker left out because nothing refers to them."""
    elf = parse_elf(built.image.content, built.image.elf)
    lost = [Finding("start", "missing", op.symbol, op.node) for op in built.project.ops if not elf.has(op.symbol)]
    lost += [Finding("start", "missing", value=row.symbol) for row in built.project.buffers if not elf.has(row.symbol)]
    return tuple(lost)


def _calls(built: Built, options: Training) -> Iterator[Call]:
    every = built.compiled.optimizer.accumulate
    kind = built.compiled.graph.types[built.compiled.model.graph.inputs[0]]
    drawn = first_steps(built.compiled.model, options, every, len(RATES) + 1)
    for number, (step, following) in enumerate(pairwise(drawn)):
        lr, lr_bias = RATES[number] or (step.lr, 0.6 * step.lr)
        step = replace(step, lr=lr, lr_bias=lr_bias, seed=step.seed + number)
        hard = number == len(RATES) - 1
        yield Call("wb_forward", step, following.batches[0], f"wb_forward after {number} steps", number)
        for at, (x, y) in enumerate(step.batches, 1):
            entry = "wb_train_step" if at == every else "wb_accumulate"
            label = f"step {number + 1}" + (f", batch {at}" if every > 1 else "")
            yield Call(entry, step, (_half_blank(x, kind) if hard else x, y), label, number, hard and at == 1)


def _half_blank(x: np.ndarray, kind: TensorType) -> np.ndarray:
    x = x.copy()
    x[..., : x.shape[-1] // 2] = kind.zero_point
    return x


class _Watch:
    """A device under the memory trace, and what every value in its memory must be: `held`, by the value's name."""

    def __init__(self, built: Built):
        self.graph: Graph = built.compiled.graph
        self.weights, self.source = built.compiled.weights, built.compiled.model.graph.inputs[0]
        self.reserve = built.image.stack_reserve
        self.device = device_of(built)
        self.tracer = Tracer(self.device.machine, self.device.buffers, self.device.ops, "memory")
        self.device.wrote = self.tracer.host_wrote
        self.tracer.attach()
        self.place = {name: self.device.address(row) for row in self.device.buffers for name in row.values}
        split = [row for row in self.device.buffers if row.axis is not None]
        self.split = {name: row.values[0] for row in split for name in row.values}
        self.root = self.graph.analysis.root
        (self.loss,) = loss_nodes(self.graph)
        self.of_symbol = {op.symbol: op for op in self.device.ops}
        self.held: dict[str, np.ndarray] = {}
        self.rows: list[Checked] = []
        self.findings: list[Finding] = []
        self.label, self.whole, self.violations = "start", 0.0, 0

    # ------------------------------------------------------------------ calls

    def start(self) -> None:
        """Before the first call, parameters hold the compiled values, and state is zero."""
        for name in self.graph.persistent:
            kind = self.graph.types[name]
            expected = self.weights[name] if name in self.weights else np.zeros(kind.shape)
            self.held[name] = np.asarray(expected, NUMPY[kind.dtype]).reshape(kind.shape)
            self._require(name, "start")

    def run(self, call: Call) -> None:
        self.label = call.label
        before = {name: self.held[name] for name in self.graph.persistent}
        fed = self._feed(call)
        nodes = nodes_of(self.graph, call.entry)
        pairs = self._operators(nodes)
        machine = self.device.machine
        addresses = [machine.elf.address(op.symbol) for _, op in pairs]
        done = None
        for index in chain(machine.calls_by_operator(call.entry, addresses), [None]):
            if done:
                self._results(*done)
            if index is not None:
                node, op = pairs[index]
                if call.hard and self.loss.operands[0] in node.operands:
                    self._move_logits()
                done = node, op, self._operands(node, op)
        self._returned(call)
        after = {name: self.held[name] for name in self.graph.persistent}
        logits = self._held(self.loss.operands[0])
        for what, distance in distances(self.graph, call.entry, before, after, fed, logits).items():
            self.whole = max(self.whole, distance)
            if not distance <= OVERALL:
                self.findings.append(Finding(call.label, "whole", value=what, expected=OVERALL, got=distance))
        self._accesses()

    def _operators(self, nodes: tuple[Node, ...]) -> list[tuple[Node, OpRow]]:
        chosen = {node.results for node in nodes}
        pairs = zip(self.graph.analysis.work, self.device.ops, strict=True)
        return [(node, op) for node, op in pairs if node.results in chosen]

    def _feed(self, call: Call) -> dict[str, np.ndarray]:
        """Write what the host writes; gives it, and the scalars that operators read."""
        x, y = call.batch
        step = call.step
        self.tracer.begin_call()
        self.device.set_rates(step.lr, step.lr_bias)
        self.device.set_seed(step.seed)
        if call.entry == "wb_forward":
            self.device.feed_inputs(x)
        else:
            self.device.feed(x, y)
        fed: dict[str, Any] = {self.source: x, "lr": np.float32(step.lr)} | dict.fromkeys(fed_targets(self.graph), y)
        fed |= {"lr_bias": np.float32(step.lr_bias), "seed": np.uint32(step.seed).astype(np.int32)}
        fed["step"] = np.int32(call.counted)
        arrays = {name: np.asarray(value) for name, value in fed.items() if name in self.graph.types}
        self.held |= arrays
        return arrays

    # ------------------------------------------------------------------ operators

    def _operands(self, node: Node, op: OpRow) -> list[np.ndarray]:
        """An operator's operands must hold what was last written there."""
        return [self._require(name, "operand", op) for name in node.operands]

    def _results(self, node: Node, op: OpRow, operands: list[np.ndarray]) -> None:
        allowed = ops.get(node.op).ranges(*map(exactly, operands), **node.attrs)
        for name, each in zip(node.results, allowed, strict=True):
            got = self._read(name)
            used, difference = beyond(each, got)
            self.rows.append(Checked(self.label, op.position, op.symbol, op.node, name, used))
            self._note("result", name, difference, op)
            self.held[name] = got
            if self.root[name] in self.graph.persistent:
                self.held[self.root[name]] = got

    def _move_logits(self) -> None:
        """The largest logit of another class than the first image's own becomes 100: its gradient is near 1. So does
        the first number of an output that tells no classes.

        Of the first image alone: two such gradients may cancel, and leave nothing to hold a step as a whole against.
        """
        name, target = self.loss.operands
        moved = self._held(name).copy()
        others = moved[0].reshape(-1).copy()
        if self.graph.types[target].dtype == "int32":
            others[self.held[target][0]] = -np.inf
            moved[0, others.argmax()] = HARD_LOGIT
        else:
            moved.reshape(len(moved), -1)[0, 0] = HARD_LOGIT
        self.device.machine.write_array(self.place[name], moved)
        while view := self._view(name):
            name = view.operands[0]
        self.held[name] = moved.reshape(self.graph.types[name].shape)

    def _returned(self, call: Call) -> None:
        """On return, values that outlive the call must hold what was last written there."""
        for name in self.graph.persistent:
            self._require(name, "return")
        if call.entry == "wb_forward":
            self._require(self.loss.operands[0], "return")
            return
        self._require(self.loss.results[0], "return")
        machine, expected = self.device.machine, call.counted + (call.entry == "wb_train_step")
        got = machine.read_u32("wb_step") if machine.elf.has("wb_step") else 0  # linked only if somebody counts
        if got != expected:
            self.findings.append(Finding(self.label, "counter", value="wb_step", expected=expected, got=got))

    def _accesses(self) -> None:
        """Note the accesses that the trace reports for the first time in this call."""
        table = self.device.machine.inspector.violations(self.tracer.violations())
        names = {row.id: row.name for row in self.device.buffers}
        starts = {row.id: self.device.address(row) for row in self.device.buffers}
        for row in table.iloc[self.violations :].itertuples():
            op, known, at = self.of_symbol.get(row.op), row.buffer in starts, int(row.address)
            self.findings.append(Finding(
                self.label, row.kind, row.op, op.node if op else "", names[row.buffer] if known else "",
                (at - starts[row.buffer] if known else at,), got=int(row.size), count=int(row.count),
            ))  # fmt: skip
        self.violations = len(table)

    # ------------------------------------------------------------------ memory

    def _require(self, name: str, what: str, op: OpRow | None = None) -> np.ndarray:
        """What lies at a value's place, noted if it is not what must be there."""
        got = self._read(name)
        self._note(what, name, changed(self._held(name), got), op)
        return got

    def _note(self, what: str, name: str, difference: Difference | None, op: OpRow | None) -> None:
        if difference:
            where = (op.symbol, op.node) if op else ("", "")
            self.findings.append(Finding(self.label, what, *where, name, **vars(difference)))

    def _view(self, name: str) -> Node | None:
        """The view that makes a value, if one does."""
        maker = self.graph.analysis.producer(name)
        return maker if maker and ops.get(maker.op).view else None

    def _held(self, name: str) -> np.ndarray:
        view = self._view(name)
        if view is None:
            return self.held[name]
        (values,) = ops.get(view.op).evaluated(self._held(view.operands[0]), **view.attrs)
        return values

    def _read(self, name: str) -> np.ndarray:
        """A value as it lies in memory; an input that came row by row is what was fed."""
        kind, machine = self.graph.types[name], self.device.machine
        if not kind.bytes:
            return self.held[name]
        if name in self.split:
            return read_parameter(self.device, self.split[name], kind)
        if kind.dtype == "bit":
            packed = np.frombuffer(machine.read(self.place[name], kind.bytes), np.uint8)
            return kind.logical(np.unpackbits(packed, bitorder="little")[: kind.elements].astype(bool))
        return kind.logical(machine.read_array(self.place[name], NUMPY[kind.dtype], kind.elements))
