"""Bodies of regions to test with: poolings and their gradients."""

from typing import Any

from workbench.ir.build import Builder, Value, Values


def pooled(build: Builder) -> Values:
    """A convolution, its largest values and their places, and the mean of them."""
    x = build.input("x", (1, 2, 8, 6))
    y = build.conv2d(x, build.input("w", (3, 2, 3, 3)), channels=3, kernel_size=(3, 3), padding=(1,) * 4)
    most, places = build.results(
        "nn.max_pool2d", y, pool_size=(3, 2), strides=(2, 2), padding=(1, 0, 0, 0), argmax=True
    )
    return places, build.global_avg_pool2d(most)


def pooled_of_int8(build: Builder) -> Values:
    """The largest values of windows that overlap and reach over the edge, those of these, and their places."""
    window: dict[str, Any] = {"pool_size": (3, 2), "strides": (2, 1), "padding": (1, 0, 1, 1)}
    most, places = build.results("nn.max_pool2d", build.input("x", (2, 2, 9, 6), "int8"), argmax=True, **window)
    return places, build.max_pool2d(most, pool_size=(2, 2), strides=(1, 2))


def averaged(build: Builder) -> Values:
    """Means of windows that overlap and reach over the edge, where padding counts, and of windows that skip rows."""
    x = build.relu(build.input("x", (2, 2, 9, 6)))
    inner = build.avg_pool2d(x, pool_size=(3, 2), strides=(1, 2), padding=(1, 1, 1, 1), count_include_pad=True)
    return (build.avg_pool2d(inner, pool_size=(2, 3), strides=(3, 1), padding=(0, 1, 0, 0)),)


def averaged_of_int8(build: Builder) -> Values:
    """Means as int8, in both forms, with masks: of windows that reach over the edge, and of windows that overlap."""
    attrs: dict[str, Any] = {"x_scale": 0.02, "x_zero_point": -9, "y_zero_point": -9, "clip": (-60, 70), "mask": True}
    window: dict[str, Any] = {"pool_size": (3, 2), "strides": (2, 1), "padding": (1, 0, 1, 1), "form": "tflite"}
    inner, first = build.results(
        "qnn.avg_pool2d", build.input("x", (2, 3, 9, 5), "int8"), y_scale=0.02, **attrs, **window
    )
    mean, second = build.results("qnn.avg_pool2d", inner, y_scale=0.01, pool_size=(2, 2), **attrs)
    return first, second, mean


def meaned_of_int8(build: Builder) -> Values:
    """The mean of a layer and, in the other form and without a mask, that of its sum with a gradient, made int8, whose
    convolution asks for scratch of its own; of two images."""
    y = _convolved(build, build.input("x", (2, 3, 7, 5), "int8"), 5)
    dy, w = build.input("dy", (2, 4, 7, 5)), build.input("v", (4, 5, 3, 3), "int8")
    g = build.op("qnn.conv2d_transpose", dy, w, channels=5, kernel_size=(3, 3), padding=(1,) * 4)
    g = build.op("qnn.quantize", g, scale=4.0)
    total = build.op("qnn.add", y, g, a_scale=4.0, a_zero_point=3, b_scale=4.0, y_scale=3.0)
    mean, mask = _meaned(build, y, form="tflite", mask=True)
    return mean, mask, *_meaned(build, total, form="rounded", mask=False)


def meaned_early_of_int8(build: Builder) -> Values:
    """The mean of a value whose last row is made before the last step."""
    y = _convolved(build, build.input("x", (1, 2, 5, 4), "int8"), 3)
    early = _meaned(build, y, form="rounded", mask=True)
    w, b = build.input("v", (2, 3, 3, 3), "int8"), build.input("c", (2,), "int32")
    last = build.op("qnn.conv2d", y, w, b, build.input("mv", (2, 2), "int32"), channels=2, kernel_size=(3, 3),
                    padding=(1,) * 4, x_scale=4.0, x_zero_point=3, y_scale=4.0)  # fmt: skip
    return *early, last


def _convolved(build: Builder, x: Value, channels: int) -> Value:
    w, b = build.input("w", (channels, x.shape[1], 1, 1), "int8"), build.input("b", (channels,), "int32")
    return build.op("qnn.conv2d", x, w, b, build.input("m", (2, channels), "int32"), channels=channels,
                    kernel_size=(1, 1), x_scale=4.0, y_scale=4.0, y_zero_point=3)  # fmt: skip


def _meaned(build: Builder, x: Value, **attrs: Any) -> Values:
    return build.results("qnn.global_avg_pool2d", x, x_scale=x.type.scale, x_zero_point=x.type.zero_point, y_scale=2.0,
                         y_zero_point=-9, clip=(-12, 10), **attrs)  # fmt: skip


def through_pooling(build: Builder) -> Values:
    """The gradient of a mean, of a pooling whose windows overlap, and of a clip, up to the gradient of a bias."""
    dy = build.global_avg_pool2d_grad(build.input("dy", (2, 3, 1, 1)), size=(4, 3))
    places = build.input("at", (2, 3, 4, 3), "int8")
    dx = build.max_pool2d_grad(dy, places, size=(8, 6), pool_size=(3, 2), strides=(2, 2), padding=(0, 0, 1, 0))
    return (build.sum(build.apply_mask(dx, build.input("m", (2, 3, 8, 6), "bit")), axis=(0, 2, 3)),)


def through_averages(build: Builder) -> Values:
    """The gradients of means: of windows that skip rows and leave the last ones unread, and of windows that overlap and
    reach over the edge, where padding counts."""
    dy = build.relu_grad(build.input("dy", (2, 2, 3, 2)), build.input("y", (2, 2, 3, 2)))
    inner = build.avg_pool2d_grad(dy, size=(9, 5), pool_size=(2, 3), strides=(3, 2), padding=(0, 1, 0, 0))
    window: dict[str, Any] = {"pool_size": (3, 3), "padding": (1, 1, 1, 1), "count_include_pad": True}
    outer = build.avg_pool2d_grad(inner, size=(9, 5), **window)
    return (build.avg_pool2d_grad(outer, size=(19, 10), pool_size=(5, 2), strides=(2, 2), padding=(2, 0, 1, 0)),)


def through_poolings(build: Builder) -> Values:
    """By channels: the gradients of a pooling and of means between two pointwise convolutions."""
    dy = build.conv2d_transpose(build.input("dy", (1, 4, 2, 2)), build.input("w", (4, 6, 1, 1)), channels=6,
                                kernel_size=(1, 1))  # fmt: skip
    dy = build.avg_pool2d_grad(dy, size=(5, 4), pool_size=(3, 2), strides=(2, 2))
    dy = build.max_pool2d_grad(dy, build.input("at", (1, 6, 5, 4), "int8"), size=(11, 8), pool_size=(3, 2),
                               strides=(2, 2))  # fmt: skip
    total = build.sum(dy, axis=(0, 2, 3))
    return total, build.conv2d_transpose(dy, build.input("v", (6, 3, 1, 1)), channels=3, kernel_size=(1, 1))


def through_mean_of_int8(build: Builder) -> Values:
    """By channels: the gradient of a mean of all pixels, and of the quantized pointwise convolution before it."""
    dy = build.global_avg_pool2d_grad(build.input("dy", (1, 6, 1, 1)), size=(4, 2))
    g = build.op("qnn.through_clip", dy, build.input("m", (1, 6, 4, 2), "bit"), build.input("s", (6,)))
    w = build.input("w", (6, 4, 1, 1), "int8")
    return build.sum(g, axis=(0, 2, 3)), build.op("qnn.conv2d_transpose", g, w, channels=4, kernel_size=(1, 1))
