"""Bodies of regions to test with: every operator that works by stripes or by channel tiles, and the hard cases."""

from collections.abc import Callable, Mapping
from typing import Any

from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Axis
from workbench.ir.op import Attrs
from workbench.schedule._samples_of_int8 import (
    gated,
    gated_of_int8,
    through_layers_of_int8,
    through_residual_of_int8,
    through_sums,
)
from workbench.schedule._samples_of_movement import padded, padded_of_int8, resized, through_resizing
from workbench.schedule._samples_of_pooling import (
    averaged,
    averaged_of_int8,
    meaned_early_of_int8,
    meaned_of_int8,
    pooled,
    pooled_of_int8,
    through_averages,
    through_mean_of_int8,
    through_pooling,
    through_poolings,
)
from workbench.schedule._samples_of_weights import weights_by_rows, weights_of_int8_by_rows


def block(build: Builder) -> Values:
    """Expand, depthwise, project, and the block's own input added; a mask, a kept part, and batch 2."""
    x = build.input("x", (2, 3, 6, 5))
    stem = build.conv2d(x, build.input("w0", (4, 3, 1, 1)), channels=4, kernel_size=(1, 1))
    wide, mask = build.results("nn.conv2d", stem, build.input("w1", (6, 4, 1, 1)), build.input("b1", (6,)), channels=6,
                               kernel_size=(1, 1), activation="relu6", mask=True)  # fmt: skip
    kept = build.strided_slice(wide, begin=1, end=3, axis=1)
    deep = build.conv2d(wide, build.input("w2", (6, 1, 3, 3)), channels=6, kernel_size=(3, 3), padding=(1,) * 4,
                        groups=6)  # fmt: skip
    thin = build.conv2d(deep, build.input("w3", (4, 6, 1, 1)), channels=4, kernel_size=(1, 1))
    return mask, kept, build.add(thin, stem)


def strided(build: Builder) -> Values:
    """Windows that skip rows and leave the last ones unread; bias and clip as own nodes; a whole image added."""
    x = build.input("x", (1, 2, 9, 7))
    first, mask = build.results("nn.relu", build.bias_add(x, build.input("b", (2,))), mask=True)
    second = build.conv2d(first, build.input("w1", (3, 2, 2, 3)), channels=3, kernel_size=(2, 3), strides=(3, 2))
    third = build.relu6(build.add(second, build.input("y", (1, 3, 3, 3))), mask=False)
    return mask, third


def backward(build: Builder) -> Values:
    """Through a strided convolution: gradients of two biases, a mask, and a pointwise convolution before it."""
    dy = build.input("dy", (2, 3, 4, 4))
    mask = build.input("m", (2, 3, 4, 4), "bit")
    inner = build.apply_mask(dy, mask)
    bias = build.sum(inner, axis=(0, 2, 3))
    outer = build.conv2d_transpose(inner, build.input("w", (3, 4, 3, 3)), channels=4, kernel_size=(3, 3),
                                   strides=(2, 2), padding=(1,) * 4, output_padding=(1, 1))  # fmt: skip
    more = build.sum(outer, axis=(0, 2, 3))
    return bias, more, build.conv2d_transpose(outer, build.input("v", (4, 2, 1, 1)), channels=2, kernel_size=(1, 1))


def through_clips(build: Builder) -> Values:
    """Gradients of clips whose results are there whole, and of a bias between them."""
    inner = build.relu_grad(build.input("dy", (2, 3, 4, 4)), build.input("y", (2, 3, 4, 4)))
    outer = build.conv2d_transpose(inner, build.input("w", (3, 2, 3, 3)), channels=2, kernel_size=(3, 3),
                                   strides=(2, 2), padding=(1,) * 4, output_padding=(1, 1))  # fmt: skip
    bias = build.sum(inner, axis=(0, 2, 3))
    return bias, build.relu6_grad(outer, build.input("z", (2, 2, 8, 8)))


def block_of_int8(build: Builder) -> Values:
    """An inverted bottleneck of int8 behind a strided stem, its input added; masks, a kept part, and batch 2."""
    rounded: Attrs = {"x_scale": 0.02, "y_scale": 0.04}
    halved: Attrs = {"x_scale": 0.04, "y_scale": 0.04}

    def conv(x: Value, label: int, channels: int, kernel: int = 1, stride: int = 1, groups: int = 1,
             **attrs: Any) -> Values:  # fmt: skip
        w = build.input(f"w{label}", (channels, x.shape[1] // groups, kernel, kernel), "int8")
        b, m = build.input(f"b{label}", (channels,), "int32"), build.input(f"m{label}", (2, channels), "int32")
        window: dict[str, Any] = {"kernel_size": (kernel,) * 2, "strides": (stride,) * 2, "padding": (kernel // 2,) * 4}
        return build.results("qnn.conv2d", x, w, b, m, channels=channels, groups=groups, **window, **attrs)

    (stem,) = conv(build.input("x", (2, 3, 9, 7), "int8"), 0, 4, 3, 2, x_zero_point=5, y_zero_point=-128, **rounded)
    wide, first = conv(stem, 1, 6, mask=True, x_zero_point=-128, y_zero_point=-100, **halved)
    kept = build.strided_slice(wide, begin=1, end=3, axis=1)
    deep, second = conv(wide, 2, 6, 3, groups=6, mask=True, x_zero_point=-100, y_zero_point=7, **halved)
    (thin,) = conv(deep, 3, 4, x_zero_point=7, y_zero_point=1, **halved)
    total, third = build.results("qnn.add", thin, stem, a_scale=0.04, a_zero_point=1, b_scale=0.04, b_zero_point=-128,
                                 y_scale=0.05, y_zero_point=3, mask=True)  # fmt: skip
    return first, kept, second, third, total


def stem_of_int8(build: Builder) -> Values:
    """A strided convolution whose result may overwrite rows of its image that were read, and a block behind it."""
    x = build.input("x", (1, 3, 11, 10), "int8")
    for label, (channels, kernel, stride, groups) in enumerate(((6, 3, 2, 1), (6, 3, 1, 6), (4, 1, 1, 1))):
        w = build.input(f"w{label}", (channels, x.shape[1] // groups, kernel, kernel), "int8")
        b, m = build.input(f"b{label}", (channels,), "int32"), build.input(f"m{label}", (2, channels), "int32")
        x = build.op("qnn.conv2d", x, w, b, m, channels=channels, groups=groups, kernel_size=(kernel,) * 2,
                     strides=(stride,) * 2, padding=(kernel // 2,) * 4, x_scale=0.04, x_zero_point=3, y_scale=0.04,
                     y_zero_point=3)  # fmt: skip
    return (x,)


def residual_of_int8(build: Builder) -> Values:
    """An inverted bottleneck whose sum may overwrite, row by row, the image that it begins at and adds."""
    x = y = build.input("x", (1, 3, 9, 5), "int8")
    for label, (channels, kernel, groups) in enumerate(((6, 1, 1), (6, 3, 6), (3, 1, 1))):
        w = build.input(f"w{label}", (channels, y.shape[1] // groups, kernel, kernel), "int8")
        b, m = build.input(f"b{label}", (channels,), "int32"), build.input(f"m{label}", (2, channels), "int32")
        y = build.op("qnn.conv2d", y, w, b, m, channels=channels, groups=groups, kernel_size=(kernel,) * 2,
                     padding=(kernel // 2,) * 4, x_scale=0.04, y_scale=0.04)  # fmt: skip
    return (build.op("qnn.add", x, y, a_scale=0.04, b_scale=0.04, y_scale=0.05),)


def sum_of_int8(build: Builder) -> Values:
    """Two images added: the result may overwrite either of them, stripe by stripe or as a whole."""
    a, b = (build.input(name, (1, 3, 5, 4), "int8") for name in "ab")
    return (build.op("qnn.add", a, b, a_scale=0.04, b_scale=0.02, y_scale=0.05),)


def through_block_of_int8(build: Builder) -> Values:
    """The gradient of an int8 inverted bottleneck and the updates of all its parameters, of one weight in part."""
    rates = [build.input("lr"), build.input("seed", (), "int32"), build.input("step", (), "int32")]
    filters = iter(range(9))

    def weight(name: str, *shape: int) -> Value:
        return build.input(name, shape, "int8")

    def clipped(dy: Value, label: int) -> tuple[Value, Value, Value]:
        """The gradient behind a layer's clip, the scales, and the layer's updated bias."""
        mask, s = build.input(f"m{label}", dy.shape, "bit"), build.input(f"s{label}", dy.shape[1:2])
        g, bias = build.op("qnn.through_clip", dy, mask, s), build.input(f"b{label}", dy.shape[1:2], "int32")
        attrs: dict[str, Any] = {"axis": (0, 2, 3), "times": 0.5, "unit": 0.3, "parameter": next(filters)}
        return g, s, build.op("qnn.sum_sgd", bias, g, s, *rates, **attrs)

    def updated(w: Value, g: Value, x: Value, s: Value, kernel: int, padding: int, groups: int) -> Value:
        attrs: dict[str, Any] = {
            "kernel_size": (kernel,) * 2,
            "padding": (padding,) * 4,
            "groups": groups,
            "x_scale": 0.02,
        }
        attrs |= {"x_zero_point": 5, "unit": 0.1, "parameter": next(filters)}
        return build.op("qnn.conv2d_backward_weight_sgd", w, g, x, s, *rates, **attrs)

    dy, project = build.input("dy", (1, 4, 5, 3)), weight("wp", 4, 6, 1, 1)
    deep = build.op("qnn.conv2d_transpose", dy, project, channels=6, kernel_size=(1, 1))
    g, s, bias = clipped(deep, 1)
    depthwise, x = weight("wd", 6, 1, 3, 3), weight("x", 1, 4, 9, 6)
    window: dict[str, Any] = {"kernel_size": (3, 3), "strides": (2, 2), "padding": (1,) * 4, "output_padding": (0, 1)}
    wide = build.op("qnn.conv2d_transpose", g, depthwise, channels=6, groups=6, **window)
    some = build.strided_slice(g, begin=0, end=4, axis=1)
    attrs: Attrs = {
        "kernel_size": (3, 3),
        "strides": (2, 2),
        "padding": (1,) * 4,
        "groups": 4,
        "x_scale": 0.1,
        "parameter": 9,
    }
    filtered = build.op("qnn.conv2d_backward_weight_sgd", depthwise, some, x, s, *rates, **attrs)
    g, s, second = clipped(wide, 2)
    expand = weight("we", 6, 3, 1, 1)
    dx = build.op("qnn.conv2d_transpose", g, expand, channels=3, kernel_size=(1, 1))
    return bias, filtered, second, dx, updated(expand, g, weight("z", 1, 3, 9, 6), s, 1, 0, 1)


def through_block(build: Builder) -> Values:
    """The same in float32, with and without momentum; of one bias the gradient only, without an update."""
    rate = build.input("lr")
    window: dict[str, Any] = {"kernel_size": (3, 3), "strides": (2, 2), "padding": (1,) * 4, "groups": 6}
    deep = build.conv2d_transpose(build.input("dy", (1, 4, 5, 3)), build.input("wp", (4, 6, 1, 1)), channels=6,
                                  kernel_size=(1, 1))  # fmt: skip
    g = build.relu6_grad(deep, build.input("y", (1, 6, 5, 3)))
    bias = build.sum(g, axis=(0, 2, 3))
    depthwise, v = build.input("wd", (6, 1, 3, 3)), build.input("v", (6, 1, 3, 3))
    wide = build.conv2d_transpose(g, depthwise, channels=6, output_padding=(0, 1), **window)
    x = build.input("x", (1, 6, 9, 6))
    filtered, moved = build.results(
        "nn.conv2d_backward_weight_sgd_momentum", depthwise, g, x, v, rate, momentum=0.9, **window
    )
    g = build.apply_mask(wide, build.input("m2", (1, 6, 9, 6), "bit"))
    second = build.op("sum_sgd", build.input("b", (6,)), g, rate, axis=(0, 2, 3))
    expand = build.input("we", (6, 3, 1, 1))
    dx = build.conv2d_transpose(g, expand, channels=3, kernel_size=(1, 1))
    rest: dict[str, Any] = {"kernel_size": (1, 1), "weight_decay": 0.01}
    expanded = build.op("nn.conv2d_backward_weight_sgd", expand, g, build.input("z", (1, 3, 9, 6)), rate, **rest)
    return bias, filtered, moved, second, dx, expanded


def clipped_beside(build: Builder) -> Values:
    """An elementwise operator must not overwrite an operand that is an output too."""
    y = build.conv2d(build.input("x", (1, 2, 5, 4)), build.input("w", (3, 2, 3, 3)), channels=3, kernel_size=(3, 3),
                     padding=(1,) * 4)  # fmt: skip
    return y, build.relu(y)


def through_residual(build: Builder) -> Values:
    """A reduction that starts from dy, which every channel reads; operands of clips that have other readers."""
    dy, each = build.input("dy", (1, 4, 5, 3)), {"axis": (0, 2, 3)}
    wide = build.conv2d_transpose(dy, build.input("wp", (4, 6, 1, 1)), channels=6, kernel_size=(1, 1))
    g = build.apply_mask(wide, build.input("m1", (1, 6, 5, 3), "bit"))
    some = build.apply_mask(build.strided_slice(g, begin=0, end=4, axis=1), build.input("m2", (1, 4, 5, 3), "bit"))
    sums = build.sum(wide, **each), build.sum(some, **each)
    return *sums, build.conv2d_transpose(g, build.input("we", (6, 4, 1, 1)), dy, channels=4, kernel_size=(1, 1))


def in_a_column(build: Builder) -> Values:
    """Images of one column: a kernel and a stride along it, padding on one side only, a mask, and a pooling."""
    x = build.input("x", (1, 2, 9, 1))
    y, mask = build.results("nn.conv2d", x, build.input("w", (3, 2, 3, 1)), channels=3, kernel_size=(3, 1),
                            strides=(2, 1), padding=(0, 0, 1, 0), activation="relu", mask=True)  # fmt: skip
    most, places = build.results("nn.max_pool2d", y, pool_size=(2, 1), strides=(3, 1), argmax=True)
    return mask, most, places


def in_a_row(build: Builder) -> Values:
    """Images of one row, a kernel taller than they are, and one as tall as its image, which leaves a single row."""
    x = build.input("x", (2, 2, 1, 6))
    y = build.conv2d(x, build.input("w", (2, 1, 3, 3)), channels=2, kernel_size=(3, 3), padding=(1,) * 4, groups=2)
    both = build.relu6(build.add(y, x), mask=False)
    return both, build.conv2d(both, build.input("v", (4, 2, 1, 6)), channels=4, kernel_size=(1, 6))


def through_a_column(build: Builder) -> Values:
    """Back through a stride beyond its kernel, of one column, and through a kernel as tall as its image."""
    dy = build.input("dy", (1, 3, 1, 1))
    inner = build.conv2d_transpose(dy, build.input("w", (3, 2, 3, 1)), channels=2, kernel_size=(3, 1))
    bias = build.sum(inner, axis=(0, 2, 3))
    masked = build.apply_mask(inner, build.input("m", (1, 2, 3, 1), "bit"))
    return bias, build.conv2d_transpose(masked, build.input("v", (2, 1, 2, 1)), channels=1, kernel_size=(2, 1),
                                        strides=(4, 1), padding=(1, 0, 0, 0), output_padding=(2, 0))  # fmt: skip


def column_of_int8(build: Builder) -> Values:
    """Two convolutions along a column, with a stride beyond the kernel and with padding on one side."""
    x = build.input("x", (1, 2, 10, 1), "int8")
    for label, (channels, kernel, stride, padding) in enumerate(((3, 2, 3, (1, 0, 0, 0)), (2, 4, 1, (0, 0, 0, 0)))):
        w = build.input(f"w{label}", (channels, x.shape[1], kernel, 1), "int8")
        b, m = build.input(f"b{label}", (channels,), "int32"), build.input(f"m{label}", (2, channels), "int32")
        x = build.op("qnn.conv2d", x, w, b, m, channels=channels, kernel_size=(kernel, 1), strides=(stride, 1),
                     padding=padding, x_scale=0.04, x_zero_point=3, y_scale=0.04, y_zero_point=3)  # fmt: skip
    return (x,)


def done_early(build: Builder) -> Values:
    """A sum and a mean of a value whose last row is made before the last step."""
    x = build.conv2d(build.input("x", (1, 2, 5, 4)), build.input("w", (3, 2, 1, 1)), channels=3, kernel_size=(1, 1))
    early = build.sum(x, axis=(0, 2, 3), times=0.5), build.global_avg_pool2d(x)
    return *early, build.conv2d(x, build.input("v", (2, 3, 3, 3)), channels=2, kernel_size=(3, 3), padding=(1,) * 4)


Cases = tuple[tuple[Callable[[Builder], Values], int], ...]  # a function of a builder that gives a body's outputs; step

BY_ROWS: Cases = (
    *((block, 1), (block, 3), (strided, 1), (strided, 2), (backward, 1), (backward, 2), (pooled, 1), (pooled, 2)),
    *((through_pooling, 1), (block_of_int8, 1), (block_of_int8, 2)),
    *((clipped_beside, 1), (clipped_beside, 2)),
    *((stem_of_int8, 1), (stem_of_int8, 2), (sum_of_int8, 1), (sum_of_int8, 3)),
    *((residual_of_int8, 1), (residual_of_int8, 2)),
    *((in_a_column, 1), (in_a_column, 2), (in_a_row, 1), (through_a_column, 1), (through_a_column, 2)),
    *((column_of_int8, 1), (column_of_int8, 2), (through_clips, 1), (through_clips, 3)),
    *((done_early, 1), (done_early, 2), (pooled_of_int8, 1), (pooled_of_int8, 2)),
    *((through_layers_of_int8, 2), (through_residual_of_int8, 1), (through_residual_of_int8, 3)),
    *((averaged, 1), (averaged_of_int8, 2), (through_averages, 1), (through_averages, 5)),
    *((gated, 2), (gated, 5), (gated_of_int8, 1), (resized, 2), (through_resizing, 1)),
    *((padded, 1), (padded, 3), (padded_of_int8, 2)),
    *((meaned_of_int8, 1), (meaned_of_int8, 3), (meaned_early_of_int8, 1), (meaned_early_of_int8, 5)),
    *((weights_by_rows, 1), (weights_by_rows, 3), (weights_of_int8_by_rows, 1), (weights_of_int8_by_rows, 2)),
)
BY_CHANNELS: Cases = (
    *((through_block_of_int8, 1), (through_block_of_int8, 3), (through_block, 2), (through_block, 6)),
    *((through_residual, 1), (through_residual, 3), (through_poolings, 3)),
    *((through_mean_of_int8, 2), (through_sums, 2)),
)
CASES: Mapping[Axis, Cases] = {"rows": BY_ROWS, "channels": BY_CHANNELS}
