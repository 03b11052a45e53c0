"""Hold the emulated firmware against numpy, node by node: the first training step, operator by operator.

Each node is evaluated in numpy on the operands that the *emulated* node read, so that a difference is its own and not
one it inherited; and the whole step is interpreted beside it, so that what adds up is seen as well.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workbench.emulate.device import Device
from workbench.ir import op as ops
from workbench.ir.graph import Node
from workbench.ir.interpret import interpret
from workbench.ir.liveness import steps
from workbench.ir.types import NUMPY, TensorType
from workbench.session import Built
from workbench.tables import OpRow
from workbench.training import Training, device_of, first_step, read_parameter

TOLERANCE = 1e-5  # of the tensor's norm
OVERALL = 1e-3  # the same of what the whole step adds up to: rounding, and clips that fall the other way


@dataclass(frozen=True)
class Checked:
    """One result of one node. Differences are relative to the norm of numpy's result.

    own: against numpy on the same operands; total: against the interpreter's whole step. `index` is the first element
    that differs by more than the tolerance of the largest one, with both its values; None where none does.
    """

    position: int
    symbol: str
    node: str
    value: str
    own: float
    total: float
    index: tuple[int, ...] | None
    expected: float | None
    got: float | None

    @property
    def agrees(self) -> bool:
        return self.own <= TOLERANCE and self.index is None


def adds_up(rows: list[Checked]) -> bool:
    """Whether the whole step ends where the interpreter's does; operators that agree one by one should see to it."""
    return all(row.total <= OVERALL for row in rows)


def check(built: Built, options: Training) -> list[Checked]:
    """One row a result of every node, in execution order. Raises FirmwareFault as a run does."""
    compiled = built.compiled
    graph = compiled.graph
    device = device_of(built)
    step = first_step(compiled.model, options)
    device.set_rates(step.lr, step.lr_bias)
    device.set_seed(step.seed)
    whole = _interpreted(built, step)
    read = _reader(device, graph.types, {compiled.model.graph.inputs[0]: step.batches[0][0]})

    rows: list[Checked] = []
    emulated = device.train_step_by_operator(*step.batches[0])
    for node, op in zip(steps(graph), device.ops, strict=True):
        operands = [read(name) for name in node.operands]
        next(emulated)
        expected = ops.get(node.op).evaluate(*operands, **node.attrs)
        expected = expected if isinstance(expected, tuple) else (expected,)
        for name, want in zip(node.results, expected, strict=True):
            rows.append(_compare(op, name, want, read(name), whole[name]))
    return rows


def _interpreted(built: Built, step) -> dict[str, np.ndarray]:
    """Every result of the interpreter's step, by value name."""
    graph, kept = built.compiled.graph, {}

    def observe(node: Node, results: tuple[np.ndarray, ...]) -> None:
        kept.update({name: result.copy() for name, result in zip(node.results, results, strict=True)})

    x, y = step.batches[0]
    feeds = dict(built.compiled.weights) | {"label0": y, "lr": step.lr, "lr_bias": step.lr_bias}
    feeds |= {"seed": step.seed, "step": 0}
    feeds[built.compiled.model.graph.inputs[0]] = x
    feeds |= {name: np.zeros(graph.types[name].shape) for name in graph.state}
    interpret(graph, {name: feeds[name] for name in graph.arguments}, observe=observe)
    return kept


def _reader(device: Device, types: dict[str, TensorType], fed: dict[str, np.ndarray]) -> Callable[[str], np.ndarray]:
    """Reads a value from the device's memory; one that came as a stream is what was `fed`."""
    place = {value: device.address(row) for row in device.buffers for value in row.values}
    split = {value: row.values[0] for row in device.buffers if row.axis is not None for value in row.values}

    def read(name: str) -> np.ndarray:
        kind = types[name]
        if not kind.bytes:
            return fed[name]
        if name in split:
            return read_parameter(device, split[name], kind)
        if kind.dtype == "bit":
            packed = np.frombuffer(device.machine.read(place[name], kind.bytes), np.uint8)
            return kind.logical(np.unpackbits(packed, bitorder="little")[: kind.elements].astype(bool))
        return kind.logical(device.machine.read_array(place[name], NUMPY[kind.dtype], kind.elements))

    return read


def _compare(op: OpRow, value: str, want: np.ndarray, got: np.ndarray, whole: np.ndarray) -> Checked:
    far = ~np.isclose(got, want, rtol=TOLERANCE, atol=TOLERANCE * _largest(want), equal_nan=True)
    index = tuple(int(i) for i in np.argwhere(far)[0]) if far.any() else None
    expected, found = (float(want[index]), float(got[index])) if index is not None else (None, None)
    return Checked(op.position, op.symbol, op.node, value, _relative(got, want), _relative(got, whole), index,
                   expected, found)  # fmt: skip


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values, where=np.isfinite(values), out=np.zeros(values.shape)).max(initial=0))


def _relative(got: np.ndarray, want: np.ndarray) -> float:
    """‖got − want‖ / ‖want‖ in float64; infinite where one is not finite and the other is."""
    got, want = got.astype(np.float64), want.astype(np.float64)
    if not np.array_equal(np.isfinite(got), np.isfinite(want)):
        return float("inf")
    norm = float(np.linalg.norm(want[np.isfinite(want)]))
    difference = float(np.linalg.norm((got - want)[np.isfinite(want)]))
    return difference / norm if norm else difference
