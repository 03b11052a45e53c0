"""nn.global_avg_pool2d: the mean of each plane, (N, C, H, W) -> (N, C, 1, 1); its gradient spreads dy / (H·W)."""

from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value
from workbench.ir.kernel import Footprint, Kernel, Reach, Tile, along
from workbench.ir.op import REQUIRED, Int8Form, Op, Sample, channelwise, register
from workbench.ir.types import Ints, TensorType
from workbench.ops._in_order import in_order
from workbench.ops._parameters import Shape, shaped


def infer(x: TensorType) -> TensorType:
    if x.rank != 4:
        raise ShapeError(f"global_avg_pool2d: x is NCHW; got {x}")
    return TensorType((*x.shape[:2], 1, 1), x.dtype)


def evaluate(x: np.ndarray) -> np.ndarray:
    mean = in_order(x.reshape(*x.shape[:2], -1)) * x.dtype.type(1 / (x.shape[2] * x.shape[3]))
    return mean[..., None, None]


def grad_x(build: Builder, dy: Value, x: Value, **_: Any) -> Value:
    return build.global_avg_pool2d_grad(dy, size=x.shape[2:])


def samples(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample((rng.normal(size=shape),))
        for shape in ((1, 3, 4, 4), (2, 2, 3, 5), (3, 1, 1, 1), (1, 4, 1, 7), (2, 1, 6, 1))
    ]


def infer_grad(dy: TensorType, *, size: Ints) -> TensorType:
    if dy.rank != 4 or dy.shape[2:] != (1, 1) or len(size) != 2:
        raise ShapeError(f"global_avg_pool2d_grad: dy is (N, C, 1, 1) and size (H, W); got {dy} and {size}")
    return TensorType((*dy.shape[:2], *size), dy.dtype)


def evaluate_grad(dy: np.ndarray, *, size: Ints) -> np.ndarray:
    share = dy * dy.dtype.type(1 / (size[0] * size[1]))
    return np.ascontiguousarray(np.broadcast_to(share, (*dy.shape[:2], *size)))


def grad_dy(build: Builder, g: Value, dy: Value, **_: Any) -> Value:
    return build.global_avg_pool2d(g)


def samples_grad(rng: np.random.Generator) -> list[Sample]:
    shapes = [case.operands[0].shape for case in samples(rng)]
    return [Sample((rng.normal(size=(*shape[:2], 1, 1)),), {"size": shape[2:]}) for shape in shapes]


def by_rows(tile: Tile, x: TensorType) -> Footprint:
    return Footprint({0: Reach()}, x.shape[2], "sum")


def footprint_of_grad(tile: Tile, dy: TensorType, *, size: Ints) -> Footprint:
    """Rows are alike, and channels are each by itself, so that a cascade may begin with it."""
    return Footprint()


def parameters_of_grad(dy: TensorType, *, size: Ints) -> Shape:
    return Shape(dy.shape[1], *size)


register(Op(
    name="nn.global_avg_pool2d", infer=infer, evaluate=evaluate, grads=(grad_x,), samples=samples,
    footprint=along(rows=by_rows),
    kernel=Kernel("global_avg_pool2d_f32.h", "global_avg_pool2d_f32", record=Shape, parameters=shaped, views=(0,)),
    ties=channelwise, int8=Int8Form("average"), instructions=(0, 3.3),
))  # fmt: skip
register(Op(
    name="nn.global_avg_pool2d_grad", infer=infer_grad, evaluate=evaluate_grad, grads=(grad_dy,), samples=samples_grad,
    attrs={"size": REQUIRED}, footprint=footprint_of_grad,
    kernel=Kernel("global_avg_pool2d_f32.h", "global_avg_pool2d_grad_f32", record=Shape, parameters=parameters_of_grad,
                  gives_view=True),
    instructions=(0, 2.3),
))  # fmt: skip
