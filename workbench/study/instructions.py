"""About how many instructions a training step takes, from its operators alone: an estimate, before any C is compiled.

    instructions of an operator  =  a · its multiply-accumulates  +  b · its elements

The elements are those of its result where it multiplies, else of its largest operand or result. `a` and `b`
(Op.instructions) were fitted to single operators as counted on a Cortex-M4: mlp, lenet, resnet, mobilenet and MLPerf
Tiny's keyword spotting, float32 and int8, and mcunet-5fps sparse-49kb. Of a whole step of these the estimate was

    0.82 to 1.15    times what is counted, full update, schedule vanilla
    0.75 to 1.21    full update, schedule optimized
    0.62 to 1.27    bias-only and last-2, optimized

A single convolution can be three times off, as its loops are long or short.
"""

from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.types import TensorType


def estimated_instructions(graph: Graph) -> int:
    """The instructions of executing, once, a graph that no pass has changed yet."""
    total = 0.0
    for node in graph.analysis.work:
        op = ops.get(node.op)
        macs = op.macs(*(graph.types[name] for name in node.operands), **node.attrs)
        written = [graph.types[name].elements for name in node.results]
        read = [_part(graph.types[name], node) for name in node.operands]
        per_mac, per_element = op.instructions
        total += per_mac * macs + per_element * (written[0] if macs else max(written + read))
    return round(total)


def _part(kind: TensorType, node: Node) -> int:
    """The elements of an operand; of an updated parameter, those of its updated part."""
    return (kind.updated if node.overwrites and kind.needs_grad else kind).elements
