"""About how many instructions a training step takes, from its operators alone: an estimate, before any C is compiled.

    instructions of an operator  =  a · its multiply-accumulates  +  b · its elements

The elements are those of its result where it multiplies, else of its largest operand or result. `a` and `b` (in PER)
were fitted to single operators as counted on a Cortex-M4: mlp, lenet, resnet, mobilenet and MLPerf Tiny's keyword
spotting, float32 and int8, and mcunet-5fps sparse-49kb. Of a whole step of these the estimate was

    0.86 to 1.21    times what is counted, full update, schedule vanilla
    0.84 to 1.27    full update, schedule optimized
    0.56 to 1.20    bias-only and last-2, optimized: the lower end where little but an int8 forward is left

A single convolution can be three times off, as its loops are long or short.
"""

from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.liveness import steps
from workbench.ir.types import TensorType

PER = {  # operator -> instructions per multiply-accumulate, and per element
    "add": (0, 6.7), "nn.apply_mask": (0, 7.5), "nn.avg_pool2d": (0, 2.7), "nn.avg_pool2d_grad": (0, 5.4),
    "nn.conv2d": (3.7, 0), "nn.conv2d_backward_weight": (3.6, 0), "nn.conv2d_transpose": (3.4, 0),
    "nn.dense": (5.6, 7.7), "nn.global_avg_pool2d": (0, 3.3), "nn.global_avg_pool2d_grad": (0, 2.3),
    "nn.matmul": (5.8, 0.3), "nn.max_pool2d": (0, 5.6), "nn.max_pool2d_grad": (0, 5.7), "nn.relu": (0, 8.9),
    "nn.relu_grad": (0, 10.7), "nn.relu6_grad": (0, 10.6), "nn.sgd": (0, 6.5),
    "nn.softmax_cross_entropy": (0, 57.4), "nn.softmax_cross_entropy_grad": (0, 60.7),
    "qnn.add": (0, 19), "qnn.avg_pool2d": (0, 3), "qnn.conv2d": (2.2, 45),
    "qnn.conv2d_backward_weight": (4.3, 0), "qnn.conv2d_transpose": (5.2, 0), "qnn.dequantize": (0, 7.1),
    "qnn.sgd": (0, 46), "qnn.through_clip": (0, 8), "strided_slice": (0, 0.2), "sum": (0, 3.2),
}  # fmt: skip
OTHERS = (5, 7)  # of an operator that was not measured
OF_VALUES = ("qnn.requantization",)  # computed when it is compiled, where its operands are constant


def estimated_instructions(graph: Graph) -> int:
    """Of one pass over a graph that no pass has changed yet."""
    total = 0.0
    for node in steps(graph):
        if node.op in OF_VALUES:
            continue
        macs = ops.get(node.op).macs(*(graph.types[name] for name in node.operands), **node.attrs)
        made = [graph.types[name].elements for name in node.results]
        read = [_part(graph.types[name], node) for name in node.operands]
        per_mac, per_element = PER.get(node.op, OTHERS)
        total += per_mac * macs + per_element * (made[0] if macs else max(made + read))
    return round(total)


def _part(kind: TensorType, node: Node) -> int:
    """Elements of an operand: of one that is updated, those that are."""
    return (kind.updated if node.overwrites and kind.needs_grad else kind).elements
