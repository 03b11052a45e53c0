"""PyTorch's operators that move elements, or leave them: shapes, axes, parts, padding."""

import numpy as np

from workbench.errors import ModelError
from workbench.frontends.emitter import shape_of
from workbench.frontends.torch.shared import Call, Convert
from workbench.ir.build import Value


def same(call: Call, x, *_, **__):
    return x


def copied(call: Call, x, *_, dtype=None, **__):
    if isinstance(x, Value) and dtype is not None and "float" not in str(dtype) and "int" not in str(dtype):
        raise ModelError(f"a conversion to {dtype} is not supported")
    return x


def reshape(call: Call, x, *_, **__):
    """To the shape that the result has."""
    return call.emit.reshape(x, call.shape, call.label)


def permute(call: Call, x, axes):
    rank = len(shape_of(x))
    return call.emit.transpose(x, [axis % rank for axis in axes], call.label)


def expand(call: Call, x, *_, **__):
    shape = (1,) * (len(call.shape) - len(shape_of(x))) + shape_of(x)
    return call.emit.repeated(call.emit.reshape(x, shape, call.label), tuple(call.shape), call.label)


def repeat(call: Call, x, times):
    x = call.emit.reshape(x, (1,) * (len(times) - len(shape_of(x))) + shape_of(x), call.label)
    for axis, count in enumerate(times):
        x = call.emit.joined([x] * count, axis, call.label) if count > 1 else x
    return x


def select(call: Call, x, axis, index):
    axis, size = axis % len(shape_of(x)), shape_of(x)[axis]
    begin = index % size
    return call.emit.reshape(call.emit.part(x, axis, begin, begin + 1, call.label), call.shape, call.label)


def part(call: Call, x, axis=0, begin=None, end=None, step=1):
    axis, size = axis % len(shape_of(x)), shape_of(x)[axis]
    begin, end, _ = slice(begin, end).indices(size)
    return call.emit.part(x, axis, begin, end, call.label, step)


def split(call: Call, x, sizes, axis=0):
    axis, ends = axis % len(shape_of(x)), np.cumsum(sizes)
    return tuple(call.emit.part(x, axis, int(end - size), int(end), call.label)
                 for size, end in zip(sizes, ends, strict=True))  # fmt: skip


def cat(call: Call, parts, axis=0):
    parts = [each for each in parts if shape_of(each) != (0,)]
    return call.emit.joined(parts, axis % len(shape_of(parts[0])), call.label)


def flip(call: Call, x, axes):
    for axis in (each % len(shape_of(x)) for each in axes):
        size = shape_of(x)[axis]
        x = call.emit.joined([call.emit.part(x, axis, at, at + 1, call.label) for at in reversed(range(size))], axis,
                             call.label)  # fmt: skip
    return x


def pad(call: Call, x, pads, mode="constant", value=None):
    if mode != "constant":
        raise ModelError(f"padding of mode {mode!r} is not supported", "constant padding is")
    rank = len(shape_of(x))
    pairs = [(0, 0)] * (rank - len(pads) // 2) + [(pads[at], pads[at + 1]) for at in range(len(pads) - 2, -1, -2)]
    return call.emit.padded(x, pairs, call.label, 0.0 if value is None else float(value))


def constant_pad(call: Call, x, pads, value=0.0):
    return pad(call, x, pads, "constant", value)


OPERATORS: dict[str, Convert] = {
    **dict.fromkeys(("view.default", "unsqueeze.default", "squeeze.dims"), reshape),
    **dict.fromkeys(("clone.default", "alias.default"), same),
    "_to_copy.default": copied,
    "permute.default": permute,
    "expand.default": expand,
    "repeat.default": repeat,
    "select.int": select,
    "slice.Tensor": part,
    "split_with_sizes.default": split,
    "cat.default": cat,
    "flip.default": flip,
    "pad.default": pad,
    "constant_pad_nd.default": constant_pad,
}  # fmt: skip
