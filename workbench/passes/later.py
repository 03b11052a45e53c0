"""What the passes behind one will make of a graph, for a pass that looks ahead. The pipeline makes it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workbench.ir.graph import Graph
from workbench.passes import Declined


@dataclass(frozen=True)
class Foreseen:
    """A later pass that changes what memory values take.

    `keeps_nodes`: it only lets results take storage over. `reorders`: it only changes the order. `key`: what the pass
    is run by, and those behind it that it looks ahead at; another pass of the same name has another key.
    """

    key: tuple[Callable[..., object], ...]
    run: Callable[[Graph], Graph]
    keeps_nodes: bool = False
    reorders: bool = False

    def outcome(self, graph: Graph) -> tuple[Graph, str]:
        """What the pass makes of a graph, and why it declined, if it did. It runs once: the graph keeps its outcome."""
        known: dict[object, tuple[Graph, str]] = graph.analysis.memo
        if self.key not in known:
            try:
                known[self.key] = self.run(graph), ""
            except Declined as reason:
                known[self.key] = graph, str(reason)
        return known[self.key]


@dataclass(frozen=True)
class Later:
    """The foreseen passes behind one, in order."""

    passes: Sequence[Foreseen] = ()

    def graph(self, graph: Graph) -> Graph:
        """The graph once they have all run."""
        return _after(graph, self.passes)

    def overlaid(self, graph: Graph) -> Graph:
        """The same nodes in the same order, results over operands as those passes have it that keep the nodes."""
        return _after(graph, [each for each in self.passes if each.keeps_nodes])

    def fused_away(self, graph: Graph) -> frozenset[str]:
        """Values of the graph that will never be stored: they exist inside a fused node only."""
        fused = _after(graph, [each for each in self.passes if not each.keeps_nodes and not each.reorders])
        return frozenset(graph.types).difference(fused.types)


def _after(graph: Graph, passes: Sequence[Foreseen]) -> Graph:
    for each in passes:
        graph, _ = each.outcome(graph)
    return graph
