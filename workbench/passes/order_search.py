"""Run the nodes in the order that keeps the fewest bytes alive at once, kernel scratch included.

Which orders are legal: ir/analysis.py. How the least one is found: least_peak.py. Where that search gives up, a beam
search goes on, and the bound tells how far from the least its order can be.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import or_

from workbench.ir.graph import Graph
from workbench.ir.storage import aligned
from workbench.passes import Declined
from workbench.passes.least_peak import Problem, beam, lower_bound, peak_of, search
from workbench.units import size

LIMIT = 2000  # states: never seconds, so that every machine finds the same order
WIDTH = 24


@dataclass(frozen=True)
class Found:
    """The graph in its new order, the bytes it needs at its peak, and a bound: no order needs fewer than that."""

    graph: Graph
    peak: int
    bound: int

    @property
    def proven(self) -> bool:
        return self.peak == self.bound


def order_search(graph: Graph) -> Graph:
    """The same nodes in an order of least peak; in the order they had wherever that is as good."""
    found = least_peak_order(graph)
    if found.graph.nodes == graph.nodes:
        raise Declined(
            "the order is already least (proven)"
            if found.proven
            else f"no better order found; none needs less than {size(found.bound)}"
        )
    return found.graph


def least_peak_order(graph: Graph, limit: int = LIMIT) -> Found:
    """Search at most `limit` states for an order that needs less than the one `graph` has."""
    problem = problem_of(graph)
    given = range(len(graph.nodes))
    peak, bound = peak_of(problem, given), lower_bound(problem)
    if peak == bound:
        return Found(graph, peak, bound)
    state, bound = search(problem, bound, peak, limit)
    if state is None and bound < peak:
        state = beam(problem, bound, WIDTH)
    if state is None or state.peak >= peak:
        return Found(graph, peak, bound)
    order = _closest(problem, given, state.order(), state.peak)
    return Found(graph.with_order(graph.nodes[index] for index in order), state.peak, bound)


def problem_of(graph: Graph) -> Problem:
    """The graph as the search sees it: what must stand before what, and who keeps which bytes alive."""
    known = graph.analysis
    scratch = tuple(aligned(known.scratch.get(node.results[0], 0)) for node in graph.nodes)
    return Problem(known.predecessors, known.ancestors, scratch, known.pieces)


def _closest(problem: Problem, given: Sequence[int], found: Sequence[int], peak: int) -> list[int]:
    """`found`, but as in `given` from each place where both have run the same nodes to the next, if that fits `peak`.

    given   a b c | d e f | g h       found   b a c | d f e | g h      result   a b c | d f e | g h
    """
    sets = [list(accumulate((1 << node for node in order), or_)) for order in (given, found)]
    state, start = problem.first(), 0
    for end, (one, other) in enumerate(zip(*sets, strict=True), 1):
        if one != other:
            continue
        for order in (given, found):
            after = state
            for node in order[start:end]:
                after = problem.step(after, node)
            if after.peak <= peak:
                break
        state, start = after, end
    return state.order()
