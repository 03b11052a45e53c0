"""Poolings of ONNX files. Those along three axes go along two and then along the third, which is the same.

windows with gaps (dilation)       max: elements k·d apart side by side, then a window over them
                                   average: a convolution by ones, over the elements that count
ceil_mode                          padding behind, which never counts
"""

from math import prod

import numpy as np

from workbench.errors import ModelError
from workbench.frontends.emitter import Operand, shape_of
from workbench.frontends.onnx.shared import Call, Imported, Pads, at_most, each_one, pads_of, several
from workbench.ir.types import Ints

LOWEST = -3.4028234663852886e38  # of float32


def max_pool(call: Call, x) -> Operand:
    if any(call.used[1:]):
        raise ModelError("giving the places of what is largest is not supported")
    size, strides, dilation, pads = _window(call, x)
    if any(d > 1 for d in dilation):
        for axis, each in enumerate(zip(size, strides, dilation, pads, strict=True)):
            x = _with_gaps(call, x, axis + 2, *each)
        return x
    return _along_all(call, "max", x, size, strides, pads)


def average_pool(call: Call, x) -> Operand:
    size, strides, dilation, pads = _window(call, x)
    include = bool(call.whole("count_include_pad", 0))
    given = [(min(low, a), min(high, b)) for (low, high), (a, b) in zip(pads, _pads(call, x), strict=True)]
    if any(d > 1 for d in dilation):
        return _average_with_gaps(call, x, size, strides, dilation, pads, given if include else [(0, 0)] * len(size))
    if include and pads != given:  # what ceil_mode adds does not count
        x = call.emit.padded(x, [(0, 0), (0, 0), *given], f"{call.label}.pad")
        pads = [(low - a, high - b) for (low, high), (a, b) in zip(pads, given, strict=True)]
        include = False
    return _along_all(call, "avg", x, size, strides, pads, count_include_pad=include)


def _window(call: Call, x: Operand) -> tuple[Ints, Ints, Ints, Pads]:
    axes = len(shape_of(each_one(x))) - 2
    if axes not in (1, 2, 3):
        raise ModelError(f"works on images; got {shape_of(x)}")
    size, strides, dilation = (several(call, name, axes) for name in ("kernel_shape", "strides", "dilations"))
    if call.option("kernel_shape") is None:
        raise ModelError("lacks its kernel_shape")
    pads = _pads(call, x)
    if call.whole("ceil_mode", 0) and call.option("auto_pad", "NOTSET") in ("NOTSET", ""):
        for at, length in enumerate(shape_of(x)[2:]):
            low, high = pads[at]
            span = dilation[at] * (size[at] - 1) + 1
            rest = (length + low + high - span) % strides[at]
            more = strides[at] - rest if rest else 0
            begins = (length + low + high - span + more) // strides[at] * strides[at]  # of the last window
            pads[at] = (low, high + more if begins < length + low else high)
    return size, strides, dilation, pads


def _pads(call: Call, x: Operand) -> Pads:
    axes = len(shape_of(x)) - 2
    size, strides, dilation = (several(call, name, axes) for name in ("kernel_shape", "strides", "dilations"))
    return pads_of(call, shape_of(x)[2:], tuple(d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)), strides)


def _along_all(call: Call, kind: str, x: Operand, size: Ints, strides: Ints, pads: Pads, **attrs) -> Operand:
    emit, label = call.emit, call.label
    if len(size) < 3:
        return emit.pool(kind, x, size=size, strides=strides, pads=pads, label=label, **attrs)
    n, c, depth, height, width = shape_of(x)
    x = emit.reshape(x, (n, c * depth, height, width), label)
    x = emit.pool(kind, x, size=size[1:], strides=strides[1:], pads=pads[1:], label=label, **attrs)
    rows, columns = shape_of(x)[2:]
    x = emit.reshape(x, (n, c, depth, rows * columns), label)
    x = emit.pool(kind, x, size=(size[0], 1), strides=(strides[0], 1), pads=[pads[0], (0, 0)], label=label, **attrs)
    return emit.reshape(x, (n, c, shape_of(x)[2], rows, columns), label)


def _with_gaps(call: Call, x: Operand, axis: int, size: int, stride: int, gap: int, pads: tuple[int, int]) -> Operand:
    """Along one axis, seen as (N, before, axis, behind)."""
    emit, label, shape = call.emit, call.label, shape_of(x)
    seen = emit.reshape(x, (shape[0], prod(shape[1:axis]), shape[axis], prod(shape[axis + 1 :])), label)
    seen = emit.padded(seen, [(0, 0), (0, 0), pads, (0, 0)], label, LOWEST)
    n, before, length, behind = shape_of(seen)
    count = (length - gap * (size - 1) - 1) // stride + 1
    if count < 1:
        raise ModelError(f"windows of {size} with gaps of {gap} do not fit {shape}")
    parts = [emit.part(seen, 2, k * gap, k * gap + (count - 1) * stride + 1, label, stride) for k in range(size)]
    side_by_side = emit.joined([emit.reshape(each, (n, before, 1, count * behind), label) for each in parts], 2, label)
    y = emit.pool("max", side_by_side, size=(size, 1), strides=(1, 1), pads=[(0, 0)] * 2, label=label)
    return emit.reshape(y, (*shape[:axis], count, *shape[axis + 1 :]), label)


def _average_with_gaps(call: Call, x: Operand, size: Ints, strides: Ints, dilation: Ints, pads: Pads,
                       counted: Pads) -> Operand:  # fmt: skip
    """`counted`: of the padding, what counts as elements."""
    emit, label, shape = call.emit, call.label, shape_of(x)
    if len(size) == 3:
        for axis, each in enumerate(zip(size, strides, dilation, pads, counted, strict=True)):
            x = _average_along(call, x, axis + 2, *each)
        return x
    channels = shape[1]
    ones = np.ones(at_most((channels, 1, *size)), np.float32)
    y = emit.conv(x, ones, None, strides=strides, pads=pads, dilation=dilation, groups=channels, label=label)
    share = np.ones((1, 1, *[1] * len(size)), np.float64)
    for axis in range(len(size)):
        along = 1 / _counts(shape[axis + 2], size[axis], strides[axis], dilation[axis], pads[axis], counted[axis])
        share = share * along.reshape([-1 if at == axis + 2 else 1 for at in range(len(shape))])
    return emit.of_two("multiply", y, share.astype(np.float32), f"{label}.share")


def _average_along(call: Call, x: Operand, axis: int, size: int, stride: int, gap: int, pads: tuple[int, int],
                   counted: tuple[int, int]) -> Operand:  # fmt: skip
    emit, shape = call.emit, shape_of(x)
    seen = emit.reshape(x, (shape[0], prod(shape[1:axis]), shape[axis], prod(shape[axis + 1 :])), call.label)
    y = _average_with_gaps(call, seen, (size, 1), (stride, 1), (gap, 1), [pads, (0, 0)], [counted, (0, 0)])
    return emit.reshape(y, (*shape[:axis], shape_of(y)[2], *shape[axis + 1 :]), call.label)


def _counts(
    length: int, size: int, stride: int, gap: int, pads: tuple[int, int], counted: tuple[int, int]
) -> np.ndarray:
    """Of each window along an axis, the elements that count."""
    count = (length + sum(pads) - gap * (size - 1) - 1) // stride + 1
    at_most((count, size))
    at = np.arange(count)[:, None] * stride + np.arange(size) * gap - pads[0]
    return ((at >= -counted[0]) & (at < length + counted[1])).sum(1)


def global_average_pool(call: Call, x) -> Operand:
    shape = shape_of(each_one(x))
    if len(shape) == 4:
        return call.of("global_avg_pool2d", x, label=call.label)
    return call.emit.mean(x, _spatial(shape), call.label, keep=True)


def global_max_pool(call: Call, x) -> Operand:
    emit, shape = call.emit, shape_of(each_one(x))
    _spatial(shape)
    seen = emit.reshape(x, (*shape[:2], 1, prod(shape[2:])), call.label)
    y = emit.pool("max", seen, size=shape_of(seen)[2:], strides=(1, 1), pads=[(0, 0)] * 2, label=call.label)
    return emit.reshape(y, (*shape[:2], *[1] * (len(shape) - 2)), call.label)


def _spatial(shape: Ints) -> range:
    if len(shape) < 3:
        raise ModelError(f"works on images; got {shape}")
    return range(2, len(shape))


OPERATORS = {
    "AveragePool": Imported(average_pool, "along one to three axes; padding, ceil_mode, count_include_pad, dilation"),
    "GlobalAveragePool": Imported(global_average_pool, "of any rank"),
    "GlobalMaxPool": Imported(global_max_pool, "of any rank"),
    "MaxPool": Imported(max_pool, "along one to three axes; padding, ceil_mode, dilation; without places"),
}
