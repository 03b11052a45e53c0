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


def fuse_add(graph: Graph) -> Graph:
    """The same graph with each such addition inside its convolution, as far as it can be."""
    nodes: list[Node | None] = list(graph.nodes)  # None: fused into another
    place, root = dict(graph.analysis.maker), graph.analysis.root
    for end, add in enumerate(graph.nodes):
        if not ops.get(add.op).adds or add.overwrites:
            continue
        begin = _summand(graph, nodes, place, root, end)
        if begin is None:
            continue
        node = nodes[begin]
        assert node is not None
        onto = add.operands[add.operands[0] == node.results[0]]
        at = _place(place, onto, begin, end)
        nodes[begin] = nodes[end] = None
        nodes[at] = replace(node, operands=(*node.operands, onto), results=add.results, label=add.label or node.label)
        place[add.results[0]] = at
        if node.overwrites:
            root = graph.with_nodes(node for node in nodes if node).analysis.root
    return graph if None not in nodes else graph.with_nodes(node for node in nodes if node)


def _place(place: dict[str, int], onto: str, begin: int, end: int) -> int:
    """Where the fused node stands: where the convolution stood if what its sum begins at exists by then."""
    return begin if place.get(onto, -1) < begin else end


def _summand(
    graph: Graph, nodes: list[Node | None], place: dict[str, int], root: dict[str, str], end: int
) -> int | None:
    """The place of the later of the convolutions that an addition reads which can take it in; None where none can."""
    add = graph.nodes[end]
    for name in sorted(add.operands, key=lambda name: -place.get(name, -1)):
        begin = place.get(name, -1)
        node = nodes[begin] if begin >= 0 else None
        onto = add.operands[add.operands[0] == name]
        if node is None or len(node.operands) != ops.get(node.op).onto or onto == name:
            continue
        if graph.analysis.only_reader(name) is None or graph.types[onto].shape != graph.types[name].shape:
            continue
        read = {root[operand] for operand in node.operands}
        written = (root[name] for other in nodes[begin:end] if other for name in other.overwrites)
        if _place(place, onto, begin, end) == begin or read.isdisjoint(written):
            return begin
    return None
