"""Naive loops: kernels as a textbook has them, to hold the library's against.

    conv2d_f32 of conv2d_f32.h      naive_conv2d_f32 of naive_conv2d_f32.h: the same record, operands and results

One sum at a time, a loop for each index, no packing, no scratch. Kernels that have no such form are the library's own.
Two ways of it:

    naive           an instance for each set of sizes, which are literal, as of every kernel
    naive-shapes    one function for all sizes, which it takes at run time, as kernels do that are no generated code
"""

from workbench.errors import GraphError
from workbench.ir.kernel import Kernel
from workbench.kernels.call import Call
from workbench.kernels.declared import header
from workbench.options import LOOPS

LITERALS, SHAPES = LOOPS
NAIVE = {  # a kernel's function -> header and function of its naive loops
    "batch_matmul_f32": ("naive_batch_matmul_f32.h", "naive_batch_matmul_f32"),
    "conv2d_backward_weight_f32": ("naive_conv2d_backward_weight_f32.h", "naive_conv2d_backward_weight_f32"),
    "conv2d_backward_weight_s8": ("naive_conv2d_backward_weight_s8.h", "naive_conv2d_backward_weight_s8"),
    "conv2d_backward_weight_accumulate_f32":
        ("naive_conv2d_backward_weight_update_f32.h", "naive_conv2d_backward_weight_accumulate_f32"),
    "conv2d_backward_weight_sgd_f32":
        ("naive_conv2d_backward_weight_update_f32.h", "naive_conv2d_backward_weight_sgd_f32"),
    "conv2d_backward_weight_sgd_momentum_f32":
        ("naive_conv2d_backward_weight_update_f32.h", "naive_conv2d_backward_weight_sgd_momentum_f32"),
    "conv2d_backward_weight_accumulate_s8":
        ("naive_conv2d_backward_weight_update_s8.h", "naive_conv2d_backward_weight_accumulate_s8"),
    "conv2d_backward_weight_sgd_s8":
        ("naive_conv2d_backward_weight_update_s8.h", "naive_conv2d_backward_weight_sgd_s8"),
    "conv2d_f32": ("naive_conv2d_f32.h", "naive_conv2d_f32"),
    "conv2d_s8": ("naive_conv2d_s8.h", "naive_conv2d_s8"),
    "conv2d_transpose_f32": ("naive_conv2d_transpose_f32.h", "naive_conv2d_transpose_f32"),
    "conv2d_transpose_s8": ("naive_conv2d_transpose_s8.h", "naive_conv2d_transpose_s8"),
    "dense_f32": ("naive_dense_f32.h", "naive_dense_f32"),
    "matmul_f32": ("naive_matmul_f32.h", "naive_matmul_f32"),
    "matmul_accumulate_f32": ("naive_matmul_update_f32.h", "naive_matmul_accumulate_f32"),
    "matmul_sgd_f32": ("naive_matmul_update_f32.h", "naive_matmul_sgd_f32"),
    "matmul_sgd_momentum_f32": ("naive_matmul_update_f32.h", "naive_matmul_sgd_momentum_f32"),
}  # fmt: skip


def has_naive(kernel: Kernel) -> bool:
    """Whether there are naive loops for a kernel, of each dtype."""
    return bool(kernel.functions) and all(function in NAIVE for function in kernel.functions)


def naive_call(call: Call) -> Call | None:
    """The same call of the naive loops; None where there are none. Raises GraphError for packed weights, which only the
    library's kernel reads."""
    if call.function not in NAIVE:
        return None
    if ".packed = 1" in call.record:
        raise GraphError(f"the naive loops of {call.function} read no packed weights")
    name, function = NAIVE[call.function]
    taken = len(header(name).functions[function]) - 1  # the record aside; they take no scratch, which comes last
    return Call(function, name, call.record, call.arguments[:taken], call.literals)
