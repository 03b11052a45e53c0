"""sum over some axes; the kernel knows the case of a bias gradient, (N, C, …) -> (C,)."""

from math import prod

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.op import REQUIRED, Kernel, Op, Rows, Sample, register
from workbench.ir.types import TensorType


def infer(x, *, axis):
    if x.rank < 2 or axis != (0, *range(2, x.rank)):
        raise ShapeError(f"sum: takes every axis but 1 of {x}; got axis {list(axis)}")
    return TensorType(x.shape[1:2], x.dtype)


def evaluate(x, *, axis):
    return np.sum(x, axis=axis, dtype=x.dtype)


def samples(rng):
    return [
        Sample((rng.normal(size=shape),), {"axis": (0, *range(2, len(shape)))})
        for shape in ((1, 3, 4, 4), (5, 2), (1, 10), (2, 3, 1, 5))
    ]


register(Op(
    name="sum", infer=infer, evaluate=evaluate, samples=samples, attrs={"axis": REQUIRED},
    kernel=Kernel("sum_f32.h", "sum_f32", lambda x, axis: [x.shape[0], x.shape[1], prod(x.shape[2:])]),
    rows=Rows("elementwise_rows_f32.h", "sum_rows_f32", lambda x, axis: [x.shape[1], x.shape[3]], adds_up=True),
))  # fmt: skip
