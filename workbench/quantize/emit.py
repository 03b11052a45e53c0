"""One emitter of int8 layers: the nodes of quantized convolution, arithmetic, pooling, tables and requantization.

Everybody who makes an int8 network calls it: the frontends of .json and .tflite files, post-training quantization, and
autodiff for the updates. Scales and zero points become attributes here, and nowhere else.

    layer           qnn.requantization(s) -> the factor of each filter;  qnn.conv2d(x, w, b, factors)
    of_two          a sum, a difference or a product, each operand in its own scale
    average         over windows, over whole planes, or over some axes
    requantized     the same real numbers in another scale, clipped
    looked_up       a function of each element, as a table of its 256 results
"""

from typing import Any

import numpy as np

from workbench.ir import op as ops
from workbench.ir.build import Builder, Value
from workbench.quantize.quantization import LIMITS, Quantization

Clip = tuple[int, int]
ROUNDED = "rounded"  # the form of arithmetic that rounds once (see ops/_quantized)


def attributes(**tensors: Quantization) -> dict[str, Any]:
    """`x=…, y=…` as the attributes x_scale, x_zero_point, y_scale and y_zero_point."""
    scales: dict[str, Any] = {f"{name}_scale": each.scale for name, each in tensors.items()}
    return scales | {f"{name}_zero_point": each.zero_point for name, each in tensors.items()}


def parameter(build: Builder, weights: dict[str, np.ndarray], name: str, values: np.ndarray) -> Value:
    """The parameter `name`, declared with these values unless layers before share it."""
    if name in weights:
        return build.value(name)
    weights[name] = values
    return build.parameter(name, values.shape, str(values.dtype))


def layer(
    build: Builder, x: Value, w: Value, b: Value, s: Value, y: Quantization, *, label: str,
    transposed: bool = False, clip: Clip = LIMITS, form: str = ROUNDED, **window: Any,
) -> Value:  # fmt: skip
    """An int8 convolution; `s`: the scales of its filters; `window`: strides, padding and so on."""
    of_x = Quantization.of(x.type)
    factors = build.op(
        "qnn.requantization", s, x_scale=of_x.scale, y_scale=y.scale, form=form, label=f"{label}.factors"
    )
    return build.op(
        "qnn.transposed_conv2d" if transposed else "qnn.conv2d", x, w, b, factors, channels=w.shape[0],
        kernel_size=w.shape[2:], clip=clip, form=form, label=label, **attributes(x=of_x, y=y), **window,
    )  # fmt: skip


def of_two(
    build: Builder, name: str, operands: tuple[Value, Value], scales: tuple[Quantization, Quantization],
    y: Quantization, *, label: str, clip: Clip = LIMITS, form: str = ROUNDED,
) -> Value:  # fmt: skip
    """The int8 form of the float32 operator `name`: add, subtract or multiply."""
    a, b = scales
    into = ops.get(name).needed_int8.operator
    return build.op(into, *operands, clip=clip, form=form, label=label, **attributes(a=a, b=b, y=y))


def average(
    build: Builder, x: Value, y: Quantization, *, label: str, clip: Clip = LIMITS, form: str = ROUNDED, **window: Any
) -> Value:
    """Over windows (`pool_size`, …), over some axes (`axis`), or over each whole plane."""
    return build.op(
        "qnn.mean" if "axis" in window else "qnn.avg_pool2d" if window else "qnn.global_avg_pool2d", x,
        clip=clip, form=form, label=label, **attributes(x=Quantization.of(x.type), y=y), **window,
    )  # fmt: skip


def requantized(
    build: Builder, x: Value, y: Quantization, *, label: str, clip: Clip = LIMITS, form: str = ROUNDED
) -> Value:
    """x in the scale of `y`."""
    of_x = Quantization.of(x.type)
    return build.op("qnn.requantize", x, clip=clip, form=form, label=label, **attributes(x=of_x, y=y))


def looked_up(
    build: Builder, function: str, x: Value, y: Quantization, *, label: str, number: float = 0.0, form: str = ROUNDED
) -> Value:
    """An activation that stands alone; those of one function between the same scales share a table."""
    scales = attributes(x=Quantization.of(x.type), y=y)
    table = build.shared("qnn.table", function=function, number=number, form=form, label=f"{label}.table", **scales)
    return build.op("qnn.lookup", x, table, label=label)


def quantized(build: Builder, x: Value, y: Quantization, *, label: str, form: str = ROUNDED) -> Value:
    """float32 to int8."""
    return build.op("qnn.quantize", x, scale=y.scale, zero_point=y.zero_point, form=form, label=label)


def dequantized(build: Builder, x: Value, *, label: str) -> Value:
    """int8 to float32."""
    return build.op("qnn.dequantize", x, scale=x.type.scale, zero_point=x.type.zero_point, label=label)


def softmax(build: Builder, x: Value, *, beta: float, label: str) -> Value:
    """int8 probabilities, in the scale that they always have."""
    return build.op("qnn.softmax", x, x_scale=x.type.scale, beta=beta, label=label)


def log_softmax(build: Builder, x: Value, *, label: str) -> Value:
    """Their logarithms, in the scale that those always have."""
    return build.op("qnn.log_softmax", x, x_scale=x.type.scale, label=label)


def updated(build: Builder, weight: Value, gradient: Value, scales: Value, rate: Value, *counters: Value,
            **attrs: Any) -> Value:  # fmt: skip
    """A step of stochastic gradient descent on a parameter of integers; `attrs` are those of qnn.sgd."""
    return build.op("qnn.sgd", weight, gradient, scales, rate, *counters, **attrs)


def updated_delta(build: Builder, change: Value, gradient: Value, bias: Value, scales: Value, rate: Value,
                  *counters: Value, **attrs: Any) -> Value:  # fmt: skip
    """The same of a bias that is kept as a delta, `change`; `attrs` are those of qnn.sgd_delta."""
    return build.op("qnn.sgd_delta", change, gradient, bias, scales, rate, *counters, **attrs)
