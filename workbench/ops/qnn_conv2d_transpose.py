"""qnn.conv2d_transpose: nn.conv2d_transpose with int8 weights: the gradient of an int8 convolution's input."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from workbench.ir.kernel import Footprint, Kernel, Refusal, Tile, along
from workbench.ir.op import Op, Sample, get, register
from workbench.ir.ranges import sums
from workbench.ir.types import Ints, TensorType
from workbench.ops import conv2d_transpose
from workbench.ops._schedule import SCHEDULE, read, require_schedule
from workbench.ops.conv2d import Conv2d


def infer(dy: TensorType, w: TensorType, *onto: TensorType, schedule: str = "", **attrs: Any) -> TensorType:
    require_schedule("qnn.conv2d_transpose", schedule, choices(dy, w, **attrs) if schedule else {})
    return conv2d_transpose.infer(dy, w, *onto, **attrs)


def evaluate(dy: np.ndarray, w: np.ndarray, *onto: np.ndarray, schedule: str = "", **attrs: Any) -> np.ndarray:
    return conv2d_transpose.evaluate(dy, w.astype(dy.dtype), *onto, **attrs)


WIDENED = 32  # by rule, filters of 1x1 windows that are floats at a time


def choices(dy: TensorType, w: TensorType, *_: TensorType, **attrs: Any) -> dict[str, tuple[int, ...]]:
    """Of how many `filters` four channels are made floats at a time, where windows are of one pixel."""
    every = w.shape[0]
    some = (8, 16, 32, 64, 128, 256)
    return {"filters": (*(n for n in some if n < every), every)} if _pointwise(w, **attrs) and every > some[0] else {}


def _pointwise(w: TensorType, *, groups: int, strides: Ints, padding: Ints, **_: Any) -> bool:
    return prod(w.shape[2:]) == groups == 1 and strides == (1, 1) and not any(padding)


def _at_a_time(schedule: str) -> int:
    return read(schedule).get("filters", WIDENED)


@dataclass(frozen=True)
class TransposedS8:
    """wb_transposed_s8. `at_once`: so many filters of 1x1 windows are floats at a time."""

    sizes: Conv2d
    at_once: int


def parameters(dy: TensorType, w: TensorType, *_: TensorType, schedule: str = "", **attrs: Any) -> TransposedS8:
    return TransposedS8(conv2d_transpose.parameters(dy, w, **attrs), _at_a_time(schedule))


def scratch(dy: TensorType, w: TensorType, *_: TensorType, groups: int, **attrs: Any) -> int:
    """One input channel of the filters as floats; of 1x1 windows, four channels of some filters."""
    return filters_as_floats(w, w.shape[0] // groups, groups=groups, **attrs)


def filters_as_floats(w: TensorType, filters: int, *, schedule: str = "", **attrs: Any) -> int:
    return 16 * min(filters, _at_a_time(schedule)) if _pointwise(w, **attrs) else 4 * filters * prod(w.shape[2:])


def by_rows(
    tile: Tile, dy: TensorType, w: TensorType, *onto: TensorType, schedule: str = "", **attrs: Any
) -> Footprint:
    filter_bytes = scratch(dy, w, schedule=schedule, **attrs)
    return replace(conv2d_transpose.by_rows(tile, dy, w, *onto, **attrs), scratch=lambda count: filter_bytes)


def by_channels(
    tile: Tile, dy: TensorType, w: TensorType, *onto: TensorType, schedule: str = "", **attrs: Any
) -> Footprint | Refusal:
    needs = conv2d_transpose.by_channels(tile, dy, w, *onto, **attrs)
    if isinstance(needs, Refusal):
        return needs
    filter_bytes = scratch(dy, w, schedule=schedule, **attrs)
    if needs.gives == "sum":  # over the filters: those of a tile
        return replace(needs, scratch=lambda count: filters_as_floats(w, count, schedule=schedule, **attrs))
    return replace(needs, scratch=lambda count: filter_bytes)


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = conv2d_transpose.samples(rng)
    return [
        Sample(
            (case.operands[0], rng.integers(-127, 128, case.operands[1].shape, np.int8), *case.operands[2:]), case.attrs
        )
        for case in cases
    ]


register(Op(
    name="qnn.conv2d_transpose", infer=infer, evaluate=evaluate, within=sums(evaluate),
    samples=samples, macs=conv2d_transpose.macs, attrs={**get("nn.conv2d_transpose").attrs, **SCHEDULE},
    dtypes={1: ("int8",)},
    footprint=along(rows=by_rows, channels=by_channels), onto=2, instructions=(2.0, 0),
    kernel=Kernel("conv2d_transpose_s8.h", "conv2d_transpose_s8", record=TransposedS8,
                  parameters=parameters, choices=choices, but=("fused", "at_once"), scratch=scratch, in_place=(2,),
                  split=(1,), operands=3, views=(0, 2), gives_view=True),
))  # fmt: skip
