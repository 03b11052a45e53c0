"""Convolutions and dense layers of .tflite files: their weights, scales and biases become parameters."""

from dataclasses import replace

import numpy as np

from workbench.errors import ModelError
from workbench.frontends.tflite.file import Operator
from workbench.frontends.tflite.shared import activated, int8_range, require_int32, strides_and_padding
from workbench.frontends.tflite.values import Held, Values, nchw
from workbench.frontends.weight import Weight
from workbench.ir.build import Value
from workbench.quantize import emit
from workbench.quantize.safe_channels import SCALES, moved, safe_shifts


def conv2d(values: Values, op: Operator) -> Held:
    x = values.image(op, zeros=True)
    w = values.weight(op, 1, rank=4).transposed((0, 3, 1, 2))
    groups = x.value.shape[1] // w.shape[1] if w.array.size else 0
    if groups * w.shape[1] != x.value.shape[1]:
        where = values.network.where(op)
        raise ModelError(f"{where}: filters of {w.shape[1]} channels do not divide {x.value.shape[1]}")
    return _convolution(values, op, x, w, groups, 0, values.label(op, "conv", 1, "Conv2D"))


def depthwise_conv2d(values: Values, op: Operator) -> Held:
    x = values.image(op, zeros=True)
    w = values.weight(op, 1, rank=4).transposed((3, 0, 1, 2))
    return _convolution(values, op, x, w, x.value.shape[1], 3, values.label(op, "depthwise", 1, "depthwise"))


def _convolution(values: Values, op: Operator, x: Held, w: Weight, groups: int, axis: int, label: str) -> Held:
    dilation = values.option(op, "dilation_h"), values.option(op, "dilation_w")
    kernel = tuple(d * (k - 1) + 1 for k, d in zip(w.shape[2:], dilation, strict=True))
    strides, padding = strides_and_padding(values, op, x.shape, kernel)
    whole = tuple(a + b for a, b in zip(padding, x.zeros or (0, 0, 0, 0), strict=True))
    attrs = {"strides": strides, "padding": whole, "dilation": dilation, "groups": groups}
    if x.value.type.dtype == "int8":
        return Held(_int8_layer(values, op, x.value, w, axis, label, attrs))
    weight = _real_weight(values, op, w, axis, label)
    y = values.build.conv2d(x.value, weight, channels=w.shape[0], kernel_size=w.shape[2:], label=label, **attrs)
    return Held(activated(values, op, _biased(values, op, y, label), label))


def transpose_conv(values: Values, op: Operator) -> Held:
    """To the size that the file says; filters of the float32 operator have input channels first."""
    held = values.operand(op, _places(op)[0])
    x, w, where = held.value, values.weight(op, 1, rank=4).transposed((0, 3, 1, 2)), values.network.where(op)
    shape = nchw(values.result(op).shape)
    if x.rank != 4 or len(shape) != 4 or not w.array.size:
        raise ModelError(f"{where} reads {x.type} and makes {shape}; both need to be images of four axes")
    strides, padding = strides_and_padding(values, op, shape, w.shape[2:])
    full = [(n - 1) * s + k for n, s, k in zip(x.shape[2:], strides, w.shape[2:], strict=True)]
    rest = tuple(
        size - each + a + b for size, each, a, b in zip(shape[2:], full, padding[:2], padding[2:], strict=True)
    )
    if min(rest) < 0:
        raise ModelError(
            f"{where}: {x.type} and filters of {w.shape[2:]} make more than {shape}, which is not supported"
        )
    attrs = {"strides": strides, "padding": padding, "output_padding": rest}
    label = values.label(op, "transposed", 1, "conv2d_transpose")
    if x.type.dtype == "int8":
        return Held(_int8_layer(values, op, x, w, 0, label, attrs, transposed=True))
    real = _real(values, op, w, 0).transposed((1, 0, 2, 3))
    weight = values.parameter(op, f"{label}.weight", real.array, values.stored(op, 1), home=values.home(op, 1, real))
    y = values.build.conv2d_transpose(x, weight, channels=w.shape[0], kernel_size=w.shape[2:], label=label, **attrs)
    return Held(activated(values, op, _biased(values, op, y, label), label))


def _places(op: Operator) -> tuple[int, int]:
    """Which operands of a layer are its input and its bias."""
    return (2, 3) if op.name == "TRANSPOSE_CONV" else (0, 2)


def fully_connected(values: Values, op: Operator) -> Held:
    x, w = values.operand(op), values.weight(op, 1, rank=2)
    if values.option(op, "format"):
        raise ModelError(f"{values.network.where(op)} stores its weights shuffled, which is not supported")
    label = values.label(op, "dense", 1, "MatMul")
    inputs = w.shape[1]
    if not w.array.size or x.value.type.elements % inputs:
        raise ModelError(f"{values.network.where(op)}: weights are {w.shape}, the operand {x.value.type}")
    rows = x.value.type.elements // inputs
    flat = x if x.value.rank == 2 else values.reshaped(x, (rows, inputs), f"{label}.flatten")
    if flat.value.shape != (rows, inputs):
        flat = values.reshaped(flat, (rows, inputs), f"{label}.flatten")
    if flat.image and len(values.sharing(op)) > 1:  # one weight for all of them: in the file's order
        flat = Held(values.in_order(flat))
    if flat.image:
        height, width, channels = flat.image
        w = w.reshaped((w.shape[0], height, width, channels)).transposed((0, 3, 1, 2)).reshaped(w.shape)
    if flat.value.type.dtype == "int8":
        pixel = values.build.reshape(flat.value, newshape=(rows, inputs, 1, 1), label=f"{label}.pixel")
        y = _int8_layer(values, op, pixel, w.reshaped((*w.shape, 1, 1)), 0, label, {})
        y = values.build.batch_flatten(y, label=f"{label}.flatten")
    else:
        y = values.build.dense(flat.value, _real_weight(values, op, w, 0, label), label=label)
        y = activated(values, op, _biased(values, op, y, label), label)
    return values.reshaped(Held(y), values.result(op).shape, f"{label}.shape")


def _int8_layer(
    values: Values,
    op: Operator,
    x: Value,
    stored: Weight,
    axis: int,
    label: str,
    window: dict,
    transposed: bool = False,
) -> Value:
    """The layer with filters `stored` (OIHW), its parameters called as everywhere: .weight, .bias, .weight_scale."""
    where, w, place = values.network.where(op), stored.array, _places(op)[1]
    bias = values.constant(op, place, rank=1)
    has_bias, bias = bias is not None, np.zeros(len(w), np.int32) if bias is None else bias
    if w.dtype != np.int8 or bias.dtype != np.int32 or bias.shape != w.shape[:1]:
        raise ModelError(f"{where}: its input is int8, so weights are int8 and the bias int32 ({len(w)},); got "
                         f"{w.dtype}, {bias.dtype} {bias.shape}")  # fmt: skip
    of_y, scales = values.result_quantization(op), _filter_scales(values, op, len(w), axis)
    shifts = _shifts(values, op, w, bias, scales, x.type.scale / of_y.scale)
    w, bias, scales = moved(w, bias, scales, shifts)
    reach = np.abs(bias.astype(np.float64)) + 255 * np.abs(w.astype(np.float64)).sum(axis=(1, 2, 3))
    require_int32(values, op, reach, scales * x.type.scale / of_y.scale)
    of_w, of_b = values.stored(op, 1), values.stored(op, place)
    weight = values.parameter(op, f"{label}.weight", w, of_w, home=values.home(op, 1, stored))
    of_bias = values.home(op, place, Weight("", bias)) if has_bias else None
    b = values.parameter(op, f"{label}.bias", bias, of_w, of_b, x.type.scale, home=of_bias)  # the scale it counts in
    s = values.parameter(op, f"{label}.weight_scale", scales, of_w)
    if shifts.any():
        values.safe(op, (weight.name, s.name, b.name), place, x.type.scale, shifts != 0)
    return emit.layer(values.build, x, weight, b, s, of_y, transposed=transposed, clip=int8_range(values, op, of_y),
                      form=values.form, label=label, **window)  # fmt: skip


def _shifts(values: Values, op: Operator, w, bias, scales, factor: float) -> np.ndarray:
    """What makes the filters of all layers with this weight safe (see safe_channels)."""
    layers = [(w, bias, factor)]
    for other in values.sharing(op):
        of_x, of_b = _places(other)
        x, y, b = values.tensor(other, of_x), values.result(other), values.stored(other, of_b)
        factors = [float(each.scales[0]) for each in (x, y) if len(each.scales) == 1 and each.scales[0]]
        constant = np.zeros(len(w), np.int32) if b is None else values.constants.get(b)
        fits = constant is not None and constant.shape == bias.shape
        if len(factors) == 2 and fits:  # else it is refused when its turn comes
            layers.append((w, constant, factors[0] / factors[1]))
    return safe_shifts(layers, scales)


def _filter_scales(values: Values, op: Operator, filters: int, axis: int) -> np.ndarray:
    """One scale a filter, float32."""
    tensor, where = values.tensor(op, 1), values.network.where(op)
    if len(tensor.scales) not in (1, filters) or (len(tensor.scales) > 1 and tensor.axis != axis):
        actual = f"{len(tensor.scales)} scales along axis {tensor.axis}"
        raise ModelError(f"{where}: its weights have {actual}; they need one, or {filters} along axis {axis}")
    if tensor.zero_points.any():
        raise ModelError(f"{where}: its weights have a zero point that is not zero, which is not supported")
    if not ((tensor.scales >= SCALES[0]) & (tensor.scales <= SCALES[1])).all():
        raise ModelError(f"{where}: a scale of its weights is {tensor.scales.min():g} or beyond what int8 can have")
    return np.resize(tensor.scales, filters).astype(np.float32)


def _real_weight(values: Values, op: Operator, w: Weight, axis: int, label: str) -> Value:
    real = _real(values, op, w, axis)
    return values.parameter(op, f"{label}.weight", real.array, values.stored(op, 1), home=values.home(op, 1, real))


def _real(values: Values, op: Operator, w: Weight, axis: int) -> Weight:
    """Weights of a float32 layer; int8 ones as the real numbers they stand for."""
    if w.array.dtype == np.int8:
        values.narrow["int8"] = None
        scales = _filter_scales(values, op, len(w.array), axis).reshape(-1, *[1] * (w.array.ndim - 1))
        return replace(w, array=w.array.astype(np.float32) * scales)
    if w.array.dtype != np.float32:
        raise ModelError(f"{values.network.where(op)}: its weights are {w.array.dtype}; float32 and int8 are supported")
    return w


def _biased(values: Values, op: Operator, y: Value, label: str) -> Value:
    place = _places(op)[1]
    bias = values.constant(op, place, rank=1)
    if bias is None:
        return y
    if bias.dtype != np.float32:
        raise ModelError(f"{values.network.where(op)}: its bias is {bias.dtype}; it needs to be float32")
    # Converters merge equal constants: layers that share a bias of zeros have one if they share their weight too.
    apart = values.stored(op, 1) if not bias.any() else "any weight"
    home = values.home(op, place, Weight("", bias))
    b = values.parameter(op, f"{label}.bias", bias, values.stored(op, place), apart, home=home)
    return values.build.bias_add(y, b, label=f"{label}.bias_add")
