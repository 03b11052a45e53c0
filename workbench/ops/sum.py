"""sum over some axes, multiplied by `times`; the kernel knows the case of a bias gradient, (N, C, …) -> (C,)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.kernel import Footprint, Kernel, Reach, Refusal, Tile, along
from workbench.ir.op import REQUIRED, Op, Sample, register
from workbench.ir.types import Ints, TensorType
from workbench.ops._in_order import in_order


def infer(x: TensorType, *, axis: Ints, times: float) -> TensorType:
    if x.rank < 2 or axis != (0, *range(2, x.rank)):
        raise ShapeError(f"sum: takes every axis but 1 of {x}; got axis {list(axis)}")
    return TensorType(x.shape[1:2], x.dtype)


def evaluate(x: np.ndarray, *, axis: Ints, times: float = 1.0) -> np.ndarray:
    total = in_order(np.moveaxis(x, 1, 0).reshape(x.shape[1], -1))
    return total if times == 1 else total * x.dtype.type(times)


def samples(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample((rng.normal(size=shape),), {"axis": (0, *range(2, len(shape))), "times": times})
        for shape, times in (
            ((1, 3, 4, 4), 1.0),
            ((5, 2), 1.0),
            ((1, 10), 0.02),
            ((2, 3, 1, 5), 3.0),
            ((1, 1, 7, 1), 1.0),
            ((1, 1), 1.0),
        )
    ]


@dataclass(frozen=True)
class Sum:
    """wb_sum: the images, and the rows and columns of each."""

    images: int
    rows: int
    columns: int
    times: float


def parameters(x: TensorType, *, times: float, **_: Any) -> Sum:
    images, _channels, rows, columns = x.as_images
    return Sum(images, rows, columns, times)


def by_rows(tile: Tile, x: TensorType, **_: Any) -> Footprint | Refusal:
    """Rows add to the sums of all channels; the last one of the last image multiplies them."""
    if x.rank != 4:
        return Refusal("works by tiles on images only")
    return Footprint({0: Reach()}, x.shape[2], "sum")


def by_channels(tile: Tile, x: TensorType, **_: Any) -> Footprint | Refusal:
    """Channels have sums of their own."""
    if x.rank != 4:
        return Refusal("works by tiles on images only")
    return Footprint({0: Reach()}, x.shape[1], "part") if tile.of else Refusal("is not the first to make channels")


register(Op(
    name="sum", infer=infer, evaluate=evaluate, samples=samples, attrs={"axis": REQUIRED, "times": 1.0},
    kernel=Kernel("sum_f32.h", "sum_f32", record=Sum, parameters=parameters, views=(0,)),
    footprint=along(rows=by_rows, channels=by_channels), instructions=(0, 3.2),
))  # fmt: skip
