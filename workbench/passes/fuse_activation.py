"""One node for a layer: its convolution or dense product, its bias, its activation and the activation's mask.

    before   s = conv2d(x, w)             after   y, m = conv2d(x, w, b, activation="relu", mask=True)
             t = bias_add(s, b)
             y, m = relu(t, mask=True)            s and t are never stored

Each result on the way has no other reader. The new node stands where the convolution stood and has its label, so the
bias must exist there. It means the same to the bit: the same operations in the same order.
"""

from dataclasses import replace

from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ops._activation import ACTIVATIONS, BIAS


def fuse_activation(graph: Graph) -> Graph:
    """The same graph with each layer in one node, as far as it can be; everything else in its order."""
    made, within = set(graph.arguments), set()  # values that exist; results of nodes that a layer took in
    nodes = []
    for node in graph.nodes:
        if node.results[0] in within:
            continue
        while (end := _only_reader(graph, node.results[0])) and _can_end(node, end, made):
            node = _ended(node, end)
            within.add(end.results[0])
        nodes.append(node)
        made.update(node.results)
    return graph.with_nodes(nodes)


def _only_reader(graph: Graph, value: str) -> Node | None:
    """The node that reads a value, if one does, once, and nobody outside does."""
    index = graph.analysis.only_reader(value)
    return None if index is None else graph.nodes[index]


def _can_end(layer: Node, end: Node, made: set[str]) -> bool:
    """Whether `end`, the only reader of the layer's result, can be done inside its node."""
    if "activation" not in ops.get(layer.op).attrs or layer.attrs["activation"]:
        return False
    if ops.get(end.op).epilogue == BIAS:
        return len(layer.operands) == 2 and end.operands[1] in made
    return ops.get(end.op).epilogue in ACTIVATIONS


def _ended(layer: Node, end: Node) -> Node:
    epilogue = ops.get(end.op).epilogue
    if epilogue == BIAS:
        return replace(layer, operands=(*layer.operands, end.operands[1]), results=end.results)
    attrs = {**layer.attrs, "activation": epilogue, "mask": end.attrs["mask"]}
    return replace(layer, results=end.results, attrs=attrs)
