"""qnn.multiply: y = clip(y_zero_point + (a - a_zero_point) · (b - b_zero_point) · a_scale · b_scale / y_scale), int8.

Each axis of a and b is as long in both or 1 in one (see _broadcast). Form `tflite`: as TensorFlow Lite's reference
(lite/kernels/internal/reference/integer_ops/mul.h). The gradient of an operand is dy, where it was not clipped, times
the real value of the other.
"""

from typing import Any

import numpy as np

from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel
from workbench.ir.op import Arrays, Op, Sample, Types, register
from workbench.ir.types import Ints, TensorType
from workbench.ops._broadcast import both_read, by_tiles, shape_of_both, ties_of_both
from workbench.ops._quantized import FORMS, check, clipped, multiplied, multiplier, result
from workbench.ops.qnn_add import ATTRS, Pair, Two, broadcast_samples


def infer(a: TensorType, b: TensorType, *, a_scale: float, a_zero_point: int, b_scale: float, b_zero_point: int,
          y_scale: float, y_zero_point: int, clip: Ints, form: str, mask: bool) -> Types:  # fmt: skip
    check("qnn.multiply", a, a_scale, a_zero_point)
    check("qnn.multiply", b, b_scale, b_zero_point)
    return result("qnn.multiply", shape_of_both("qnn.multiply", a, b), y_scale, y_zero_point, clip, form, mask)


def evaluate(a: np.ndarray, b: np.ndarray, *, a_scale: float, a_zero_point: int, b_scale: float, b_zero_point: int,
             y_scale: float, y_zero_point: int, clip: Ints, form: str, mask: bool) -> Arrays:  # fmt: skip
    product = (a.astype(np.int64) - a_zero_point) * (b.astype(np.int64) - b_zero_point)
    scaled = multiplied(product, *multiplier(a_scale * b_scale / y_scale, form), form)
    return clipped(scaled, y_zero_point, clip, mask)


def grad_a(
    build: Builder, dy: Value, a: Value, b: Value, *, y: Values, b_scale: float, b_zero_point: int, **_: Any
) -> Value:
    dy = build.shared("nn.apply_mask", dy, y[1])
    return build.sum_to(dy, b, newshape=a.shape, times=b_scale, zero_point=b_zero_point)


def grad_b(
    build: Builder, dy: Value, a: Value, b: Value, *, y: Values, a_scale: float, a_zero_point: int, **_: Any
) -> Value:
    return grad_a(build, dy, b, a, y=y, b_scale=a_scale, b_zero_point=a_zero_point)


def parameters(a: TensorType, b: TensorType, *, a_scale: float, a_zero_point: int, b_scale: float, b_zero_point: int,
               y_scale: float, y_zero_point: int, clip: Ints, form: str, mask: bool) -> Two:  # fmt: skip
    m, shift = multiplier(a_scale * b_scale / y_scale, form)
    low, high = clip
    pair = Pair("WB_TIMES", FORMS[form], a_zero_point, b_zero_point, y_zero_point, low, high, m=m, shift=shift)
    return Two(pair, **both_read(a, b))


def samples(rng: np.random.Generator) -> list[Sample]:
    far = broadcast_samples(rng, 0.6)[:2]  # products that leave int8 by far
    return [*broadcast_samples(rng, 2.0), *far]


register(Op(
    name="qnn.multiply", infer=infer, evaluate=evaluate, grads=(grad_a, grad_b), samples=samples, ties=ties_of_both,
    attrs=ATTRS, training={"mask": True}, dtypes={0: ("int8",), 1: ("int8",)},
    parameters={0: "constant", 1: "constant"},
    footprint=by_tiles,
    kernel=Kernel("broadcast_s8.h", "of_two_s8", record=Two, parameters=parameters, in_place=(0, 1), views=(0, 1),
                  gives_view=True, results=2),
))  # fmt: skip
