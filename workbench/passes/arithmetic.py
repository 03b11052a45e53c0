"""How float32 sums add their products, as suits the core: the one thing that a compiled step learns from its board.

It changes no type, no order and no address, so all schedules get it alike, once the firmware is built.
"""

from dataclasses import replace

from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ops._multiply_add import FMA, SUM


def with_fused_multiply_adds(graph: Graph) -> Graph:
    """The graph whose operators, those inside regions too, fuse each product with its addition where they can."""
    return graph.with_nodes(_fused(node) for node in graph.nodes)


def _fused(node: Node) -> Node:
    body = {"body": with_fused_multiply_adds(node.body)} if node.body else {}
    can = SUM.keys() <= ops.get(node.op).attrs.keys()
    return replace(node, attrs={**node.attrs, **body, **(dict.fromkeys(SUM, FMA) if can else {})})
