"""qnn.conv2d_backward_weight: dw = x_scale · Σ dy · (x - x_zero_point), the weight gradient of an int8 convolution.

As nn.conv2d_backward_weight of the real numbers that x stands for; elements beyond the image stand for 0.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workbench.ir.kernel import Footprint, Kernel, Refusal, Tile, along
from workbench.ir.op import REQUIRED, Op, Sample, get, register
from workbench.ir.ranges import Range, exactly, sums
from workbench.ir.types import Ints, TensorType
from workbench.ops import conv2d_backward_weight
from workbench.ops._quantized import check


def infer(dy: TensorType, x: TensorType, *, x_scale: float, x_zero_point: int, **attrs: Any) -> TensorType:
    check("qnn.conv2d_backward_weight", x, x_scale, x_zero_point)
    return TensorType(conv2d_backward_weight.infer(dy, x, **attrs).shape, dy.dtype)


def evaluate(dy: np.ndarray, x: np.ndarray, *, x_scale: float, x_zero_point: int, **attrs: Any) -> np.ndarray:
    centred = x.astype(dy.dtype) - dy.dtype.type(x_zero_point)
    return conv2d_backward_weight.evaluate(dy, centred, **attrs) * dy.dtype.type(x_scale)


def within(dy: Range, x: Range, *, x_scale: float, x_zero_point: int, **attrs: Any) -> Range:
    """The range of products with x less its zero point."""

    def scaled(gradient: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        return lambda dy, x, **window: gradient(dy, x, **window) * dy.dtype.type(x_scale)

    of, long = conv2d_backward_weight, dy.low.size // dy.low.shape[1] > conv2d_backward_weight.LONG
    centred = exactly(x.low.astype(np.float32) - np.float32(x_zero_point))
    return sums(scaled(of.evaluate), scaled(of.in_order) if long else None)(dy, centred, **attrs)


@dataclass(frozen=True)
class IntegerBackwardWeight:
    """wb_conv2d_backward_weight_s8: `images` of the batch."""

    convolution: conv2d_backward_weight.BackwardWeight
    x_scale: float
    x_zero_point: int
    images: int


def parameters(
    dy: TensorType, x: TensorType, *, x_scale: float, x_zero_point: int, **attrs: Any
) -> IntegerBackwardWeight:
    convolution = conv2d_backward_weight.parameters(dy, x, **attrs)
    return IntegerBackwardWeight(convolution, x_scale, x_zero_point, dy.shape[0])


def scratch(
    dy: TensorType, x: TensorType, *, kernel_size: Ints, strides: Ints, padding: Ints, groups: int, **_: Any
) -> int:
    """One channel of x as floats, of all images; where windows are 1x1, as many of up to four as 512 bytes hold."""
    pixels = x.elements // x.shape[1]
    pointwise = kernel_size == strides == (1, 1) and groups == 1 and not any(padding)
    return 4 * pixels * (max(1, min(4, 128 // pixels)) if pointwise else 1)


def by_rows(tile: Tile, dy: TensorType, x: TensorType, **attrs: Any) -> Footprint:
    """One row of one channel of x as floats."""
    return replace(conv2d_backward_weight.by_rows(tile, dy, x, **attrs), scratch=lambda _: 4 * x.shape[3])


def by_channels(tile: Tile, dy: TensorType, x: TensorType, **attrs: Any) -> Footprint | Refusal:
    needs = conv2d_backward_weight.by_channels(tile, dy, x, **attrs)
    return needs if isinstance(needs, Refusal) else replace(needs, scratch=lambda _: scratch(dy, x, **attrs))


footprint = along(rows=by_rows, channels=by_channels)


def macs(dy: TensorType, x: TensorType, *, x_scale: float, x_zero_point: int, **attrs: Any) -> int:
    return conv2d_backward_weight.macs(dy, x, **attrs)


def samples(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample((case.operands[0], rng.integers(-128, 128, case.operands[1].shape, np.int8)),
               {**case.attrs, "x_scale": 0.02, "x_zero_point": int(rng.integers(-128, 128))})
        for case in conv2d_backward_weight.samples(rng)
    ]  # fmt: skip


register(Op(
    name="qnn.conv2d_backward_weight", infer=infer, evaluate=evaluate, within=within, samples=samples, macs=macs,
    attrs={**get("nn.conv2d_backward_weight").attrs, "x_scale": REQUIRED, "x_zero_point": 0}, dtypes={1: ("int8",)},
    kernel=Kernel("conv2d_backward_weight_s8.h", "conv2d_backward_weight_s8", record=IntegerBackwardWeight,
                  parameters=parameters, scratch=scratch, views=(0, 1)),
    footprint=footprint, instructions=(2.7, 0),
))  # fmt: skip
