"""nn.avg_pool2d: the mean of each window; padding counts only where `count_include_pad` says so.

Its gradient gives each element of the window dy / count, summed where windows overlap.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel, along
from workbench.ir.op import REQUIRED, Int8Form, Op, Sample, channelwise, register
from workbench.ir.ranges import sums
from workbench.ir.types import Ints, TensorType
from workbench.ops._in_order import in_order
from workbench.ops._parameters import Shape
from workbench.ops._windows import of_windows, output_size, scatter, through_windows, windows


@dataclass(frozen=True)
class AvgPool2d:
    """wb_avg_pool2d: images of x and of y, windows, their strides and the padding before x."""

    x: Shape
    y: Shape
    kh: int
    kw: int
    sh: int
    sw: int
    pt: int
    pl: int
    include_pad: bool


def infer(x: TensorType, *, pool_size: Ints, strides: Ints, padding: Ints, count_include_pad: bool) -> TensorType:
    if x.rank != 4:
        raise ShapeError(f"avg_pool2d: x is NCHW; got {x}")
    size = output_size("avg_pool2d", x.shape[2:], pool_size, strides, padding)
    if any(padding[i] >= pool_size[i % 2] for i in range(4)):
        raise ShapeError(f"avg_pool2d: padding {padding} leaves windows {pool_size} with nothing but padding")
    return TensorType((*x.shape[:2], *size), x.dtype)


def _reciprocal(
    size: Ints, dtype: np.dtype, pool_size: Ints, strides: Ints, padding: Ints, count_include_pad: bool
) -> np.ndarray:
    """1 / (elements that count) for each window, (rows, columns)."""
    ones = np.ones((1, 1, *size), dtype)
    count = windows(ones, pool_size, strides, padding, value=1 if count_include_pad else 0).sum((0, 1, 4, 5))
    return dtype.type(1) / count.astype(dtype)


def evaluate(x: np.ndarray, *, pool_size: Ints, strides: Ints, padding: Ints, count_include_pad: bool) -> np.ndarray:
    patches = windows(x, pool_size, strides, padding)
    total = in_order(patches.reshape(*patches.shape[:4], -1))
    return total * _reciprocal(x.shape[2:], x.dtype, pool_size, strides, padding, count_include_pad)


def grad_x(build: Builder, dy: Value, x: Value, *, y: Values, **attrs: Any) -> Value:
    return build.avg_pool2d_grad(dy, size=x.shape[2:], **attrs)


def parameters(x: TensorType, **attrs: Any) -> AvgPool2d:
    return pooling(x, infer(x, **attrs), **attrs)


def pooling(
    x: TensorType, y: TensorType, *, pool_size: Ints, strides: Ints, padding: Ints, count_include_pad: bool
) -> AvgPool2d:
    (kh, kw), (sh, sw), (top, left, *_) = pool_size, strides, padding
    return AvgPool2d(Shape(*x.shape[1:]), Shape(*y.shape[1:]), kh, kw, sh, sw, top, left, count_include_pad)


CASES: tuple[tuple[Ints, dict[str, Any]], ...] = (
    ((1, 2, 4, 4), {"pool_size": (2, 2), "strides": (2, 2)}),
    ((2, 3, 5, 6), {"pool_size": (3, 2), "strides": (1, 2), "padding": (1, 0, 1, 1)}),
    ((1, 2, 5, 5), {"pool_size": (3, 3), "strides": (2, 2), "padding": (1, 1, 1, 1), "count_include_pad": True}),
    ((1, 4, 3, 3), {"pool_size": (3, 3)}),
    ((1, 2, 1, 9), {"pool_size": (1, 3), "strides": (1, 2), "padding": (0, 1, 0, 0)}),
    ((2, 1, 8, 1), {"pool_size": (2, 1), "strides": (3, 1)}),
)


def samples(rng: np.random.Generator) -> list[Sample]:
    return [Sample((rng.normal(size=shape),), attrs) for shape, attrs in CASES]


def infer_grad(
    dy: TensorType, *, size: Ints, pool_size: Ints, strides: Ints, padding: Ints, count_include_pad: bool
) -> TensorType:
    if dy.rank != 4 or dy.shape[2:] != output_size("avg_pool2d_grad", size, pool_size, strides, padding):
        raise ShapeError(f"avg_pool2d_grad: dy does not fit windows over {size}; got {dy}")
    return TensorType((*dy.shape[:2], *size), dy.dtype)


def evaluate_grad(
    dy: np.ndarray, *, size: Ints, pool_size: Ints, strides: Ints, padding: Ints, count_include_pad: bool
) -> np.ndarray:
    share = dy * _reciprocal(size, dy.dtype, pool_size, strides, padding, count_include_pad)
    return scatter(np.broadcast_to(share[..., None, None], (*dy.shape, *pool_size)), size, strides, padding)


def grad_dy(build: Builder, g: Value, dy: Value, *, y: Values, size: Ints, **attrs: Any) -> Value:
    return build.avg_pool2d(g, **attrs)


def parameters_grad(dy: TensorType, *, size: Ints, **attrs: Any) -> AvgPool2d:
    return pooling(infer_grad(dy, size=size, **attrs), dy, **attrs)


def samples_grad(rng: np.random.Generator) -> list[Sample]:
    cases = []
    for shape, attrs in CASES:
        full = {"strides": (1, 1), "padding": (0, 0, 0, 0), "count_include_pad": False, **attrs}
        y = infer(TensorType(shape), **full)
        cases.append(Sample((rng.normal(size=y.shape),), {**full, "size": shape[2:]}))
    return cases


_ATTRS = {"pool_size": REQUIRED, "strides": (1, 1), "padding": (0, 0, 0, 0), "count_include_pad": False}
register(Op(
    name="nn.avg_pool2d", infer=infer, evaluate=evaluate, grads=(grad_x,), samples=samples, attrs=_ATTRS,
    footprint=along(rows=of_windows),
    kernel=Kernel("avg_pool2d_f32.h", "avg_pool2d_f32", record=AvgPool2d, parameters=parameters, views=(0,),
                  gives_view=True),
    ties=channelwise, int8=Int8Form("average"), instructions=(0, 2.7),
))  # fmt: skip
register(Op(
    name="nn.avg_pool2d_grad", infer=infer_grad, evaluate=evaluate_grad, within=sums(evaluate_grad),
    grads=(grad_dy,), samples=samples_grad,
    attrs={"size": REQUIRED, **_ATTRS}, footprint=through_windows,
    kernel=Kernel("avg_pool2d_f32.h", "avg_pool2d_grad_f32", record=AvgPool2d, parameters=parameters_grad, views=(0,),
                  gives_view=True),
    instructions=(0, 5.4),
))  # fmt: skip
