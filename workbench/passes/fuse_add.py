"""Let the sum of a gradient begin at the gradient that it would be added to.

    before   d = conv2d_transpose(dy, w)             after   d = conv2d_transpose(dy, w, c)
             e = add(c, d)

Where two readers of a value send gradients back (a residual), one of them is mostly a transposed convolution's: its
sums go on from the other's, so that d is never stored, and the result may lie over c. The new node stands where the
convolution stood, if c is there by then, else where the addition stood.
"""

from dataclasses import replace

from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.liveness import storage_roots


def fuse_add(graph: Graph) -> Graph:
    """The same graph with each such addition inside its convolution, as far as it can be."""
    for add in graph.nodes:
        if ops.get(add.op).adds and not add.overwrites:
            graph = _fused(graph, add) or graph
    return graph


def _fused(graph: Graph, add: Node) -> Graph | None:
    """The graph with `add` inside the later of the convolutions it reads; None where there is none that can."""
    place = {name: index for index, node in enumerate(graph.nodes) for name in node.results}
    end = graph.nodes.index(add)
    for name in sorted(add.operands, key=lambda name: -place.get(name, -1)):
        begin = place.get(name, -1)
        node = graph.nodes[begin] if begin >= 0 else None
        onto = add.operands[add.operands[0] == name]
        if node is None or len(node.operands) != ops.get(node.op).onto or onto == name or not _alone(graph, name):
            continue
        if graph.types[onto].shape != graph.types[name].shape:
            continue
        at = begin if place.get(onto, -1) < begin else end
        if at == end and _overwritten(graph, node, begin, end):
            continue
        joined = replace(node, operands=(*node.operands, onto), results=add.results, label=add.label or node.label)
        rest = [other for other in graph.nodes[:at] if other is not node]
        return graph.with_nodes([*rest, joined, *(x for x in graph.nodes[at:] if x is not node and x is not add)])
    return None


def _alone(graph: Graph, name: str) -> bool:
    """Whether one node reads a value, once."""
    return name not in graph.outputs and sum(node.operands.count(name) for node in graph.nodes) == 1


def _overwritten(graph: Graph, node: Node, begin: int, end: int) -> bool:
    """Whether what a node reads is written over between two places."""
    root = storage_roots(graph)
    read = {root[name] for name in node.operands}
    return any(root[name] in read for other in graph.nodes[begin:end] for name in other.overwrites)
