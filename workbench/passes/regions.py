"""Run chains of operators by tiles, as regions: see schedule/search.py."""

from workbench.ir.graph import Graph
from workbench.ir.kernel import Refusal
from workbench.passes import Declined
from workbench.passes.later import Later
from workbench.schedule.search import in_regions


def regions(graph: Graph, later: Later) -> Graph:
    """The graph with the regions that lower its peak most, once the `later` passes have run too."""
    found = in_regions(graph, later)
    if isinstance(found, Refusal):
        raise Declined(found.reason)
    return found
