"""PyTorch's operators as nodes: one function each, and OPERATORS, the table of them, by their names in core ATen.

What export leaves whole (WHOLE) is taken as it is; everything else comes decomposed. An operator that reads constants
alone never comes here: PyTorch computes it.
"""

from math import inf, prod
from typing import Any

import numpy as np

from workbench.errors import ModelError
from workbench.frontends.emitter import shape_of
from workbench.frontends.torch import movement
from workbench.frontends.torch.shared import Call, Convert, require_rank, several
from workbench.frontends.weight import Weight
from workbench.ir.build import Value

LOWEST = -1e9  # in the place of −inf in masks of attention: what its exp makes of it is 0 too


def conv(call: Call, x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    axes = len(shape_of(w)) - 2
    require_rank(x, axes + 2)
    dilation = several(dilation, axes)
    if isinstance(padding, str):
        total = (
            [(k - 1) * d for k, d in zip(shape_of(w)[2:], dilation, strict=True)] if padding == "same" else [0] * axes
        )
        pads = [(each // 2, each - each // 2) for each in total]
    else:
        pads = [(each, each) for each in several(padding, axes)]
    return call.emit.conv(x, w, b, strides=several(stride, axes), pads=pads, dilation=dilation, groups=groups,
                          label=call.label)  # fmt: skip


def conv_transpose(call: Call, x, w, b=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    axes = len(shape_of(w)) - 2
    require_rank(x, axes + 2)
    pads = [(each, each) for each in several(padding, axes)]
    return call.emit.conv_transpose(
        x, w, b, strides=several(stride, axes), pads=pads, groups=groups, label=call.label,
        dilation=several(dilation, axes), output_padding=several(output_padding, axes),
    )  # fmt: skip


def linear(call: Call, x, w, b=None):
    return call.emit.linear(x, w, b, call.label)


def addmm(call: Call, b, x, w, *, beta=1, alpha=1):
    if (beta, alpha) != (1, 1):
        raise ModelError("factors beside 1 are not supported")
    return call.emit.of_two("add", matmul(call, x, w), b, f"{call.label}.bias")


def matmul(call: Call, a, b):
    return call.emit.matmul(a, b, call.label)


def batch_norm(call: Call, x, gamma, beta, mean, var, momentum, epsilon):
    if mean is None:
        raise ModelError("statistics of the batch itself are not supported", "track_running_stats=True keeps some")
    y = call.emit.batch_norm(x, gamma, beta, mean, var, epsilon, call.label)
    return y, None, None


def layer_norm(call: Call, x, shape, gamma=None, beta=None, epsilon=1e-5, cudnn_enable=True):
    return call.emit.layer_norm(x, len(shape), gamma, beta, epsilon, call.label)


def group_norm(call: Call, x, groups, gamma=None, beta=None, epsilon=1e-5, cudnn_enabled=True):
    return call.emit.group_norm(x, groups, gamma, beta, epsilon, call.label)


def activation(name: str, **fixed: Any) -> Convert:
    def convert(call: Call, x):
        return call.emit.op(name, x, label=call.label, **fixed)

    return convert


def softplus(call: Call, x, beta=1.0, threshold=20.0):
    """log(1 + exp(x · beta)) / beta."""
    if threshold < 15:
        raise ModelError(f"a threshold of {threshold:g} is not supported", "20, PyTorch's own, is")
    if beta == 1:
        return call.emit.op("softplus", x, label=call.label)
    scaled = call.emit.of_two("multiply", x, beta, f"{call.label}.beta")
    return call.emit.of_two("divide", call.emit.op("softplus", scaled, label=call.label), beta, call.label)


def gelu(call: Call, x, *, approximate="none"):
    return call.emit.op("gelu", x, approximate=approximate, label=call.label)


def leaky_relu(call: Call, x, slope=0.01):
    return call.emit.op("leaky_relu", x, alpha=float(slope), label=call.label)


def elu(call: Call, x, alpha=1.0, scale=1, input_scale=1):
    if (scale, input_scale) != (1, 1):
        raise ModelError("scaled forms are not supported")
    return call.emit.op("elu", x, alpha=float(alpha), label=call.label)


def clamp(call: Call, x, low=None, high=None):
    low, high = -inf if low is None else float(low), inf if high is None else float(high)
    if (low, high) in ((0, 6), (0, inf)):
        return call.emit.op("relu6" if high == 6 else "relu", x, label=call.label)
    return call.emit.op("clamp", x, min=low, max=high, label=call.label)


def hardtanh(call: Call, x, low=-1.0, high=1.0):
    return clamp(call, x, low, high)


def power(call: Call, x, exponent):
    emit, label = call.emit, call.label
    if exponent == 1:
        return x
    if exponent == 0.5:
        return emit.op("sqrt", x, label=label)
    if exponent == -0.5:
        return rsqrt(call, x)
    if exponent not in (2, 3, 4, -1, -2):
        raise ModelError(f"the power {float(exponent):g} is not supported", "1 to 4, 0.5, -0.5, -1 and -2 are")
    if exponent == -1:
        return reciprocal(call, x)
    square = emit.of_two("multiply", x, x, label)
    if exponent == -2:
        return reciprocal(call, square)
    return square if exponent == 2 else emit.of_two("multiply", square, x if exponent == 3 else square, label)


def rsqrt(call: Call, x):
    return call.emit.op("rsqrt", x, epsilon=0.0, label=call.label)


def log_sigmoid(call: Call, x):
    """−softplus(−x)."""
    return negative(call, call.emit.op("softplus", negative(call, x), label=call.label))


def of_two(name: str) -> Convert:
    def convert(call: Call, a, b, *, alpha=1, rounding_mode=None):
        if rounding_mode is not None:
            raise ModelError("a division that rounds is not supported")
        b = b if alpha == 1 else call.emit.of_two("multiply", b, alpha, f"{call.label}.alpha")
        return call.emit.of_two(name, a, b, call.label)

    return convert


def negative(call: Call, x):
    return call.emit.of_two("multiply", x, -1.0, call.label)


def reciprocal(call: Call, x):
    return call.emit.of_two("divide", 1.0, x, call.label)


def masked_fill(call: Call, x, mask, value):
    return where(call, mask, value, x)


def where(call: Call, mask, a, b):
    """Of constants as far as they are chosen; what depends on the input is multiplied by 1 where it is, else by 0."""
    if isinstance(mask, Value | Weight):
        raise ModelError("a mask that depends on the input is not supported")
    mask, emit = np.asarray(mask, bool), call.emit
    if mask.all() or not mask.any():
        return movement.expand(call, a if mask.all() else b)
    constant, kept = np.zeros(()), []
    for x, at, name in ((a, mask, "chosen"), (b, ~mask, "otherwise")):
        if isinstance(x, Value | Weight):
            kept.append(emit.of_two("multiply", x, at.astype(np.float32), f"{call.label}.{name}"))
        else:
            constant = constant + np.where(at, np.maximum(np.asarray(x, np.float32), LOWEST), 0)
    y = kept[0] if len(kept) == 1 else emit.of_two("add", kept[0], kept[1], call.label)
    return emit.of_two("add", y, constant.astype(np.float32), call.label) if constant.any() else y


def mean(call: Call, x, axes=None, keep=False, *, dtype=None):
    axes = range(len(shape_of(x))) if axes is None else axes
    return call.emit.mean(x, axes, call.label, keep)


def total(call: Call, x, axes=None, keep=False, *, dtype=None):
    rank = len(shape_of(x))
    axes = [axis % rank for axis in axes] if axes else list(range(rank))
    count = prod(shape_of(x)[axis] for axis in axes)
    return call.emit.of_two("multiply", call.emit.mean(x, axes, call.label, keep), float(count), f"{call.label}.count")


def vector_norm(call: Call, x, order=2, axes=None, keep=False, *, dtype=None):
    if order != 2:
        raise ModelError(f"the norm of order {order} is not supported", "that of order 2 is")
    return call.emit.op("sqrt", total(call, call.emit.of_two("multiply", x, x, call.label), axes, keep),
                        label=call.label)  # fmt: skip


def max_pool(call: Call, x, size, stride=(), padding=0, dilation=1, ceil_mode=False):
    axes = len(shape_of(x)) - 2
    if any(each != 1 for each in several(dilation, axes)):
        raise ModelError("a dilated pooling is not supported")
    size, strides, pads = _window(x, size, stride, padding, ceil_mode)
    return call.emit.pool("max", x, size=size, strides=strides, pads=pads, label=call.label)


def max_pool_with_places(call: Call, *arguments, **how):
    return max_pool(call, *arguments, **how), None


def avg_pool(call: Call, x, size, stride=(), padding=0, ceil_mode=False, include_pad=True, divisor=None):
    if divisor is not None:
        raise ModelError("a divisor of its own is not supported")
    size, strides, pads = _window(x, size, stride, padding, ceil_mode)
    beyond = any(low != high for low, high in pads)
    if include_pad and beyond and any(low for low, _ in pads):
        raise ModelError("padding and ceil_mode together are not supported", "count_include_pad=False makes it so")
    return call.emit.pool("avg", x, size=size, strides=strides, pads=pads, count_include_pad=include_pad and not beyond,
                          label=call.label)  # fmt: skip


def _window(x, size, stride, padding, ceil_mode):
    axes = len(shape_of(x)) - 2
    if axes < 1:
        raise ModelError(f"an input without a batch axis, {shape_of(x)}, is not supported")
    size = several(size, axes)
    strides = several(stride, axes) if stride else size
    pads = [(each, each) for each in several(padding, axes)]
    if ceil_mode:
        for at, length in enumerate(shape_of(x)[2:]):
            low, high = pads[at]
            rest = (length + low + high - size[at]) % strides[at]
            more = strides[at] - rest if rest else 0
            begins = (length + low + high - size[at] + more) // strides[at] * strides[at]  # of the last window
            pads[at] = (low, high + more if begins < length + low else high)
    return size, strides, pads


def adaptive_avg_pool(call: Call, x, size):
    axes = len(call.shape) - 2
    require_rank(x, axes + 2)
    return call.emit.adaptive_pool("avg", x, tuple(call.shape[2:]), call.label)


def adaptive_max_pool(call: Call, x, size):
    shape = call.shape[0] if isinstance(call.shape, list) else call.shape
    require_rank(x, len(shape))
    return call.emit.adaptive_pool("max", x, tuple(shape[2:]), call.label), None


def softmax(log: bool) -> Convert:
    def convert(call: Call, x, axis, *_, **__):
        return call.emit.softmax(x, axis, call.label, log)

    return convert


def attention(call: Call, q, k, v, mask=None, dropout=0.0, causal=False, *, scale=None, enable_gqa=False):
    if enable_gqa:
        raise ModelError("grouped queries are not supported")
    if dropout:
        raise ModelError(f"is {ACTIVE['native_dropout.default']}, which is not supported", OF_MODE)
    if isinstance(mask, Value):
        raise ModelError("a mask that depends on the input is not supported")
    if causal:
        mask = np.tril(np.ones((shape_of(q)[-2], shape_of(k)[-2]), bool))
    if mask is not None and np.asarray(mask).dtype == bool:
        mask = np.where(mask, np.float32(0), np.float32(LOWEST))
    mask = None if mask is None else np.maximum(np.asarray(mask, np.float32), np.float32(LOWEST))
    return call.emit.attention(q, k, v, mask, scale, call.label)


def embedding(call: Call, table, indices, padding=-1, by_frequency=False, sparse=False):
    shape = shape_of(indices)
    flat = call.emit.reshape(indices, (shape[0], prod(shape[1:])), call.label)
    y = call.emit.op("embedding", flat, table, label=call.label)
    return call.emit.reshape(y, (*shape, shape_of(table)[1]), call.label)


def upsample_nearest(call: Call, x, *_, **__):
    require_rank(x, 4)
    return call.emit.op("resize_nearest", x, size=tuple(call.shape[2:]), label=call.label)


ACTIVE = {  # what only training mode has
    "_native_batch_norm_legit_functional.default": "a batch norm by the statistics of the batch itself",
    "native_dropout.default": "dropout that is active",
    "bernoulli.p": "dropout that is active",
}
OF_MODE = "`training=self.training` leaves it to training mode"

WHOLE = frozenset((
    "adaptive_avg_pool1d.default", "adaptive_avg_pool2d.default", "adaptive_max_pool1d.default",
    "adaptive_max_pool2d.default", "avg_pool1d.default", "avg_pool2d.default",
    "conv1d.default", "conv1d.padding", "conv2d.default", "conv2d.padding", "conv_transpose1d.default",
    "conv_transpose2d.input", "elu.default", "embedding.default", "group_norm.default",
    "hardsigmoid.default", "hardswish.default", "layer_norm.default", "linear.default", "log_sigmoid.default",
    "log_softmax.int", "masked_fill.Scalar", "masked_fill.Tensor", "matmul.default", "max_pool1d.default",
    "max_pool2d.default", "pad.default",
    "scaled_dot_product_attention.default", "silu.default", "softmax.int", "softplus.default",
    "upsample_nearest2d.default", "upsample_nearest2d.vec",
))  # fmt: skip

OPERATORS: dict[str, Convert] = {
    **dict.fromkeys(("adaptive_avg_pool1d.default", "adaptive_avg_pool2d.default", "_adaptive_avg_pool2d.default"),
                    adaptive_avg_pool),
    **dict.fromkeys(("adaptive_max_pool1d.default", "adaptive_max_pool2d.default"), adaptive_max_pool),
    **dict.fromkeys(("add.Tensor", "add.Scalar"), of_two("add")),
    **dict.fromkeys(("sub.Tensor", "sub.Scalar"), of_two("subtract")),
    **dict.fromkeys(("mul.Tensor", "mul.Scalar"), of_two("multiply")),
    **dict.fromkeys(("div.Tensor", "div.Scalar", "div.Tensor_mode"), of_two("divide")),
    **dict.fromkeys(("avg_pool1d.default", "avg_pool2d.default"), avg_pool),
    **dict.fromkeys(("max_pool1d.default", "max_pool2d.default"), max_pool),
    "max_pool2d_with_indices.default": max_pool_with_places,
    **dict.fromkeys(("conv1d.default", "conv1d.padding", "conv2d.default", "conv2d.padding"), conv),
    **dict.fromkeys(("conv_transpose1d.default", "conv_transpose2d.input"), conv_transpose),
    **dict.fromkeys(("matmul.default", "mm.default", "bmm.default"), matmul),
    "addmm.default": addmm,
    "linear.default": linear,
    "_native_batch_norm_legit_no_training.default": batch_norm,
    "linalg_vector_norm.default": vector_norm,
    "layer_norm.default": layer_norm,
    "group_norm.default": group_norm,
    "scaled_dot_product_attention.default": attention,
    "embedding.default": embedding,
    "relu.default": activation("relu"),
    "sigmoid.default": activation("sigmoid"),
    "tanh.default": activation("tanh"),
    "hardswish.default": activation("hard_swish"),
    "hardsigmoid.default": activation("hard_sigmoid"),
    "silu.default": activation("silu"),
    "exp.default": activation("exp"),
    "log.default": activation("log"),
    "sqrt.default": activation("sqrt"),
    "abs.default": activation("abs"),
    "softplus.default": softplus,
    "gelu.default": gelu,
    "leaky_relu.default": leaky_relu,
    "elu.default": elu,
    "hardtanh.default": hardtanh,
    "clamp.default": clamp,
    "pow.Tensor_Scalar": power,
    "rsqrt.default": rsqrt,
    "neg.default": negative,
    "reciprocal.default": reciprocal,
    "log_sigmoid.default": log_sigmoid,
    "maximum.default": of_two("maximum"),
    "minimum.default": of_two("minimum"),
    "where.self": where,
    **dict.fromkeys(("masked_fill.Scalar", "masked_fill.Tensor"), masked_fill),
    **dict.fromkeys(("softmax.int", "_softmax.default"), softmax(False)),
    **dict.fromkeys(("log_softmax.int", "_log_softmax.default"), softmax(True)),
    **dict.fromkeys(("mean.dim", "mean.default"), mean),
    "sum.dim_IntList": total,
    **movement.OPERATORS,
    **dict.fromkeys(("upsample_nearest2d.vec", "upsample_nearest2d.default"), upsample_nearest),
}  # fmt: skip
ENDS = {"softmax.int": "softmax", "_softmax.default": "softmax", "log_softmax.int": "log-softmax",
        "_log_softmax.default": "log-softmax", "sigmoid.default": "sigmoid"}  # fmt: skip
