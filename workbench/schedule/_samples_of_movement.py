"""Bodies of regions to test with: what moves the rows of an image: slices, padding, and images of another size."""

from typing import Any

from workbench.ir.build import Builder, Values


def padded(build: Builder) -> Values:
    """Amid zeros, with strides, and what a convolution makes of it; the middle rows of that."""
    x = build.relu(build.input("x", (1, 2, 4, 3)))
    wide = build.pad(x, low=(0, 2, 1), high=(0, 1, 0), strides=(1, 2, 1), value=0.5)
    y = build.conv2d(wide, build.input("w", (3, 2, 3, 3)), channels=3, kernel_size=(3, 3))
    return (build.slice(y, begin=(1, 2, 0), size=(2, 3, 1), strides=(1, 2, 1)),)


def padded_of_int8(build: Builder) -> Values:
    """Channels and rows around an image, the largest values of windows, and every third row of them."""
    x = build.pad(build.input("x", (2, 2, 5, 4), "int8"), low=(1, 1, 0), high=(0, 2, 1), strides=(1, 1, 1), value=-9)
    y = build.max_pool2d(x, pool_size=(3, 2))
    return (build.slice(y, begin=(0, 1, 0), size=(3, 2, 2), strides=(1, 3, 2)),)


def resized(build: Builder) -> Values:
    """Twice as large, then of sizes that are no multiples; a pooling between."""
    x = build.resize_nearest(build.relu(build.input("x", (1, 2, 4, 3))), size=(8, 6))
    x = build.max_pool2d(x, pool_size=(3, 2), padding=(1, 0, 1, 0))
    x = build.resize_nearest(x, size=(11, 4), half_pixel_centers=True)
    return (build.resize_nearest(x, size=(5, 9), align_corners=True),)


def through_resizing(build: Builder) -> Values:
    """The gradients of these, and of a part of the channels."""
    dy = build.relu_grad(build.input("dy", (2, 2, 5, 9)), build.input("y", (2, 2, 5, 9)))
    how: dict[str, Any] = {"align_corners": True}
    dx = build.resize_nearest_grad(dy, size=(11, 4), **how)
    dx = build.resize_nearest_grad(dx, size=(8, 6), half_pixel_centers=True)
    dx = build.resize_nearest_grad(dx, size=(4, 3))
    return (build.strided_slice_grad(dx, begin=1, size=5, axis=1),)
