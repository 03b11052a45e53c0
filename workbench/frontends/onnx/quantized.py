"""int8 networks: QuantizeLinear and DequantizeLinear around float32 operators (QDQ) become operators on int8.

    x ── Q ── DQ ── Conv ── Relu ── Q ── DQ ──        qnn.quantize ── qnn.conv2d, clipped ──
    DQ ── Reshape, Transpose, MaxPool, … ──           the same operator on int8
    DQ ── anything else ── Q                          qnn.dequantize ── the float32 operator ── qnn.quantize

uint8 is int8 shifted by 128, its zero point too. Weights are int8 with one scale a tensor or a filter and no zero
point, biases int32 in units of both scales. Sums are rescaled in form "rounded": by a multiplier of 32 bits, halves up,
once (see ops/_quantized). onnxruntime computes the factor in float32 and rounds halves to even, so that its results
may be a step apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, prod
from typing import Any

import numpy as np

from workbench.errors import ModelError
from workbench.frontends.emitter import Emitter, shape_of
from workbench.frontends.onnx.file import Operator
from workbench.frontends.onnx.shared import Call, axes_of, pads_of, several, whole_numbers
from workbench.ir import op as ops
from workbench.ir.build import Value
from workbench.ir.types import Ints
from workbench.quantize import emit
from workbench.quantize.quantization import LIMITS, Quantization
from workbench.quantize.safe_channels import SCALES, safe_channels

Q, DQ = "QuantizeLinear", "DequantizeLinear"
UNCHANGED = {"Flatten", "Identity", "MaxPool", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze", "Dropout"}
SHIFT = 128  # from uint8 to int8
TABLES = {"Sigmoid": "sigmoid", "Tanh": "tanh", "HardSwish": "hard_swish", "LeakyRelu": "leaky_relu", "Gelu": "gelu",
          "HardSigmoid": "hard_sigmoid", "Swish": "silu"}  # fmt: skip


@dataclass(frozen=True)
class Stored:
    """Integers of the file and what they are worth: one scale, or one for each element of an axis."""

    name: str
    values: np.ndarray
    scales: np.ndarray
    zero_points: np.ndarray
    axis: int

    def real(self) -> np.ndarray:
        along = [-1 if at == self.axis and self.scales.size > 1 else 1 for at in range(self.values.ndim)]
        scales, zeros = (each.reshape(along) if each.size > 1 else each for each in (self.scales, self.zero_points))
        return ((self.values.astype(np.float64) - zeros) * scales).astype(np.float32)

    def filter_scales(self, filters: int, axis: int) -> np.ndarray:
        """One a filter, float32; the filters lie along `axis`."""
        if self.values.dtype != np.int8:
            raise ModelError(f"its weights are {self.values.dtype}; with an int8 input they need to be int8 or uint8")
        if self.zero_points.any():
            raise ModelError("its weights have a zero point that is not zero, which is not supported")
        if self.scales.size not in (1, filters) or (self.scales.size > 1 and self.axis % self.values.ndim != axis):
            raise ModelError(f"its weights have {self.scales.size} scales along axis {self.axis}; they need one, or "
                             f"{filters} along axis {axis}")  # fmt: skip
        if not ((self.scales >= SCALES[0]) & (self.scales <= SCALES[1])).all():
            raise ModelError("a scale of its weights is beyond what int8 can have")
        return np.resize(self.scales, filters).astype(np.float32)


def stored(name: str, operands: Sequence[np.ndarray | None], axis: int) -> Stored:
    """What a DequantizeLinear reads, all of it constants; uint8 as int8."""
    values, scales, *zero = operands
    if values is None or scales is None or values.dtype.kind not in "iu" or scales.dtype.kind != "f" or scales.ndim > 1:
        raise ModelError("is supported of whole numbers with one scale, or one for each element of an axis")
    zeros = np.zeros(1, np.int64) if not zero or zero[0] is None else zero[0].reshape(-1).astype(np.int64)
    fits = scales.size == 1 or (-values.ndim <= axis < values.ndim and values.shape[axis] == scales.size)
    if not fits or zeros.size not in (1, scales.size):
        raise ModelError(f"has {scales.size} scales and {zeros.size} zero points along axis {axis} of {values.shape}")
    if values.dtype == np.uint8:
        values, zeros = (values.astype(np.int16) - SHIFT).astype(np.int8), zeros - SHIFT
    return Stored(name, values, scales.reshape(-1), zeros, axis % max(1, values.ndim))


def quantization(scale: np.ndarray | None, zero: np.ndarray | None, dtype: np.dtype) -> Quantization:
    """Of an activation, which has one; `dtype`: of its integers."""
    if dtype not in (np.int8, np.uint8):
        raise ModelError(f"activations of {dtype} are not supported", "int8 and uint8 are")
    if scale is None:
        raise ModelError("lacks its scale, or has one that depends on the input")
    if scale.size != 1 or (zero is not None and zero.size != 1):
        raise ModelError("scales of the elements of an axis are supported of weights alone")
    number = float(scale.reshape(())) if scale.dtype.kind == "f" else 0.0
    zero_point = (0 if zero is None else int(zero.reshape(()))) - (SHIFT if dtype == np.uint8 else 0)
    if not (SCALES[0] <= number <= SCALES[1] and -128 <= zero_point <= 127):
        raise ModelError(f"a scale of {number:g} and a zero point of {zero_point} are not those of int8")
    return Quantization(number, zero_point)


@dataclass(frozen=True)
class Group:
    """A float32 operator between int8 values: its operands, the scale of its result and what is clipped there."""

    node: Operator
    call: Call
    operands: tuple[Value | Stored | np.ndarray | None, ...]
    y: Quantization
    clip: tuple[int, int]

    @property
    def x(self) -> Value:
        assert isinstance(self.operands[0], Value)
        return self.operands[0]


def clipped(y: Quantization, low: float, high: float) -> tuple[int, int]:
    """The integers that stand for the real numbers of [low, high]."""
    return (LIMITS[0] if low == -inf else y.stored(low)), (LIMITS[1] if high == inf else y.stored(high))


def converted(group: Group) -> Value | None:
    """The int8 form of a group; None where it has none, and is computed in float32."""
    convert = FORMS.get(group.node.name)
    return None if convert is None or not isinstance(group.operands[0], Value | Stored) else convert(group)


def _conv(group: Group) -> Value | None:
    weight, x, call = group.operands[1], group.x, group.call
    if not isinstance(weight, Stored):
        return None
    w, axes = weight.values, weight.values.ndim - 2
    if axes not in (1, 2) or x.rank != w.ndim:
        raise ModelError(f"works along {axes} axes of {x.shape}; 1 and 2 are supported")
    transposed = group.node.name == "ConvTranspose"
    groups = call.whole("group", 1)
    if transposed and (
        groups > 1 or any(d > 1 for d in several(call, "dilations", axes)) or "output_shape" in call.options
    ):
        return None
    filters = 1 if transposed else 0
    scales = weight.filter_scales(w.shape[filters], filters)
    w = w.swapaxes(0, 1) if transposed else w
    strides, dilation = several(call, "strides", axes), several(call, "dilations", axes)
    window = tuple(d * (k - 1) + 1 for k, d in zip(w.shape[2:], dilation, strict=True))
    pads = pads_of(call, x.shape[2:], window, strides)
    if axes == 1:
        x, w = _row(x, call), w[:, :, None]
        strides, dilation, pads = (1, *strides), (1, *dilation), [(0, 0), *pads]
    top_left, bottom_right = zip(*pads, strict=True)
    attrs: dict[str, Any] = {"strides": strides, "padding": (*top_left, *bottom_right)}
    if transposed:
        more = several(call, "output_padding", axes, 0)
        attrs["output_padding"] = (0, *more) if axes == 1 else more
    else:
        attrs |= {"dilation": dilation, "groups": groups}
    y = _layer(group, weight, x, w, scales, attrs, transposed)
    return call.emit.build.reshape(y, newshape=(*y.shape[:2], y.shape[3])) if axes == 1 else y


def _row(x: Value, call: Call) -> Value:
    return call.emit.build.reshape(x, newshape=(*x.shape[:2], 1, x.shape[2]), label=call.label)


def _dense(group: Group) -> Value | None:
    """Over the last axis; a convolution over one pixel."""
    weight, x, call = group.operands[1], group.x, group.call
    if not isinstance(weight, Stored) or weight.values.ndim != 2:
        return None
    gemm = group.node.name == "Gemm"
    if gemm and (call.whole("transA", 0) or call.number("alpha", 1.0) != 1 or call.number("beta", 1.0) != 1):
        return None
    filters = 0 if gemm and call.whole("transB", 0) else 1
    w, shape = weight.values if filters == 0 else weight.values.T, x.shape
    if shape[-1] != w.shape[1]:
        raise ModelError(f"its weights are {weight.values.shape}; its input has the shape {shape}")
    scales, build = weight.filter_scales(len(w), filters), call.emit.build
    pixel = build.reshape(x, newshape=(prod(shape[:-1]), shape[-1], 1, 1), label=f"{call.label}.pixel")
    y = _layer(group, weight, pixel, w[:, :, None, None], scales, {}, False)
    return build.reshape(y, newshape=(*shape[:-1], len(w)), label=f"{call.label}.shape")


def _layer(group: Group, weight: Stored, x: Value, w: np.ndarray, scales: np.ndarray, window: dict,
           transposed: bool) -> Value:  # fmt: skip
    call, x_scale = group.call, x.type.scale
    bias = group.operands[2] if len(group.operands) > 2 else None
    if isinstance(bias, Value):
        raise ModelError("its bias depends on the input, which is not supported")
    units = scales.astype(np.float64) * x_scale
    if isinstance(bias, Stored) and bias.values.dtype == np.int32 and bias.values.size == len(w) and (
            np.allclose(bias.scales, units, rtol=1e-3) and not bias.zero_points.any()):  # fmt: skip
        b = bias.values.reshape(-1)
    else:
        real = np.zeros(1) if bias is None else bias.real() if isinstance(bias, Stored) else bias
        if real.size not in (1, len(w)):
            raise ModelError(f"its bias is {real.shape}; it has {len(w)} filters")
        b = np.clip(np.rint(np.resize(real, len(w)) / units), -(2**31) + 1, 2**31 - 1).astype(np.int32)
    w, b, scales = safe_channels(np.ascontiguousarray(w), b, scales, x_scale / group.y.scale)
    reach = np.abs(b.astype(np.float64)) + 255 * np.abs(w.astype(np.float64)).sum(axis=(1, 2, 3))
    if not np.max(reach * np.maximum(2.0 * scales * x_scale / group.y.scale, 1)) < 2**31:
        raise ModelError("the scale of its result is too small for sums of 32 bits")
    name = weight.name
    of_b = bias.name if isinstance(bias, Stored) else f"{_stem(name)}.bias"
    weights, biases = _parameter(call, name, w), _parameter(call, of_b, b)
    factors = _parameter(call, f"{name}_scale", scales)
    return emit.layer(call.emit.build, x, weights, biases, factors, group.y, label=call.label, transposed=transposed,
                      clip=group.clip, **window)  # fmt: skip


def _stem(name: str) -> str:
    """conv of conv.weight and of conv.weight_quantized."""
    return name.removesuffix("_quantized").removesuffix(".weight")


def _parameter(call: Call, name: str, values: np.ndarray) -> Value:
    known = call.emit.weights.get(name)
    if known is not None and not np.array_equal(known, values):
        raise ModelError(f"has {name} of another layer, but in other units, which is not supported")
    return emit.parameter(call.emit.build, call.emit.weights, name, np.ascontiguousarray(values))


def _of_two(name: str) -> Callable[[Group], Value | None]:
    def convert(group: Group) -> Value | None:
        call, operands, scales = group.call, [], []
        rank = max(len(_shape(each)) for each in group.operands)
        for each in group.operands:
            shape = (1,) * (rank - len(_shape(each))) + tuple(_shape(each))
            if isinstance(each, Stored):
                if each.values.dtype != np.int8 or each.scales.size != 1:
                    return None
                operands.append(_parameter(call, each.name, each.values.reshape(shape)))
                scales.append(Quantization(float(each.scales[0]), int(each.zero_points[0])))
            elif isinstance(each, Value):
                wide = each.shape == shape
                operands.append(each if wide else call.emit.build.reshape(each, newshape=shape, label=call.label))
                scales.append(Quantization.of(each.type))
            else:
                return None
        a, b = scales
        largest = a.scale * b.scale / group.y.scale * 2**16 if name == "multiply" else (
            max(a.scale, b.scale) / group.y.scale * 2**9)  # fmt: skip
        if not largest < 2**31:
            raise ModelError("the scale of its result is too small for sums of 32 bits")
        return emit.of_two(call.emit.build, name, (operands[0], operands[1]), (a, b), group.y, clip=group.clip,
                           label=call.label)  # fmt: skip

    return convert


def _shape(x: Value | Stored | np.ndarray | None) -> Ints:
    return () if x is None else x.values.shape if isinstance(x, Stored) else shape_of(x)


def _average_pool(group: Group) -> Value | None:
    call, x = group.call, group.x
    if x.rank not in (3, 4) or any(call.option("pads", ())) or call.whole("ceil_mode", 0):
        return None
    axes = x.rank - 2
    if call.option("auto_pad", "NOTSET") not in ("NOTSET", "VALID", "") or max(several(call, "dilations", axes)) > 1:
        return None
    size, strides = several(call, "kernel_shape", axes), several(call, "strides", axes)
    if axes == 1:
        x, size, strides = _row(x, call), (1, *size), (1, *strides)
    y = emit.average(call.emit.build, x, group.y, clip=group.clip, label=call.label, padding=(0, 0, 0, 0),
                     pool_size=size, strides=strides)  # fmt: skip
    return call.emit.build.reshape(y, newshape=(*y.shape[:2], y.shape[3]), label=call.label) if axes == 1 else y


def _global_average(group: Group) -> Value | None:
    if group.x.rank != 4:
        return _average(group, list(range(2, group.x.rank)), True)
    _require_sums(group, prod(group.x.shape[2:]))
    return emit.average(group.call.emit.build, group.x, group.y, clip=group.clip, label=group.call.label)


def _reduce_mean(group: Group) -> Value | None:
    given = group.call.option("axes") if len(group.operands) < 2 else group.operands[1]
    if given is None or isinstance(given, Value | Stored):
        return None
    axes = sorted(axes_of(whole_numbers(given, "axes"), group.x.rank))
    return _average(group, axes, bool(group.call.whole("keepdims", 1))) if axes else None


def _average(group: Group, axes: list[int], keep: bool) -> Value:
    x, build = group.x, group.call.emit.build
    _require_sums(group, prod(x.shape[at] for at in axes))
    y = emit.average(build, x, group.y, clip=group.clip, label=group.call.label, axis=tuple(axes))
    rest = [size for at, size in enumerate(y.shape) if keep or at not in axes]
    return y if keep else build.reshape(y, newshape=tuple(rest), label=group.call.label)


def _require_sums(group: Group, elements: int) -> None:
    if not 255 * elements * max(2 * group.x.type.scale / group.y.scale, 1) < 2**31:
        raise ModelError("the scale of its result is too small for sums of 32 bits")


def _rescaled(group: Group) -> Value:
    """A clip that stands alone."""
    return emit.requantized(group.call.emit.build, group.x, group.y, clip=group.clip, label=group.call.label)


def _table(group: Group) -> Value | None:
    call, function = group.call, TABLES[group.node.name]
    kind = ops.by_short_name(function)
    usual = {"HardSigmoid": abs(call.number("alpha", 0.2) - 1 / 6) < 1e-6 and call.number("beta", 0.5) == 0.5,
             "Swish": call.number("alpha", 1.0) == 1}  # fmt: skip
    if kind is None or kind.int8 is None or kind.int8.how != "table" or not usual.get(group.node.name, True):
        return None
    attrs = {
        "leaky_relu": {"alpha": call.number("alpha", 0.01)},
        "gelu": {"approximate": call.option("approximate", "none")},
    }
    number = kind.int8.number(**kind.complete(attrs.get(function, {})))
    return emit.looked_up(call.emit.build, function, group.x, group.y, number=number, label=call.label)


def _concat(group: Group) -> Value | None:
    if not all(isinstance(each, Value) for each in group.operands):
        return None
    build, label = group.call.emit.build, group.call.label
    operands = [each for each in group.operands if isinstance(each, Value)]
    parts = [each if Quantization.of(each.type) == group.y else
             emit.requantized(build, each, group.y, label=f"{label}.scaled") for each in operands]  # fmt: skip
    y = group.call.emit.joined(parts, axes_of([group.call.whole("axis", 0)], parts[0].rank)[0], label)
    assert isinstance(y, Value)
    return y


def requantized(emitter: Emitter, x: Value, y: Quantization, label: str) -> Value:
    """x in another scale; itself in its own."""
    return x if Quantization.of(x.type) == y else emit.requantized(emitter.build, x, y, label=label)


FORMS: dict[str, Callable[[Group], Value | None]] = {
    "Add": _of_two("add"), "Sub": _of_two("subtract"), "Mul": _of_two("multiply"),
    "AveragePool": _average_pool, "GlobalAveragePool": _global_average, "ReduceMean": _reduce_mean,
    "Concat": _concat, "Conv": _conv, "ConvTranspose": _conv, "Gemm": _dense, "MatMul": _dense,
    "Relu": _rescaled, "Clip": _rescaled, **dict.fromkeys(TABLES, _table),
}  # fmt: skip
