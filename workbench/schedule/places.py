"""Where in a step the kernels stand that have a schedule to choose, and how much scratch each may have there.

Scratch lives at its node's position alone; the kernels of a region share one piece. So what is spare at a position, up
to the most bytes that may live, may become scratch of any kernel there, and no kernel minds the others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

from workbench.errors import GraphError
from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.kernel import Refusal, Tile
from workbench.ir.liveness import liveness
from workbench.ir.types import TensorType
from workbench.kernels.literals import choices_of, literals_of
from workbench.ops._schedule import SCHEDULE, written
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

    @cached_property
    def schedules(self) -> tuple[str, ...]:
        """All that there are, but for the rule's."""
        every = product(*self.choices.values())
        return tuple(written(dict(zip(self.choices, numbers, strict=True))) for numbers in every)

    def scratch(self, schedule: str) -> int:
        """The bytes that it needs under a schedule, in whole words."""
        node = scheduled(self.node, schedule)
        if self.axis:
            needs = can(node, Tile(self.axis, self.of), self.types)  # type: ignore[arg-type]
            if isinstance(needs, Refusal):
                raise GraphError(f"a schedule keeps {node.op} from running by tiles: {needs.reason}")
            size = needs.scratch(self.step)
        else:
            size = ops.get(node.op).needed_kernel.scratch(*(self.types[name] for name in node.operands), **node.attrs)
        return -(-size // 4) * 4


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


def with_room(graph: Graph, bound: int) -> Graph:
    """The graph whose kernels need no more scratch than there is room for, where at most `bound` bytes may live at a
    time: of schedules that do, the one that needs most, since it lays out most; else the one that needs least."""
    found, chosen = list(places(graph)), dict[str, str]()
    room = rooms(found, liveness(graph, graph.analysis.scratch).live, bound)
    for place in found:
        if place.scratch(place.schedule) > room[place.literals]:
            fitting = [each for each in place.schedules if place.scratch(each) <= room[place.literals]]
            least = min(place.schedules, key=place.scratch)
            chosen[place.literals] = max(fitting, key=place.scratch) if fitting else least
    return with_chosen(graph, chosen)


def with_chosen(graph: Graph, chosen: Mapping[str, str]) -> Graph:
    """The graph whose nodes have the schedules that are chosen for their literals."""
    return graph.with_nodes(_with(node, graph, chosen) for node in graph.nodes) if chosen else graph


def _with(node: Node, graph: Graph, chosen: Mapping[str, str], axis: str = "") -> Node:
    if node.body:
        inner = node.attrs["axis"]
        body = node.body.with_nodes(_with(each, node.body, chosen, inner) for each in node.body.nodes)
        return replace(node, attrs={**node.attrs, "body": body})
    schedule = chosen.get(literals_of(node, graph.types, axis))
    return node if schedule is None else scheduled(node, schedule)
