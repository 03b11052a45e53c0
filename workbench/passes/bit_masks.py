"""Save one bit an element instead of an activation, where the backward needs no more of it.

    before   y = relu(x);        … dx = relu_grad(dy, y)         y lives until its gradient
    after    y, m = relu(x);     … dx = apply_mask(dy, m)        y lives until its last forward reader, m is 1/32 of it

Worth it only where nothing else behind the loss reads y or a view of it: a convolution's or dense layer's weight
gradient does.
"""

from dataclasses import replace

from workbench.ir import op as ops
from workbench.ir.build import Builder
from workbench.ir.graph import Graph, Node


def save_bit_masks(graph: Graph) -> Graph:
    """The same graph, with masks in place of activations that only their own clip's gradient reads again."""
    known = graph.analysis
    late = {index for index, phase in zip(known.work_indices, known.phases, strict=True) if phase != "forward"}
    builder = Builder(graph)
    mask_of = {node.results[0]: builder.fresh(1)[0] for node in graph.nodes if _only_its_gradient(node, late, graph)}
    builder.nodes = []
    for node in graph.nodes:
        if node.results[0] in mask_of:
            node = _with_mask(node, mask_of[node.results[0]], builder)
        elif len(node.operands) == 2 and node.operands[1] in mask_of and _masked_by(node.operands[1], graph) == node.op:
            mask = mask_of[node.operands[1]]
            node = replace(node, op=ops.get(node.op).by_mask, operands=(node.operands[0], mask), attrs={})
        builder.nodes.append(node)
    return builder.graph(*(builder.value(name) for name in graph.outputs))


def _only_its_gradient(node: Node, late: set[int], graph: Graph) -> bool:
    """Whether a clip's result is read again behind the loss, and by the gradient of this very clip alone."""
    gradient = ops.get(node.op).masked
    storage = graph.analysis.root[node.results[0]]
    if not gradient or node.attrs["mask"] or any(graph.analysis.root[name] == storage for name in graph.outputs):
        return False
    readers = [graph.nodes[index] for index in graph.analysis.storage_readers[storage] if index in late]
    return bool(readers) and all(other.op == gradient and other.operands[1] == node.results[0] for other in readers)


def _masked_by(value: str, graph: Graph) -> str:
    """The gradient operator that a mask would do for in place of this value; "" where none would."""
    maker = graph.analysis.producer(value)
    return ops.get(maker.op).masked if maker else ""


def _with_mask(node: Node, mask: str, builder: Builder) -> Node:
    attrs = {**node.attrs, "mask": True}
    types = ops.get(node.op).result_types([builder.types[name] for name in node.operands], attrs)
    builder.types[mask] = types[1]
    return replace(node, attrs=attrs, results=(*node.results, mask), over=node.over and (*node.over, ""))
