"""nn.conv2d_backward_weight: dw[o,c,ky,kx] = Σ dy[n,o,i,j] · x[n, c, i·s + ky·d − p, j·s + kx·d − p]."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.kernel import Footprint, Kernel, Reach, Refusal, Tile, along
from workbench.ir.op import REQUIRED, Op, Sample, register
from workbench.ir.ranges import Range, sums
from workbench.ir.types import Ints, TensorType
from workbench.ops import conv2d
from workbench.ops._multiply_add import FMA, SUM, fused, multiply_add, takes_fused
from workbench.ops._parameters import Window, window_of
from workbench.ops._windows import output_size, windows
from workbench.ops.conv2d_transpose import conv2d_defaults


def infer(
    dy: TensorType,
    x: TensorType,
    *,
    kernel_size: Ints,
    strides: Ints,
    padding: Ints,
    dilation: Ints,
    groups: int,
    sum: str = "",
) -> TensorType:
    fused(sum)
    if dy.rank != 4 or x.rank != 4 or dy.shape[0] != x.shape[0]:
        raise ShapeError(f"conv2d_backward_weight: dy and x are NCHW of one batch; got {dy} and {x}")
    size = output_size("conv2d_backward_weight", x.shape[2:], kernel_size, strides, padding, dilation)
    if dy.shape[2:] != size or dy.shape[1] % groups or x.shape[1] % groups:
        raise ShapeError(f"conv2d_backward_weight: x is {x}, so dy needs (…, {size}) in {groups} groups; got {dy}")
    return TensorType((dy.shape[1], x.shape[1] // groups, *kernel_size), dy.dtype)


def evaluate(
    dy: np.ndarray,
    x: np.ndarray,
    *,
    kernel_size: Ints,
    strides: Ints,
    padding: Ints,
    dilation: Ints,
    groups: int,
    sum: str = "",
) -> np.ndarray:
    if takes_fused(sum, dy, x):
        return in_order(dy, x, kernel_size=kernel_size, strides=strides, padding=padding, dilation=dilation,
                        groups=groups, sum=sum)  # fmt: skip
    patches = windows(x, kernel_size, strides, padding, dilation)
    n, c, height, width, *k = patches.shape
    dw = np.einsum(
        "ngohw,ngchwij->gocij",
        dy.reshape(n, groups, dy.shape[1] // groups, height, width),
        patches.reshape(n, groups, c // groups, height, width, *k),
        optimize=True,
    )
    return np.ascontiguousarray(dw.reshape(dy.shape[1], c // groups, *k), dtype=dy.dtype)


LONG = 128  # terms, beyond which equal ones may add up to more than 16 ε: uniform gradients of a flat image


def in_order(
    dy: np.ndarray,
    x: np.ndarray,
    *,
    kernel_size: Ints,
    strides: Ints,
    padding: Ints,
    dilation: Ints,
    groups: int,
    sum: str = "",
) -> np.ndarray:
    """`evaluate`, with the sums accumulated pixel by pixel, in the order of the kernel."""
    patches = windows(x, kernel_size, strides, padding, dilation)
    n, c, height, width, *k = patches.shape
    patches = patches.reshape(n, groups, 1, c // groups, height, width, *k)
    dy = dy.reshape(n, groups, -1, 1, height, width, 1, 1)
    dw = np.zeros((groups, dy.shape[2], c // groups, *k), dy.dtype)
    for image, row, column in np.ndindex(n, height, width):
        terms = dy[image, :, :, :, row, column], patches[image, :, :, :, row, column]
        dw = multiply_add(*terms, dw) if takes_fused(sum, *terms) else dw + terms[0] * terms[1]
    return dw.reshape(-1, c // groups, *k)


def within(dy: Range, x: Range, **attrs: Any) -> Range:
    return sums(evaluate, in_order if dy.low.size // dy.low.shape[1] > LONG else None)(dy, x, **attrs)


def macs(dy: TensorType, x: TensorType, *, groups: int, kernel_size: Ints, **_: Any) -> int:
    return dy.elements * x.shape[1] // groups * kernel_size[0] * kernel_size[1]


@dataclass(frozen=True)
class BackwardWeight:
    """wb_conv2d_backward_weight: channels and filters are those of a group."""

    groups: int
    channels: int
    in_height: int
    in_width: int
    filters: int
    out_height: int
    out_width: int
    fused: int
    window: Window


def parameters(dy: TensorType, x: TensorType, *, groups: int, sum: str, **attrs: Any) -> BackwardWeight:
    _, channels, in_height, in_width = x.shape
    filters, out_height, out_width = dy.shape[1:]
    return BackwardWeight(groups, channels // groups, in_height, in_width, filters // groups, out_height,
                          out_width, fused(sum), window_of(**attrs))  # fmt: skip


def by_channels(tile: Tile, dy: TensorType, x: TensorType, *, groups: int, **_: Any) -> Footprint | Refusal:
    """Channels of dy give their filters; a depthwise convolution reads the same channels of x."""
    if tile.of != (0,):
        return Refusal("reads all channels of x")
    if groups != 1 and not groups == dy.shape[1] == x.shape[1]:
        return Refusal("reads groups of channels")
    return Footprint({0: Reach()}, dy.shape[1], "part")


def by_rows(tile: Tile, dy: TensorType, x: TensorType, **attrs: Any) -> Footprint:
    """Rows of dy add to all of dw what they have in common with the rows of x that the convolution read for them."""
    return Footprint({0: Reach(), 1: conv2d.by_rows(tile, x, dy, **attrs).reads[0]}, dy.shape[2], "sum")


footprint = along(rows=by_rows, channels=by_channels)


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = []
    for case in conv2d.samples(rng):
        x, w = case.operands
        full = {**conv2d_defaults, **case.attrs}
        dy = rng.normal(size=conv2d.convolved(x, w, **full).shape)
        full.pop("channels")
        cases.append(Sample((dy, x), full))
    flat = {"kernel_size": (3, 3), "padding": (1, 1, 1, 1)}
    cases += [Sample(case.operands, {**case.attrs, "sum": FMA}) for case in cases[::5]]
    return [*cases, Sample((np.full((1, 1, 20, 20), 0.11), np.full((1, 1, 20, 20), 0.7)), {**conv2d_defaults, **flat})]


register(Op(
    name="nn.conv2d_backward_weight", infer=infer, evaluate=evaluate, within=within, samples=samples, macs=macs,
    attrs={**conv2d_defaults, **SUM, "kernel_size": REQUIRED},
    kernel=Kernel("conv2d_backward_weight_f32.h", "conv2d_backward_weight_f32", record=BackwardWeight,
                  parameters=parameters, views=(0, 1)),
    footprint=footprint, instructions=(2.4, 0),
))  # fmt: skip
