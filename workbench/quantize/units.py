"""What a stored integer of a parameter is worth in real numbers."""

from workbench.errors import GraphError
from workbench.ir import op as ops
from workbench.ir.build import Builder, Value


def units(builder: Builder, name: str) -> tuple[Value, float]:
    """What a stored integer of the parameter `name` counts in, for every reader: a scale a filter, times a number."""
    found = []
    for node in builder.readers(name):
        if tell := ops.get(node.op).units:
            operands = (builder.value(operand) for operand in node.operands)
            found.append(tell(builder, node.operands.index(name), *operands, **node.attrs))
    if any(other != found[0] for other in found[1:]):
        raise GraphError(f"%{name} is read as integers of different units: they cannot be one parameter")
    return found[0]
