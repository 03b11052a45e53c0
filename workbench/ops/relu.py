"""nn.relu: y = 0 where x ≤ 0, else x, and its gradient dx = dy where x was kept, else 0 (so relu′(0) = 0).

A NaN is not ≤ 0: it stays, as in numpy's maximum, and its gradient passes. With `mask` it also gives one bit an
element, set where x was kept: all that the gradient needs (see nn.apply_mask).
"""

from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel, each_alone
from workbench.ir.op import Arrays, Int8Form, Op, Sample, Types, channelwise, register
from workbench.ir.ranges import Evaluate, Range, Within, same_bits
from workbench.ir.types import TensorType
from workbench.ops._parameters import Shape, shaped


def infer(x: TensorType, *, mask: bool) -> Types:
    return (x, TensorType(x.shape, "bit")) if mask else x


def passes(y: np.ndarray) -> np.ndarray:
    """Where the gradient passes: where nothing was clipped."""
    return ~(y <= 0)


def clipped(x: np.ndarray) -> np.ndarray:
    return np.where(x <= 0, x.dtype.type(0), x)


def evaluate(x: np.ndarray, *, mask: bool = False) -> Arrays:
    y = clipped(x)
    return (y, passes(y)) if mask else y


def clip_ranges(evaluate: Evaluate) -> Within:
    """`Op.within` of a clip. A range of all numbers may hold NaN, and stays the range of all numbers."""

    def within(x: Range, *, mask: bool) -> tuple[Range, ...]:
        clipped = same_bits(evaluate)(x, mask=mask)
        anything = (x.low == -np.inf) & (x.high == np.inf)
        wide = ((-np.inf, np.inf), (False, True))
        return tuple(
            Range(np.where(anything, low, each.low), np.where(anything, high, each.high)) if anything.any() else each
            for each, (low, high) in zip(clipped, wide, strict=False)
        )

    return within


within = clip_ranges(evaluate)


def grad_x(build: Builder, dy: Value, x: Value | None, *, y: Values, mask: bool) -> Value:
    return build.relu_grad(dy, y[0])


def samples(rng: np.random.Generator) -> list[Sample]:
    edge = rng.normal(size=(2, 3, 5))
    edge[0, 0, :2] = 0, -0.0
    long = rng.normal(size=(2, 35))
    masked = [Sample((x,), {"mask": True}) for x in (edge, long, long[:1, :32])]
    return [Sample((edge,)), Sample((rng.normal(size=(1, 1)),)), *masked, Sample((rng.normal(size=(1, 2, 3, 4)),))]


def infer_grad(dy: TensorType, y: TensorType) -> TensorType:
    if dy.shape != y.shape:
        raise ShapeError(f"relu_grad: dy and y are of one shape; got {dy} and {y}")
    return dy


def evaluate_grad(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where(passes(y), dy, dy.dtype.type(0))


def grad_dy(build: Builder, g: Value, dy: Value, y_: Value, **_: Any) -> Value:
    return build.relu_grad(g, y_)


def samples_grad(rng: np.random.Generator) -> list[Sample]:
    arrays = [x for case in samples(rng) for x in case.operands]
    return [Sample((rng.normal(size=x.shape), clipped(x))) for x in arrays]


register(Op(
    name="nn.relu", infer=infer, evaluate=evaluate, within=within, grads=(grad_x,), samples=samples,
    attrs={"mask": False}, masked="nn.relu_grad", epilogue="relu", function="leaky_relu", int8=Int8Form("table"),
    layouts="same", footprint=each_alone(0),
    kernel=Kernel("relu_f32.h", "relu_f32", record=Shape, parameters=shaped, in_place=(0,), views=(0,),
                  gives_view=True, results=2),
    ties=channelwise, instructions=(0, 8.9),
))  # fmt: skip
register(Op(
    name="nn.relu_grad", infer=infer_grad, evaluate=evaluate_grad, grads=(grad_dy, None), samples=samples_grad,
    layouts="same", footprint=each_alone(0, 1, axes=("rows", "channels")),
    kernel=Kernel("relu_f32.h", "relu_grad_f32", record=Shape, parameters=shaped, in_place=(0,), views=(0, 1),
                  gives_view=True),
    by_mask="nn.apply_mask", instructions=(0, 10.7),
))  # fmt: skip
