"""Drop nodes whose results nobody reads. A node that writes into an argument's storage has an effect, and stays."""

from workbench.ir.graph import Graph
from workbench.ir.liveness import storage_roots


def eliminate_dead_code(graph: Graph) -> Graph:
    root = storage_roots(graph)
    needed = set(graph.outputs)
    kept = []
    for node in reversed(graph.nodes):
        writes_argument = any(root[name] in graph.arguments for name in node.overwrites)
        if writes_argument or needed.intersection(node.results):
            needed.update(node.operands)
            kept.append(node)
    return graph.with_nodes(reversed(kept))
