"""qnn.conv2d_transpose: nn.conv2d_transpose with int8 weights: the gradient of an int8 convolution's input."""

import numpy as np

from workbench.ir.op import Kernel, Op, Sample, Slice, get, register
from workbench.ops import conv2d_transpose


def evaluate(dy, w, **attrs):
    return conv2d_transpose.evaluate(dy, w.astype(dy.dtype), **attrs)


def function(dy, w, **_):
    return "conv2d_transpose_split_s8" if isinstance(w.needs_grad, tuple) else "conv2d_transpose_s8"


def scratch(dy, w, *, groups, kernel_size, **_):
    """One input channel of the filters as floats."""
    return 4 * w.shape[0] // groups * kernel_size[0] * kernel_size[1]


def slices(sliced, dy, w, *, groups, channels, kernel_size, **attrs):
    """The channels it makes, those of a depthwise one, or those that a 1x1 one sums over (going on in the same order)."""
    attrs |= {"groups": groups, "channels": channels, "kernel_size": kernel_size}
    numbers, taps = conv2d_transpose.literals(dy, w, **attrs), kernel_size[0] * kernel_size[1]
    _, _, made, height, width, filters, *window = numbers if len(numbers) > 16 else [*numbers, 0]
    if groups == 1 and sliced == ():
        role, numbers, scratch = "made", (made, height, width, filters, *window), lambda count: 4 * filters * taps
    elif groups == 1 and sliced == (0,) and taps == 1:
        role, numbers, scratch = "onto", (made, height, width, *window), lambda count: 4 * count
    elif sliced == (0,) and groups == channels == dy.shape[1]:
        role, numbers, scratch = "each", (groups, height, width, *window), lambda count: 4 * taps
    else:
        return None
    return Slice(
        "conv2d_transpose_slice_s8.h", f"conv2d_transpose_{role}_s8", (*numbers, "first", "count"),
        channels if role == "made" else dy.shape[1], "sum" if role == "onto" else "channels", scratch=scratch,
    )  # fmt: skip


def samples(rng):
    cases = conv2d_transpose.samples(rng)
    return [
        Sample((case.operands[0], rng.integers(-127, 128, case.operands[1].shape, np.int8)), case.attrs)
        for case in cases
    ]


register(Op(
    name="qnn.conv2d_transpose", infer=conv2d_transpose.infer, evaluate=evaluate, samples=samples,
    macs=conv2d_transpose.macs, attrs=get("nn.conv2d_transpose").attrs, dtypes={1: ("int8",)},
    kernel=Kernel("conv2d_transpose_s8.h", function, conv2d_transpose.literals, scratch, split=(1,)),
    slices=slices,
))  # fmt: skip
