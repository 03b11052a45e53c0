"""Convolutions, products and norms of ONNX files: what they store becomes parameters that can be trained."""

from math import prod
from typing import Any

import numpy as np

from workbench.errors import ModelError
from workbench.frontends.emitter import Operand, shape_of
from workbench.frontends.onnx.shared import (
    Call,
    Imported,
    Pads,
    array_of,
    at_most,
    axes_of,
    axis_of,
    each_one,
    pads_of,
    several,
)
from workbench.frontends.weight import Weight
from workbench.ir.build import Value
from workbench.ir.types import Ints


def conv(call: Call, x, w, b=None) -> Operand:
    w, b, axes = each_one(call.parameter(w, "weight")), call.parameter(b, "bias"), _axes(x, w)
    strides, dilation = several(call, "strides", axes), several(call, "dilations", axes)
    _require_kernel(call, w)
    window = tuple(d * (k - 1) + 1 for k, d in zip(shape_of(w)[2:], dilation, strict=True))
    return call.emit.conv(x, w, b, strides=strides, pads=pads_of(call, shape_of(x)[2:], window, strides),
                          dilation=dilation, groups=call.whole("group", 1), label=call.label)  # fmt: skip


def conv_transpose(call: Call, x, w, b=None) -> Operand:
    """`output_shape` and auto_pad say how much is cut off; what they ask for beyond all windows is zeros."""
    w, b, axes = each_one(call.parameter(w, "weight")), call.parameter(b, "bias"), _axes(x, w)
    strides, dilation = several(call, "strides", axes), several(call, "dilations", axes)
    more = several(call, "output_padding", axes, 0)
    _require_kernel(call, w)
    full = [s * (n - 1) + d * (k - 1) + 1
            for s, n, d, k in zip(strides, shape_of(x)[2:], dilation, shape_of(w)[2:], strict=True)]  # fmt: skip
    pads = _cut(call, shape_of(x)[2:], strides, full, more)
    how: dict[str, Any] = {"strides": strides, "dilation": dilation, "groups": call.whole("group", 1)}
    if all(low >= 0 and high >= 0 for low, high in pads) and all(m < s for m, s in zip(more, strides, strict=True)):
        return call.emit.conv_transpose(x, w, b, pads=pads, output_padding=more, label=call.label, **how)
    y = call.emit.conv_transpose(x, w, None, pads=[(0, 0)] * axes, output_padding=(0,) * axes, label=call.label, **how)
    around = [(-low, extra - high) for (low, high), extra in zip(pads, more, strict=True)]
    y = call.emit.padded(y, [(0, 0), (0, 0), *around], f"{call.label}.pad")
    return y if b is None else call.of("bias_add", y, b, label=f"{call.label}.bias")


def _cut(call: Call, sizes: Ints, strides: Ints, full: list[int], more: Ints) -> Pads:
    """How much of the full result is cut off, before and behind, an axis."""
    kind, wanted = call.option("auto_pad", "NOTSET"), call.option("output_shape")
    if wanted is None and kind in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [size * stride for size, stride in zip(sizes, strides, strict=True)]
    if wanted is None:
        return pads_of(call, sizes, sizes, strides)
    wanted = [int(each) for each in wanted][-len(sizes) :]
    pads = []
    for each, whole, extra in zip(wanted, full, more, strict=True):
        total = whole + extra - each
        low, high = total // 2, total - total // 2
        pads.append((0, total) if total < 0 else (high, low) if kind == "SAME_LOWER" else (low, high))
    return pads


def _axes(x: Operand | None, w: Operand | None) -> int:
    x, w = each_one(x), each_one(w)
    axes = len(shape_of(w)) - 2
    if axes not in (1, 2):
        raise ModelError(f"works along {axes} axes; 1 and 2 are supported")
    if len(shape_of(x)) != axes + 2:
        raise ModelError(f"its input has the shape {shape_of(x)}; its weights are {shape_of(w)}")
    return axes


def _require_kernel(call: Call, w: Operand) -> None:
    told = call.option("kernel_shape")
    if told is not None and tuple(told) != shape_of(w)[2:]:
        raise ModelError(f"its kernel_shape is {tuple(told)}; its weights are {shape_of(w)}")


def gemm(call: Call, a, b, c=None) -> Operand:
    """alpha · a · b + beta · c."""
    emit, label = call.emit, call.label
    a, b = each_one(a), each_one(call.parameter(b, "weight"))
    if len(shape_of(a)) != 2 or len(shape_of(b)) != 2:
        raise ModelError(f"is of matrices; got {shape_of(a)} and {shape_of(b)}")
    alpha, beta = call.number("alpha", 1.0), call.number("beta", 1.0)
    a = emit.transpose(a, (1, 0), label) if call.whole("transA", 0) else a
    w = b if call.whole("transB", 0) else emit.transpose(b, (1, 0), label)
    outputs = shape_of(w)[0]
    if c is None or beta == 0:
        return _times(call, emit.linear(a, w, None, label), alpha)
    if alpha == beta == 1 and prod(shape_of(c)) == outputs == shape_of(c)[-1:][0]:
        return emit.linear(a, w, emit.reshape(each_one(call.parameter(c, "bias")), (outputs,), label), label)
    y = _times(call, emit.linear(a, w, None, label), alpha)
    return emit.of_two("add", y, _times(call, c, beta), f"{label}.bias")


def _times(call: Call, x: Operand, factor: float) -> Operand:
    return x if factor == 1 else call.emit.of_two("multiply", x, factor, f"{call.label}.factor")


def matmul(call: Call, a, b) -> Operand:
    a, b = each_one(a), each_one(b)
    if isinstance(a, Value) and len(shape_of(b)) == 2:
        b = each_one(call.parameter(b, "weight"))
    if not shape_of(a) or not shape_of(b):
        raise ModelError(f"is of matrices; got {shape_of(a)} and {shape_of(b)}")
    _require_room(call, shape_of(a), shape_of(b))
    y = call.emit.matmul(a, b, call.label)
    if isinstance(y, Value) and isinstance(b, Weight):
        call.products.add(y.name)
    return y


def _require_room(call: Call, a: Ints, b: Ints) -> None:
    """For operands that are repeated along leading axes, zeros are added."""
    outer = np.broadcast_shapes(a[:-2], b[:-2])
    for shape in (a, b) if a[:-2] and b[:-2] else ():
        wanted = at_most((*outer, *shape[-2:]))
        if shape != wanted:
            call.room.take(4 * prod(wanted))
    at_most((*outer, *a[-2:-1], *b[-1:]))


def batch_norm(call: Call, x, gamma, beta, mean, var) -> Operand:
    if call.whole("training_mode", 0):
        raise ModelError("the statistics of the batch itself are not supported", "export it in evaluation mode")
    mean, var = array_of(mean, "means"), array_of(var, "variances")
    channels = shape_of(each_one(x))[1]
    if mean.shape != (channels,) or var.shape != (channels,):
        raise ModelError(f"its means and variances are {mean.shape} and {var.shape}; x has {channels} channels")
    epsilon = call.number("epsilon", 1e-5)
    if not (var + epsilon > 0).all():
        raise ModelError("a variance + epsilon is not positive")
    return call.emit.batch_norm(x, call.parameter(gamma, "weight"), call.parameter(beta, "bias"), mean, var, epsilon,
                                call.label)  # fmt: skip


def layer_norm(call: Call, x, gamma, beta=None) -> list[Operand]:
    """And, where they are read, the mean and 1 / √(variance + epsilon)."""
    emit, label, shape = call.emit, call.label, shape_of(each_one(x))
    first, epsilon = axis_of(call.whole("axis", -1), len(shape)), call.number("epsilon", 1e-5)
    y = emit.layer_norm(x, len(shape) - first, _right(call, gamma, "weight", shape), _right(call, beta, "bias", shape),
                        epsilon, label)  # fmt: skip
    if not any(call.used[1:]):
        return [y]
    axes = range(first, len(shape))
    mean = emit.mean(x, axes, f"{label}.mean", keep=True)
    centred = emit.of_two("subtract", x, mean, f"{label}.mean")
    square = emit.of_two("multiply", centred, centred, f"{label}.variance")
    return [y, mean, call.of("rsqrt", emit.mean(square, axes, f"{label}.variance", keep=True), epsilon=epsilon,
                             label=f"{label}.variance")]  # fmt: skip


def _right(call: Call, x: Operand | None, part: str, shape: Ints) -> Operand | None:
    """A scale or shift as a parameter, without the axes of one element that it may have on the left."""
    x = call.parameter(x, part)
    while x is not None and len(shape_of(x)) > 1 and shape_of(x)[0] == 1 and len(shape_of(x)) > len(shape) - 1:
        x = call.emit.reshape(x, shape_of(x)[1:], call.label)
    return x


def rms_norm(call: Call, x, gamma) -> Operand:
    emit, label, shape = call.emit, call.label, shape_of(each_one(x))
    first = axis_of(call.whole("axis", -1), len(shape))
    square = emit.of_two("multiply", x, x, f"{label}.square")
    inverse = call.of("rsqrt", emit.mean(square, range(first, len(shape)), label, keep=True),
                      epsilon=call.number("epsilon", 1e-5), label=f"{label}.rsqrt")  # fmt: skip
    y = emit.of_two("multiply", x, inverse, f"{label}.normalized")
    return emit.of_two("multiply", y, each_one(call.parameter(gamma, "weight")), f"{label}.scale")


def group_norm(call: Call, x, gamma, beta) -> Operand:
    """Scale and shift are one a channel; before opset 21 one a group."""
    emit, label, shape = call.emit, call.label, shape_of(each_one(x))
    groups, epsilon = call.whole("num_groups", 1), call.number("epsilon", 1e-5)
    gamma, beta = call.parameter(gamma, "weight"), call.parameter(beta, "bias")
    _require_groups(shape, groups)
    if call.opset >= 21:
        return emit.group_norm(x, groups, gamma, beta, epsilon, label)
    y = emit.reshape(emit.group_norm(x, groups, None, None, epsilon, label), (shape[0], groups, -1), label)
    y = emit.of_two("multiply", y, emit.reshape(gamma, (1, groups, 1), label), f"{label}.scale")
    return emit.reshape(
        emit.of_two("add", y, emit.reshape(beta, (1, groups, 1), label), f"{label}.shift"), shape, label
    )


def instance_norm(call: Call, x, gamma, beta) -> Operand:
    shape = shape_of(each_one(x))
    _require_groups(shape, 1)
    return call.emit.group_norm(x, shape[1], call.parameter(gamma, "weight"), call.parameter(beta, "bias"),
                                call.number("epsilon", 1e-5), call.label)  # fmt: skip


def _require_groups(shape: Ints, groups: int) -> None:
    if len(shape) < 3 or groups < 1 or shape[1] % groups:
        raise ModelError(f"{groups} groups do not divide the channels of {shape}")


def mean_variance_norm(call: Call, x) -> Operand:
    emit, label, rank = call.emit, call.label, len(shape_of(each_one(x)))
    axes = axes_of(call.option("axes", (0, 2, 3)), rank)
    centred = emit.of_two("subtract", x, emit.mean(x, axes, label, keep=True), f"{label}.centred")
    square = emit.of_two("multiply", centred, centred, f"{label}.square")
    deviation = call.of("sqrt", emit.mean(square, axes, label, keep=True), label=f"{label}.sqrt")
    return emit.of_two("divide", centred, emit.of_two("add", deviation, 1e-9, f"{label}.epsilon"), label)


def added_bias(call: Call, x: Operand, b: Operand) -> Operand | None:
    """x + b where b is the bias of a product that stands alone, (…, C) + (C,); None where it is not that."""
    shape, size = shape_of(x), shape_of(b)
    if not isinstance(x, Value) or isinstance(b, Value) or len(shape) < 2 or size[-1:] != shape[-1:]:
        return None
    if prod(size) != shape[-1] or x.name not in call.products:
        return None
    emit, label = call.emit, call.label
    bias = call.parameter(b, "bias")
    assert isinstance(bias, Weight)
    flat = emit.reshape(x, (prod(shape[:-1]), shape[-1]), label)
    y = call.of("bias_add", flat, emit.reshape(bias, (shape[-1],), label), label=label)
    return emit.reshape(y, shape, label)


def attention(call: Call, q, k, v, mask=None, past_key=None, past_value=None, lengths=None) -> list[Operand]:
    """softmax(q · kᵀ · scale + mask) · v, of (N, heads, T, C) or (N, T, heads · C)."""
    emit, label = call.emit, call.label
    if (
        lengths is not None
        or call.option("left_window_size") is not None
        or call.option("right_window_size") is not None
    ):
        raise ModelError("lengths and windows of attention are not supported")
    flat, heads, shared_heads = (
        len(shape_of(each_one(q))) == 3,
        call.whole("q_num_heads", 0),
        call.whole("kv_num_heads", 0),
    )
    if flat:
        if heads < 1 or shared_heads < 1:
            raise ModelError("does not say how many heads it has")
        q = _by_heads(call, q, heads)
        k, v = _by_heads(call, each_one(k), shared_heads), _by_heads(call, each_one(v), shared_heads)
    if past_key is not None:
        k = emit.joined([past_key, k], 2, f"{label}.keys")
        v = emit.joined([past_value, v], 2, f"{label}.values")
    present = [k, v]
    (n, heads, length, size), (_, shared_heads, keys, _) = shape_of(q), shape_of(k)
    if heads % shared_heads:
        raise ModelError(f"{shared_heads} heads of keys do not divide {heads}")
    if heads != shared_heads:
        k, v = (_repeated_heads(call, each, heads // shared_heads) for each in (k, v))
    scale = call.number("scale", 0.0) or 1 / float(np.sqrt(size))
    swapped = emit.transpose(k, (0, 1, 3, 2), f"{label}.keys")
    scores = emit.of_two("multiply", emit.matmul(q, swapped, f"{label}.scores"), scale, f"{label}.scaled")
    stages = [scores]  # as qk_matmul_output_mode counts them
    if cap := call.number("softcap", 0.0):
        scores = emit.of_two("multiply", scores, 1 / cap, f"{label}.cap")
        scores = emit.of_two("multiply", call.of("tanh", scores, label=f"{label}.cap"), cap, f"{label}.cap")
    capped, allowed = scores, _mask(call, mask, length, keys, keys - length if past_key is not None else 0)
    if allowed is not None:
        scores = emit.of_two("add", scores, allowed, f"{label}.mask")
    shares = emit.softmax(scores, -1, f"{label}.softmax")
    some = np.ones(1, bool) if not isinstance(allowed, np.ndarray) else (allowed > LOWEST).any(-1, keepdims=True)
    if not np.all(some):  # elsewhere nothing is allowed
        shares = emit.of_two("multiply", shares, np.asarray(some, np.float32), f"{label}.some")
    stages += [capped, scores, shares]
    mode = call.whole("qk_matmul_output_mode", 0)
    leaves_out = call.whole("is_causal", 0) or (isinstance(allowed, np.ndarray) and (allowed <= LOWEST).any())
    if mode == 2 and any(call.used[3:]) and leaves_out:
        raise ModelError("giving scores that its mask leaves out is not supported")
    y = emit.matmul(shares, v, f"{label}.values")
    if flat:
        y = emit.transpose(y, (0, 2, 1, 3), label)
        y = emit.reshape(y, (n, length, heads * shape_of(y)[3]), label)
    return [y, *present, stages[mode]]


def _by_heads(call: Call, x: Operand, heads: int) -> Operand:
    n, length, size = shape_of(x)
    if size % heads:
        raise ModelError(f"{heads} heads do not divide {shape_of(x)}")
    apart = call.emit.reshape(x, (n, length, heads, size // heads), call.label)
    return call.emit.transpose(apart, (0, 2, 1, 3), call.label)


def _repeated_heads(call: Call, x: Operand, times: int) -> Operand:
    n, heads, length, size = shape_of(x)
    apart = call.emit.reshape(x, (n, heads, 1, length * size), call.label)
    many = call.emit.joined([apart] * times, 2, call.label)
    return call.emit.reshape(many, (n, heads * times, length, size), call.label)


LOWEST = -1e9  # in the place of −inf in masks of attention: what its exp makes of it is 0 too


def _additive(allowed: np.ndarray) -> np.ndarray:
    return np.where(allowed, 0, LOWEST).astype(np.float32)


def _mask(call: Call, mask: Operand | None, length: int, keys: int, past: int) -> Operand | None:
    at_most((length, keys))
    causal = np.tril(np.ones((length, keys), bool), past) if call.whole("is_causal", 0) else None
    if isinstance(mask, Value):
        if causal is None:
            return mask
        return call.emit.of_two("add", mask, _additive(causal), f"{call.label}.causal")
    if mask is None and causal is None:
        return None
    values = np.zeros((length, keys), np.float32) if mask is None else array_of(mask, "mask")
    if values.dtype == bool:
        values = _additive(values)
    if values.shape[-1] < keys:
        missing = [(0, 0)] * (values.ndim - 1) + [(0, keys - values.shape[-1])]
        values = np.pad(values, missing, constant_values=LOWEST)
    values = np.maximum(values, np.float32(LOWEST))
    return values if causal is None else np.where(causal, values, np.float32(LOWEST))


OPERATORS = {
    "Attention": Imported(attention, "masks of constants, causal ones, shared heads; without windows"),
    "BatchNormalization": Imported(batch_norm, "with frozen statistics"),
    "Conv": Imported(conv, "of one axis or two; any stride, padding, dilation, groups"),
    "ConvTranspose": Imported(conv_transpose, "of one axis or two; any stride, padding, dilation, groups"),
    "Gemm": Imported(gemm, "either operand transposed, factors, a bias of any shape"),
    "GroupNormalization": Imported(group_norm, "with scale and shift a channel or a group"),
    "InstanceNormalization": Imported(instance_norm, "with scale and shift"),
    "LayerNormalization": Imported(layer_norm, "over any of the last axes"),
    "MatMul": Imported(matmul, "of any rank, as numpy's"),
    "MeanVarianceNormalization": Imported(mean_variance_norm, "over any axes"),
    "RMSNormalization": Imported(rms_norm, "over any of the last axes"),
}
