"""A region's body in channel tiles.

    channels   transpose   clip   depthwise   clip   transpose         The first node makes channels from all of its
     0 …  7    0 …  7      …      …           …      onto all of dx    operand. The last adds what each channel gives to
     8 … 15    8 … 15      …      …           …      onto all of dx    all of its result. Between them a channel depends
     …                                                                 on that channel alone.

So the wide values exist one tile at a time, and each tile is made once. A sum over a channel (for a bias, a filter)
is complete with its tile, and so is an update by it: no later tile reads the old parameter.

Only for a batch of 1, whose channels are contiguous.
"""

from dataclasses import dataclass

from workbench.errors import ShapeError
from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.kernel import Footprint, Refusal, Tile
from workbench.ir.types import BITS


@dataclass(frozen=True)
class Stage:
    node: Node
    needs: Footprint


@dataclass(frozen=True)
class Slices:
    """How a body runs: `step` of its `channels` at a time. `offset`: value -> its byte in the `scratch` bytes.

    The kernels' own scratch begins at byte `inner`.
    """

    body: Graph
    step: int
    channels: int
    stages: tuple[Stage, ...]
    offset: dict[str, int]
    inner: int
    scratch: int


def slices(body: Graph, step: int) -> Slices:
    """How `body` runs `step` channels at a time. Raises ShapeError for a body that cannot."""
    known: dict[object, Slices] = body.analysis.memo
    if ("slices", step) not in known:
        known["slices", step] = _slices(body, step)
    return known["slices", step]


def _slices(body: Graph, step: int) -> Slices:
    stages, sliced = _stages(body)
    channels = max((body.types[name].shape[1] for name in sliced), default=0)
    if step < 1 or channels == 0 or channels % step:
        raise ShapeError(f"region: {step} channels at a time do not divide {channels}")
    _check(body, stages, sliced, channels)
    offset, inner = _offsets(body, stages, sliced, step)
    own = max(stage.needs.scratch(step) for stage in stages)
    return Slices(body, step, channels, stages, offset, inner, inner + own)


def takeovers(body: Graph) -> tuple[int | None, ...]:
    """For each output of a body the input (by index) whose storage it takes over; None where it has its own."""
    root = body.analysis.root
    return tuple(body.inputs.index(root[name]) if root[name] in body.inputs else None for name in body.outputs)


def begun(body: Graph) -> dict[str, str]:
    """Result that is a sum over channels -> the input that it is accumulated onto, if nothing else reads that."""
    sums = {}
    for stage in _stages(body)[0]:
        if stage.needs.begins is not None:
            name = stage.node.operands[stage.needs.begins]
            if len(body.analysis.readers[name]) == 1:
                sums[stage.node.results[0]] = name
    return sums


def _stages(body: Graph) -> tuple[tuple[Stage, ...], set[str]]:
    stages, sliced = [], set()
    for node in body.nodes:
        types = [body.types[name] for name in node.operands]
        where = tuple(index for index, name in enumerate(node.operands) if name in sliced)
        made = ops.get(node.op).needs(Tile("channels", where), types, node.attrs)
        if isinstance(made, Refusal) or body.types[node.results[0]].layout or any(kind.layout for kind in types):
            raise ShapeError(f"region: {node.op} cannot work channel by channel")
        if made.gives == "tile":
            if len(node.results) > 1 or body.types[node.results[0]].shape[0] != 1:
                raise ShapeError(f"region: {node.op} makes channels of one image, and nothing besides")
            sliced.add(node.results[0])
        stages.append(Stage(node, made))
    return tuple(stages), sliced


def _check(body: Graph, stages: tuple[Stage, ...], sliced: set[str], channels: int) -> None:
    made = body.analysis.maker.keys()
    if set(body.outputs) != made - sliced - _overwritten(body):
        raise ShapeError("region: what it makes besides channels are its results, and nothing else is")
    updated = body.analysis.written
    for stage in stages:
        node = stage.node
        first = not sliced.intersection(node.operands)
        if first and (stage.needs.extent != channels or updated.intersection(node.operands)):
            raise ShapeError(f"region: {node.op} reads all of what must not change before the last channel")
        if made & set(node.operands) - sliced:
            raise ShapeError(f"region: {node.op} would need all of a value of its body at once")


def _overwritten(body: Graph) -> set[str]:
    return {name for node in body.nodes for name in node.overwrites if name not in body.inputs}


def _offsets(body: Graph, stages: tuple[Stage, ...], sliced: set[str], step: int) -> tuple[dict[str, int], int]:
    """The byte at which each channel tile lies, and the bytes of all. An operator that works in place writes over an
    operand that it alone reads."""
    readers = body.analysis.readers
    offset: dict[str, int] = {}
    seen: set[str] = set()
    free = 0
    for stage in stages:
        node, name = stage.node, stage.node.results[0]
        if name not in sliced:
            continue
        if not stage.needs.code:
            offset[name] = offset[node.operands[0]]
            seen |= {name, node.operands[0]}
            continue
        able = ops.get(node.op).can_take(node.operands)
        over = next((x for x in able if x in sliced - seen and len(readers[x]) == 1), None)
        if over:
            offset[name] = offset[over]
            continue
        kind = body.types[name]
        offset[name] = free
        free += -(-step * (kind.elements // kind.shape[1]) * BITS[kind.dtype] // 32) * 4
    return offset, free
