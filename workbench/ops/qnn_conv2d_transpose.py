"""qnn.conv2d_transpose: nn.conv2d_transpose with int8 weights: the gradient of an int8 convolution's input."""

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from workbench.ir.kernel import Footprint, Kernel, Refusal, Tile, along
from workbench.ir.op import Op, Sample, get, register
from workbench.ir.ranges import sums
from workbench.ir.types import Ints, TensorType
from workbench.ops import conv2d_transpose
from workbench.ops.conv2d import Conv2d


def evaluate(dy: np.ndarray, w: np.ndarray, *onto: np.ndarray, **attrs: Any) -> np.ndarray:
    return conv2d_transpose.evaluate(dy, w.astype(dy.dtype), *onto, **attrs)


WIDENED = 32  # WB_WIDENED of conv2d_transpose_s8.h


def scratch(dy: TensorType, w: TensorType, *_: TensorType, groups: int, **attrs: Any) -> int:
    """One input channel of the filters as floats; of 1x1 windows, four channels of some filters."""
    return filters_as_floats(dy, w, w.shape[0] // groups, groups=groups, **attrs)


def filters_as_floats(dy: TensorType, w: TensorType, filters: int, *, groups: int, strides: Ints, padding: Ints,
                      **_: Any) -> int:  # fmt: skip
    pointwise = prod(w.shape[2:]) == groups == 1 and strides == (1, 1) and not any(padding)
    return 16 * min(filters, WIDENED) if pointwise else 4 * filters * prod(w.shape[2:])


def by_rows(tile: Tile, dy: TensorType, w: TensorType, *onto: TensorType, **attrs: Any) -> Footprint:
    filter_bytes = scratch(dy, w, **attrs)
    return replace(conv2d_transpose.by_rows(tile, dy, w, *onto, **attrs), scratch=lambda count: filter_bytes)


def by_channels(tile: Tile, dy: TensorType, w: TensorType, *onto: TensorType, **attrs: Any) -> Footprint | Refusal:
    needs = conv2d_transpose.by_channels(tile, dy, w, *onto, **attrs)
    if isinstance(needs, Refusal):
        return needs
    filter_bytes = scratch(dy, w, **attrs)
    if needs.gives == "sum":  # over the filters: those of a tile
        return replace(needs, scratch=lambda count: filters_as_floats(dy, w, count, **attrs))
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
    name="qnn.conv2d_transpose", infer=conv2d_transpose.infer, evaluate=evaluate, within=sums(evaluate),
    samples=samples, macs=conv2d_transpose.macs, attrs=get("nn.conv2d_transpose").attrs, dtypes={1: ("int8",)},
    footprint=along(rows=by_rows, channels=by_channels), onto=2, instructions=(5.2, 0),
    kernel=Kernel("conv2d_transpose_s8.h", "conv2d_transpose_s8", record=Conv2d,
                  parameters=conv2d_transpose.parameters, scratch=scratch, in_place=(2,), split=(1,), operands=3,
                  views=(0, 2), gives_view=True),
))  # fmt: skip
