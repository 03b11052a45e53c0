"""The operators of TensorFlow Lite as nodes: one function each, and OPERATORS, the table of them.

Formulas are those of the reference kernels (tensorflow/lite/kernels/internal/reference, for int8 its integer_ops).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor, prod

import numpy as np

from workbench.errors import ModelError
from workbench.frontends.tflite.file import Operator
from workbench.frontends.tflite.values import SCALES, Held, Values
from workbench.ir.build import Value
from workbench.quantize.safe_channels import safe_channels

SAME, VALID = 0, 1
NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
ACTIVATIONS = {RELU_N1_TO_1: "RELU_N1_TO_1", 4: "TANH", 5: "SIGN_BIT"}  # those that float32 layers do not do
RANGES = {NONE: (None, None), RELU: (0.0, None), RELU_N1_TO_1: (-1.0, 1.0), RELU6: (0.0, 6.0)}
BEHIND_SOFTMAX = {"QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS"}
OF_SHAPES = {"SHAPE", "STRIDED_SLICE", "PACK", "RESHAPE"}
LARGEST_WINDOW = 4096  # rows or columns


def conv2d(values: Values, op: Operator) -> Held:
    x = values.image(op, zeros=True)
    w = values.required(op, 1, rank=4).transpose(0, 3, 1, 2)
    groups = x.value.shape[1] // w.shape[1] if w.size else 0
    if groups * w.shape[1] != x.value.shape[1]:
        where = values.network.where(op)
        raise ModelError(f"{where}: filters of {w.shape[1]} channels do not divide {x.value.shape[1]}")
    return _convolution(values, op, x, w, groups, 0, values.label(op, "conv", 1, "Conv2D"))


def depthwise_conv2d(values: Values, op: Operator) -> Held:
    x = values.image(op, zeros=True)
    w = values.required(op, 1, rank=4).transpose(3, 0, 1, 2)
    return _convolution(values, op, x, w, x.value.shape[1], 3, values.label(op, "depthwise", 1, "depthwise"))


def _convolution(values: Values, op: Operator, x: Held, w: np.ndarray, groups: int, axis: int, label: str) -> Held:
    dilation = values.option(op, "dilation_h"), values.option(op, "dilation_w")
    kernel = tuple(d * (k - 1) + 1 for k, d in zip(w.shape[2:], dilation, strict=True))
    strides, padding = _window(values, op, x.shape, kernel)
    padding = tuple(a + b for a, b in zip(padding, x.zeros or (0, 0, 0, 0), strict=True))
    attrs = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    if x.value.type.dtype == "int8":
        return Held(_int8_layer(values, op, x.value, w, axis, label, attrs))
    weight = values.parameter(f"{label}.weight", _real(values, op, w, axis))
    y = values.build.conv2d(x.value, weight, channels=w.shape[0], kernel_size=w.shape[2:], label=label, **attrs)
    return Held(_activated(values, op, _biased(values, op, y, label), label))


def fully_connected(values: Values, op: Operator) -> Held:
    x, w = values.operand(op), values.required(op, 1, rank=2)
    if values.option(op, "format"):
        raise ModelError(f"{values.network.where(op)} stores its weights shuffled, which is not supported")
    label = values.label(op, "dense", 1, "MatMul")
    inputs = w.shape[1]
    if not w.size or x.value.type.elements % inputs:
        raise ModelError(f"{values.network.where(op)}: weights are {w.shape}, the operand {x.value.type}")
    rows = x.value.type.elements // inputs
    flat = x if x.value.rank == 2 else values.reshaped(x, (rows, inputs), f"{label}.flatten")
    if flat.value.shape != (rows, inputs):
        flat = values.reshaped(flat, (rows, inputs), f"{label}.flatten")
    if flat.image:
        height, width, channels = flat.image
        w = w.reshape(-1, height, width, channels).transpose(0, 3, 1, 2).reshape(w.shape)
    if flat.value.type.dtype == "int8":
        pixel = values.build.reshape(flat.value, newshape=(rows, inputs, 1, 1), label=f"{label}.pixel")
        y = _int8_layer(values, op, pixel, w[:, :, None, None], 0, label, {})
        y = values.build.batch_flatten(y, label=f"{label}.flatten")
    else:
        y = values.build.dense(flat.value, values.parameter(f"{label}.weight", _real(values, op, w, 0)), label=label)
        y = _activated(values, op, _biased(values, op, y, label), label)
    return values.reshaped(Held(y), values.result(op).shape, f"{label}.shape")


def _int8_layer(values: Values, op: Operator, x: Value, w: np.ndarray, axis: int, label: str, attrs: dict) -> Value:
    """qnn.conv2d with filters `w` (OIHW), the parameters called as everywhere: .weight, .bias, .weight_scale."""
    where, bias = values.network.where(op), values.constant(op, 2, rank=1)
    bias = np.zeros(len(w), np.int32) if bias is None else bias
    if w.dtype != np.int8 or bias.dtype != np.int32 or bias.shape != w.shape[:1]:
        raise ModelError(f"{where}: its input is int8, so weights are int8 and the bias int32 ({len(w)},); got "
                         f"{w.dtype}, {bias.dtype} {bias.shape}")  # fmt: skip
    of_y = values.result_quantization(op)
    w, bias, scales = safe_channels(w, bias, _filter_scales(values, op, len(w), axis), x.type.scale / of_y["y_scale"])
    stored = {f"{label}.weight": w, f"{label}.bias": bias, f"{label}.weight_scale": scales}
    reach = np.abs(bias.astype(np.float64)) + 255 * np.abs(w.astype(np.float64)).sum(axis=(1, 2, 3))
    _require_int32(values, op, reach, scales * x.type.scale / of_y["y_scale"])
    weight, b, s = (values.parameter(name, array) for name, array in stored.items())
    of_x = {"x_scale": x.type.scale, "x_zero_point": x.type.zero_point}
    m = values.build.op("qnn.requantization", s, x_scale=x.type.scale, y_scale=of_y["y_scale"], form=values.form,
                        label=f"{label}.factors")  # fmt: skip
    return values.build.op("qnn.conv2d", x, weight, b, m, channels=len(w), kernel_size=w.shape[2:], form=values.form,
                           clip=_clip(values, op, **of_y), label=label, **of_x, **of_y, **attrs)  # fmt: skip


def _filter_scales(values: Values, op: Operator, filters: int, axis: int) -> np.ndarray:
    """One scale a filter, float32."""
    tensor, where = values.tensor(op, 1), values.network.where(op)
    if len(tensor.scales) not in (1, filters) or (len(tensor.scales) > 1 and tensor.axis != axis):
        found = f"{len(tensor.scales)} scales along axis {tensor.axis}"
        raise ModelError(f"{where}: its weights have {found}; they need one, or {filters} along axis {axis}")
    if tensor.zero_points.any():
        raise ModelError(f"{where}: its weights have a zero point that is not zero, which is not supported")
    if not ((tensor.scales >= SCALES[0]) & (tensor.scales <= SCALES[1])).all():
        raise ModelError(f"{where}: a scale of its weights is {tensor.scales.min():g} or beyond what int8 can have")
    return np.resize(tensor.scales, filters).astype(np.float32)


def _require_int32(values: Values, op: Operator, reach, factor) -> None:
    """Sums of up to `reach` are shifted left by the whole bits of `factor`: beyond int32, C would tell other things."""
    if not np.max(reach * np.maximum(2.0 * factor, 1)) < 2**31:
        raise ModelError(f"{values.network.where(op)}: the scale of its result is too small for sums of 32 bits")


def _real(values: Values, op: Operator, w: np.ndarray, axis: int) -> np.ndarray:
    """Weights of a float32 layer; int8 ones as the real numbers they stand for."""
    if w.dtype == np.int8:
        return w.astype(np.float32) * _filter_scales(values, op, len(w), axis).reshape(-1, *[1] * (w.ndim - 1))
    if w.dtype != np.float32:
        raise ModelError(f"{values.network.where(op)}: its weights are {w.dtype}; float32 and int8 are supported")
    return w


def _biased(values: Values, op: Operator, y: Value, label: str) -> Value:
    bias = values.constant(op, 2, rank=1)
    if bias is None:
        return y
    if bias.dtype != np.float32:
        raise ModelError(f"{values.network.where(op)}: its bias is {bias.dtype}; it needs to be float32")
    return values.build.bias_add(y, values.parameter(f"{label}.bias", bias), label=f"{label}.bias_add")


def _activated(values: Values, op: Operator, y: Value, label: str) -> Value:
    """The activation fused into a float32 operator."""
    activation = values.option(op, "activation")
    if activation == NONE:
        return y
    if activation not in (RELU, RELU6):
        name = ACTIVATIONS.get(activation, activation)
        raise ModelError(f"{values.network.where(op)}: its activation, {name}, is not supported")
    name = "relu" if activation == RELU else "relu6"
    return values.build.op(f"nn.{name}", y, label=f"{label}.{name}")


def _clip(values: Values, op: Operator, y_scale: float, y_zero_point: int, activation: int | None = None):
    """The int8 values that an activation lets through (CalculateActivationRangeQuantized, kernels/kernel_util.cc)."""
    activation = values.option(op, "activation") if activation is None else activation
    if activation not in RANGES:
        name = ACTIVATIONS.get(activation, activation)
        raise ModelError(f"{values.network.where(op)}: its activation, {name}, is not supported")

    def stored(real: float | None, limit: int) -> int:
        if real is None:
            return limit
        steps = np.float32(real) / np.float32(y_scale)
        whole = floor(abs(steps) + 0.5) * (1 if steps >= 0 else -1)
        return min(max(y_zero_point + whole, -128), 127)

    low, high = RANGES[activation]
    return stored(low, -128), stored(high, 127)


def _window(values: Values, op: Operator, shape, kernel) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """Strides, and the padding that SAME asks for (kernels/padding.h): what is odd goes to bottom and right."""
    strides, kind = (values.option(op, "stride_h"), values.option(op, "stride_w")), values.option(op, "padding")
    if kind not in (SAME, VALID) or min(strides) < 1 or max(*strides, *kernel) > LARGEST_WINDOW:
        where = values.network.where(op)
        raise ModelError(f"{where}: a window of {kernel}, strides {strides} or padding {kind} make no sense")
    if kind == VALID:
        return strides, (0, 0, 0, 0)
    sizes = zip(shape[2:], strides, kernel, strict=True)
    missing = [max(0, (ceil(size / stride) - 1) * stride + k - size) for size, stride, k in sizes]
    before = [each // 2 for each in missing]
    return strides, (*before, missing[0] - before[0], missing[1] - before[1])


def add(values: Values, op: Operator) -> Held:
    a, b = values.operand(op, 0), values.operand(op, 1)
    label, build, image = values.label(op, "add"), values.build, a.image
    if a.image != b.image:
        a, b, image = Held(values.in_order(a)), Held(values.in_order(b)), None
    a, b = a.value, b.value
    if a.shape != b.shape:
        raise ModelError(
            f"{values.network.where(op)}: operands of different shapes are not supported: {a.type}, {b.type}"
        )
    if a.type.dtype != "int8":
        return Held(_activated(values, op, build.add(a, b, label=label), label), image)
    of_y = values.result_quantization(op)
    _require_int32(values, op, 2**28, max(a.type.scale, b.type.scale) / of_y["y_scale"] / 2**19)
    y = build.op(
        "qnn.add", a, b, a_scale=a.type.scale, a_zero_point=a.type.zero_point, b_scale=b.type.scale,
        b_zero_point=b.type.zero_point, clip=_clip(values, op, **of_y), form=values.form, label=label, **of_y,
    )  # fmt: skip
    return Held(y, image)


def average_pool_2d(values: Values, op: Operator) -> Held:
    x, size, strides, padding = _pool(values, op)
    label = values.label(op, "avg_pool", ending="AvgPool")
    window = {"pool_size": size, "strides": strides, "padding": padding, "label": label}
    if x.type.dtype != "int8":
        return Held(_activated(values, op, values.build.avg_pool2d(x, **window), label))
    of_y = values.result_quantization(op)
    y = values.build.op("qnn.avg_pool2d", x, x_scale=x.type.scale, x_zero_point=x.type.zero_point, form="tflite",
                        clip=_clip(values, op, **of_y), **of_y, **window)  # fmt: skip
    return Held(y)


def max_pool_2d(values: Values, op: Operator) -> Held:
    x, size, strides, padding = _pool(values, op)
    label = values.label(op, "max_pool", ending="MaxPool")
    y = values.build.max_pool2d(x, pool_size=size, strides=strides, padding=padding, label=label)
    if x.type.dtype != "int8":
        return Held(_activated(values, op, y, label))
    of_y = values.result_quantization(op)
    if (of_y["y_scale"], of_y["y_zero_point"]) != (x.type.scale, x.type.zero_point):
        raise ModelError(f"{values.network.where(op)} has other scales in than out")
    clip = _clip(values, op, **of_y)
    return Held(y if clip == (-128, 127) else _requantized(values, op, y, of_y, clip, f"{label}.clip"))


def _pool(values: Values, op: Operator):
    x, size = values.image(op).value, (values.option(op, "height"), values.option(op, "width"))
    if min(size) < 1:
        raise ModelError(f"{values.network.where(op)}: a window of {size} makes no sense")
    return x, size, *_window(values, op, x.shape, size)


def mean(values: Values, op: Operator) -> Held:
    x, axes = values.operand(op), values.required(op, 1)
    if x.value.rank != 4 or sorted(int(axis) % 4 for axis in axes.reshape(-1)) != [1, 2] or axes.dtype != np.int32:
        raise ModelError(f"{values.network.where(op)}: only the mean over height and width is supported")
    label, x = values.label(op, "mean"), x.value
    if x.type.dtype == "int8":
        of_y, pixels = values.result_quantization(op), x.shape[2] * x.shape[3]
        _require_int32(values, op, 255 * pixels, x.type.scale / of_y["y_scale"])
        y = values.build.op("qnn.global_avg_pool2d", x, x_scale=x.type.scale, x_zero_point=x.type.zero_point,
                            form=values.form, label=label, **of_y)  # fmt: skip
    else:
        y = values.build.global_avg_pool2d(x, label=label)
    return values.reshaped(Held(y), values.result(op).shape, f"{label}.flatten")


def pad(values: Values, op: Operator) -> Held:
    x, sizes = values.image(op).value, values.required(op, 1)
    if sizes.shape != (4, 2) or sizes.min() < 0 or sizes[[0, 3]].any():
        raise ModelError(f"{values.network.where(op)}: only height and width can be padded; got {sizes.tolist()}")
    if x.type.dtype == "int8" and tuple(values.result_quantization(op).values()) != (x.type.scale, x.type.zero_point):
        raise ModelError(f"{values.network.where(op)} has other scales in than out")
    (top, bottom), (left, right) = sizes[1:3].tolist()
    return Held(x, zeros=(top, left, bottom, right))


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


def softmax(values: Values, op: Operator) -> Held:
    x, where = values.in_order(values.operand(op)), values.network.where(op)
    behind = {other.name for other in values.network.operators[op.number + 1 :]}
    if values.logits or not behind <= BEHIND_SOFTMAX:
        raise ModelError(f"{where} is not supported before the end of a network")
    beta = values.option(op, "beta")
    if x.rank != 2 or not 0 < beta < 1e6:
        raise ModelError(f"{where}: x is (batch, classes) and beta positive; got {x.type}, {beta}")
    label, build = values.label(op, "softmax"), values.build
    values.logits = x, len(build.nodes)
    if x.type.dtype != "int8":
        if beta != 1:
            raise ModelError(f"{where}: a beta of {beta:g} is not supported")
        return Held(build.op("nn.softmax", x, label=label))
    if values.result_quantization(op) != {"y_scale": 1 / 256, "y_zero_point": -128}:
        raise ModelError(f"{where}: an int8 softmax gives scale 1/256 and zero point -128")
    return Held(build.op("qnn.softmax", x, x_scale=x.type.scale, beta=beta, label=label))


def quantize(values: Values, op: Operator) -> Held:
    x, of_y = values.operand(op), values.result_quantization(op)
    label = values.label(op, "quantize")
    if x.value.type.dtype == "int8":
        return Held(_requantized(values, op, x.value, of_y, (-128, 127), label), x.image)
    y = values.build.op("qnn.quantize", x.value, scale=of_y["y_scale"], zero_point=of_y["y_zero_point"],
                        form=values.form, label=label)  # fmt: skip
    return Held(y, x.image)


def dequantize(values: Values, op: Operator) -> Held | None:
    """Of an activation a node; of what the file stores, int8 or float16, a constant."""
    if op.inputs[0] in values.constants:
        stored, tensor = values.constants[op.inputs[0]], values.tensor(op, 0)
        values.constants[op.outputs[0]] = _dequantized(values, op, stored, tensor)
        return None
    x = values.operand(op)
    kind = x.value.type
    y = values.build.op("qnn.dequantize", x.value, scale=kind.scale, zero_point=kind.zero_point,
                        label=values.label(op, "dequantize"))  # fmt: skip
    return Held(y, x.image)


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
        return Held(values.build.op(f"nn.{name}", x.value, label=label), x.image)
    of_y = values.result_quantization(op)
    return Held(
        _requantized(values, op, x.value, of_y, _clip(values, op, **of_y, activation=activation), label), x.image
    )


def _requantized(values: Values, op: Operator, x: Value, of_y: dict, clip, label: str) -> Value:
    _require_int32(values, op, 255, x.type.scale / of_y["y_scale"])
    return values.build.op("qnn.requantize", x, x_scale=x.type.scale, x_zero_point=x.type.zero_point, clip=clip,
                           form=values.form, label=label, **of_y)  # fmt: skip


@dataclass(frozen=True)
class Imported:
    """How an operator is imported, and a line about it."""

    convert: Callable[[Values, Operator], Held | None]
    about: str


OPERATORS = {
    "ADD": Imported(add, "of two tensors of one shape; activation fused"),
    "AVERAGE_POOL_2D": Imported(average_pool_2d, "padding does not count; activation fused"),
    "CONV_2D": Imported(conv2d, "any stride, padding, dilation, groups; scales per tensor or filter; activation fused"),
    "DEPTHWISE_CONV_2D": Imported(depthwise_conv2d, "any depth multiplier, else as CONV_2D"),
    "DEQUANTIZE": Imported(dequantize, "int8 to float32; stored int8 and float16 weights become float32"),
    "EXPAND_DIMS": Imported(reshape, "another shape"),
    "FULLY_CONNECTED": Imported(fully_connected, "scales per tensor or per output; activation fused"),
    "MAX_POOL_2D": Imported(max_pool_2d, "activation fused"),
    "MEAN": Imported(mean, "over height and width"),
    "PACK": Imported(of_shapes, "to make the shape of a RESHAPE"),
    "PAD": Imported(pad, "height and width with zeros, before convolutions"),
    "QUANTIZE": Imported(quantize, "float32 to int8, and int8 to another scale"),
    "RELU": Imported(relu, "alone; int8 to another scale too"),
    "RELU6": Imported(relu6, "alone; int8 to another scale too"),
    "RESHAPE": Imported(reshape, "another shape"),
    "SHAPE": Imported(of_shapes, "to make the shape of a RESHAPE"),
    "SOFTMAX": Imported(softmax, "at the end: training computes its loss from the logits"),
    "SQUEEZE": Imported(reshape, "another shape"),
    "STRIDED_SLICE": Imported(of_shapes, "to make the shape of a RESHAPE"),
}  # fmt: skip
