"""A weight gradient and the sum of its squares as one node: all that clipping needs of a gradient that is not stored.

    dw = nn.matmul(dy, x);  q = sum_of_squares(dw)          is          q = nn.matmul_squares(dy, x)

The gradient is then computed once more where it is applied (see fused_update): twice the work, none of its bytes.
"""

from dataclasses import make_dataclass
from math import prod
from typing import Any

import numpy as np

from workbench.ir.kernel import Kernel
from workbench.ir.op import Arrays, Op, Sample, Types, get, register
from workbench.ir.ranges import Range
from workbench.ir.types import TensorType
from workbench.ops import clip, conv2d_backward_weight, matmul, qnn_conv2d_backward_weight  # noqa: F401  registered before this

SQUARES = "sum_of_squares"
GRADIENTS = {  # -> kernel
    "nn.matmul": ("squares_f32.h", "matmul_squares_f32"),
    "nn.conv2d_backward_weight": ("squares_f32.h", "conv2d_backward_weight_squares_f32"),
    "qnn.conv2d_backward_weight": ("squares_s8.h", "conv2d_backward_weight_squares_s8"),
}


def squared_name(gradient: str, reader: str = SQUARES) -> str:
    """The name of the operator that does both a gradient and its `reader`, the sum of its squares; "" where there is
    none."""
    return f"{gradient}_squares" if gradient in GRADIENTS and reader == SQUARES else ""


def fuse(gradient: Op, header: str, function: str) -> Op:
    """Of operands dy and x, and s where the weight counts integers."""
    squares, filters_alone = get(SQUARES), gradient.name.startswith("qnn.")
    record = make_dataclass("Squares", [("gradient", gradient.needed_kernel.record), ("unit", float)], frozen=True)

    def infer(dy: TensorType, x: TensorType, s: TensorType | None = None, *, unit: float, **attrs: Any) -> Types:
        return squares.infer(gradient.infer(dy, x, **attrs), *filter(None, [s]), unit=unit)

    def evaluate(dy: np.ndarray, x: np.ndarray, s: np.ndarray | None = None, *, unit: float, **attrs: Any) -> Arrays:
        return squares.evaluate(gradient.evaluate(dy, x, **attrs), s, unit=unit)

    def within(dy: Range, x: Range, s: Range | None = None, *, unit: float, **attrs: Any) -> Range:
        (of_gradient,) = gradient.ranges(dy, x, **attrs)
        return squares.ranges(of_gradient, *([] if s is None else [s]), unit=unit)[0]

    def parameters(dy: TensorType, x: TensorType, s: TensorType | None = None, *, unit: float, **attrs: Any) -> Any:
        return record(gradient.needed_kernel.parameters(dy, x, **attrs), unit)

    def scratch(dy: TensorType, x: TensorType, s: TensorType | None = None, *, unit: float, **attrs: Any) -> int:
        filters = 4 * gradient.inferred(dy, x, **attrs)[0].shape[0] if filters_alone else 0
        return gradient.needed_kernel.scratch(dy, x, **attrs) + filters

    def samples(rng: np.random.Generator) -> list[Sample]:
        cases = []
        for number, case in enumerate(gradient.samples(rng)[::2]):
            (dw,) = gradient.evaluated(*case.operands, **gradient.complete(case.attrs))
            shape = dw.shape
            scales = (rng.uniform(0.05, 0.2, shape[0]),) if number % 2 and prod(shape) else ()
            attrs = {**case.attrs, **({"unit": 0.5} if scales else {})}
            cases.append(Sample((*case.operands, *scales), attrs))
        return cases

    return Op(
        name=squared_name(gradient.name), infer=infer, evaluate=evaluate, within=within, samples=samples,
        macs=lambda dy, x, s=None, *, unit, **attrs: gradient.macs(dy, x, **attrs), phase="update",
        attrs={**gradient.attrs, **squares.attrs}, dtypes=gradient.dtypes,
        kernel=Kernel(header, function, record=record, parameters=parameters, scratch=scratch, operands=3,
                      views=gradient.needed_kernel.views),
    )  # fmt: skip


for _name, _kernel in GRADIENTS.items():
    register(fuse(get(_name), *_kernel))
