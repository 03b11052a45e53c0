"""Rewrites of a graph that several passes need."""

from workbench.ir.graph import Graph


def without_dead_code(graph: Graph) -> Graph:
    """The graph without nodes whose results nobody reads. One that writes into an argument's storage has an effect."""
    root, arguments = graph.analysis.root, frozenset(graph.arguments)
    needed = set(graph.outputs)
    kept = []
    for node in reversed(graph.nodes):
        writes_argument = any(root[name] in arguments for name in node.overwrites)
        if writes_argument or needed.intersection(node.results):
            needed.update(node.operands)
            kept.append(node)
    return graph.with_nodes(reversed(kept))
