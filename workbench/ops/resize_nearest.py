"""nn.resize_nearest: each pixel of y is the nearest one of x, (N, C, H, W) -> (N, C, *size); its gradient adds up what
each pixel of x became. As TensorFlow Lite finds it, in float32 (kernels/internal/reference/resize_nearest_neighbor.h):

    row of x = ⌊(row of y + half) · H / size⌋        rounded, of H - 1 and size - 1, where corners are aligned
"""

from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Footprint, Kernel, Reach, Tile, along
from workbench.ir.op import REQUIRED, Attrs, Int8Form, Op, Sample, channelwise, register
from workbench.ir.types import Ints, TensorType
from workbench.ops._parameters import Shape
from workbench.ops._tables import in_flash

LARGEST = 2**15 - 1  # rows or columns: the kernels' tables hold int16


@dataclass(frozen=True)
class ResizeNearest:
    """wb_resize_nearest: images of x and of y, and tables: the row and the column of x that each of y repeats."""

    x: Shape
    y: Shape
    down: str
    across: str


def infer(x: TensorType, *, size: Ints, align_corners: bool, half_pixel_centers: bool) -> TensorType:
    _check("resize_nearest", x, size)
    return TensorType((*x.shape[:2], *size), x.dtype, scale=x.scale, zero_point=x.zero_point)


def _check(what: str, x: TensorType, size: Ints) -> None:
    if x.rank != 4 or len(size) != 2 or any(not isinstance(each, int) or each < 1 for each in size):
        raise ShapeError(f"{what}: it takes (N, C, H, W) to a size of (rows, columns); got {x} and {size}")
    if max(*size, *x.shape[2:]) > LARGEST:
        raise ShapeError(f"{what}: images have up to {LARGEST} rows and columns; got {x} and {size}")


def _scale(pixels: int, new: int, align_corners: bool) -> np.float32:
    """The distance in x between two neighbours of y."""
    if align_corners and new > 1:
        return np.float32(pixels - 1) / np.float32(new - 1)
    return np.float32(pixels) / np.float32(new)


def _nearest(pixels: int, new: int, align_corners: bool, half_pixel_centers: bool) -> np.ndarray:
    """For each row of y the row of x that it repeats; columns alike."""
    at = (np.arange(new, dtype=np.float32) + np.float32(0.5 * half_pixel_centers)) * _scale(pixels, new, align_corners)
    index = at.astype(np.int64)
    index += align_corners & (at - index.astype(np.float32) >= 0.5)
    return np.minimum(index, pixels - 1)


def _rows_and_columns(pixels: Ints, new: Ints, how: Attrs) -> list[np.ndarray]:
    return [_nearest(*each, **how) for each in zip(pixels, new, strict=True)]


def _where(pixels: Ints, new: Ints, how: Attrs) -> tuple[Any, ...]:
    rows, columns = _rows_and_columns(pixels, new, how)
    return (slice(None), slice(None), rows[:, None], columns[None, :])


def evaluate(x: np.ndarray, *, size: Ints, **how: Any) -> np.ndarray:
    return np.ascontiguousarray(x[_where(x.shape[2:], size, how)])


def grad_x(build: Builder, dy: Value, x: Value, *, y: Values, size: Ints, **how: Any) -> Value:
    return build.resize_nearest_grad(dy, size=x.shape[2:], **how)


def parameters(x: TensorType, *, size: Ints, **how: Any) -> ResizeNearest:
    return _resizing(x.shape[1], x.shape[2:], size, how)


def _resizing(channels: int, pixels: Ints, new: Ints, how: Attrs) -> ResizeNearest:
    down, across = map(in_flash, _rows_and_columns(pixels, new, how))
    return ResizeNearest(Shape(channels, *pixels), Shape(channels, *new), down, across)


def by_rows(tile: Tile, x: TensorType, *, size: Ints, **how: Any) -> Footprint:
    """Row r of y reads row down[r] of x, which is about r·H / size."""
    down = _nearest(x.shape[2], size[0], **how)
    return Footprint({0: _reach([(row, int(at)) for row, at in enumerate(down)], x.shape[2], size[0])})


def by_rows_of_grad(tile: Tile, dy: TensorType, *, size: Ints, **how: Any) -> Footprint:
    down = _nearest(size[0], dy.shape[2], **how)
    return Footprint({0: _reach([(int(at), row) for row, at in enumerate(down)], dy.shape[2], size[0])})


def _reach(pairs: list[tuple[int, int]], by: int, over: int) -> Reach:
    """The narrowest for all (row of the result, row that it reads) of which the second is about by / over the first."""
    by, over = by // gcd(by, over), over // gcd(by, over)
    apart = [read * over - row * by for row, read in pairs]
    return Reach(by, min(apart), max(apart), over)


CASES = (  # shape, size, align_corners, half_pixel_centers
    ((1, 2, 3, 4), (6, 8), False, False),
    ((2, 3, 5, 3), (7, 4), True, False),
    ((1, 1, 4, 5), (9, 3), False, True),
    ((1, 2, 1, 7), (1, 20), True, True),
    ((2, 1, 6, 1), (3, 1), False, False),
    ((1, 1, 1, 1), (2, 3), False, True),
    ((1, 3, 2, 2), (1, 1), True, False),
)


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = []
    for shape, size, align, half in CASES:
        attrs = {"size": size, "align_corners": align, "half_pixel_centers": half}
        cases.append(Sample((rng.normal(size=shape),), attrs))
    return [*cases, Sample((rng.integers(-128, 128, CASES[1][0], np.int8),), cases[1].attrs)]


def infer_grad(dy: TensorType, *, size: Ints, align_corners: bool, half_pixel_centers: bool) -> TensorType:
    _check("resize_nearest_grad", dy, size)
    return TensorType((*dy.shape[:2], *size), dy.dtype)


def evaluate_grad(dy: np.ndarray, *, size: Ints, **how: Any) -> np.ndarray:
    dx = np.zeros((*dy.shape[:2], *size), dy.dtype)
    np.add.at(dx, _where(size, dy.shape[2:], how), dy)
    return dx


def grad_dy(build: Builder, g: Value, dy: Value, *, y: Values, size: Ints, **how: Any) -> Value:
    return build.resize_nearest(g, size=dy.shape[2:], **how)


def parameters_grad(dy: TensorType, *, size: Ints, **how: Any) -> ResizeNearest:
    return _resizing(dy.shape[1], size, dy.shape[2:], how)


def samples_grad(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample((rng.normal(size=(*shape[:2], *size)),),
               {"size": shape[2:], "align_corners": align, "half_pixel_centers": half})
        for shape, size, align, half in CASES
    ]  # fmt: skip


_ATTRS = {"size": REQUIRED, "align_corners": False, "half_pixel_centers": False}
register(Op(
    name="nn.resize_nearest", infer=infer, evaluate=evaluate, grads=(grad_x,), samples=samples, attrs=_ATTRS,
    dtypes={0: ("float32", "int8")}, ties=channelwise, int8=Int8Form("unchanged"),
    footprint=along(rows=by_rows),
    kernel=Kernel("resize_nearest_f32.h", {"float32": "resize_nearest_f32", "int8": "resize_nearest_s8"},
                  record=ResizeNearest, parameters=parameters, views=(0,), gives_view=True),
))  # fmt: skip
register(Op(
    name="nn.resize_nearest_grad", infer=infer_grad, evaluate=evaluate_grad, grads=(grad_dy,), samples=samples_grad,
    attrs=_ATTRS, footprint=along(rows=by_rows_of_grad),
    kernel=Kernel("resize_nearest_f32.h", "resize_nearest_grad_f32", record=ResizeNearest, parameters=parameters_grad,
                  views=(0,), gives_view=True),
))  # fmt: skip
