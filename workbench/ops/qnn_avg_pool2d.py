"""qnn.avg_pool2d: the mean of each window as int8, rescaled; padding does not count. The gradient is nn.avg_pool2d's.

Form `rounded`: the sum of x - x_zero_point times one factor, x_scale / (y_scale · elements). `tflite`: both scales are
the same and the mean is rounded half away from zero (lite/kernels/internal/reference/integer_ops/pooling.h).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel, along
from workbench.ir.op import Arrays, Op, Sample, Types, channelwise, get, register
from workbench.ir.types import Ints, TensorType
from workbench.ops import avg_pool2d
from workbench.ops._quantized import ATTRS, Factor, check, clipped, factor_of, multiplied, multiplier, result
from workbench.ops._windows import of_windows, windows

POOL = ("pool_size", "strides", "padding")


@dataclass(frozen=True)
class AvgPool2d:
    """wb_avg_pool2d_s8."""

    pool: avg_pool2d.AvgPool2d
    zero_x: int
    factor: Factor


def infer(x: TensorType, *, x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int, clip: Ints, form: str,
          mask: bool, **pool: Any) -> Types:  # fmt: skip
    check("qnn.avg_pool2d", x, x_scale, x_zero_point)
    if form == "tflite" and (x_scale, x_zero_point) != (y_scale, y_zero_point):
        raise ShapeError("qnn.avg_pool2d: form tflite takes and gives one scale and zero point")
    shape = avg_pool2d.infer(x, **pool, count_include_pad=False).shape
    if form == "rounded" and any(pool["padding"]):
        raise ShapeError("qnn.avg_pool2d: form rounded takes no padding")
    return result("qnn.avg_pool2d", shape, y_scale, y_zero_point, clip, form, mask)


def evaluate(x: np.ndarray, *, x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int, clip: Ints,
             form: str, mask: bool, pool_size: Ints, strides: Ints, padding: Ints) -> Arrays:  # fmt: skip
    x = x.astype(np.int64)
    if form == "rounded":
        total = windows(x - x_zero_point, pool_size, strides, padding).sum((4, 5))
        mean = multiplied(total, *multiplier(x_scale / (y_scale * pool_size[0] * pool_size[1]), form), form)
        return clipped(mean, y_zero_point, clip, mask)
    total = windows(x, pool_size, strides, padding).sum((4, 5))
    count = windows(np.ones_like(x), pool_size, strides, padding).sum((4, 5))
    mean = np.where(total > 0, (total + count // 2) // count, -((-total + count // 2) // count))
    return clipped(mean, 0, clip, mask)


def grad_x(build: Builder, dy: Value, x: Value, *, y: Values, pool_size: Ints, strides: Ints, padding: Ints,
           **_: Any) -> Value:  # fmt: skip
    dy = build.apply_mask(dy, y[1])
    return build.avg_pool2d_grad(dy, size=x.shape[2:], pool_size=pool_size, strides=strides, padding=padding)


def parameters(x: TensorType, *, x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int, clip: Ints,
               form: str, mask: bool, pool_size: Ints, **pool: Any) -> AvgPool2d:  # fmt: skip
    of_float = avg_pool2d.parameters(x, pool_size=pool_size, **pool, count_include_pad=False)
    factor = multiplier(x_scale / (y_scale * pool_size[0] * pool_size[1]), form)
    return AvgPool2d(of_float, x_zero_point, factor_of(*factor, form, y_zero_point, clip))


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = []
    for shape, attrs in avg_pool2d.CASES:
        x = rng.integers(-128, 128, shape, dtype=np.int8)
        pool = {key: value for key, value in attrs.items() if key in POOL}
        same = {"x_scale": 0.02, "x_zero_point": -9, "y_scale": 0.02, "y_zero_point": -9}
        cases.append(Sample((x,), {**pool, **same, "form": "tflite", "clip": (-30, 40), "mask": True}))
        if "padding" not in pool:
            cases.append(Sample((x,), {**pool, **same, "y_scale": 0.005, "y_zero_point": 4, "mask": len(cases) > 1}))
    return cases


register(Op(
    name="qnn.avg_pool2d", infer=infer, evaluate=evaluate, grads=(grad_x,), samples=samples, ties=channelwise,
    attrs={**{key: get("nn.avg_pool2d").attrs[key] for key in POOL}, **ATTRS}, training={"mask": True},
    dtypes={0: ("int8",)}, instructions=(0, 3),
    footprint=along(rows=of_windows),
    kernel=Kernel("avg_pool2d_s8.h", "avg_pool2d_s8", record=AvgPool2d, parameters=parameters, views=(0,),
                  gives_view=True, results=2),
))  # fmt: skip
