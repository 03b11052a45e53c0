"""nn.clamp: y = x held to [min, max], either of which may be infinite, and its gradient dy where x lies in it, else 0.

The gradient is 1 at both ends, as PyTorch has it. NaN stays NaN, and no gradient passes there.
"""

from dataclasses import dataclass
from math import inf, isinf
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value
from workbench.ir.kernel import Kernel, each_alone
from workbench.ir.op import Attrs, Op, Sample, channelwise, register
from workbench.ir.ranges import Range, same_bits, single
from workbench.ir.types import TensorType


@dataclass(frozen=True)
class Clamp:
    """wb_clamp: the columns of a row, and the interval, whose ends may be C's infinity."""

    columns: int
    low: float | str
    high: float | str


def infer(x: TensorType, *, min: float, max: float) -> TensorType:
    if not (min <= max and min < inf and max > -inf):
        raise ShapeError(f"clamp: min is a number up to max, or -inf, and max a number or inf; got {min} and {max}")
    return x


def evaluate(x: np.ndarray, *, min: float, max: float) -> np.ndarray:
    low, high = x.dtype.type(min), x.dtype.type(max)
    return np.where(x < low, low, np.where(x > high, high, x))


def grad_x(build: Builder, dy: Value, x: Value, *, min: float, max: float, **_: Any) -> Value:
    return build.clamp_grad(dy, x, min=min, max=max)


def parameters(x: TensorType, *_: TensorType, min: float, max: float) -> Clamp:
    low, high = "-__builtin_inff()" if isinf(min) else float(min), "__builtin_inff()" if isinf(max) else float(max)
    return Clamp(x.as_images[3], low, high)


def samples(rng: np.random.Generator) -> list[Sample]:
    edge = 2 * rng.normal(size=(2, 3, 5))
    edge.reshape(-1)[:8] = -1, -1, 1.5, 1.5, 0, -0.0, 40, -40
    arrays = edge, *(2 * rng.normal(size=shape) for shape in ((1, 1), (2, 3, 4, 3), (1, 2, 3, 1), (7,)))
    limits: tuple[Attrs, ...] = {"min": -1.0, "max": 1.5}, {"min": 0.25}, {"max": -0.25}, {"min": 0.5, "max": 0.5}, {}
    return [Sample((x,), attrs) for x, attrs in zip(arrays, limits, strict=True)]


def infer_grad(dy: TensorType, x: TensorType, *, min: float, max: float) -> TensorType:
    if dy.shape != x.shape:
        raise ShapeError(f"clamp_grad: dy and x are of one shape; got {dy} and {x}")
    return infer(dy, min=min, max=max)


def evaluate_grad(dy: np.ndarray, x: np.ndarray, *, min: float, max: float) -> np.ndarray:
    return np.where((x >= x.dtype.type(min)) & (x <= x.dtype.type(max)), dy, dy.dtype.type(0))


def within_grad(dy: Range, x: Range, **limits: float) -> tuple[Range, ...]:
    """dy, 0, or what lies between them, where x may lie on either side of an end."""
    if x.exact:
        return same_bits(evaluate_grad)(dy, x, **limits)
    dy, x = single(dy), single(x)
    low, high = (np.float32(limits[end]) for end in ("min", "max"))
    inside, outside = (low <= x.low) & (x.high <= high), (x.high < low) | (high < x.low)
    least = np.where(inside, dy.low, np.where(outside, 0, np.minimum(dy.low, 0)))
    return (Range(least, np.where(inside, dy.high, np.where(outside, 0, np.maximum(dy.high, 0)))),)


def grad_dy(build: Builder, g: Value, dy: Value, x: Value, *, min: float, max: float, **_: Any) -> Value:
    return build.clamp_grad(g, x, min=min, max=max)


def samples_grad(rng: np.random.Generator) -> list[Sample]:
    of = [(case.operands[0], case.attrs) for case in samples(rng)]
    return [Sample((rng.normal(size=x.shape), x), attrs) for x, attrs in of]


LIMITS = {"min": -inf, "max": inf}
register(Op(
    name="nn.clamp", infer=infer, evaluate=evaluate, grads=(grad_x,), samples=samples, attrs=LIMITS,
    layouts="same", ties=channelwise, footprint=each_alone(0),
    kernel=Kernel("clamp_f32.h", "clamp_f32", record=Clamp, parameters=parameters, in_place=(0,), views=(0,),
                  gives_view=True),
    instructions=(0, 13),
))  # fmt: skip
register(Op(
    name="nn.clamp_grad", infer=infer_grad, evaluate=evaluate_grad, within=within_grad, grads=(grad_dy, None),
    samples=samples_grad, attrs=LIMITS, layouts="same", footprint=each_alone(0, 1, axes=("rows", "channels")),
    kernel=Kernel("clamp_f32.h", "clamp_grad_f32", record=Clamp, parameters=parameters, in_place=(0, 1), views=(0, 1),
                  gives_view=True),
    instructions=(0, 16),
))  # fmt: skip
