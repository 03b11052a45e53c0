"""nn.max_pool2d: the largest value of each window; padding never wins, ties go to the first in row order,
and the first NaN is larger than all (numpy's argmax).

In a training graph it also gives `argmax`, the winner's place in its window (int8 where that is enough), which is
all that the gradient needs: dx gets each dy at its winner, summed where windows overlap.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel, along
from workbench.ir.op import REQUIRED, Arrays, Int8Form, Op, Sample, Types, channelwise, register
from workbench.ir.ranges import Range, Ranges, same_bits, single, sums
from workbench.ir.types import BITS, NUMPY, Ints, TensorType
from workbench.ops._parameters import Shape
from workbench.ops._windows import of_windows, output_size, scatter, through_windows, windows


def _argmax_dtype(pool_size: Ints) -> str:
    return "int8" if pool_size[0] * pool_size[1] <= 128 else "int32"


def infer(x: TensorType, *, pool_size: Ints, strides: Ints, padding: Ints, argmax: bool) -> Types:
    if x.rank != 4:
        raise ShapeError(f"max_pool2d: x is NCHW; got {x}")
    size = output_size("max_pool2d", x.shape[2:], pool_size, strides, padding)
    if any(padding[i] >= pool_size[i % 2] for i in range(4)):
        raise ShapeError(f"max_pool2d: padding {padding} leaves windows {pool_size} with nothing but padding")
    y = TensorType((*x.shape[:2], *size), x.dtype, scale=x.scale, zero_point=x.zero_point)
    return (y, TensorType(y.shape, _argmax_dtype(pool_size))) if argmax else y


def _windows_of(x: np.ndarray, pool_size: Ints, strides: Ints, padding: Ints) -> np.ndarray:
    """The elements of each window, (N, C, rows, columns, elements); padding counts as the lowest number there is."""
    wide, lowest = (x.astype(np.int16), -129) if x.dtype == np.int8 else (x, -np.inf)
    patches = windows(wide, pool_size, strides, padding, value=lowest)
    return patches.reshape(*patches.shape[:4], -1)


def evaluate(x: np.ndarray, *, pool_size: Ints, strides: Ints, padding: Ints, argmax: bool) -> Arrays:
    flat = _windows_of(x, pool_size, strides, padding)
    largest = flat.max(axis=-1, keepdims=True)  # NaN, if there is one
    inside = windows(np.ones((1, 1, *x.shape[2:]), bool), pool_size, strides, padding, value=False)
    place = np.argmax(inside.reshape(1, 1, *flat.shape[2:]) & ((flat == largest) | np.isnan(flat)), axis=-1)
    y = largest[..., 0].astype(x.dtype)
    return (y, place.astype(NUMPY[_argmax_dtype(pool_size)])) if argmax else y


def within(x: Range, *, argmax: bool, **attrs: Any) -> Ranges:
    """Places: from the first to the last one that may hold the first largest value.

    One does if it may be above all before it, and not below any behind it; or anything, NaN among it.
    """
    if x.exact:
        return same_bits(evaluate)(x, argmax=argmax, **attrs)
    low, high = (_windows_of(end, **attrs) for end in single(x))
    anything = (low == -np.inf) & (high == np.inf)
    (values,) = same_bits(evaluate)(x, argmax=False, **attrs)
    values = Range(np.where(anything.any(-1), -np.inf, values.low), np.where(anything.any(-1), np.inf, values.high))
    if not argmax:
        return values
    edge = np.full((*low.shape[:-1], 1), -np.inf, low.dtype)
    before = np.maximum.accumulate(np.concatenate([edge, low[..., :-1]], -1), -1)
    behind = np.maximum.accumulate(np.concatenate([edge, low[..., :0:-1]], -1), -1)[..., ::-1]
    may = (high > before) & (high >= behind) | anything
    last = may.shape[-1] - 1 - may[..., ::-1].argmax(-1)
    dtype = NUMPY[_argmax_dtype(attrs["pool_size"])]
    return values, Range(may.argmax(-1).astype(dtype), last.astype(dtype))


def grad_x(build: Builder, dy: Value, x: Value, *, y: Values, pool_size: Ints, strides: Ints, padding: Ints,
           argmax: bool) -> Value:  # fmt: skip
    return build.max_pool2d_grad(dy, y[1], size=x.shape[2:], pool_size=pool_size, strides=strides, padding=padding)


@dataclass(frozen=True)
class MaxPool2d:
    """wb_max_pool2d."""

    x: Shape
    y: Shape
    kh: int
    kw: int
    sh: int
    sw: int
    pt: int
    pl: int
    place_bytes: int


def parameters(x: TensorType, *, pool_size: Ints, strides: Ints, padding: Ints, argmax: bool) -> MaxPool2d:
    size = output_size("max_pool2d", x.shape[2:], pool_size, strides, padding)
    place_bytes = BITS[_argmax_dtype(pool_size)] // 8 if argmax else 0
    (kh, kw), (sh, sw), (pt, pl, *_) = pool_size, strides, padding
    return MaxPool2d(Shape(*x.shape[1:]), Shape(x.shape[1], *size), kh, kw, sh, sw, pt, pl, place_bytes)


CASES: tuple[tuple[Ints, dict[str, Any]], ...] = (
    ((1, 2, 4, 4), {"pool_size": (2, 2), "strides": (2, 2)}),
    ((2, 3, 5, 6), {"pool_size": (3, 2), "strides": (1, 2), "padding": (1, 0, 1, 1)}),
    ((1, 1, 7, 5), {"pool_size": (3, 3), "strides": (2, 1), "padding": (0, 2, 0, 0)}),
    ((1, 1, 13, 12), {"pool_size": (12, 12)}),
    ((1, 2, 1, 9), {"pool_size": (1, 3), "strides": (1, 2), "padding": (0, 1, 0, 1)}),
    ((2, 1, 8, 1), {"pool_size": (2, 1), "strides": (3, 1)}),
    ((1, 2, 3, 4), {"pool_size": (3, 4)}),
)


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = [Sample((rng.normal(size=shape),), {**attrs, "argmax": True}) for shape, attrs in CASES]
    ties = np.zeros((1, 1, 4, 4))
    ties[0, 0, 2:, 2:] = -3.0
    lowest = np.full((1, 2, 5, 6), -128, np.int8)
    lowest[0, 1] = rng.integers(-128, 128, (5, 6))
    return [
        *cases,
        *(Sample((lowest,), {**CASES[1][1], "argmax": argmax}) for argmax in (False, True)),
        Sample((rng.normal(size=(1, 2, 4, 4)),), CASES[0][1]),
        Sample((ties,), {**CASES[0][1], "argmax": True}),
    ]


def infer_grad(
    dy: TensorType, argmax: TensorType, *, size: Ints, pool_size: Ints, strides: Ints, padding: Ints
) -> TensorType:
    if dy.shape != argmax.shape or dy.shape[2:] != output_size("max_pool2d_grad", size, pool_size, strides, padding):
        raise ShapeError(f"max_pool2d_grad: dy, argmax and windows over {size} do not agree; got {dy} and {argmax}")
    return TensorType((*dy.shape[:2], *size), dy.dtype)


def evaluate_grad(
    dy: np.ndarray, argmax: np.ndarray, *, size: Ints, pool_size: Ints, strides: Ints, padding: Ints
) -> np.ndarray:
    hit = argmax[..., None] == np.arange(pool_size[0] * pool_size[1])
    patches = np.where(hit, dy[..., None], dy.dtype.type(0)).reshape(*dy.shape, *pool_size)
    return scatter(patches, size, strides, padding)


def parameters_of_grad(
    dy: TensorType, argmax: TensorType, *, size: Ints, pool_size: Ints, strides: Ints, padding: Ints
) -> MaxPool2d:
    x, y = Shape(dy.shape[1], *size), Shape(*dy.shape[1:])
    (kh, kw), (sh, sw), (pt, pl, *_) = pool_size, strides, padding
    return MaxPool2d(x, y, kh, kw, sh, sw, pt, pl, BITS[argmax.dtype] // 8)


def samples_grad(rng: np.random.Generator) -> list[Sample]:
    cases = []
    for case in samples(rng)[: len(CASES)]:
        full = {"strides": (1, 1), "padding": (0, 0, 0, 0), **case.attrs}
        y, argmax = evaluate(*case.operands, **full)  # both, as `argmax` is set
        full.pop("argmax")
        cases.append(Sample((rng.normal(size=y.shape), argmax), {**full, "size": case.operands[0].shape[2:]}))
    return cases


register(Op(
    name="nn.max_pool2d", infer=infer, evaluate=evaluate, within=within, grads=(grad_x,), samples=samples,
    attrs={"pool_size": REQUIRED, "strides": (1, 1), "padding": (0, 0, 0, 0), "argmax": False},
    training={"argmax": True}, dtypes={0: ("float32", "int8")}, int8=Int8Form("unchanged"),
    footprint=along(rows=of_windows),
    kernel=Kernel("max_pool2d.h", {"float32": "max_pool2d_f32", "int8": "max_pool2d_s8"}, record=MaxPool2d,
                  parameters=parameters, views=(0,), gives_view=True, results=2),
    ties=channelwise, instructions=(0, 5.6),
))  # fmt: skip
register(Op(
    name="nn.max_pool2d_grad", infer=infer_grad, evaluate=evaluate_grad, within=sums(evaluate_grad),
    samples=samples_grad,
    attrs={"size": REQUIRED, "pool_size": REQUIRED, "strides": (1, 1), "padding": (0, 0, 0, 0)},
    dtypes={1: ("int8", "int32")}, footprint=through_windows,
    kernel=Kernel("max_pool2d.h", "max_pool2d_grad_f32", record=MaxPool2d, parameters=parameters_of_grad, views=(0,),
                  gives_view=True),
    instructions=(0, 5.7),
))  # fmt: skip
