"""An operator that does, to these operands, what a simpler one does: that one (`Op.simpler`).

    before   %1: (T, 1, C) = transpose(%0, axes=[1, 0, 2])      after   %1: (T, 1, C) = reshape(%0, newshape=[T, 1, C])

Attention of a batch of one, and recurrent layers, are full of transposes that move nothing.
"""

from dataclasses import replace

from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.passes import Declined


def simplify(graph: Graph) -> Graph:
    """The graph with simpler operators where there are any. Declines where there are none."""
    nodes = tuple(_simpler(graph, node) for node in graph.nodes)
    if nodes == graph.nodes:
        raise Declined("no operator has a simpler one")
    return graph.with_nodes(nodes)


def _simpler(graph: Graph, node: Node) -> Node:
    simpler = ops.get(node.op).simpler
    found = None if simpler is None else simpler(*(graph.types[name] for name in node.operands), **node.attrs)
    return node if found is None else replace(node, op=found[0], attrs=dict(found[1]))
