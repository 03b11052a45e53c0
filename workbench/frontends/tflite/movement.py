"""Operators of .tflite files that move data, or average it away: MEAN, TRANSPOSE, CONCATENATION, PAD, slices, resizing.

Axes are the file's; `values.axis` gives the network's. The batch stays where it is, the first of all axes. int8 moves
as it is: scale and zero point of a result are those of its operand.
"""

from math import prod
from typing import Any

import numpy as np

from workbench.errors import ModelError
from workbench.frontends.tflite.file import Operator
from workbench.frontends.tflite.shared import NONE, activated, require_int32
from workbench.frontends.tflite.values import TO_NCHW, Held, Values
from workbench.ir.build import Value
from workbench.quantize import emit
from workbench.quantize.quantization import Quantization


def mean(values: Values, op: Operator) -> Held:
    """Behind a transpose, the mean over the same elements before it: only what is left is transposed."""
    held, given = values.operand(op), _whole_numbers(values, op, 1)
    x, of, label = held.value, held.of, values.label(op, "mean")
    axes = tuple(sorted({_axis(values, op, x, int(axis)) for axis in given}))
    if not axes:
        raise ModelError(f"{values.network.where(op)} names no axes")
    if of and axes == (1,) and of.shape[1] == x.shape[2]:  # over all pixels of an image that was made a sequence
        x, axes = of, (2, 3)
    if x.name in values.transposes:
        source, order = values.transposes[x.name]
        y = _mean(values, op, source, tuple(sorted(order[at] for at in axes)), label)
        y = values.transposed(y, order, f"{label}.transpose")
    else:
        y = _mean(values, op, x, axes, label)
    return values.reshaped(Held(y), values.result(op).shape, f"{label}.flatten")


def _mean(values: Values, op: Operator, x: Value, axes: tuple[int, ...], label: str) -> Value:
    planes = x.rank == 4 and axes == (2, 3)
    if x.type.dtype != "int8":
        return (
            values.build.global_avg_pool2d(x, label=label) if planes else values.build.mean(x, axis=axes, label=label)
        )
    window: dict[str, Any] = {} if planes else {"axis": axes}
    of_y, elements = values.result_quantization(op), prod(x.shape[at] for at in axes)
    require_int32(values, op, 255 * elements, x.type.scale / of_y.scale)
    return emit.average(values.build, x, of_y, form=values.form, label=label, **window)


def transpose(values: Values, op: Operator) -> Held:
    x, order = values.in_order(values.operand(op)), [int(axis) for axis in _whole_numbers(values, op, 1)]
    if sorted(order) != list(range(x.rank)):
        raise ModelError(f"{values.network.where(op)}: axes {order} are not those of {x.type}, each once")
    if order[0] != 0:
        raise ModelError(f"{values.network.where(op)} moves the batch axis, which is not supported")
    _require_same_scale(values, op, x)
    file_axes = TO_NCHW if x.rank == 4 else tuple(range(x.rank))  # the file's axis that each of the result is
    axes = tuple(values.axis(x.rank, order[axis]) for axis in file_axes)
    return Held(values.transposed(x, axes, values.label(op, "transpose")))


def concatenation(values: Values, op: Operator) -> Held:
    operands = [values.in_order(values.operand(op, index)) for index in range(len(op.inputs))]
    label, first = values.label(op, "concatenate"), operands[0]
    axis = _axis(values, op, first, values.option(op, "axis"))
    for x in operands:
        _require_same_scale(values, op, x)
    y = values.build.concatenate(*operands, axis=axis, label=label)
    if y.type.dtype == "int8" and values.option(op, "activation") != NONE:
        raise ModelError(f"{values.network.where(op)}: an activation fused into an int8 one is not supported")
    return Held(activated(values, op, y, label))


def pad(values: Values, op: Operator) -> Held:
    """Zeros around an image are left to the convolutions that read it; everything else is a node."""
    held, sizes = values.operand(op), values.required(op, 1)
    x, where = values.in_order(held), values.network.where(op)
    if sizes.shape != (x.rank, 2) or sizes.dtype.kind != "i" or sizes.min() < 0 or sizes.max() > LARGEST_PADDING:
        raise ModelError(f"{where}: it pads {x.type} by {sizes.ravel().tolist()[:8]}")
    if sizes[0].any():
        raise ModelError(f"{where} pads the batch axis, which is not supported")
    _require_same_scale(values, op, x)
    value, zero = _padding_value(values, op, x), _zero(x)
    if x.rank == 4 and not sizes[3].any() and value == zero:
        (top, bottom), (left, right) = sizes[1:3].tolist()
        return Held(x, zeros=(top, left, bottom, right))
    low, high = ([0] * (x.rank - 1) for _ in range(2))
    for axis in range(1, x.rank):
        at = values.axis(x.rank, axis) - 1
        low[at], high[at] = sizes[axis].tolist()
    return Held(values.build.pad(x, low=low, high=high, strides=(1,) * len(low), value=value,
                                 label=values.label(op, "pad")))  # fmt: skip


LARGEST_PADDING = 1 << 20


def _zero(x: Value) -> int | float:
    return x.type.zero_point if x.type.dtype == "int8" else 0.0


def _padding_value(values: Values, op: Operator, x: Value) -> int | float:
    """That of PADV2, as it is stored; the zero of every PAD."""
    stored = values.constant(op, 2)
    if stored is None:
        return _zero(x)
    if stored.size != 1 or str(stored.dtype) != x.type.dtype:
        raise ModelError(f"{values.network.where(op)}: it pads {x.type} with {stored.dtype} {stored.shape}")
    return stored.reshape(-1)[0].item()


def strided_slice(values: Values, op: Operator) -> Held:
    x, where = values.in_order(values.operand(op)), values.network.where(op)
    begin, end, strides = (_whole_numbers(values, op, index) for index in (1, 2, 3))
    if not len(begin) == len(end) == len(strides) <= x.rank:
        raise ModelError(f"{where}: begin, end and strides are {len(begin)}, {len(end)}, {len(strides)} for {x.type}")
    if values.option(op, "ellipsis_mask") or values.option(op, "new_axis_mask"):
        raise ModelError(f"{where}: an ellipsis or a new axis is not supported")
    masks = [values.option(op, f"{name}_mask") for name in ("begin", "end", "shrink_axis")]
    ranges = [range(x.shape[values.axis(x.rank, axis)]) for axis in range(x.rank)]
    for axis, (first, last, step) in enumerate(zip(begin.tolist(), end.tolist(), strides.tolist(), strict=True)):
        no_begin, no_end, shrinks = (mask >> axis & 1 for mask in masks)
        if step < 1:
            raise ModelError(f"{where}: a stride of {step} is not supported; they need to be positive")
        if shrinks and axis == 0:
            raise ModelError(f"{where} drops the batch axis, which is not supported")
        if shrinks:
            first %= len(ranges[axis])
            last = first + 1
        ranges[axis] = ranges[axis][
            None if no_begin and not shrinks else first : None if no_end and not shrinks else last : step
        ]
    y = _part(values, op, x, ranges, values.label(op, "slice"))
    return values.reshaped(Held(y), values.result(op).shape, values.label(op, "shape"))


def split(values: Values, op: Operator) -> tuple[Held, ...]:
    """SPLIT (axis, x) into equal parts, SPLIT_V (x, sizes, axis) into such."""
    at = 1 if op.name == "SPLIT" else 0
    x = values.in_order(values.operand(op, at))
    (axis,) = _whole_numbers(values, op, 0 if op.name == "SPLIT" else 2, count=1).tolist()
    count = len(op.outputs)
    whole = x.shape[_axis(values, op, x, axis)]
    sizes = [whole // count] * count if op.name == "SPLIT" else _whole_numbers(values, op, 1, count=count).tolist()
    if -1 in sizes:
        sizes[sizes.index(-1)] = whole - sum(sizes) - 1
    if sum(sizes) != whole or min(sizes) < 1:
        raise ModelError(f"{values.network.where(op)}: {sizes[:9]} are not the parts of {whole}")
    return tuple(Held(part) for part in _parts(values, op, x, axis, sizes))


def unpack(values: Values, op: Operator) -> tuple[Held, ...]:
    x, axis = values.in_order(values.operand(op)), values.option(op, "axis")
    if x.shape[_axis(values, op, x, axis)] != len(op.outputs):
        raise ModelError(f"{values.network.where(op)} makes {len(op.outputs)} results of {x.type}")
    parts, label = _parts(values, op, x, axis, [1] * len(op.outputs)), values.label(op, "unpacked")
    shapes = [values.network.tensors[number].shape for number in op.outputs]
    return tuple(values.reshaped(Held(part), shape, label) for part, shape in zip(parts, shapes, strict=True))


def _parts(values: Values, op: Operator, x: Value, axis: int, sizes: list[int]) -> list[Value]:
    ranges = [range(x.shape[values.axis(x.rank, each)]) for each in range(x.rank)]
    label, begin, parts = values.label(op, "split"), 0, []
    for index, size in enumerate(sizes):
        ranges[axis] = range(begin, begin + size)
        parts.append(_part(values, op, x, ranges, f"{label}.{index}", index))
        begin += size
    return parts


def _part(values: Values, op: Operator, x: Value, ranges: list[range], label: str, result: int = 0) -> Value:
    """What lies at these indices of the file's axes; x where that is all of it."""
    where = values.network.where(op)
    if ranges[0] != range(x.shape[0]):
        raise ModelError(f"{where} takes a part of the batch, which is not supported")
    if not all(ranges):
        raise ModelError(f"{where}: nothing is left of {x.type}")
    _require_same_scale(values, op, x, result)
    of_axis = {values.axis(x.rank, axis): each for axis, each in enumerate(ranges)}
    chosen = [of_axis[axis] for axis in range(1, x.rank)]
    if all(each == range(size) for each, size in zip(chosen, x.shape[1:], strict=True)):
        return x
    return values.build.slice(
        x, begin=tuple(each.start for each in chosen), size=tuple(map(len, chosen)),
        strides=tuple(each.step if len(each) > 1 else 1 for each in chosen), label=label,
    )  # fmt: skip


def resize_nearest_neighbor(values: Values, op: Operator) -> Held:
    x, size = values.image(op).value, _whole_numbers(values, op, 1, count=2)
    _require_same_scale(values, op, x)
    how = {name: bool(values.option(op, name)) for name in ("align_corners", "half_pixel_centers")}
    return Held(values.build.resize_nearest(x, size=tuple(size.tolist()), label=values.label(op, "resize"), **how))


def _axis(values: Values, op: Operator, x: Value, axis: int) -> int:
    """The network's axis of one of the file's, which may count from behind."""
    if not -x.rank <= axis < x.rank:
        raise ModelError(f"{values.network.where(op)}: {x.type} has no axis {axis}")
    if axis % x.rank == 0:
        raise ModelError(f"{values.network.where(op)} works along the batch axis, which is not supported")
    return values.axis(x.rank, axis % x.rank)


def _whole_numbers(values: Values, op: Operator, index: int, count: int | None = None) -> np.ndarray:
    stored, where = values.required(op, index), values.network.where(op)
    if stored.dtype not in (np.int32, np.int64) or (count is not None and stored.size != count):
        wanted = f"{'' if count is None else f'{count} '}whole numbers"
        raise ModelError(f"{where}: operand {index} is {stored.dtype} {stored.shape}; it needs to be {wanted}")
    return stored.reshape(-1)


def _require_same_scale(values: Values, op: Operator, x: Value, result: int = 0) -> None:
    if x.type.dtype != "int8":
        return
    what = f"{values.network.where(op)}: its result"
    of_y = values.quantization(what, values.network.tensors[op.outputs[result]])
    if of_y != Quantization.of(x.type):
        raise ModelError(f"{values.network.where(op)} has other scales in than out, which is not supported")
