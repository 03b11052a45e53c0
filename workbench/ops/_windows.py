"""Sliding windows over NCHW images, shared by convolutions and poolings; padding is (top, left, bottom, right)."""

from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.kernel import Footprint, Reach, Refusal, Tile
from workbench.ir.types import Ints, TensorType


def output_size(
    op: str, size: Ints, kernel: Ints, strides: Ints, padding: Ints, dilation: Ints = (1, 1)
) -> tuple[int, int]:
    """Rows and columns of windows. Raises ShapeError where not even one fits."""
    for what, numbers, count in (("kernel", kernel, 2), ("strides", strides, 2), ("padding", padding, 4),
                                 ("dilation", dilation, 2)):  # fmt: skip
        if not isinstance(numbers, tuple) or len(numbers) != count or not all(isinstance(n, int) for n in numbers):
            raise ShapeError(f"{op}: {what} are {count} whole numbers; got {numbers!r}")
    if min(strides) < 1 or min(dilation) < 1 or min(kernel) < 1 or min(padding) < 0:
        raise ShapeError(
            f"{op}: kernel {kernel}, strides {strides}, dilation {dilation} must be positive, padding {padding} "
            "four numbers that are not negative"
        )
    result = []
    for axis in (0, 1):
        room = size[axis] + padding[axis] + padding[2 + axis] - dilation[axis] * (kernel[axis] - 1) - 1
        if room < 0:
            raise ShapeError(f"{op}: kernel {kernel} is larger than the padded image {tuple(size)}, padding {padding}")
        result.append(room // strides[axis] + 1)
    return result[0], result[1]


def pad(x: np.ndarray, padding: Ints, value: float = 0) -> np.ndarray:
    top, left, bottom, right = padding
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)


def windows(
    x: np.ndarray, kernel: Ints, strides: Ints, padding: Ints, dilation: Ints = (1, 1), value: float = 0
) -> np.ndarray:
    """(N, C, H, W) -> (N, C, rows, columns, kernel height, kernel width), a read-only view of the padded image."""
    extent = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(pad(x, padding, value), extent, axis=(2, 3))
    return view[:, :, :: strides[0], :: strides[1], :: dilation[0], :: dilation[1]]


def scatter(patches: np.ndarray, size: Ints, strides: Ints, padding: Ints, dilation: Ints = (1, 1)) -> np.ndarray:
    """The adjoint of `windows`: add patches (N, C, rows, columns, kh, kw) up into an (N, C, *size) image."""
    n, c, rows, columns, kh, kw = patches.shape
    top, left, bottom, right = padding
    image = np.zeros((n, c, size[0] + top + bottom, size[1] + left + right), patches.dtype)
    for ky in range(kh):
        for kx in range(kw):
            y, x = ky * dilation[0], kx * dilation[1]
            image[
                :,
                :,
                y : y + strides[0] * (rows - 1) + 1 : strides[0],
                x : x + strides[1] * (columns - 1) + 1 : strides[1],
            ] += patches[..., ky, kx]
    return np.ascontiguousarray(image[:, :, top : top + size[0], left : left + size[1]])


def of_windows(tile: Tile, x: TensorType, *, pool_size: Ints, strides: Ints, padding: Ints, **_: Any) -> Footprint:
    """The footprint by rows of a pooling."""
    return Footprint({0: Reach(strides[0], -padding[0], pool_size[0] - 1 - padding[0])})


def through_windows(
    tile: Tile, dy: TensorType, *_: TensorType, pool_size: Ints, strides: Ints, padding: Ints, **__: Any
) -> Footprint | Refusal:
    """`Op.footprint` of a pooling's gradient, which treats each channel by itself."""
    if tile.axis == "rows":
        return Footprint({0: Reach(1, padding[0] - pool_size[0] + 1, padding[0], strides[0])})
    return Footprint({0: Reach()}) if tile.of == (0,) else Refusal("is not the first to make channels")
