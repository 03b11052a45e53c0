"""Bodies of regions to test with: every operator that works row by row, and what is hard about rows."""


def block(build):
    """Expand, depthwise, project, and the block's own input added; a mask, a kept part, and batch 2."""
    x = build.input("x", (2, 3, 6, 5))
    stem = build.conv2d(x, build.input("w0", (4, 3, 1, 1)), channels=4, kernel_size=(1, 1))
    wide, mask = build.conv2d(stem, build.input("w1", (6, 4, 1, 1)), build.input("b1", (6,)), channels=6,
                              kernel_size=(1, 1), activation="relu6", mask=True)  # fmt: skip
    kept = build.strided_slice(wide, begin=1, end=3, axis=1)
    deep = build.conv2d(wide, build.input("w2", (6, 1, 3, 3)), channels=6, kernel_size=(3, 3), padding=(1,) * 4,
                        groups=6)  # fmt: skip
    thin = build.conv2d(deep, build.input("w3", (4, 6, 1, 1)), channels=4, kernel_size=(1, 1))
    return mask, kept, build.add(thin, stem)


def strided(build):
    """Windows that skip rows, the last of which nobody needs; a bias and a clip of their own; a whole image added."""
    x = build.input("x", (1, 2, 9, 7))
    first, mask = build.relu(build.bias_add(x, build.input("b", (2,))), mask=True)
    second = build.conv2d(first, build.input("w1", (3, 2, 2, 3)), channels=3, kernel_size=(2, 3), strides=(3, 2))
    third = build.relu6(build.add(second, build.input("y", (1, 3, 3, 3))), mask=False)
    return mask, third


def backward(build):
    """Through a strided convolution: gradients of two biases, a mask, and a pointwise convolution before it."""
    dy = build.input("dy", (2, 3, 4, 4))
    mask = build.input("m", (2, 3, 4, 4), "bit")
    inner = build.apply_mask(dy, mask)
    bias = build.sum(inner, axis=(0, 2, 3))
    outer = build.conv2d_transpose(inner, build.input("w", (3, 4, 3, 3)), channels=4, kernel_size=(3, 3),
                                   strides=(2, 2), padding=(1,) * 4, output_padding=(1, 1))  # fmt: skip
    more = build.sum(outer, axis=(0, 2, 3))
    return bias, more, build.conv2d_transpose(outer, build.input("v", (4, 2, 1, 1)), channels=2, kernel_size=(1, 1))


def pooled(build):
    """A convolution, its largest values and their places, and the mean of them."""
    x = build.input("x", (1, 2, 8, 6))
    y = build.conv2d(x, build.input("w", (3, 2, 3, 3)), channels=3, kernel_size=(3, 3), padding=(1,) * 4)
    most, places = build.max_pool2d(y, pool_size=(3, 2), strides=(2, 2), padding=(1, 0, 0, 0), argmax=True)
    return places, build.global_avg_pool2d(most)


def through_pooling(build):
    """The gradient of a mean and of a pooling whose windows overlap, up to the gradient of a bias."""
    dy = build.global_avg_pool2d_grad(build.input("dy", (2, 3, 1, 1)), size=(4, 3))
    places = build.input("at", (2, 3, 4, 3), "int8")
    dx = build.max_pool2d_grad(dy, places, size=(8, 6), pool_size=(3, 2), strides=(2, 2), padding=(0, 0, 1, 0))
    return (build.sum(dx, axis=(0, 2, 3)),)


def block_of_int8(build):
    """An inverted bottleneck of int8 behind a strided stem, its input added; masks, a kept part, and batch 2."""
    rounded, halved = {"x_scale": 0.02, "y_scale": 0.04}, {"x_scale": 0.04, "y_scale": 0.04}

    def conv(x, label, channels, kernel=1, stride=1, groups=1, mask=False, **scales):
        w = build.input(f"w{label}", (channels, x.shape[1] // groups, kernel, kernel), "int8")
        b, m = build.input(f"b{label}", (channels,), "int32"), build.input(f"m{label}", (2, channels), "int32")
        window = {"kernel_size": (kernel,) * 2, "strides": (stride,) * 2, "padding": (kernel // 2,) * 4}
        return build.op("qnn.conv2d", x, w, b, m, channels=channels, groups=groups, mask=mask, **window, **scales)

    stem = conv(build.input("x", (2, 3, 9, 7), "int8"), 0, 4, 3, 2, x_zero_point=5, y_zero_point=-128, **rounded)
    wide, first = conv(stem, 1, 6, mask=True, x_zero_point=-128, y_zero_point=-100, **halved)
    kept = build.strided_slice(wide, begin=1, end=3, axis=1)
    deep, second = conv(wide, 2, 6, 3, groups=6, mask=True, x_zero_point=-100, y_zero_point=7, **halved)
    thin = conv(deep, 3, 4, x_zero_point=7, y_zero_point=1, **halved)
    total, third = build.op("qnn.add", thin, stem, a_scale=0.04, a_zero_point=1, b_scale=0.04, b_zero_point=-128,
                            y_scale=0.05, y_zero_point=3, mask=True)  # fmt: skip
    return first, kept, second, third, total


def stem_of_int8(build):
    """A strided convolution whose result may lie over the rows of the image that were read, and a block behind it."""
    x = build.input("x", (1, 3, 11, 10), "int8")
    for label, (channels, kernel, stride, groups) in enumerate(((6, 3, 2, 1), (6, 3, 1, 6), (4, 1, 1, 1))):
        w = build.input(f"w{label}", (channels, x.shape[1] // groups, kernel, kernel), "int8")
        b, m = build.input(f"b{label}", (channels,), "int32"), build.input(f"m{label}", (2, channels), "int32")
        x = build.op("qnn.conv2d", x, w, b, m, channels=channels, groups=groups, kernel_size=(kernel,) * 2,
                     strides=(stride,) * 2, padding=(kernel // 2,) * 4, x_scale=0.04, x_zero_point=3, y_scale=0.04,
                     y_zero_point=3)  # fmt: skip
    return (x,)


def sum_of_int8(build):
    """Two images added: the result may lie over either, row by row or as a whole."""
    a, b = (build.input(name, (1, 3, 5, 4), "int8") for name in "ab")
    return (build.op("qnn.add", a, b, a_scale=0.04, b_scale=0.02, y_scale=0.05),)


CHAINS = (  # (function of a builder that gives the body's outputs, rows a step)
    *((block, 1), (block, 3), (strided, 1), (strided, 2), (backward, 1), (backward, 2), (pooled, 1), (pooled, 2)),
    *((through_pooling, 1), (block_of_int8, 1), (block_of_int8, 2)),
    *((stem_of_int8, 1), (stem_of_int8, 2), (sum_of_int8, 1), (sum_of_int8, 3)),
)
