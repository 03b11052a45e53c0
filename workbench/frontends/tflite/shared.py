"""What operators of .tflite files share: fused activations, windows, and sums that must stay within 32 bits."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from workbench.errors import ModelError
from workbench.frontends.tflite.file import Operator
from workbench.frontends.tflite.values import Held, Values
from workbench.ir.build import Value
from workbench.quantize.quantization import Quantization

SAME, VALID = 0, 1
NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
ACTIVATIONS = {RELU_N1_TO_1: "RELU_N1_TO_1", 4: "TANH", 5: "SIGN_BIT"}  # those that float32 layers do not do
RANGES = {NONE: (None, None), RELU: (0.0, None), RELU_N1_TO_1: (-1.0, 1.0), RELU6: (0.0, 6.0)}
LARGEST_WINDOW = 4096  # rows or columns
BEHIND_SOFTMAX = {"QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS"}


@dataclass(frozen=True)
class Imported:
    """How an operator is imported, each of its results in a tuple where there are several, and a line about it."""

    convert: Callable[[Values, Operator], Held | tuple[Held, ...] | None]
    about: str


def activated(values: Values, op: Operator, y: Value, label: str) -> Value:
    """The activation fused into a float32 operator."""
    activation = values.option(op, "activation")
    if activation == NONE:
        return y
    if activation not in (RELU, RELU6):
        name = ACTIVATIONS.get(activation, activation)
        raise ModelError(f"{values.network.where(op)}: its activation, {name}, is not supported")
    name = "relu" if activation == RELU else "relu6"
    return getattr(values.build, name)(y, label=f"{label}.{name}")


def int8_range(values: Values, op: Operator, y: Quantization, activation: int | None = None) -> tuple[int, int]:
    """The int8 values that an activation lets through (CalculateActivationRangeQuantized, kernels/kernel_util.cc)."""
    activation = values.option(op, "activation") if activation is None else activation
    if activation not in RANGES:
        name = ACTIVATIONS.get(activation, activation)
        raise ModelError(f"{values.network.where(op)}: its activation, {name}, is not supported")

    def stored(real: float | None, limit: int) -> int:
        if real is None:
            return limit
        steps = np.float32(real) / np.float32(y.scale)
        whole = floor(abs(steps) + 0.5) * (1 if steps >= 0 else -1)
        return min(max(y.zero_point + whole, -128), 127)

    low, high = RANGES[activation]
    return stored(low, -128), stored(high, 127)


def strides_and_padding(
    values: Values, op: Operator, shape, kernel
) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """Strides, and the padding that SAME asks for (kernels/padding.h): what is odd goes to bottom and right."""
    strides = values.option(op, "stride_h"), values.option(op, "stride_w")
    kind = values.option(op, "padding")
    if kind not in (SAME, VALID) or min(strides) < 1 or max(*strides, *kernel) > LARGEST_WINDOW:
        where = values.network.where(op)
        raise ModelError(f"{where}: a window of {kernel}, strides {strides} or padding {kind} make no sense")
    if kind == VALID:
        return strides, (0, 0, 0, 0)
    sizes = zip(shape[2:], strides, kernel, strict=True)
    missing = [max(0, (ceil(size / stride) - 1) * stride + k - size) for size, stride, k in sizes]
    before = [each // 2 for each in missing]
    return strides, (*before, missing[0] - before[0], missing[1] - before[1])


def require_int32(values: Values, op: Operator, reach, factor) -> None:
    """Sums of up to `reach` are shifted left by the whole bits of `factor`: beyond int32, C would tell other things."""
    if not np.max(reach * np.maximum(2.0 * factor, 1)) < 2**31:
        raise ModelError(f"{values.network.where(op)}: the scale of its result is too small for sums of 32 bits")


def logits(values: Values, op: Operator) -> Value:
    """What a softmax or log-softmax at the end of the network reads: training begins there."""
    x, where = values.in_order(values.operand(op)), values.network.where(op)
    behind = {other.name for other in values.network.operators[op.number + 1 :]}
    if values.logits or not behind <= BEHIND_SOFTMAX:
        raise ModelError(f"{where} is not supported before the end of a network")
    if x.rank != 2:
        raise ModelError(f"{where}: x is (batch, classes); got {x.type}")
    values.logits = x, len(values.build.nodes)
    return x
