"""Which nodes can run by tiles, alone and one behind another; and why others cannot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.kernel import Axis, Footprint, Reach, Refusal, Tile
from workbench.ir.types import TensorType


@dataclass(frozen=True)
class Along:
    """What running by tiles along an axis comes to.

    dimension   the axis of an image's shape
    in_step     all nodes make the same rows or channels at once: nobody reads others than those it makes
    batched     the images of a batch run one after the other; else there is no more than one
    leaving     tiles may be results of the cascade
    updating    what is reduced over all but this axis is complete with its tile, so that an update by it may follow
    """

    dimension: int
    in_step: bool
    batched: bool
    leaving: bool
    updating: bool


ALONG: Mapping[Axis, Along] = {
    "rows": Along(dimension=2, in_step=False, batched=True, leaving=True, updating=False),
    "channels": Along(dimension=1, in_step=True, batched=False, leaving=False, updating=True),
}


@dataclass(frozen=True)
class Stage:
    """One node of a cascade.

    extent    the rows or channels that it makes, or reduces, in all
    follows   no path leads from it to the last node
    reads     the values that it reads by tiles, and the reach of each
    """

    node: Node
    needs: Footprint
    extent: int
    follows: bool
    reads: tuple[tuple[str, Reach], ...]

    @property
    def value(self) -> str:
        """The value that it makes tile by tile; "" where its result is whole."""
        return self.node.results[0] if self.needs.gives == "tile" else ""

    @property
    def in_place(self) -> tuple[str, ...]:
        """The operands that its kernel may write over, element by element."""
        kernel, operands = ops.get(self.node.op).kernel, self.node.operands
        return tuple(operands[at] for at in kernel.in_place if at < len(operands)) if kernel else ()


def can(node: Node, tile: Tile, types: Mapping[str, TensorType]) -> Footprint | Refusal:
    """What a node needs for a tile of its result, or why it cannot run by tiles. `types`: of the values around it."""
    if node.body is not None:
        return Refusal(f"{node.op} is a cascade itself")
    kinds = tuple(types[name] for name in node.operands)
    return _can(node.op, tile, kinds, types[node.results[0]], bool(node.overwrites), tuple(node.attrs.items()))


@lru_cache(maxsize=4096)  # a search asks this of each node many times
def _can(
    op: str, tile: Tile, kinds: tuple[TensorType, ...], result: TensorType, overwrites: bool,
    attrs: tuple[tuple[str, Any], ...],
) -> Footprint | Refusal:  # fmt: skip
    needs = ops.get(op).footprint(tile, *kinds, **dict(attrs))
    if isinstance(needs, Refusal):
        return Refusal(f"{op} {needs.reason}")
    along, made = ALONG[tile.axis], [result] if needs.gives == "tile" else []
    reason = ""
    if overwrites and not along.updating:
        reason = "overwrites what later tiles may read"
    elif any(kind.rank != 4 or kind.layout for kind in (*(kinds[at] for at in needs.reads), *made)):
        reason = "works by tiles on images only, and inside they lie channel by channel"
    elif not along.batched and any(size != 1 for kind in made for size in kind.shape[: along.dimension]):
        reason = f"makes {tile.axis} of one image only"
    elif any(reach.high < 0 for reach in needs.reads.values()):
        reason = f"has {tile.axis} that lie in its padding alone"
    return Refusal(f"{op} {reason}") if reason else needs


def stages(body: Graph, axis: Axis) -> tuple[Stage, ...] | Refusal:
    """The nodes of a body as stages along an axis; or why they cannot run so."""
    known: dict[object, tuple[Stage, ...] | Refusal] = body.analysis.memo
    if ("stages", axis) not in known:
        known["stages", axis] = _stages(body, axis)
    return known["stages", axis]


def _stages(body: Graph, axis: Axis) -> tuple[Stage, ...] | Refusal:
    along, leading, found = ALONG[axis], _leading(body), list[Stage]()
    tiles: set[str] = set()  # values of the body that exist by tiles
    for node in body.nodes:
        of = tuple(at for at, name in enumerate(node.operands) if name in tiles)
        needs = can(node, Tile(axis, of), body.types)
        if isinstance(needs, Refusal):
            return needs
        reads = tuple((node.operands[at], reach) for at, reach in needs.reads.items())
        follows = not along.in_step and node.results[0] not in leading
        tiled = needs.gives == "tile"
        extent = body.types[node.results[0]].shape[along.dimension] if tiled else needs.extent
        found.append(Stage(node, needs, extent, follows, reads))
        if reason := _unfit(body, axis, found[-1]):
            return Refusal(f"{node.op} {reason}")
        tiles |= {found[-1].value} if tiled else set()
    return _refused_as_a_whole(body, axis, found) or tuple(found)


def _leading(body: Graph) -> set[str]:
    """First results of nodes from which a path leads to the last node, and their operands."""
    leading = set(body.nodes[-1].results[:1]) if body.nodes else set()
    for node in reversed(body.nodes):
        if node.results[0] in leading:
            leading.update(node.operands)
    return leading


def _unfit(body: Graph, axis: Axis, stage: Stage) -> str:
    """Why a node that runs by tiles alone cannot do so behind those before it; "" where it can."""
    inner = {name for name in stage.node.operands if name in body.analysis.maker}
    shifted = [name for name, reach in stage.reads if reach != Reach()]
    if inner - {name for name, _ in stage.reads} or (stage.follows and (inner.intersection(shifted) or not inner)):
        return f"would need all of %{stage.node.operands[0]} at once"
    if shifted and ALONG[axis].in_step:
        return f"reads other {axis} than it makes"
    if not inner and ALONG[axis].in_step and body.analysis.written.intersection(stage.node.operands):
        return f"reads all of what must not change before the last of the {axis}"
    return ""


def _refused_as_a_whole(body: Graph, axis: Axis, found: Sequence[Stage]) -> Refusal | None:
    if not found:
        return Refusal("a cascade has at least one node")
    made, tiles = body.analysis.maker.keys(), {stage.value for stage in found if stage.value}
    outputs = set(body.outputs)
    if not made - tiles <= outputs <= made:
        return Refusal(f"what it makes besides {axis} are its results, and nothing is that its body does not make")
    if ALONG[axis].leaving:
        return None
    if outputs & tiles or not tiles:
        return Refusal(f"what it makes besides {axis} are its results, and nothing else is")
    sources = (stage for stage in found if not any(name in tiles for name in stage.node.operands))
    most = max(stage.extent for stage in found)
    short = next((stage for stage in sources if stage.extent != most), None)
    return Refusal(f"{short.node.op} makes {short.extent} of {most} {axis}") if short else None
