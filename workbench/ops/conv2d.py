"""nn.conv2d: y[n,o,i,j] = Σ x[n, c, i·s + ky·d − p, j·s + kx·d − p] · w[o,c,ky,kx], within each group of channels.

A third operand b is added to each of its channels, then `activation` clips the sums (see _activation). `sum`: how
products are added up (see _multiply_add). The gradient of x is nn.conv2d_transpose, that of w
nn.conv2d_backward_weight.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Footprint, Kernel, Reach, Tile, along
from workbench.ir.op import REQUIRED, Arrays, Int8Form, Op, Sample, Ties, Types, register
from workbench.ir.ranges import Range, Ranges, sums
from workbench.ir.types import Ints, TensorType
from workbench.ops._activation import ATTRS, IN_C, end_ranges, end_types, end_values, grad_b, through_clip
from workbench.ops._multiply_add import FMA, SUM, fused, multiply_add, takes_fused
from workbench.ops._parameters import Window, window_of
from workbench.ops._windows import output_size, windows
from workbench.ops.strided_slice import first_channels


def infer(
    x: TensorType,
    w: TensorType,
    b: TensorType | None = None,
    *,
    activation: str = "",
    mask: bool = False,
    sum: str = "",
    **attrs: Any,
) -> Types:
    fused(sum)
    return end_types("conv2d", sums_type(x, w, **attrs), b, activation, mask)


def sums_type(x: TensorType, w: TensorType, *, channels: int, kernel_size: Ints, strides: Ints, padding: Ints,
              dilation: Ints, groups: int) -> TensorType:  # fmt: skip
    if x.rank != 4 or w.rank != 4:
        raise ShapeError(f"conv2d: x is NCHW and w OIHW; got {x} and {w}")
    size = output_size("conv2d", x.shape[2:], kernel_size, strides, padding, dilation)
    if not isinstance(groups, int) or not isinstance(channels, int):
        raise ShapeError(f"conv2d: groups and channels are whole numbers; got {groups!r} and {channels!r}")
    if groups < 1 or x.shape[1] % groups or w.shape[0] % groups:
        raise ShapeError(f"conv2d: {groups} groups do not divide {x.shape[1]} input and {w.shape[0]} output channels")
    expected = (channels, x.shape[1] // groups, *kernel_size)
    if w.shape != expected:
        raise ShapeError(f"conv2d: x is {x}, so w needs {expected}; got {w.shape}")
    return TensorType((x.shape[0], channels, *size), x.dtype)


def evaluate(x: np.ndarray, w: np.ndarray, b: np.ndarray | None = None, *, activation: str = "", mask: bool = False,
             **attrs: Any) -> Arrays:  # fmt: skip
    return end_values(convolved(x, w, **attrs), b, activation, mask)


def convolved(x: np.ndarray, w: np.ndarray, *, strides: Ints, padding: Ints, dilation: Ints, groups: int,
              kernel_size: Ints, sum: str = "", **_: Any) -> np.ndarray:  # fmt: skip
    """The sums, without bias and activation."""
    patches = windows(x, kernel_size, strides, padding, dilation)
    n, c, height, width, *k = patches.shape
    patches = patches.reshape(n, groups, c // groups, height, width, *k)
    filters = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    if takes_fused(sum, x, w):
        y = np.zeros((n, groups, filters.shape[1], height, width), x.dtype)
        for channel, *tap in np.ndindex(c // groups, *k):  # C's order but where taps are clipped
            y = multiply_add(
                patches[:, :, None, channel, :, :, *tap], filters[None, :, :, channel, *tap, None, None], y
            )
    else:
        y = np.einsum("ngchwij,gocij->ngohw", patches, filters, optimize=True)
    return np.ascontiguousarray(y.reshape(n, w.shape[0], height, width), dtype=x.dtype)


def within(*operands: Range, activation: str, mask: bool, **attrs: Any) -> Ranges:
    return end_ranges(sums(evaluate)(*operands, **attrs), activation, mask)


def grad_x(build: Builder, dy: Value, x: Value, w: Value, *b: Value, y: Values, activation: str, kernel_size: Ints,
           strides: Ints, padding: Ints, dilation: Ints, groups: int, **_: Any) -> Value:  # fmt: skip
    dy = through_clip(build, dy, y, activation)
    rest = rest_of(x, padding, dilation, kernel_size, strides)
    return build.conv2d_transpose(dy, w, channels=x.shape[1], kernel_size=kernel_size, strides=strides,
                                  padding=padding, output_padding=rest, dilation=dilation, groups=groups)  # fmt: skip


def rest_of(x: Value, padding: Ints, dilation: Ints, kernel_size: Ints, strides: Ints) -> Ints:
    """Rows and columns of x that no window reaches: the `output_padding` of the transposed convolution."""
    return tuple(
        (x.shape[2 + i] + padding[i] + padding[2 + i] - dilation[i] * (kernel_size[i] - 1) - 1) % strides[i]
        for i in (0, 1)
    )


def part(x: TensorType, w: TensorType, *b: TensorType, groups: int, **_: Any) -> tuple[int, int]:
    """Single input channels; of a grouped convolution, the filters of whole groups."""
    return (1, 1) if groups == 1 else (0, w.shape[0] // groups)


def ties(x: TensorType, w: TensorType, *b: TensorType, groups: int, **_: Any) -> Ties:
    if groups == 1:
        return {1: "in"}, {0: "out", 1: "in"}, *({0: "out"} for _ in b), {1: "out"}
    depthwise = groups == x.shape[1] == w.shape[0]
    return ({1: "in"}, {0: "in"}, *({0: "in"} for _ in b), {1: "in"}) if depthwise else None


def grad_w(build: Builder, dy: Value, x: Value, w: Value, *b: Value, y: Values, activation: str, kernel_size: Ints,
           strides: Ints, padding: Ints, dilation: Ints, groups: int, **_: Any) -> Value:  # fmt: skip
    """The gradient of the part of w that is updated: it reads that part's channels of x, or its groups of dy and x."""
    dy, kept = through_clip(build, dy, y, activation), w.type.updated.shape
    if groups == 1:
        x = first_channels(build, x, kept[1])
    else:
        dy, x = first_channels(build, dy, kept[0]), first_channels(build, x, x.shape[1] * kept[0] // w.shape[0])
        groups = groups * kept[0] // w.shape[0]
    return build.conv2d_backward_weight(
        dy, x, kernel_size=kernel_size, strides=strides, padding=padding, dilation=dilation, groups=groups
    )


def macs(
    x: TensorType, w: TensorType, b: TensorType | None = None, *, activation: str, mask: bool, sum: str, **attrs: Any
) -> int:
    return sums_type(x, w, **attrs).elements * w.elements // w.shape[0]


@dataclass(frozen=True)
class Conv2d:
    """wb_conv2d; channels and filters are those of one group.

    kept     of a weight that lies in two arrays, the channels (of a grouped convolution, groups) of the first one
    fused    float32 products are added before they are rounded
    """

    groups: int
    channels: int
    in_height: int
    in_width: int
    filters: int
    out_height: int
    out_width: int
    kept: int
    fused: int
    window: Window


def sizes(x: TensorType, w: TensorType, *, groups: int, sum: str = "", **attrs: Any) -> Conv2d:
    _, channels, in_height, in_width = x.shape
    _, filters, out_height, out_width = sums_type(x, w, groups=groups, **attrs).shape
    return Conv2d(groups, channels // groups, in_height, in_width, filters // groups, out_height, out_width,
                  kept(w, groups), fused(sum), window_of(**attrs))  # fmt: skip


def kept(w: TensorType, groups: int) -> int:
    if not isinstance(w.needs_grad, tuple):
        return 0
    axis, count = w.needs_grad
    return count if axis == 1 else count * groups // w.shape[0]


@dataclass(frozen=True)
class Conv2dF32:
    """wb_conv2d_f32."""

    sizes: Conv2d
    activation: str


def parameters(x: TensorType, w: TensorType, *b: TensorType, activation: str, mask: bool, **attrs: Any) -> Conv2dF32:
    return Conv2dF32(sizes(x, w, **attrs), IN_C[activation])


def by_rows(tile: Tile, x: TensorType, w: TensorType, *_: TensorType, kernel_size: Ints, strides: Ints, padding: Ints,
            dilation: Ints, **__: Any) -> Footprint:  # fmt: skip
    height = output_size("conv2d", x.shape[2:], kernel_size, strides, padding, dilation)[0]
    return Footprint({0: Reach(strides[0], -padding[0], dilation[0] * (kernel_size[0] - 1) - padding[0])}, height)


footprint = along(rows=by_rows)


WINDOW_ATTRS = {"strides": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1,
                "channels": REQUIRED, "kernel_size": REQUIRED}  # fmt: skip
CASES: tuple[tuple[Ints, int, dict[str, Any]], ...] = (  # x shape, output channels, attributes
    ((1, 3, 6, 6), 3, {"kernel_size": (3, 3), "padding": (1, 1, 1, 1)}),
    ((2, 4, 5, 7), 6, {"kernel_size": (3, 2), "strides": (2, 1), "padding": (0, 1, 1, 0)}),
    ((1, 4, 7, 7), 4, {"kernel_size": (3, 3), "strides": (2, 2), "padding": (1, 1, 1, 1), "groups": 4}),
    ((2, 6, 4, 4), 4, {"kernel_size": (1, 1), "groups": 2}),
    ((1, 2, 9, 8), 2, {"kernel_size": (3, 3), "dilation": (2, 2), "strides": (2, 1), "padding": (2, 2, 2, 2)}),
    ((1, 2, 3, 3), 1, {"kernel_size": (5, 5), "padding": (2, 2, 2, 2)}),
    ((1, 1, 8, 8), 2, {"kernel_size": (1, 1), "strides": (3, 3)}),
    ((2, 3, 5, 5), 6, {"kernel_size": (3, 3), "padding": (1, 1, 1, 1), "groups": 3}),
    ((1, 2, 6, 7), 4, {"kernel_size": (5, 3), "strides": (2, 3), "padding": (2, 0, 1, 2), "groups": 2}),
    ((1, 4, 6, 6), 6, {"kernel_size": (4, 2), "strides": (2, 2), "padding": (1, 0, 2, 1), "groups": 2}),
    ((1, 2, 8, 9), 2, {"kernel_size": (2, 2), "strides": (3, 4), "padding": (1, 1, 0, 2)}),
    ((1, 3, 9, 9), 3, {"kernel_size": (3, 3), "strides": (2, 2), "padding": (2,) * 4, "dilation": (2, 2), "groups": 3}),
    ((2, 2, 10, 8), 2, {"kernel_size": (3, 2), "strides": (3, 2), "padding": (2, 1, 3, 2), "dilation": (2, 3)}),
    ((1, 2, 7, 9), 2, {"kernel_size": (2, 3), "strides": (6, 4), "padding": (1, 2, 1, 2), "dilation": (4, 2)}),
    ((1, 2, 2, 3), 2, {"kernel_size": (7, 7), "padding": (3, 3, 3, 3), "groups": 2}),
    ((1, 2, 3, 3), 2, {"kernel_size": (2, 2), "padding": (3, 2, 3, 2)}),
    ((1, 8, 5, 5), 4, {"kernel_size": (1, 1), "strides": (2, 2), "padding": (1, 0, 1, 0)}),
    ((1, 9, 4, 4), 5, {"kernel_size": (1, 1)}),
    # one row, one column, one pixel; a kernel as large as its image, or as tall; a stride beyond the kernel
    ((1, 6, 1, 17), 3, {"kernel_size": (1, 7), "strides": (1, 2), "padding": (0, 3, 0, 3)}),
    ((2, 2, 9, 1), 3, {"kernel_size": (5, 1), "strides": (2, 1), "padding": (2, 0, 1, 0)}),
    ((1, 3, 1, 6), 3, {"kernel_size": (3, 3), "padding": (1, 1, 1, 1), "groups": 3}),
    ((1, 2, 1, 1), 2, {"kernel_size": (3, 3), "padding": (1, 1, 1, 1)}),
    ((2, 2, 3, 4), 3, {"kernel_size": (3, 4)}),
    ((1, 1, 4, 9), 2, {"kernel_size": (4, 3), "strides": (1, 2), "padding": (0, 0, 0, 1)}),
    ((1, 1, 1, 11), 1, {"kernel_size": (1, 2), "strides": (1, 5), "padding": (0, 1, 0, 0)}),
    ((1, 1, 7, 1), 1, {"kernel_size": (1, 1), "strides": (3, 2)}),
    ((1, 2, 4, 6), 2, {"kernel_size": (3, 3), "strides": (2, 2), "padding": (0, 0, 1, 1)}),
)

ENDS = (  # of a case: its number, bias, activation, mask
    *((0, True, "", False), (1, True, "relu", False), (2, False, "relu6", False)),
    *((7, True, "relu6", True), (3, False, "relu", True), (8, True, "relu", True)),
    *((18, True, "relu6", True), (19, True, "relu", False)),
)


def samples(rng: np.random.Generator) -> list[Sample]:
    """Without epilogue; the samples of its gradients are made from these."""
    cases = []
    for shape, channels, attrs in CASES:
        w = (channels, shape[1] // attrs.get("groups", 1), *attrs["kernel_size"])
        cases.append(Sample((rng.normal(size=shape), rng.normal(size=w)), {"channels": channels, **attrs}))
    return cases


def every_sample(rng: np.random.Generator) -> list[Sample]:
    """Without and with each epilogue: the masks fill one word, a part of one, and several."""
    cases = samples(rng)
    for index, biased, activation, mask in ENDS:
        (x, w), attrs = cases[index].operands, cases[index].attrs
        b = [np.asarray(rng.normal(size=w.shape[0]))] if biased else []
        cases.append(Sample((2 * x, w, *b), {**attrs, "activation": activation, "mask": mask}))
    return cases + [Sample(case.operands, {**case.attrs, "sum": FMA}) for case in cases[::4]]


register(Op(
    name="nn.conv2d", infer=infer, evaluate=evaluate, within=within, grads=(grad_x, grad_w, grad_b),
    samples=every_sample, macs=macs,
    attrs={**WINDOW_ATTRS, **SUM, **ATTRS},
    part=part, ties=ties, parameters={1: "weight", 2: "bias"},
    int8=Int8Form("layer", window=("strides", "padding", "dilation", "groups")),
    footprint=footprint,
    kernel=Kernel("conv2d_f32.h", "conv2d_f32", record=Conv2dF32, parameters=parameters, views=(0,), gives_view=True,
                  operands=3, results=2, split=(1,)),
    instructions=(2.8, 0),
))  # fmt: skip
