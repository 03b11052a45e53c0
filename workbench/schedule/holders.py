"""What holds the peak of a finished step: the regions that it has, the node at the peak, the buffers alive there, and
why the nodes that make or read these do not run by tiles.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.kernel import Axis, Refusal, Tile
from workbench.ir.liveness import Liveness, live_bytes, liveness
from workbench.ir.storage import Storage
from workbench.schedule.stages import ALONG, can

IMAGE = 4  # axes
LARGEST = 5  # buffers told of, and nodes besides the one at the peak


@dataclass(frozen=True)
class Region:
    """A region of the step: its tile, the nodes inside, and the arena bytes alive while it runs."""

    label: str
    axis: Axis
    step: int
    nodes: int
    bytes: int


@dataclass(frozen=True)
class Held:
    """A buffer alive at the peak, by the label of what lies in it, and who makes and who last reads it.

    `saved`: it is made in the forward pass and read behind it, so that no chain can spare it. `touched`: the node at
    the peak makes or reads it.
    """

    label: str
    bytes: int
    maker: str
    last_reader: str
    saved: bool
    touched: bool


@dataclass(frozen=True)
class Tiles:
    """By axis why a node does not run by tiles; "" where it can. `region`: it is a region, of this axis."""

    node: str
    region: str
    reasons: Mapping[Axis, str]


@dataclass(frozen=True)
class Peak:
    """The first position at which the most bytes are alive, of so many; the buffers there, largest first.

    `scratch`: bytes that the node at the peak asks for besides. `tiles`: that node first, then those that make or read
    the buffers that it touches, those saved for the backward left out.
    """

    position: int
    positions: int
    node: str
    bytes: int
    scratch: int
    buffers: tuple[Held, ...]
    tiles: tuple[Tiles, ...]


def regions_of(graph: Graph) -> tuple[Region, ...]:
    """The regions of a graph, in the order in which they run."""
    return tuple(
        Region(node.label, node.attrs["axis"], node.attrs["step"], len(node.region_body.nodes), alive)
        for node, alive in zip(graph.analysis.work, live_bytes(graph), strict=True)
        if node.body is not None
    )


def peak_of(graph: Graph) -> Peak | None:
    """What stands at the peak of a graph; None for one that runs no node."""
    known, living = graph.analysis, liveness(graph, graph.analysis.scratch)
    if not known.work:
        return None
    node, alive = known.work[living.worst], _alive(living)
    touched = {known.root[name] for name in (*node.operands, *node.results)}
    held = {storage: _held(graph, storage, living.worst, storage.name in touched) for storage in alive[:LARGEST]}
    near = [node]
    for storage, each in held.items():
        if each.touched and not each.saved:
            near += [
                other for other in known.work if set(storage.values).intersection((*other.operands, *other.results))
            ]
    return Peak(
        living.worst, len(known.work), told(node), living.peak, known.scratch.get(node.results[0], 0),
        tuple(held.values()),
        tuple(tiles_of(graph, each) for each in list({each.results[0]: each for each in near}.values())[: LARGEST + 1]),
    )  # fmt: skip


def tiles_of(graph: Graph, node: Node) -> Tiles:
    """Why a node does not run by tiles, by axis: as it would behind a node that makes one of its images, or by none."""
    if node.body is not None:
        return Tiles(told(node), node.attrs["axis"], {})
    return Tiles(told(node), "", {axis: _reason(graph, node, axis) for axis in ALONG})


def told(node: Node) -> str:
    """A node by its operator and its label: "nn.conv2d block1.conv"."""
    return f"{node.op} {node.label}".rstrip()


def apart(node: Node) -> Node:
    """A node that writes over no operand, if it need not: that hinders no tiles."""
    return node if any(at is not None for at in ops.get(node.op).taken(node.attrs)) else replace(node, over=())


def _reason(graph: Graph, node: Node, axis: Axis) -> str:
    node = apart(node)
    images = [at for at, name in enumerate(node.operands) if graph.types[name].rank == IMAGE]
    found = [can(node, Tile(axis, of), graph.types) for of in (*((at,) for at in images), ())]
    reasons = [needs.reason.removeprefix(f"{node.op} ") for needs in found if isinstance(needs, Refusal)]
    return reasons[0] if len(reasons) == len(found) else ""


def _alive(living: Liveness) -> list[Storage]:
    """The storages alive at the peak, largest first."""
    alive = [storage for storage in living.arena if storage.lower <= living.worst < storage.upper]
    return sorted(alive, key=lambda storage: (-storage.bytes_at(living.worst), storage.lower))


def _held(graph: Graph, storage: Storage, position: int, touched: bool) -> Held:
    known, phases = graph.analysis, graph.analysis.phases
    made, read = _maker(graph, storage), _last_reader(graph, storage)
    saved = read is not None and phases[read] != "forward" and (made is None or phases[made] == "forward")
    names = ["" if at is None else told(known.work[at]) for at in (made, read)]
    return Held(graph.label(storage.name), storage.bytes_at(position), names[0], names[1], saved, touched)


def _maker(graph: Graph, storage: Storage) -> int | None:
    """The position of the node that makes the first value of a storage; None: it is an input."""
    return next((at for at, node in enumerate(graph.analysis.work) if storage.values[0] in node.results), None)


def _last_reader(graph: Graph, storage: Storage) -> int | None:
    """The position of the last node that reads a value of a storage; None: it is an output that nobody reads."""
    values = set(storage.values)
    return max((at for at, node in enumerate(graph.analysis.work) if values.intersection(node.operands)), default=None)
