"""Which operators run by tiles, along which axes, and why others do not: seen on the samples they are tested with."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from workbench.ir.graph import Node
from workbench.ir.kernel import Axis, Refusal, Tile
from workbench.ir.op import Op, Sample, registered
from workbench.ir.types import TensorType
from workbench.schedule.stages import ALONG, can

SEED = 0
IMAGE = 4  # axes

Case = tuple[Node, Mapping[str, TensorType]]  # a node, and the types of its values
Holes = Mapping[tuple[str, str], Mapping[Axis, str]]


def holes() -> Holes:
    """By operator and dtype of its first operand (of its result, where it has none): for each axis "" where some sample
    runs by tiles; else why not, as most samples tell, and rather those about images."""
    cases: dict[tuple[str, str], list[Case]] = {}
    for node, types in _cases():
        dtype = types[(*node.operands, *node.results)[0]].dtype
        cases.setdefault((node.op, dtype), []).append((node, types))
    return {key: {axis: _reason(found, axis) for axis in ALONG} for key, found in sorted(cases.items())}


def _cases() -> Iterator[Case]:
    """All samples, but of regions the nodes of their bodies."""
    for op in registered().values():
        for sample in op.samples(np.random.default_rng(SEED)):
            node, types = _node(op, sample)
            if node.body is None:
                yield node, types
            else:
                yield from ((inner, node.body.types) for inner in node.body.nodes)


def _reason(cases: Sequence[Case], axis: Axis) -> str:
    reasons: Counter[str] = Counter()
    for node, types in cases:
        weight = len(cases) if any(types[name].rank == IMAGE for name in node.operands) else 1
        for tile in _tiles(node, types, axis):
            needs = can(node, tile, types)
            if not isinstance(needs, Refusal):
                return ""
            reasons[needs.reason.removeprefix(f"{node.op} ")] += weight
    return reasons.most_common(1)[0][0]


def _tiles(node: Node, types: Mapping[str, TensorType], axis: Axis) -> Iterator[Tile]:
    """The ways in which a node may meet tiles: one of its images is there by tiles, or none."""
    yield from (Tile(axis, (at,)) for at, name in enumerate(node.operands) if types[name].rank == IMAGE)
    yield Tile(axis)


def _node(op: Op, sample: Sample) -> Case:
    """A sample as a node."""
    attrs = op.complete(sample.attrs)
    kinds = [TensorType(np.shape(array), _dtype(array), sample.layouts.get(at, ""))
             for at, array in enumerate(sample.operands)]  # fmt: skip
    made = op.result_types(kinds, attrs)
    operands, results = (tuple(f"{stem}{at}" for at in range(len(of))) for stem, of in (("x", kinds), ("y", made)))
    over = tuple("" if at is None else operands[at] for at in op.taken(attrs))
    return Node(op.name, operands, results, attrs, over), dict(zip((*operands, *results), (*kinds, *made), strict=True))


def _dtype(array: np.ndarray) -> str:
    """Samples are of float64 where the operator takes float32."""
    if np.issubdtype(np.asarray(array).dtype, np.floating):
        return "float32"
    return "bit" if np.asarray(array).dtype == bool else str(np.asarray(array).dtype)
