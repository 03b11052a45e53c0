"""Run chains of operators row by row, as regions, so that values inside a chain never exist whole.

    order     a  b  c  u  d  e  …          nodes as they are executed; u cannot work row by row, but must not stand
    region   [a  b  c]    [d  e]           between a, b, c: what needs them runs behind the region, the rest before it

A region is a stretch of the order, all of it that can work row by row. While it runs, what lives is known from the
stretch alone: what was made before it or in it and is used in it or behind it, and the rows it keeps. So the best way
to divide the order into regions and single nodes, of least peak, is found by dynamic programming from left to right
(exactly, where nothing stands between). Among those that are as good, the one with the fewest nodes in regions wins;
then every region takes as many rows a step as fit below that peak.

A region may also write a result over the rows of an image that it has read for good (by_rows.py): then both together
take the bytes of the image alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.liveness import peak_bytes
from workbench.ir.strips import strips
from workbench.ir.verify import region_may_take
from workbench.passes import Declined
from workbench.passes.by_rows import over_rows
from workbench.passes.fuse_update import fuse_update
from workbench.passes.in_place import work_in_place
from workbench.passes.stretches import IMPOSSIBLE, Stretch, Stretches, live_bytes
from workbench.units import size

LONGEST = 24  # nodes of a region that work row by row
STEPS = (2, 4, 8)  # rows that are tried besides one
LATER = {"fuse-update": fuse_update, "in-place": work_in_place}  # passes that change what regions are worth
STACK = 128  # bytes: more than a region's own bookkeeping was seen to add to the stack (116 at most, in mobilenet)


def regions(graph: Graph, later: Sequence[str] = tuple(LATER)) -> Graph:
    """The same graph with the regions that lower its peak most, once the passes called `later` have run too."""
    gone = applied_as_computed(graph) if "fuse-update" in later else frozenset()
    given, given_whole = peaks(graph, gone)
    chosen = divided(Stretches(graph, LONGEST, given, gone))
    if not chosen:
        raise Declined(f"rows of no chain would lower the peak of {size(given)}")
    gone -= {name for stretch in chosen for name in stretch.body[2]}
    cut = over_rows(apart(graph, chosen), chain.from_iterable(stretch.over for stretch in chosen))
    limit, whole = peaks(cut, gone)
    if whole > given_whole:
        raise Declined(f"it would need {size(whole)} instead of {size(given_whole)}")
    if (needed := peak_in_the_end(cut, later) + STACK) > (without := peak_in_the_end(graph, later)):
        raise Declined(f"it would need {size(needed)} in the end, stack included, instead of {size(without)}")
    return in_larger_steps(cut, (limit, given_whole), gone)


def peak_in_the_end(graph: Graph, later: Sequence[str]) -> int:
    """The peak once the passes called `later` have run, as far as they are of LATER."""
    for run in (LATER[name] for name in later if name in LATER):
        try:
            graph = run(graph)
        except Declined:
            continue
    return peak_bytes(graph)


def peaks(graph: Graph, gone: frozenset[str]) -> tuple[int, int]:
    """The peak without the values that are `gone`, and with all."""
    return max(live_bytes(graph, gone)), max(live_bytes(graph, frozenset()))


def applied_as_computed(graph: Graph) -> frozenset[str]:
    """Gradients that the pass fuse-update, which comes later, will keep out of memory."""
    try:
        return frozenset(graph.types).difference(fuse_update(graph).types)
    except Declined:
        return frozenset()


def divided(stretches: Stretches) -> list[Stretch]:
    """The regions of the best division: of least peak, then of fewest nodes in them."""
    (least, _), _ = _best(stretches, lambda cost, live, nodes: (max(cost[0], live), 0))
    if least >= IMPOSSIBLE:
        return []
    # Whatever stays within the least peak costs nothing but its nodes.
    _, chosen = _best(stretches, lambda cost, live, nodes: (max(cost[0], live - least), cost[1] + nodes))
    return chosen


def _best(stretches: Stretches, add) -> tuple[tuple[int, int], list[Stretch]]:
    """The least cost of a division of all nodes, and its regions; `add` gives the cost with one more part."""
    best: list[tuple[tuple[int, int], list[Stretch]]] = [((0, 0), [])]
    for end in range(1, stretches.count + 1):
        cost, chosen = best[end - 1]
        options = [(add(cost, stretches.live[end - 1], 0), chosen)]
        for stretch in stretches.ending_at(end):
            cost, chosen = best[stretch.begin]
            options.append((add(cost, stretch.live, len(stretch.members)), [*chosen, stretch]))
        best.append(min(options, key=lambda option: option[0]))
    return best[-1]


def apart(graph: Graph, chosen: list[Stretch]) -> Graph:
    """The graph with these stretches as regions."""
    nodes, place = [], 0
    for stretch in chosen:
        nodes += graph.nodes[place : stretch.begin]
        nodes += [graph.nodes[index] for index in stretch.before]
        nodes.append(region_of(graph, stretch))
        nodes += [graph.nodes[index] for index in stretch.after]
        place = stretch.end
    return graph.with_nodes([*nodes, *graph.nodes[place:]])


def region_of(graph: Graph, stretch: Stretch) -> Node:
    """The region that does what the members of a stretch do."""
    members = [graph.nodes[index] for index in stretch.members]
    body, operands, results = stretch.body
    labels = dict.fromkeys(node.label or node.op for node in (members[0], members[-1]))
    attrs = ops.get("region").complete({"body": body.as_body()})
    return Node("region", operands, results, attrs, label="-".join(labels))


def in_larger_steps(graph: Graph, limits: tuple[int, int], gone: frozenset[str]) -> Graph:
    """The same graph, each region with as many rows a step as keep the peaks within `limits`: that costs less time."""
    for index, node in enumerate(graph.nodes):
        if not node.body:
            continue
        for rows in (step for step in STEPS if step <= strips(node.body, 1).stages[-1].height):
            taller = replace(node, attrs={**node.attrs, "rows": rows})
            larger = graph.with_nodes([*graph.nodes[:index], taller, *graph.nodes[index + 1 :]])
            if not all(region_may_take(larger, taller, at, name) for at, name in enumerate(node.over) if name):
                break
            if any(peak > limit for peak, limit in zip(peaks(larger, gone), limits, strict=True)):
                break
            graph = larger
    return graph
