"""Bodies of regions to test with: what quantized networks send through their layers, forward and back."""

from typing import Any

from workbench.ir.build import Builder, Value, Values


def clipped(build: Builder, dy: Value, label: int) -> Value:
    """A gradient behind the clip of quantized layer `label`."""
    mask, s = build.input(f"m{label}", dy.shape, "bit"), build.input(f"s{label}", dy.shape[1:2])
    return build.op("qnn.through_clip", dy, mask, s)


def through_layers_of_int8(build: Builder) -> Values:
    """Back through layers in groups, depthwise with a stride beyond its kernel, and dilated, onto another gradient; of
    two images, with the gradients of two biases."""
    g = clipped(build, build.input("dy", (2, 4, 3, 4)), 1)
    first = build.sum(g, axis=(0, 2, 3))
    g = build.op("qnn.conv2d_transpose", g, build.input("w1", (4, 3, 3, 3), "int8"), channels=6, kernel_size=(3, 3),
                 strides=(2, 2), padding=(1,) * 4, output_padding=(1, 0), groups=2)  # fmt: skip
    g = clipped(build, g, 2)
    second = build.sum(g, axis=(0, 2, 3))
    g = build.op("qnn.conv2d_transpose", g, build.input("w2", (6, 1, 2, 2), "int8"), channels=6, kernel_size=(2, 2),
                 strides=(3, 3), output_padding=(1, 0), groups=6)  # fmt: skip
    g = clipped(build, g, 3)
    window: dict[str, Any] = {"kernel_size": (3, 2), "padding": (2, 1, 2, 0), "dilation": (2, 1)}
    w, onto = build.input("w3", (6, 2, 3, 2), "int8"), build.input("onto", (2, 2, *g.shape[2:]))
    return first, second, build.op("qnn.conv2d_transpose", g, w, onto, channels=2, **window)


def through_residual_of_int8(build: Builder) -> Values:
    """Back through a residual block that halves its image: the sum begins at what the shortcut gives, in its place."""
    dy = build.apply_mask(build.input("dy", (1, 4, 4, 3)), build.input("m0", (1, 4, 4, 3), "bit"))
    shortcut, g = clipped(build, dy, 1), clipped(build, dy, 2)
    window: dict[str, Any] = {"kernel_size": (3, 3), "padding": (1,) * 4}
    g = build.op("qnn.conv2d_transpose", g, build.input("w2", (4, 5, 3, 3), "int8"), channels=5, **window)
    g = clipped(build, g, 3)
    halved: dict[str, Any] = {"channels": 3, "strides": (2, 2), "output_padding": (1, 1)}
    onto = build.op("qnn.conv2d_transpose", shortcut, build.input("w1", (4, 3, 1, 1), "int8"), kernel_size=(1, 1),
                    **halved)  # fmt: skip
    biases = (build.sum(each, axis=(0, 2, 3)) for each in (shortcut, g))
    w = build.input("w3", (5, 3, 3, 3), "int8")
    return *biases, build.op("qnn.conv2d_transpose", g, w, onto, **halved, **window)


def gated(build: Builder) -> Values:
    """A difference of two images, times a gate a channel, and with a number a row added."""
    a, b = (build.input(name, (2, 3, 5, 4)) for name in "ab")
    gated = build.multiply(build.input("gate", (2, 3, 1, 1)), build.subtract(a, b))
    return (build.add(gated, build.input("rows", (2, 1, 5, 1))),)


def gated_of_int8(build: Builder) -> Values:
    """Real numbers to int8 and to another scale, less an image, times a gate a channel, and back; with masks."""
    q, first = build.results("qnn.quantize", build.input("a", (2, 3, 5, 4)), scale=0.01, zero_point=-7, mask=True)
    attrs: dict[str, Any] = {"y_scale": 0.02, "y_zero_point": 4, "mask": True}
    x, second = build.results("qnn.requantize", q, x_scale=0.01, x_zero_point=-7, **attrs)
    pair: dict[str, Any] = {"a_scale": 0.02, "a_zero_point": 4, "b_scale": 0.02, "b_zero_point": 1, **attrs}
    less, third = build.results("qnn.subtract", x, build.input("b", (2, 3, 5, 4), "int8"), **pair)
    gate = build.input("gate", (1, 3, 1, 1), "int8")
    y, fourth = build.results("qnn.multiply", less, gate, form="tflite", **pair)
    return first, second, third, fourth, build.op("qnn.dequantize", y, scale=0.02, zero_point=4)


def through_sums(build: Builder) -> Values:
    """By channels: gradients that meet, of a clip and of the layer behind it, and one that is there whole."""
    wide = build.op("qnn.conv2d_transpose", build.input("dy", (1, 3, 5, 4)), build.input("w1", (3, 4, 1, 1), "int8"),
                    channels=4, kernel_size=(1, 1))  # fmt: skip
    both = build.add(wide, build.apply_mask(wide, build.input("m", (1, 4, 5, 4), "bit")))
    g = build.add(build.input("other", (1, 4, 5, 4)), both)
    w = build.input("w2", (4, 2, 1, 1), "int8")
    return build.sum(g, axis=(0, 2, 3)), build.op("qnn.conv2d_transpose", g, w, channels=2, kernel_size=(1, 1))
