"""Naive loops: kernels as a textbook has them, to hold the library's against.

    conv2d_f32 of conv2d_f32.h      naive_conv2d_f32 of naive_conv2d_f32.h: the same record, operands and results

One sum at a time, a loop for each index, no packing, no scratch. A kernel has such a form where there is such a header;
all others are the library's own. Two ways of it:

    naive           an instance for each set of sizes, which are literal, as of every kernel
    naive-shapes    one function for all sizes, which it takes at run time, as kernels do that are no generated code
"""

from dataclasses import replace

from workbench.errors import GraphError
from workbench.ir.kernel import Kernel
from workbench.kernels.call import Call
from workbench.kernels.declared import header, templates
from workbench.options import LOOPS

LITERALS, SHAPES = LOOPS
PREFIX = "naive_"


def has_naive(kernel: Kernel) -> bool:
    """Whether there are naive loops for a kernel."""
    return bool(kernel.functions) and _is_header(PREFIX + kernel.header)


def naive_call(call: Call) -> Call | None:
    """The same call of the naive loops; None where there are none. Raises GraphError for packed weights, which only the
    library's kernel reads."""
    if not _is_header(PREFIX + call.header):
        return None
    if ".packed = 1" in call.record:
        raise GraphError(f"the naive loops of {call.function} read no packed weights")
    name, function = PREFIX + call.header, PREFIX + call.function
    taken = len(header(name).functions[function]) - 1  # the record aside; they take no scratch, which comes last
    return replace(call, function=function, header=name, arguments=call.arguments[:taken])


def _is_header(name: str) -> bool:
    return (templates() / "kernels" / name).is_file()
