"""qnn.mean: the mean over some axes as int8, rescaled (see qnn.global_avg_pool2d, which is its case of planes)."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel
from workbench.ir.op import REQUIRED, Arrays, Op, Sample, Types, register
from workbench.ir.types import Ints, TensorType
from workbench.ops import mean
from workbench.ops._loops import Loops
from workbench.ops._quantized import ATTRS, FORMS, Factor, check, clipped, factor_of, multiplied, result
from workbench.ops.qnn_global_avg_pool2d import factor


@dataclass(frozen=True)
class Mean:
    """wb_mean_s8."""

    loops: Loops
    zero_x: int
    factor: Factor


def infer(x: TensorType, *, axis: Ints, x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int,
          clip: Ints, form: str, mask: bool) -> Types:  # fmt: skip
    check("qnn.mean", x, x_scale, x_zero_point)
    return result("qnn.mean", mean.shape("qnn.mean", x, axis), y_scale, y_zero_point, clip, form, mask)


def evaluate(x: np.ndarray, *, axis: Ints, x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int,
             clip: Ints, form: str, mask: bool) -> Arrays:  # fmt: skip
    each = mean.terms(x.astype(np.int64) - x_zero_point, axis)
    total = np.expand_dims(each.sum(-1), axis)
    numbers = factor(each.shape[-1], x_scale, y_scale, form)
    return clipped(multiplied(total, *numbers, form), y_zero_point, clip, mask)


def grad_x(build: Builder, dy: Value, x: Value, *, y: Values, axis: Ints, **_: Any) -> Value:
    return mean.grad_x(build, build.apply_mask(dy, y[1]), x, axis=axis)


def parameters(x: TensorType, *, axis: Ints, x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int,
               clip: Ints, form: str, mask: bool) -> Mean:  # fmt: skip
    numbers = factor(prod(x.shape[at] for at in axis), x_scale, y_scale, form)
    loops = mean.terms_in_order("qnn.mean", x, axis)
    return Mean(loops, x_zero_point, factor_of(*numbers, form, y_zero_point, clip))


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = []
    for index, (shape, axis) in enumerate(mean.CASES):
        attrs = {"axis": axis, "x_scale": 0.02, "x_zero_point": -9}
        attrs |= {"y_scale": (0.02, 0.007, 0.1)[index % 3], "y_zero_point": 3 * index - 9, "mask": index != 2}
        attrs |= {"clip": (-40, 50) if index == 1 else (-128, 127), "form": tuple(FORMS)[index % 2]}
        cases.append(Sample((rng.integers(-128, 128, shape, dtype=np.int8),), attrs))
    return cases


register(Op(
    name="qnn.mean", infer=infer, evaluate=evaluate, grads=(grad_x,), samples=samples, ties=mean.ties,
    attrs={"axis": REQUIRED, **ATTRS}, training={"mask": True}, dtypes={0: ("int8",)},
    kernel=Kernel("mean_s8.h", "mean_s8", record=Mean, parameters=parameters, results=2),
))  # fmt: skip
