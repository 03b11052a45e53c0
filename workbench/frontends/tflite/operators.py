"""The operators of TensorFlow Lite as nodes: one function each, and OPERATORS, the table of them.

Formulas are those of the reference kernels (tensorflow/lite/kernels/internal/reference, for int8 its integer_ops).
"""

from math import prod

import numpy as np

from workbench.errors import ModelError
from workbench.frontends.tflite import arithmetic, movement
from workbench.frontends.tflite.file import Operator
from workbench.frontends.tflite.layers import conv2d, depthwise_conv2d, fully_connected, transpose_conv
from workbench.frontends.tflite.shared import (
    RELU,
    RELU6,
    Imported,
    activated,
    int8_range,
    logits,
    require_int32,
    strides_and_padding,
)
from workbench.frontends.tflite.values import Held, Values
from workbench.ir.build import Value
from workbench.quantize import emit
from workbench.quantize.quantization import Quantization

OF_SHAPES = {"SHAPE", "STRIDED_SLICE", "PACK", "RESHAPE"}


def average_pool_2d(values: Values, op: Operator) -> Held:
    x, size, strides, padding = _pool(values, op)
    label = values.label(op, "avg_pool", ending="AvgPool")
    window = {"pool_size": size, "strides": strides, "padding": padding, "label": label}
    if x.type.dtype != "int8":
        return Held(activated(values, op, values.build.avg_pool2d(x, **window), label))
    of_y = values.result_quantization(op)
    return Held(emit.average(values.build, x, of_y, form="tflite", clip=int8_range(values, op, of_y), **window))


def max_pool_2d(values: Values, op: Operator) -> Held:
    x, size, strides, padding = _pool(values, op)
    label = values.label(op, "max_pool", ending="MaxPool")
    y = values.build.max_pool2d(x, pool_size=size, strides=strides, padding=padding, label=label)
    if x.type.dtype != "int8":
        return Held(activated(values, op, y, label))
    of_y = values.result_quantization(op)
    if of_y != Quantization.of(x.type):
        raise ModelError(f"{values.network.where(op)} has other scales in than out")
    clip = int8_range(values, op, of_y)
    return Held(y if clip == (-128, 127) else _requantized(values, op, y, of_y, clip, f"{label}.clip"))


def _pool(values: Values, op: Operator):
    x, size = values.image(op).value, (values.option(op, "height"), values.option(op, "width"))
    if min(size) < 1:
        raise ModelError(f"{values.network.where(op)}: a window of {size} makes no sense")
    return x, size, *strides_and_padding(values, op, x.shape, size)


def reshape(values: Values, op: Operator) -> Held:
    """To the shape that the file says the result has."""
    x, shape = values.operand(op), values.result(op).shape
    if prod(shape) != x.value.type.elements:
        raise ModelError(f"{values.network.where(op)}: {x.value.type} does not fit into {shape}")
    return values.reshaped(x, shape, values.label(op, "reshape"))


def of_shapes(values: Values, op: Operator) -> None:
    """Arithmetic on shapes, which a RESHAPE reads: its result's shape is known without."""
    readers = [other for other in values.network.operators if op.outputs[0] in other.inputs]
    if values.result(op).dtype != "INT32" or any(reader.name not in OF_SHAPES for reader in readers):
        raise ModelError(f"{values.network.where(op)} is not supported", "only to make the shape of a RESHAPE is it")


def strided_slice(values: Values, op: Operator) -> Held | None:
    if values.result(op).dtype != "INT32":
        return movement.strided_slice(values, op)
    of_shapes(values, op)
    return None


def softmax(values: Values, op: Operator) -> Held:
    x, where, beta = logits(values, op), values.network.where(op), values.option(op, "beta")
    if not 0 < beta < 1e6:
        raise ModelError(f"{where}: beta is positive; got {beta}")
    label, build = values.label(op, "softmax"), values.build
    if x.type.dtype != "int8":
        if beta != 1:
            raise ModelError(f"{where}: a beta of {beta:g} is not supported")
        return Held(build.softmax(x, label=label))
    if values.result_quantization(op) != Quantization(1 / 256, -128):
        raise ModelError(f"{where}: an int8 softmax gives scale 1/256 and zero point -128")
    return Held(emit.softmax(build, x, beta=beta, label=label))


def quantize(values: Values, op: Operator) -> Held:
    x, of_y = values.operand(op), values.result_quantization(op)
    label = values.label(op, "quantize")
    if x.value.type.dtype == "int8":
        return Held(_requantized(values, op, x.value, of_y, (-128, 127), label), x.image)
    return Held(emit.quantized(values.build, x.value, of_y, form=values.form, label=label), x.image)


def dequantize(values: Values, op: Operator) -> Held | None:
    """Of an activation a node; of what the file stores, int8 or float16, a constant."""
    if op.inputs[0] in values.constants:
        stored, tensor = values.constants[op.inputs[0]], values.tensor(op, 0)
        values.constants[op.outputs[0]] = _dequantized(values, op, stored, tensor)
        values.narrow[str(stored.dtype)] = None
        return None
    x = values.operand(op)
    return Held(emit.dequantized(values.build, x.value, label=values.label(op, "dequantize")), x.image)


def _dequantized(values: Values, op: Operator, stored: np.ndarray, tensor) -> np.ndarray:
    if stored.dtype == np.float16:
        return stored.astype(np.float32)
    count = len(tensor.scales)
    fits = count == 1 or (0 <= tensor.axis < stored.ndim and stored.shape[tensor.axis] == count)
    if stored.dtype != np.int8 or not count or not fits:
        where = values.network.where(op)
        raise ModelError(f"{where}: a constant of {stored.dtype} with {count} scales is not supported")
    along = [count if axis == tensor.axis and count > 1 else 1 for axis in range(stored.ndim)]
    centred = stored.astype(np.float32) - tensor.zero_points.reshape(along).astype(np.float32)
    return (centred * tensor.scales.reshape(along)).astype(np.float32)


def relu(values: Values, op: Operator) -> Held:
    return _relu(values, op, RELU)


def relu6(values: Values, op: Operator) -> Held:
    return _relu(values, op, RELU6)


def _relu(values: Values, op: Operator, activation: int) -> Held:
    x, name = values.operand(op), "relu" if activation == RELU else "relu6"
    label = values.label(op, name)
    if x.value.type.dtype != "int8":
        return Held(getattr(values.build, name)(x.value, label=label), x.image)
    of_y = values.result_quantization(op)
    return Held(_requantized(values, op, x.value, of_y, int8_range(values, op, of_y, activation), label), x.image)


def _requantized(
    values: Values, op: Operator, x: Value, of_y: Quantization, clip: tuple[int, int], label: str
) -> Value:
    require_int32(values, op, 255, x.type.scale / of_y.scale)
    return emit.requantized(values.build, x, of_y, clip=clip, form=values.form, label=label)


OPERATORS = arithmetic.OPERATORS | {
    "AVERAGE_POOL_2D": Imported(average_pool_2d, "padding does not count; activation fused"),
    "CONCATENATION": Imported(movement.concatenation, "along any axis but the batch's; int8 of one scale"),
    "CONV_2D": Imported(conv2d, "any stride, padding, dilation, groups; scales per tensor or filter; activation fused"),
    "DEPTHWISE_CONV_2D": Imported(depthwise_conv2d, "any depth multiplier, else as CONV_2D"),
    "DEQUANTIZE": Imported(dequantize, "int8 to float32; stored int8 and float16 weights become float32"),
    "EXPAND_DIMS": Imported(reshape, "another shape"),
    "FULLY_CONNECTED": Imported(fully_connected, "scales per tensor or per output; activation fused"),
    "MAX_POOL_2D": Imported(max_pool_2d, "activation fused"),
    "MEAN": Imported(movement.mean, "over any axes but the batch's"),
    "PACK": Imported(of_shapes, "to make the shape of a RESHAPE"),
    "PAD": Imported(movement.pad, "any axis but the batch's"),
    "PADV2": Imported(movement.pad, "any axis but the batch's, with any value"),
    "QUANTIZE": Imported(quantize, "float32 to int8, and int8 to another scale"),
    "RELU": Imported(relu, "alone; int8 to another scale too"),
    "RELU6": Imported(relu6, "alone; int8 to another scale too"),
    "RESHAPE": Imported(reshape, "another shape"),
    "RESIZE_NEAREST_NEIGHBOR": Imported(movement.resize_nearest_neighbor, "aligned corners, half pixels"),
    "SHAPE": Imported(of_shapes, "to make the shape of a RESHAPE"),
    "SOFTMAX": Imported(softmax, "at the end: training computes its loss from the logits"),
    "SPLIT": Imported(movement.split, "along any axis but the batch's"),
    "SPLIT_V": Imported(movement.split, "along any axis but the batch's"),
    "SQUEEZE": Imported(reshape, "another shape"),
    "STRIDED_SLICE": Imported(strided_slice, "of all axes but the batch's, positive strides; of shapes for a RESHAPE"),
    "TRANSPOSE": Imported(movement.transpose, "any order of axes, the batch's first"),
    "TRANSPOSE_CONV": Imported(transpose_conv, "any stride and padding; scales per tensor or filter; activation fused"),
    "UNPACK": Imported(movement.unpack, "along any axis but the batch's"),
}  # fmt: skip
