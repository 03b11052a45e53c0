"""Where in a step the kernels stand that have a schedule to choose, and how much scratch each may have there.

Scratch lives at its node's position alone; the kernels of a region share one piece. So what is spare at a position, up
to the most bytes that may live, may become scratch of any kernel there, and no kernel minds the others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.kernel import Footprint, Tile
from workbench.ir.types import TensorType
from workbench.kernels.literals import choices_of, literals_of
from workbench.ops._schedule import SCHEDULE
from workbench.schedule.region import cascade_of
from workbench.schedule.stages import can


@dataclass(frozen=True)
class Place:
    """A kernel: its node, and the types around it. `position`: of the operator in the step; `axis`, `step`: of the
    region that it runs in; `of`: the operands that are there by tiles. `shared`: bytes of scratch, its own, or what the
    kernels of its region share; `others`: what those of them need that have no choice."""

    node: Node
    types: Mapping[str, TensorType]
    position: int
    shared: int
    others: int = 0
    axis: str = ""
    step: int = 0
    of: tuple[int, ...] = ()

    @cached_property
    def literals(self) -> str:
        return literals_of(self.node, self.types, self.axis)

    @cached_property
    def choices(self) -> Mapping[str, tuple[int, ...]]:
        return choices_of(self.node, self.types)

    @property
    def schedule(self) -> str:
        return str(self.node.attrs["schedule"])

    def scratch(self, schedule: str) -> int:
        """The bytes that it needs under a schedule, in whole words."""
        node = scheduled(self.node, schedule)
        if not self.axis:
            kinds = [self.types[name] for name in node.operands]
            return -(-ops.get(node.op).needed_kernel.scratch(*kinds, **node.attrs) // 4) * 4
        needs = can(node, Tile(self.axis, self.of), self.types)  # type: ignore[arg-type]
        return needs.scratch(self.step) if isinstance(needs, Footprint) else 0


def scheduled(node: Node, schedule: str) -> Node:
    """The node with another schedule."""
    return replace(node, attrs={**node.attrs, **dict.fromkeys(SCHEDULE, schedule)})


def places(graph: Graph) -> Iterator[Place]:
    """Every kernel of a step for which there is something to choose."""
    for position, node in enumerate(graph.analysis.work):
        if node.body is None:
            if choices_of(node, graph.types):
                yield Place(node, graph.types, position, graph.analysis.scratch.get(node.results[0], 0))
            continue
        plan = cascade_of(**node.attrs)
        types, shared = node.body.types, plan.scratch - plan.inner
        found = [stage for stage in plan.stages if choices_of(stage.node, types)]
        others = [stage for stage in plan.stages if stage not in found and not stage.needs.lasting]
        most = max((stage.needs.scratch(plan.step) for stage in others), default=0)
        for stage in found:
            of = tuple(at for at, name in enumerate(stage.node.operands) if name in plan.makers)
            yield Place(stage.node, types, position, shared, most, plan.axis, plan.step, of)


def rooms(found: Iterable[Place], live: Sequence[int], bound: int) -> dict[str, int]:
    """The bytes of scratch that each kernel may have, by its literals, so that at most `bound` bytes live at a time.
    `live`: those that do now, by position."""
    room: dict[str, int] = {}
    for place in found:
        spare = place.shared + bound - live[place.position]
        room[place.literals] = min(room.get(place.literals, spare), spare)
    return room
