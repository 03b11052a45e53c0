"""Bodies of regions to test with: weight gradients by rows, of all tiles together."""

from typing import Any

from workbench.ir.build import Builder, Values


def weights_by_rows(build: Builder) -> Values:
    """Gradients of weights and biases of a batch: strided, dilated, depthwise, of some channels; the last one reads
    rows of x that are made inside."""
    g = build.apply_mask(build.input("dy", (2, 4, 4, 3)), build.input("m1", (2, 4, 4, 3), "bit"))
    strided: dict[str, Any] = {"kernel_size": (3, 3), "strides": (2, 2), "padding": (1,) * 4}
    first = build.conv2d_backward_weight(g, build.input("x1", (2, 3, 8, 5)), **strided)
    bias = build.sum(g, axis=(0, 2, 3), times=0.5)
    outer = build.conv2d_transpose(g, build.input("w1", (4, 3, 3, 3)), channels=3, output_padding=(1, 0), **strided)
    g = build.apply_mask(outer, build.input("m2", (2, 3, 8, 5), "bit"))
    dilated: dict[str, Any] = {"kernel_size": (3, 3), "padding": (1,) * 4, "dilation": (2, 1)}
    second = build.conv2d_backward_weight(g, build.input("x2", (2, 3, 10, 5)), groups=3, **dilated)
    more = build.sum(g, axis=(0, 2, 3), times=0.25)
    some = build.strided_slice(g, begin=0, end=2, axis=1)
    third = build.conv2d_backward_weight(some, build.input("x3", (2, 4, 10, 5)), groups=2, **dilated)
    g = build.conv2d_transpose(g, build.input("w2", (3, 2, 1, 1)), channels=2, kernel_size=(1, 1))
    x = build.relu(build.input("x4", (2, 2, 8, 5)))
    return first, bias, second, more, third, build.conv2d_backward_weight(g, x, kernel_size=(3, 3), padding=(1,) * 4)


def weights_of_int8_by_rows(build: Builder) -> Values:
    """The same of int8 layers: x_scale and `times` count once, behind the last row of the last image, and also where
    that was made before the last step."""
    g = build.op("qnn.through_clip", build.input("dy", (2, 3, 4, 3)), build.input("m1", (2, 3, 4, 3), "bit"),
                 build.input("s1", (3,)))  # fmt: skip
    strided: dict[str, Any] = {"kernel_size": (3, 3), "strides": (2, 2), "padding": (1,) * 4}
    scaled: dict[str, Any] = {"x_scale": 0.3, "x_zero_point": 7}
    first = build.op("qnn.conv2d_backward_weight", g, build.input("x1", (2, 6, 8, 5), "int8"), groups=3, **strided,
                     **scaled)  # fmt: skip
    bias = build.sum(g, axis=(0, 2, 3), times=0.5)
    dx = build.op("qnn.conv2d_transpose", g, build.input("w1", (3, 2, 3, 3), "int8"), channels=2, output_padding=(1, 0),
                  **strided)  # fmt: skip
    g = build.op("qnn.through_clip", dx, build.input("m2", (2, 2, 8, 5), "bit"), build.input("s2", (2,)))
    second = build.op("qnn.conv2d_backward_weight", g, build.input("x2", (2, 3, 8, 5), "int8"), kernel_size=(1, 1),
                      **scaled)  # fmt: skip
    return first, bias, second, build.op("qnn.conv2d_transpose", g, build.input("w2", (2, 2, 3, 3), "int8"), channels=2,
                                         kernel_size=(3, 3), padding=(1,) * 4)  # fmt: skip
