"""sum over some axes, multiplied by `times`; the kernel knows the case of a bias gradient, (N, C, …) -> (C,)."""

from math import prod
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.kernel import Kernel, Literals, Reach, Rows, Slice
from workbench.ir.op import REQUIRED, Op, Sample, register
from workbench.ir.types import Ints, TensorType
from workbench.ops._in_order import in_order


def infer(x: TensorType, *, axis: Ints, times: float) -> TensorType:
    if x.rank < 2 or axis != (0, *range(2, x.rank)):
        raise ShapeError(f"sum: takes every axis but 1 of {x}; got axis {list(axis)}")
    return TensorType(x.shape[1:2], x.dtype)


def evaluate(x: np.ndarray, *, axis: Ints, times: float = 1.0) -> np.ndarray:
    total = in_order(np.moveaxis(x, 1, 0).reshape(x.shape[1], -1))
    return total if times == 1 else total * x.dtype.type(times)


def samples(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample((rng.normal(size=shape),), {"axis": (0, *range(2, len(shape))), "times": times})
        for shape, times in (
            ((1, 3, 4, 4), 1.0),
            ((5, 2), 1.0),
            ((1, 10), 0.02),
            ((2, 3, 1, 5), 3.0),
            ((1, 1, 7, 1), 1.0),
            ((1, 1), 1.0),
        )
    ]


def literals(x: TensorType, *, axis: Ints, times: float) -> Literals:
    return [x.shape[0], x.shape[1], prod(x.shape[2:]), times]


def slices(sliced: Ints, x: TensorType, *, axis: Ints, times: float) -> Slice | None:
    if sliced == (0,) and x.rank == 4:
        return Slice("sum_f32.h", "sum_f32", (1, "count", prod(x.shape[2:]), times), x.shape[1], "part", {-1: 1})
    return None


def rows_function(x: TensorType, *, times: float, **_: Any) -> str:
    return "sum_rows_f32" if times == 1 else "scaled_sum_rows_f32"


def rows_literals(x: TensorType, *, times: float, **_: Any) -> Literals:
    return [x.shape[1], x.shape[3]] if times == 1 else [x.shape[1], x.shape[2], x.shape[3], times]


def reach(x: TensorType, *, times: float, **_: Any) -> Reach:
    if times != 1 and x.shape[0] > 1:
        raise ShapeError("sum: is multiplied once, behind the last row of a single image")
    return Reach()


register(Op(
    name="sum", infer=infer, evaluate=evaluate, samples=samples, attrs={"axis": REQUIRED, "times": 1.0},
    kernel=Kernel("sum_f32.h", "sum_f32", literals),
    rows=Rows("elementwise_rows_f32.h", rows_function, rows_literals, reach, adds_up=True),
    slices=slices, instructions=(0, 3.2),
))  # fmt: skip
