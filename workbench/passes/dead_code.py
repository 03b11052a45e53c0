"""Drop nodes whose results nobody reads. A node that writes into an argument's storage has an effect, and stays."""

from workbench.ir.graph import Graph
from workbench.ir.rewrite import without_dead_code


def eliminate_dead_code(graph: Graph) -> Graph:
    return without_dead_code(graph)
