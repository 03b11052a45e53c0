"""qnn.global_avg_pool2d: the mean of each plane as int8, rescaled, (N, C, H, W) -> (N, C, 1, 1).

The sum of x - x_zero_point times one factor, x_scale / (y_scale · H · W). Form `tflite` divides the multiplier of
x_scale / y_scale by H · W in whole numbers, without rounding, as TensorFlow Lite's reference does (QuantizedMeanOrSum,
lite/kernels/internal/reference/reduce.h). Its gradient is nn.global_avg_pool2d's.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Footprint, Kernel, Reach, Tile, along
from workbench.ir.op import Arrays, Op, Sample, Types, channelwise, register
from workbench.ir.types import Ints, TensorType
from workbench.ops._parameters import Shape, shaped
from workbench.ops._quantized import ATTRS, FORMS, Factor, check, clipped, factor_of, multiplied, multiplier, result


@dataclass(frozen=True)
class GlobalAvgPool2d:
    """wb_global_avg_pool2d_s8: x is its image's shape."""

    x: Shape
    zero_x: int
    factor: Factor


def infer(x: TensorType, *, x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int, clip: Ints, form: str,
          mask: bool) -> Types:  # fmt: skip
    check("qnn.global_avg_pool2d", x, x_scale, x_zero_point)
    if x.rank != 4:
        raise ShapeError(f"qnn.global_avg_pool2d: x is NCHW; got {x}")
    return result("qnn.global_avg_pool2d", (*x.shape[:2], 1, 1), y_scale, y_zero_point, clip, form, mask)


def factor(size: int, x_scale: float, y_scale: float, form: str) -> tuple[int, int]:
    """Multiplier and shift."""
    if form == "rounded":
        return multiplier(x_scale / (y_scale * size), form)
    m, shift = multiplier(x_scale / y_scale, form)
    up = min(size.bit_length() - 1, 31 + shift)
    return (m << up) // size, shift - up


def evaluate(x: np.ndarray, *, x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int, clip: Ints,
             form: str, mask: bool) -> Arrays:  # fmt: skip
    size = x.shape[2] * x.shape[3]
    total = (x.astype(np.int64) - x_zero_point).sum((2, 3), keepdims=True)
    return clipped(multiplied(total, *factor(size, x_scale, y_scale, form), form), y_zero_point, clip, mask)


def grad_x(build: Builder, dy: Value, x: Value, *, y: Values, **_: Any) -> Value:
    return build.global_avg_pool2d_grad(build.apply_mask(dy, y[1]), size=x.shape[2:])


def parameters(x: TensorType, *, x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int, clip: Ints,
               form: str, mask: bool) -> GlobalAvgPool2d:  # fmt: skip
    size = x.shape[2] * x.shape[3]
    numbers = factor_of(*factor(size, x_scale, y_scale, form), form, y_zero_point, clip)
    return GlobalAvgPool2d(shaped(x), x_zero_point, numbers)


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = []
    for index, shape in enumerate(((1, 3, 4, 4), (2, 5, 3, 5), (3, 1, 1, 1), (1, 64, 1, 7))):
        for form in FORMS:
            attrs: dict[str, Any] = {"x_scale": 0.02, "x_zero_point": -9, "y_scale": (0.02, 0.007, 0.1, 0.02)[index]}
            attrs |= {"y_zero_point": -9 + 3 * index, "clip": (-40, 50) if index == 1 else (-128, 127)}
            x = rng.integers(-128, 128, shape, dtype=np.int8)
            cases.append(Sample((x,), {**attrs, "form": form, "mask": index != 2}))
    return cases


def by_rows(tile: Tile, x: TensorType, **_: Any) -> Footprint:
    """The sums of an image's channels, as int32, are scaled behind its last row."""
    return Footprint({0: Reach()}, x.shape[2], "sum", scratch=lambda _: 4 * x.shape[1], lasting=True)


register(Op(
    name="qnn.global_avg_pool2d", infer=infer, evaluate=evaluate, grads=(grad_x,), samples=samples, ties=channelwise,
    attrs=ATTRS, training={"mask": True}, dtypes={0: ("int8",)}, footprint=along(rows=by_rows),
    kernel=Kernel("global_avg_pool2d_s8.h", "global_avg_pool2d_s8", record=GlobalAvgPool2d, parameters=parameters,
                  results=2, views=(0,), may_scratch=True),
    instructions=(0, 3),
))  # fmt: skip
