"""qnn.transposed_conv2d: nn.conv2d_transpose in int8, y = clip(y_zero_point + (Σ (x - x_zero_point) · w + b) · factor).

Its filters are stored as those of every int8 layer, output channels first: w is (O, I, rows, columns), where
nn.conv2d_transpose takes (I, O, …). (qnn.conv2d_transpose is the gradient of an int8 convolution, in float32.)

Backward, with g = s · dy where the mask's bit is set (qnn.through_clip), and w and x as real numbers:

    dx = conv2d(g, wᵀ)        dw = conv2d_backward_weight(x_real, g)ᵀ        db = x_scale · Σ g
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel
from workbench.ir.op import REQUIRED, Arrays, Attrs, Op, Sample, Types, register
from workbench.ir.types import Ints, TensorType
from workbench.ops import conv2d_transpose
from workbench.ops._deltas import places, require_delta, whole_bias
from workbench.ops._parameters import Window, window_of
from workbench.ops._quantized import ATTRS, check, clipped, multiplied, result
from workbench.ops.qnn_conv2d import Quantized, grad_b, quantized, sample, sums_gradient, units, with_delta

WINDOW = ("kernel_size", "strides", "padding")
SWAPPED = (1, 0, 2, 3)
ALONE: Attrs = {"dilation": (1, 1), "groups": 1}


def infer(x: TensorType, w: TensorType, b: TensorType, m: TensorType, delta: TensorType | None = None, *,
          x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int, clip: Ints, form: str, mask: bool,
          wide: Ints, **attrs: Any) -> Types:  # fmt: skip
    check("qnn.transposed_conv2d", x, x_scale, x_zero_point)
    require_delta("qnn.transposed_conv2d", b, delta, wide)
    if w.rank != 4 or b.shape != w.shape[:1] or m.shape != (2, w.shape[0]):
        raise ShapeError(f"qnn.transposed_conv2d: w is OIHW, b one a filter, m two; got {w}, {b}, {m}")
    sums = sums_type(x, w, **attrs)
    return result("qnn.transposed_conv2d", sums.shape, y_scale, y_zero_point, clip, form, mask)


def sums_type(x: TensorType, w: TensorType, **attrs: Any) -> TensorType:
    return conv2d_transpose.infer(x, TensorType(tuple(w.shape[at] for at in SWAPPED)), **attrs, **ALONE)


def evaluate(x: np.ndarray, w: np.ndarray, b: np.ndarray, m: np.ndarray, delta: np.ndarray | None = None, *,
             x_zero_point: int, y_zero_point: int, clip: Ints, form: str, mask: bool, x_scale: float, y_scale: float,
             wide: Ints, **attrs: Any) -> Arrays:  # fmt: skip
    # float64 holds these sums exactly: they are those of an int32
    x, w = x.astype(np.float64) - x_zero_point, w.transpose(SWAPPED).astype(np.float64)
    acc = conv2d_transpose.evaluate(x, w, **attrs, **ALONE).astype(np.int64)
    acc, factor = acc + whole_bias(b, delta, wide).reshape(1, -1, 1, 1), m.reshape(2, 1, -1, 1, 1)
    return clipped(multiplied(acc, factor[0], factor[1], form), y_zero_point, clip, mask)


def grad_x(
    build: Builder, dy: Value, x: Value, w: Value, b: Value, m: Value, *_: Value, y: Values, **attrs: Any
) -> Value:
    filters = build.op("qnn.dequantize", build.transpose(w, axes=SWAPPED), scale=1.0)
    window = {key: attrs[key] for key in WINDOW}
    return build.conv2d(sums_gradient(build, dy, m, y), filters, channels=x.shape[1], **window)


def grad_w(build: Builder, dy: Value, x: Value, w: Value, b: Value, m: Value, *_: Value, y: Values, x_scale: float,
           x_zero_point: int, **attrs: Any) -> Value:  # fmt: skip
    real = build.op("qnn.dequantize", x, scale=x_scale, zero_point=x_zero_point)
    window = {key: attrs[key] for key in WINDOW}
    return build.transpose(build.conv2d_backward_weight(real, sums_gradient(build, dy, m, y), **window), axes=SWAPPED)


def macs(x: TensorType, w: TensorType, *_: TensorType, **__: Any) -> int:
    return x.elements * w.elements // w.shape[1]


@dataclass(frozen=True)
class TransposedConv2dS8:
    """wb_transposed_conv2d_s8. `wide`: see _deltas.places."""

    batch: int
    channels: int
    in_height: int
    in_width: int
    filters: int
    out_height: int
    out_width: int
    window: Window
    numbers: Quantized
    wide: str


def parameters(x: TensorType, w: TensorType, b: TensorType, *rest: TensorType, channels: int, output_padding: Ints,
               wide: Ints, **attrs: Any) -> TransposedConv2dS8:  # fmt: skip
    window = {key: attrs[key] for key in WINDOW}
    batch, inputs, in_height, in_width = x.shape
    _, filters, *size = sums_type(x, w, channels=channels, output_padding=output_padding, **window).shape
    return TransposedConv2dS8(batch, inputs, in_height, in_width, filters, size[0], size[1], window_of(**window),
                              quantized(**attrs), places(b.elements, wide))  # fmt: skip


CASES = (  # shape, output channels, kernel, strides, padding, output padding
    ((1, 3, 4, 5), 2, (3, 3), (2, 2), (0, 0, 1, 1), (0, 0)),
    ((2, 2, 3, 3), 4, (2, 2), (2, 2), (0, 0, 0, 0), (0, 0)),
    ((1, 4, 5, 2), 3, (3, 2), (1, 1), (1, 0, 1, 1), (0, 0)),
    ((1, 1, 1, 1), 1, (3, 3), (2, 2), (0, 0, 1, 1), (0, 0)),
    ((1, 2, 1, 6), 3, (1, 4), (1, 2), (0, 1, 0, 1), (0, 1)),
    ((2, 1, 3, 2), 1, (1, 1), (3, 2), (0, 0, 0, 0), (2, 1)),
    ((1, 9, 2, 2), 5, (5, 5), (3, 3), (1, 1, 1, 1), (0, 0)),
)


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = []
    for index, (shape, channels, kernel, strides, padding, rest) in enumerate(CASES):
        attrs = {"channels": channels, "kernel_size": kernel, "strides": strides, "padding": padding}
        cases.append(sample(rng, shape, (channels, shape[1], *kernel), {**attrs, "output_padding": rest}, index))
        if index % 3 == 0:
            cases.append(with_delta(rng, cases[-1], index))
    return cases


register(Op(
    name="qnn.transposed_conv2d", infer=infer, evaluate=evaluate, grads=(grad_x, grad_w, grad_b), samples=samples,
    macs=macs,
    attrs={"strides": (1, 1), "padding": (0, 0, 0, 0), "output_padding": (0, 0), "channels": REQUIRED,
           "kernel_size": REQUIRED, **ATTRS, "wide": ()},
    training={"mask": True}, dtypes={0: ("int8",), 1: ("int8",), 2: ("int32",), 3: ("int32",), 4: ("int16",)},
    parameters={1: "weight", 2: "bias"}, delta=4, units=units,
    kernel=Kernel("transposed_conv2d_s8.h", "transposed_conv2d_s8", record=TransposedConv2dS8, parameters=parameters,
                  operands=5, results=2),
))  # fmt: skip
