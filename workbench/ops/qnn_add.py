"""qnn.add: y = clip(y_zero_point + ((a - a_zero_point) · a_scale + (b - b_zero_point) · b_scale) / y_scale), as int8;
qnn.subtract: the difference. Each axis of a and b is as long in both or 1 in one (see _broadcast).

Form `rounded` gives both factors the same shift and as many bits as an int32 sum of the two has room for; `tflite`
scales as TensorFlow Lite's reference does (lite/kernels/internal/reference/integer_ops/add.h, sub.h). Gradients are
those of the real sum: both operands get dy, where it was not clipped.
"""

from dataclasses import dataclass, replace
from math import frexp
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel
from workbench.ir.op import REQUIRED, Arrays, Op, Sample, Types, register
from workbench.ir.types import Ints, TensorType
from workbench.ops._broadcast import (
    SHAPES,
    Broadcast,
    Moves,
    both_read,
    by_tiles,
    shape_of_both,
    summed_to,
    ties_of_both,
)
from workbench.ops._parameters import Shape
from workbench.ops._quantized import FORMS, check, clipped, multiplied, multiplier, result

ROOM = 22  # bits of a multiplier: twice 255 times that fits into an int32,
SHIFT = 23  # with half a unit besides: 2^(SHIFT - 1)
TFLITE_SHIFT = 20


ATTRS = {"a_scale": REQUIRED, "a_zero_point": 0, "b_scale": REQUIRED, "b_zero_point": 0,
         "y_scale": REQUIRED, "y_zero_point": 0, "clip": (-128, 127), "form": "rounded", "mask": False}  # fmt: skip


def infer(a: TensorType, b: TensorType, *, a_scale: float, a_zero_point: int, b_scale: float, b_zero_point: int,
          y_scale: float, y_zero_point: int, clip: Ints, form: str, mask: bool) -> Types:  # fmt: skip
    check("qnn.add", a, a_scale, a_zero_point)
    check("qnn.add", b, b_scale, b_zero_point)
    return result("qnn.add", shape_of_both("qnn.add", a, b), y_scale, y_zero_point, clip, form, mask)


def factors(a_scale: float, b_scale: float, y_scale: float) -> tuple[int, int, int]:
    """Multipliers of a and b, and the shift: factor = multiplier / 2^shift."""
    shift = min(ROOM - frexp(max(a_scale, b_scale) / y_scale)[1], SHIFT)
    if shift < 1:
        raise ShapeError(f"qnn.add: y_scale {y_scale} is too small beside {a_scale} and {b_scale}")
    return round(a_scale / y_scale * 2**shift), round(b_scale / y_scale * 2**shift), shift


def tflite_factors(a_scale: float, b_scale: float, y_scale: float) -> list[int]:
    """Multiplier and shift of a, of b, and of the sum."""
    twice = 2 * max(a_scale, b_scale)
    factors = (a_scale / twice, b_scale / twice, twice / (2**TFLITE_SHIFT * y_scale))
    return [number for factor in factors for number in multiplier(factor, "tflite")]


def combined(sign: int, a: np.ndarray, b: np.ndarray, *, a_scale: float, a_zero_point: int, b_scale: float,
             b_zero_point: int, y_scale: float, y_zero_point: int, clip: Ints, form: str,
             mask: bool) -> Arrays:  # fmt: skip
    """a + sign · b."""
    a, b = a.astype(np.int64) - a_zero_point, b.astype(np.int64) - b_zero_point
    if form == "rounded":
        of_a, of_b, shift = factors(a_scale, b_scale, y_scale)
        total = (a * of_a + sign * b * of_b + (1 << shift - 1)) >> shift
    else:
        numbers = tflite_factors(a_scale, b_scale, y_scale)
        a = multiplied(a << TFLITE_SHIFT, numbers[0], numbers[1], form)
        b = multiplied(b << TFLITE_SHIFT, numbers[2], numbers[3], form)
        total = multiplied(a + sign * b, numbers[4], numbers[5], form)
    return clipped(total, y_zero_point, clip, mask)


def evaluate(a: np.ndarray, b: np.ndarray, **attrs: Any) -> Arrays:
    return combined(1, a, b, **attrs)


def grad_a(build: Builder, dy: Value, a: Value, b: Value, *, y: Values, **_: Any) -> Value:
    return summed_to(build, build.shared("nn.apply_mask", dy, y[1]), a)


def grad_b(build: Builder, dy: Value, a: Value, b: Value, *, y: Values, **_: Any) -> Value:
    return summed_to(build, build.shared("nn.apply_mask", dy, y[1]), b)


@dataclass(frozen=True)
class Pair:
    """wb_pair_s8: the operation and the form by their names in C, zero points, clip, multipliers and shifts."""

    how: str
    form: str
    zero_a: int
    zero_b: int
    zero_y: int
    low: int
    high: int
    a_m: int = 0
    a_shift: int = 0
    b_m: int = 0
    b_shift: int = 0
    m: int = 0
    shift: int = 0


@dataclass(frozen=True)
class Two:
    """wb_two_s8: the pair, the result's shape, and how both operands are read."""

    pair: Pair
    alike: bool
    shape: Shape
    loops: Broadcast
    a: Moves
    b: Moves


def pair_of_sum(how: str, *, a_scale: float, a_zero_point: int, b_scale: float, b_zero_point: int, y_scale: float,
                y_zero_point: int, clip: Ints, form: str, mask: bool) -> Pair:  # fmt: skip
    """In the form `rounded` only the sum is shifted."""
    low, high = clip
    pair = Pair(how, FORMS[form], a_zero_point, b_zero_point, y_zero_point, low, high)
    if form == "rounded":
        of_a, of_b, shift = factors(a_scale, b_scale, y_scale)
        return replace(pair, a_m=of_a, b_m=of_b, shift=shift)
    a_m, a_shift, b_m, b_shift, m, shift = tflite_factors(a_scale, b_scale, y_scale)
    return replace(pair, a_m=a_m, a_shift=a_shift, b_m=b_m, b_shift=b_shift, m=m, shift=shift)


def parameters(a: TensorType, b: TensorType, **attrs: Any) -> Two:
    return Two(pair_of_sum("WB_PLUS", **attrs), **both_read(a, b))


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = []
    for index, (shape, scales) in enumerate(
        (((1, 3, 5, 5), (0.02, 0.03, 0.04)), ((2, 35), (0.05, 0.05, 0.03)), ((1, 64), (0.001, 0.4, 0.3)),
         ((1, 2, 4, 4), (0.04, 0.5, 0.02)))
    ):  # fmt: skip
        for form in FORMS:
            a, b = (rng.integers(-128, 128, shape, dtype=np.int8) for _ in range(2))
            attrs: dict[str, Any] = dict(zip(("a_scale", "b_scale", "y_scale"), scales, strict=True))
            attrs |= {"a_zero_point": -3, "b_zero_point": 100, "y_zero_point": 5, "form": form, "mask": index != 1}
            cases.append(Sample((a, b), {**attrs, "clip": (-20, 127) if index == 2 else (-128, 127)}))
    for scale in (0.2499, 0.06249, 1e-3):  # the largest sum that there is, and its negative
        for zero, end in ((-128, 127), (127, -128)):
            x = np.full((1, 5), end, np.int8)
            attrs = {"a_scale": scale, "b_scale": scale, "a_zero_point": zero, "b_zero_point": zero}
            cases.append(Sample((x, x), {**attrs, "y_scale": 1.0}))
    return [*cases, *broadcast_samples(rng)]


def broadcast_samples(rng: np.random.Generator, factor: float = 1.0) -> list[Sample]:
    """Operands of different shapes, in both forms; y_scale is multiplied by `factor`."""
    cases = []
    for index, shapes in enumerate(SHAPES):
        a, b = (rng.integers(-128, 128, shape, dtype=np.int8) for shape in shapes)
        attrs: dict[str, Any] = {"a_scale": 0.02, "b_scale": 0.03, "y_scale": (0.04, 0.025)[index % 2] * factor,
                 "a_zero_point": -3, "b_zero_point": 10, "y_zero_point": 5, "mask": index % 3 != 2}  # fmt: skip
        attrs |= {"form": tuple(FORMS)[index // 2 % 2], "clip": (-20, 127) if index % 3 == 0 else (-128, 127)}
        cases.append(Sample((a, b), attrs))
    return cases


def combined_subtract(a: np.ndarray, b: np.ndarray, **attrs: Any) -> Arrays:
    return combined(-1, a, b, **attrs)


def grad_subtracted(build: Builder, dy: Value, a: Value, b: Value, *, y: Values, **_: Any) -> Value:
    return summed_to(build, build.shared("nn.apply_mask", dy, y[1]), b, -1.0)


def parameters_of_difference(a: TensorType, b: TensorType, **attrs: Any) -> Two:
    return Two(pair_of_sum("WB_MINUS", **attrs), **both_read(a, b))


register(Op(
    name="qnn.add", infer=infer, evaluate=evaluate, grads=(grad_a, grad_b), samples=samples, ties=ties_of_both,
    attrs=ATTRS, training={"mask": True}, dtypes={0: ("int8",), 1: ("int8",)},
    parameters={0: "constant", 1: "constant"},
    footprint=by_tiles,
    kernel=Kernel("broadcast_s8.h", "of_two_s8", record=Two, parameters=parameters, in_place=(0, 1), views=(0, 1),
                  gives_view=True, results=2),
    instructions=(0, 11),
))  # fmt: skip
register(Op(
    name="qnn.subtract", infer=infer, evaluate=combined_subtract, grads=(grad_a, grad_subtracted),
    samples=broadcast_samples, ties=ties_of_both,
    attrs=ATTRS, training={"mask": True}, dtypes={0: ("int8",), 1: ("int8",)},
    parameters={0: "constant", 1: "constant"},
    footprint=by_tiles,
    kernel=Kernel("broadcast_s8.h", "of_two_s8", record=Two, parameters=parameters_of_difference, in_place=(0, 1),
                  views=(0, 1), gives_view=True, results=2),
))  # fmt: skip
