"""nn.relu6: y = x clipped to [0, 6], and its gradient dx = dy where x was kept, else 0 (slope 0 at both kinks).

A NaN is kept (see nn.relu). With `mask` it also gives one bit an element, set where x was kept: all that the gradient
needs (see nn.apply_mask).
"""

from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel, each_alone
from workbench.ir.op import Arrays, Op, Sample, Types, channelwise, register
from workbench.ir.types import TensorType
from workbench.ops._parameters import Shape, shaped
from workbench.ops.relu import clip_ranges


def infer(x: TensorType, *, mask: bool) -> Types:
    return (x, TensorType(x.shape, "bit")) if mask else x


def passes(y: np.ndarray) -> np.ndarray:
    """Where the gradient passes: where nothing was clipped."""
    return ~(y <= 0) & ~(y >= 6)


def clipped(x: np.ndarray) -> np.ndarray:
    return np.where(x <= 0, x.dtype.type(0), np.minimum(x, x.dtype.type(6)))


def evaluate(x: np.ndarray, *, mask: bool = False) -> Arrays:
    y = clipped(x)
    return (y, passes(y)) if mask else y


within = clip_ranges(evaluate)


def grad_x(build: Builder, dy: Value, x: Value | None, *, y: Values, mask: bool) -> Value:
    return build.relu6_grad(dy, y[0])


def samples(rng: np.random.Generator) -> list[Sample]:
    edge = rng.normal(size=(2, 3, 5)) * 6
    edge[0, 0, :4] = 0, -0.0, 6, 6
    plain = [Sample((x,)) for x in (edge, rng.normal(size=(1, 1)), np.array([-7.0, 7.0, 5.5]))]
    return [*plain, Sample((edge,), {"mask": True}), Sample((6 * rng.normal(size=(3, 22)),), {"mask": True})]


def infer_grad(dy: TensorType, y: TensorType) -> TensorType:
    if dy.shape != y.shape:
        raise ShapeError(f"relu6_grad: dy and y are of one shape; got {dy} and {y}")
    return dy


def evaluate_grad(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where(passes(y), dy, dy.dtype.type(0))


def grad_dy(build: Builder, g: Value, dy: Value, y_: Value, **_: Any) -> Value:
    return build.relu6_grad(g, y_)


def samples_grad(rng: np.random.Generator) -> list[Sample]:
    arrays = [x for case in samples(rng) for x in case.operands]
    return [Sample((rng.normal(size=x.shape), clipped(x))) for x in arrays]


register(Op(
    name="nn.relu6", infer=infer, evaluate=evaluate, within=within, grads=(grad_x,), samples=samples,
    attrs={"mask": False}, masked="nn.relu6_grad", epilogue="relu6",
    layouts="same", footprint=each_alone(0),
    kernel=Kernel("relu6_f32.h", "relu6_f32", record=Shape, parameters=shaped, in_place=(0,), views=(0,),
                  gives_view=True, results=2),
    ties=channelwise,
))  # fmt: skip
register(Op(
    name="nn.relu6_grad", infer=infer_grad, evaluate=evaluate_grad, grads=(grad_dy, None), samples=samples_grad,
    layouts="same", footprint=each_alone(0, 1, axes=("rows", "channels")),
    kernel=Kernel("relu6_f32.h", "relu6_grad_f32", record=Shape, parameters=shaped, in_place=(0,), views=(0, 1),
                  gives_view=True),
    by_mask="nn.apply_mask", instructions=(0, 10.6),
))  # fmt: skip
