"""Run chains of operators row by row or channel by channel, as regions: values inside a chain never exist whole.

    order     a  b  c  u  d  e  …          nodes in order of execution; u cannot work row by row, so it must not stand
    region   [a  b  c]    [d  e]           between a, b, c: if it needs them it runs behind the region, else before it

A region is a segment of the order whose members can work row by row: all that can, or those alone that are connected
with its last. What lives while it runs follows from the segment alone: what is made before or in it and used in or
behind it, and the rows that it keeps. So the division of the order into regions and single nodes that has the least
peak is found by dynamic programming from left to right. Of the divisions of that peak the one with the fewest nodes in
regions is taken.

Later passes change what nodes need: an update fused with its gradient spares that, an order spares what waits. So a
few divisions are carried through all of them (of all segments, of `plain` ones, of those whose backward nodes prepare
nothing for a tile, of those of the forward alone); the one that has the least peak in the end is taken, of equals the
one whose tiles cost the fewest instructions. Regions at that peak are dropped where the rest needs no more without
them, and so are those that spare least, as long as the peak stays. Then each region takes as many rows a step as fit
below that peak. A division for whose tiles filters are made wider has to pay: if they cost a larger share of the step's
instructions than they save of its bytes, it is not taken (`_pays`).

A region may also write a result over the rows of an image that it reads no more (by_rows.py): then the two together
take the bytes of the image alone.
"""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Protocol

from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.kernel import Refusal
from workbench.ir.liveness import live_bytes, peak_bytes
from workbench.ir.storage import aligned
from workbench.schedule.by_rows import over_rows
from workbench.schedule.cascade import STACK, Cascade
from workbench.schedule.region import cascade_of, region_node
from workbench.schedule.segments import IMPOSSIBLE, Segment, Segments
from workbench.schedule.takeovers import takeovers
from workbench.units import size

LONGEST = 24  # nodes of a region that work row by row
STEPS, MOST_CHANNELS = (2, 4, 8), 16  # rows, channels at a time; with more a step costs nearly as much
FIRST_TRIED = 16  # nodes that the first division may put into regions

TRIES = 4  # times that regions which run at the peak in the end are dropped
CALL = 400  # instructions of a call for a tile, besides those of what it makes: fitted to lenet-int8 and resnet-int8
LITTLE = 0.05  # of a step's instructions: what tiles may cost however little they save

Cost = tuple[int, int]  # bytes, and nodes in regions


class Later(Protocol):
    """What the passes that come later will make of a graph (see passes/later.py)."""

    def graph(self, graph: Graph) -> Graph: ...

    def overlaid(self, graph: Graph) -> Graph: ...

    def fused_away(self, graph: Graph) -> frozenset[str]: ...


@dataclass(frozen=True)
class Division:
    """Segments that become regions, the graph with them, and what the later passes make of it.

    peak: bytes, in the end. overhead: instructions (see `overhead`).
    """

    chosen: tuple[Segment, ...]
    graph: Graph
    end: Graph

    @cached_property
    def peak(self) -> int:
        return peak_bytes(self.end)

    @cached_property
    def larger(self) -> Graph:
        return in_larger_steps(self.graph, self.end)

    @cached_property
    def overhead(self) -> int:
        return sum(overhead(cascade_of(**node.attrs)) for node in self.larger.nodes if node.body)


def in_regions(graph: Graph, later: Later) -> Graph | Refusal:
    """The same graph with the regions that lower its peak most, once the `later` passes have run too; or why not."""
    fused_away = later.fused_away(graph)
    given = max(live_bytes(graph, fused_away))
    segments = Segments(graph, later.overlaid(graph), LONGEST, given, fused_away)

    def division(chosen: Sequence[Segment]) -> Division:
        cut = laid_out(graph, chosen, segments.summed)
        return Division(tuple(chosen), cut, later.graph(cut))

    forward = _forward(graph)
    unprepared = forward | segments.unprepared
    choices: list[tuple[list[Segment], bool]] = []  # and whether it has to pay
    for members, plain in ((forward, True), (unprepared, True), (segments.rowwise, True), (segments.rowwise, False)):
        among = segments.among(members, plain)  # more and more segments: what the last division needed is enough
        chosen = divided(among)
        if chosen and all(chosen != other for other, _ in choices):
            choices.append((chosen, not (plain and among.rowwise <= unprepared)))
        segments.limit = min(segments.limit, among.limit)
    if not choices:
        return Refusal(f"rows of no chain would lower the peak of {size(given)}")
    found = [(division(chosen), must_pay) for chosen, must_pay in choices]
    free = [one for one, must_pay in found if not must_pay]
    base = min(free, key=_worth) if free else Division((), graph, later.graph(graph))
    paying = [one for one, must_pay in found if not must_pay or _pays(graph, base, one)]
    if not paying:
        return Refusal(f"rows of each chain would cost a larger part of the instructions than of {size(base.peak)}")
    best = min(paying, key=_worth)
    other = _without_conversions(best, segments, division)
    best = other if _pays(graph, best, other) else best
    best = _without_idle(_without_worst(best, division), segments.live, division)
    without = peak_bytes(later.graph(graph))
    if (needed := best.peak + STACK) > without:
        return Refusal(f"it would need {size(needed)} in the end, stack included, instead of {size(without)}")
    return best.larger if peak_bytes(later.graph(best.larger)) <= best.peak else best.graph


def _forward(graph: Graph) -> frozenset[int]:
    """The nodes that run before the loss."""
    known = graph.analysis
    return frozenset(at for at, phase in zip(known.work_indices, known.phases, strict=True) if phase == "forward")


def _pays(graph: Graph, one: Division, other: Division) -> bool:
    """Whether another division saves more of the peak than its tiles cost of the step's instructions."""
    cost = (other.overhead - one.overhead) / max(instructions(graph), 1)
    return cost <= max(LITTLE, (one.peak - other.peak) / max(one.peak, 1))


def instructions(graph: Graph) -> float:
    """Of a step, estimated by its multiply-accumulates and elements."""
    total = 0.0
    for node in graph.nodes:
        op = ops.get(node.op)
        each, element = op.instructions
        macs = op.macs(*(graph.types[name] for name in node.operands), **node.attrs)
        total += 0 if op.view else each * macs + element * graph.types[node.results[0]].elements
    return total


def _worth(division: Division) -> tuple[int, int]:
    return division.peak, division.overhead


def _without_conversions(
    best: Division, segments: Segments, division: Callable[[Sequence[Segment]], Division]
) -> Division:  # fmt: skip
    """The best division found where no region by channels has an image that a node at the peak would have to bring from
    channel by channel into rows, or back: the image is there twice then."""
    last = best
    for _ in range(TRIES):
        regions = {segment.body[2][0] for segment in last.chosen}
        living = zip(last.end.analysis.work, live_bytes(last.end), strict=True)
        worst = [node for node, live in living if live == last.peak and node.body and node.results[0] not in regions]
        turned = {name for node in worst for name in (*node.operands, *node.results) if last.end.types[name].rank == 4}
        by_channels = {name for one in last.chosen if one.axis == "channels" for name in (*one.body[1], *one.body[2])}
        if not turned & by_channels:
            break
        segments = segments.beside(turned & by_channels, last.peak)
        if not (chosen := divided(segments)):
            break
        last = division(chosen)
        best = min(best, last, key=_worth)
    return best


def _without_worst(best: Division, division: Callable[[Sequence[Segment]], Division]) -> Division:
    """A division without the regions that run at its peak, as long as it does not need more."""
    for _ in range(TRIES):
        living = zip(best.end.analysis.work, live_bytes(best.end), strict=True)
        worst = {name for node, live in living if live == best.peak for name in node.results}
        rest = [segment for segment in best.chosen if not worst.intersection(segment.body[2])]
        if len(rest) == len(best.chosen) or (other := division(rest)).peak > best.peak:
            break
        best = other
    return best


def _without_idle(
    best: Division, alone: Sequence[int], division: Callable[[Sequence[Segment]], Division]
) -> Division:  # fmt: skip
    """A division without regions that spare nothing in the end: twice as many each time of those whose nodes need least
    alone."""
    count = 1
    while count <= len(best.chosen):
        by_worth = sorted(best.chosen, key=lambda segment: max(alone[index] for index in segment.members))
        kept = {segment.begin for segment in by_worth[count:]}
        other = division([segment for segment in best.chosen if segment.begin in kept])
        if other.peak > best.peak:
            break
        best, count = other, 2 * count
    return best


def overhead(plan: Cascade) -> int:
    """Instructions that a cascade costs beyond those of its nodes as they are, estimated.

    For each tile: the calls of its stages, and what these prepare in their scratch (filters made wider), an instruction
    a byte.
    """
    tiles = -(-plan.extent // plan.step) * plan.batch
    return (tiles - 1) * sum(CALL + stage.needs.prepares(plan.step) for stage in plan.stages if stage.needs.code)


def laid_out(graph: Graph, chosen: Sequence[Segment], movable: Set[str]) -> Graph:
    """The graph with these segments as regions, images row by row where a result may go over them."""
    as_they_are = {name for one in chosen if one.axis == "channels" for name in (*one.body[1], *one.body[2])}
    pairs = (one.over for one in chosen if one.axis == "rows" and not as_they_are.intersection(one.over))
    return over_rows(apart(graph, chosen), chain.from_iterable(pairs), movable - as_they_are)


def divided(segments: Segments) -> list[Segment]:
    """The regions of the best division: of least peak, then of fewest nodes in them.

    A region pays only where it holds a node that needs more than the least peak when it runs by itself. That peak is
    not known, so a bound is guessed, from high to low, and only segments that hold a node above it are looked at: where
    the best of their divisions needs more than the bound, no other division needs less.
    """
    order = sorted(range(segments.count), key=lambda index: -segments.live[index])
    tried = FIRST_TRIED
    while True:
        bound = segments.live[order[tried]] if tried < segments.count else -1
        ending = segments.over(sorted(index for index in order[:tried] if segments.live[index] > bound))
        (least, _), _ = _best(segments.live, ending, lambda cost, live, nodes: (max(cost[0], live), 0))
        segments.limit = min(segments.limit, least + 1)  # no better division has a segment of more
        if least > bound:
            break
        tried *= 2
    if least >= IMPOSSIBLE:
        return []
    # Whatever stays within the least peak costs nothing but its nodes.
    _, chosen = _best(segments.live, ending, lambda cost, live, nodes: (max(cost[0], live - least), cost[1] + nodes))
    return chosen


def _best(
    live: Sequence[int], ending: list[list[Segment]], add: Callable[[Cost, int, int], Cost]
) -> tuple[Cost, list[Segment]]:
    """The least cost of a division of all nodes, and its regions; `add` gives the cost with one more part."""
    costs: list[Cost] = [(0, 0)]
    last: list[Segment | None] = [None]  # the region that ends the best division of the nodes so far; None: one node
    for end in range(1, len(live) + 1):
        best, region = add(costs[end - 1], live[end - 1], 0), None
        for segment in ending[end]:
            cost = add(costs[segment.begin], segment.live, len(segment.members))
            if cost < best:
                best, region = cost, segment
        costs.append(best)
        last.append(region)
    chosen: list[Segment] = []
    end = len(live)
    while end:
        region = last[end]
        chosen += [region] if region else []
        end = region.begin if region else end - 1
    return costs[-1], chosen[::-1]


def apart(graph: Graph, chosen: Sequence[Segment]) -> Graph:
    """The graph with each of these segments as a region."""
    nodes: list[Node] = []
    place = 0
    for segment in chosen:
        nodes += graph.nodes[place : segment.begin]
        nodes += [graph.nodes[index] for index in segment.before]
        nodes.append(region_of(graph, segment))
        nodes += [graph.nodes[index] for index in segment.after]
        place = segment.end
    return graph.with_nodes([*nodes, *graph.nodes[place:]])


def region_of(graph: Graph, segment: Segment) -> Node:
    """The region that does what the members of a segment do."""
    members = [graph.nodes[index] for index in segment.members]
    body, operands, results = segment.body
    labels = dict.fromkeys(node.label or node.op for node in (members[0], members[-1]))
    over = tuple("" if at is None else operands[at] for at in takeovers(body))
    return region_node(body, operands, results, over if any(over) else (), "-".join(labels), segment.axis)


def in_larger_steps(graph: Graph, end: Graph) -> Graph:
    """The same graph; each region's tile grows as long as the final peak does not rise. Larger tiles run faster, and
    only a region's scratch depends on its tile. `end`: the graph once the later passes have run."""
    scratch, living = end.analysis.scratch, live_bytes(end)
    peak = max(living)
    room = {node.results[0]: scratch.get(node.results[0], 0) + peak - live
            for node, live in zip(end.analysis.work, living, strict=True)}  # fmt: skip
    nodes = list(graph.nodes)
    for index, node in enumerate(graph.nodes):
        for step in _steps(node) if node.body else ():
            wider = replace(node, attrs={**node.attrs, "step": step})
            op = ops.get(node.op)
            if not all(op.may_take(wider, graph.types, at, name) for at, name in enumerate(node.over) if name):
                break
            kinds = [graph.types[name] for name in node.operands]
            needed = aligned(op.needed_kernel.scratch(*kinds, **wider.attrs))
            if needed > room[node.results[0]]:
                break
            nodes[index] = wider
    return graph.with_nodes(nodes)


def _steps(node: Node) -> list[int]:
    """Rows or channels of a region's tile, more and more."""
    plan = cascade_of(**node.attrs)
    if plan.along.in_step:
        return [step for step in range(2, MOST_CHANNELS + 1) if plan.extent % step == 0]
    return [step for step in STEPS if step <= plan.extent]
