"""nn.conv2d_transpose: the adjoint of nn.conv2d in x; given dy it is the gradient of the input. A layer of its own too.

dx[n,c,i,j] = Σ dy[n,o,oy,ox] · w[o,c,ky,kx] over all oy·s + ky·d − p = i, ox·s + kx·d − p = j, and onto[n,c,i,j] where
there is such an operand: the gradient of another reader of the input, at which the sum begins.
"""

from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value
from workbench.ir.kernel import Footprint, Kernel, Reach, Refusal, Tile, along
from workbench.ir.op import REQUIRED, Int8Form, Op, Sample, register
from workbench.ir.ranges import sums
from workbench.ir.types import Ints, TensorType
from workbench.ops import conv2d
from workbench.ops._multiply_add import FMA, SUM, fused, multiply_add, takes_fused
from workbench.ops._parameters import window_of
from workbench.ops._windows import output_size, scatter
from workbench.ops.conv2d import Conv2d


def infer(dy: TensorType, w: TensorType, onto: TensorType | None = None, *, channels: int, kernel_size: Ints,
          strides: Ints, padding: Ints, output_padding: Ints, dilation: Ints, groups: int,
          sum: str = "") -> TensorType:  # fmt: skip
    fused(sum)
    if dy.rank != 4 or w.rank != 4:
        raise ShapeError(f"conv2d_transpose: dy is NCHW and w OIHW; got {dy} and {w}")
    if groups < 1 or dy.shape[1] % groups or channels % groups:
        raise ShapeError(f"conv2d_transpose: {groups} groups do not divide {dy.shape[1]} and {channels} channels")
    if w.shape != (dy.shape[1], channels // groups, *kernel_size):
        raise ShapeError(f"conv2d_transpose: dy is {dy}, so w needs {dy.shape[1]} filters; got {w.shape}")
    size = tuple(
        (dy.shape[2 + i] - 1) * strides[i] + dilation[i] * (kernel_size[i] - 1) + 1
        - padding[i] - padding[2 + i] + output_padding[i]
        for i in (0, 1)
    )  # fmt: skip
    if output_size("conv2d_transpose", size, kernel_size, strides, padding, dilation) != dy.shape[2:]:
        raise ShapeError(f"conv2d_transpose: output_padding {output_padding} does not fit dy {dy}, strides {strides}")
    dx = TensorType((dy.shape[0], channels, *size), dy.dtype)
    if onto and onto != dx:
        raise ShapeError(f"conv2d_transpose: the sum is {dx}, so it cannot begin at {onto}")
    return dx


def evaluate(dy: np.ndarray, w: np.ndarray, onto: np.ndarray | None = None, *, channels: int, strides: Ints,
             padding: Ints, output_padding: Ints, dilation: Ints, groups: int, kernel_size: Ints,
             sum: str = "") -> np.ndarray:  # fmt: skip
    dx = infer(
        TensorType(dy.shape), TensorType(w.shape), channels=channels, kernel_size=kernel_size, strides=strides,
        padding=padding, output_padding=output_padding, dilation=dilation, groups=groups,
    )  # fmt: skip
    n, o, height, width = dy.shape
    if takes_fused(sum, dy, w):
        return _in_order(dy, w, onto, dx.shape, strides, padding, dilation, groups)
    patches = np.einsum(
        "ngohw,gocij->ngchwij",
        dy.reshape(n, groups, o // groups, height, width),
        w.reshape(groups, o // groups, *w.shape[1:]),
        optimize=True,
    )
    taps = patches.reshape(n, channels, height, width, *w.shape[2:])
    result = scatter(taps, dx.shape[2:], strides, padding, dilation)
    return result if onto is None else onto + result


def _in_order(dy: np.ndarray, w: np.ndarray, onto: np.ndarray | None, shape: Ints, strides: Ints, padding: Ints,
              dilation: Ints, groups: int) -> np.ndarray:  # fmt: skip
    """`evaluate` with fused products, filter by filter and the last tap first, as the kernel adds them; where it clips
    rows of taps, these come before the filters there."""
    (n, _, *size), (filters, inner, *taps) = shape, w.shape
    reach = [(dy.shape[2 + i] - 1) * strides[i] + dilation[i] * (taps[i] - 1) + 1 for i in (0, 1)]
    room = [max(size[i] + padding[i] + padding[2 + i], reach[i]) for i in (0, 1)]
    dx = np.zeros((n, groups, inner, *room), dy.dtype)
    image = dx[..., padding[0] : padding[0] + size[0], padding[1] : padding[1] + size[1]]
    if onto is not None:
        image[...] = onto.reshape(n, groups, inner, *size)
    each, weights = dy.reshape(n, groups, filters // groups, *dy.shape[2:]), w.reshape(groups, -1, inner, *taps)
    for o, ky, kx in np.ndindex(filters // groups, *taps):
        tap = taps[0] - 1 - ky, taps[1] - 1 - kx
        rows, columns = (slice(tap[i] * dilation[i], tap[i] * dilation[i] + (dy.shape[2 + i] - 1) * strides[i] + 1,
                               strides[i]) for i in (0, 1))  # fmt: skip
        under = dx[..., rows, columns]
        under[...] = multiply_add(each[:, :, o, None], weights[None, :, o, :, *tap, None, None], under)
    return np.ascontiguousarray(image).reshape(shape)


def grad_dy(
    build: Builder, g: Value, dy: Value, w: Value, *_: Value, output_padding: Ints, channels: int, **attrs: Any
) -> Value:
    return build.conv2d(g, w, channels=w.shape[0], **{key: attrs[key] for key in _SHARED})


def grad_w(
    build: Builder, g: Value, dy: Value, w: Value, *_: Value, output_padding: Ints, channels: int, **attrs: Any
) -> Value:
    return build.conv2d_backward_weight(dy, g, **{key: attrs[key] for key in _SHARED})


def grad_onto(build: Builder, g: Value, *_: Value, **__: Any) -> Value:
    return g


_SHARED = ("kernel_size", "strides", "padding", "dilation", "groups")


def macs(dy: TensorType, w: TensorType, *_: TensorType, **__: Any) -> int:
    return dy.elements * w.elements // w.shape[0]


def parameters(dy: TensorType, w: TensorType, *_: TensorType, groups: int, **attrs: Any) -> Conv2d:
    """Those of the convolution whose adjoint it is: its input is dx, its output dy."""
    dx = infer(dy, w, groups=groups, **attrs).shape
    return Conv2d(groups, dx[1] // groups, dx[2], dx[3], w.shape[0] // groups, dy.shape[2], dy.shape[3],
                  conv2d.kept(w, groups), fused(attrs["sum"]), window_of(**attrs))  # fmt: skip


def by_rows(tile: Tile, dy: TensorType, w: TensorType, *onto: TensorType, **attrs: Any) -> Footprint:
    k = window_of(**attrs)
    reads = {0: Reach(1, k.pt - k.dh * (k.kh - 1), k.pt, k.sh), 2: Reach()}
    return Footprint(reads if onto else {0: reads[0]}, infer(dy, w, **attrs).shape[2])


def by_channels(tile: Tile, dy: TensorType, w: TensorType, *onto: TensorType, groups: int, channels: int,
                kernel_size: Ints, **_: Any) -> Footprint | Refusal:  # fmt: skip
    """Tiles of the result's channels; or of dy's, where it is depthwise, or 1x1, which accumulates over them."""
    if tile.of == () and groups == 1 and not onto:
        return Footprint(extent=channels)
    if tile.of == (0,) and groups == 1 and kernel_size == (1, 1):
        return Footprint({0: Reach()}, dy.shape[1], "sum", begins=2 if onto else None)
    if tile.of == (0,) and groups == channels == dy.shape[1] and not onto:
        return Footprint({0: Reach()}, channels)
    return Refusal("works on all channels at once")


footprint = along(rows=by_rows, channels=by_channels)


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = []
    for case in conv2d.samples(rng):
        x, w = case.operands
        full = {**conv2d_defaults, **case.attrs}
        y = conv2d.convolved(x, w, **full)
        room = [
            (x.shape[2 + i] + full["padding"][i] + full["padding"][2 + i]
             - full["dilation"][i] * (full["kernel_size"][i] - 1) - 1) % full["strides"][i]
            for i in (0, 1)
        ]  # fmt: skip
        attrs = {**full, "channels": x.shape[1], "output_padding": tuple(room)}
        cases.append(Sample((rng.normal(size=y.shape), w), attrs))
        if len(cases) % 3 == 0:
            cases.append(Sample((rng.normal(size=y.shape), w, rng.normal(size=x.shape)), attrs))
    return cases + [Sample(case.operands, {**case.attrs, "sum": FMA}) for case in cases[::5]]


conv2d_defaults = {"strides": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}

register(Op(
    name="nn.conv2d_transpose", infer=infer, evaluate=evaluate, within=sums(evaluate),
    grads=(grad_dy, grad_w, grad_onto), samples=samples, macs=macs,
    attrs={**conv2d_defaults, **SUM, "output_padding": (0, 0), "channels": REQUIRED, "kernel_size": REQUIRED},
    parameters={1: "weight"}, onto=2,
    int8=Int8Form("layer", window=("strides", "padding", "output_padding"), transposed=True),
    footprint=footprint,
    kernel=Kernel("conv2d_transpose_f32.h", "conv2d_transpose_f32", record=Conv2d, parameters=parameters,
                  in_place=(2,), split=(1,), operands=3, views=(0, 2), gives_view=True),
    instructions=(2.6, 0),
))  # fmt: skip
