"""int8 arithmetic of the quantized operators: the real numbers that a tensor stands for, and requantization.

    real = (q - zero_point) · scale    x: one scale a tensor; w: one a filter, no zero point; bias: scale_x · scale_w
    y = clip(zero_point + acc · scale_x · scale_w / scale_y)       rounded and clipped to [low, high]

Gradients are real numbers: that of an activation belongs to the real value it stands for, that of an int8 weight or an
int32 bias to the stored integer. Rounding passes them straight through; the clip passes them where the value was in
range before it, told by one bit an element.

The factor is a 32-bit multiplier and a shift, in one of two forms. `rounded`: (acc·2^shift·m + 2³¹) >> 32, exact up to
half a unit of 2⁻³², one SMMLAR on the cores. `tflite`: as TensorFlow Lite's MultiplyByQuantizedMultiplier
(tensorflow/lite/kernels/internal/common.h), which rounds twice; for networks that were quantized for it.
"""

from dataclasses import dataclass

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.op import REQUIRED, Arrays, Types
from workbench.ir.types import Ints, TensorType

LIMIT = 2**31 - 1
FORMS = {"rounded": "WB_ROUNDED", "tflite": "WB_TFLITE"}  # the second: in kernels/requantize_s8.h
ATTRS = {"x_scale": REQUIRED, "x_zero_point": 0, "y_scale": REQUIRED, "y_zero_point": 0, "clip": (-128, 127),
         "form": "rounded", "mask": False}  # fmt: skip


@dataclass(frozen=True)
class Factor:
    """wb_factor: one for all of a tensor: how a sum becomes int8."""

    form: str
    zero: int
    low: int
    high: int
    m: int
    shift: int


@dataclass(frozen=True)
class Reals:
    """wb_reals: numbers that are float32, or int8 of a scale and a zero point."""

    count: int
    scale: float
    zero: int


def reals(x: TensorType, *_: TensorType, scale: float, zero_point: int) -> Reals:
    return Reals(x.elements, scale, zero_point)


def check(what: str, x: TensorType, scale: float, zero_point: int) -> None:
    """Raise ShapeError if the quantization of `x` is not that of the operator's attributes."""
    if not (scale > 0 and -128 <= zero_point <= 127):
        raise ShapeError(f"{what}: needs a positive scale and a zero point in [-128, 127]; got {scale}, {zero_point}")
    if x.scale and (x.scale, x.zero_point) != (scale, zero_point):
        raise ShapeError(f"{what}: {x} has scale {x.scale}, zero point {x.zero_point}; got {scale}, {zero_point}")


def result(what: str, shape: Ints, y_scale: float, y_zero_point: int, clip: Ints, form: str, mask: bool) -> Types:
    """The type of an int8 result, and of its mask."""
    if form not in FORMS:
        raise ShapeError(f"{what}: form {form!r} is not one of {', '.join(FORMS)}")
    if len(clip) != 2 or not -128 <= clip[0] <= clip[1] <= 127:
        raise ShapeError(f"{what}: clip is [low, high] in [-128, 127]; got {list(clip)}")
    check(what, TensorType(()), y_scale, y_zero_point)
    y = TensorType(tuple(shape), "int8", scale=float(y_scale), zero_point=y_zero_point)
    return (y, TensorType(y.shape, "bit")) if mask else y


def multiplier(factor: float, form: str) -> tuple[int, int]:
    """(multiplier, shift) of a factor, in whole numbers only, so that C can do the same."""
    fraction, power = np.frexp(np.float64(factor))
    mantissa, exponent = int(fraction * 2.0**53), int(power)  # factor = mantissa · 2^(exponent - 53)
    if form == "tflite":
        m = (mantissa + (1 << 21)) >> 22
        m, exponent = (m >> 1, exponent + 1) if m == 1 << 31 else (m, exponent)
        return (0, 0) if exponent < -31 else (m, exponent)
    shift = max(0, exponent + 1)
    down = 21 - exponent + shift  # m = factor · 2^(32 - shift)
    m = (mantissa + (1 << down - 1)) >> down if down < 64 else 0
    m, shift = (m >> 1, shift + 1) if m == 1 << 31 else (m, shift)
    return (LIMIT, 30) if shift > 30 else (m, shift)  # any sum but 0 leaves int8


def factor_of(m: int, shift: int, form: str, zero_point: int, clip: Ints) -> Factor:
    low, high = clip
    return Factor(FORMS[form], zero_point, low, high, m, shift)


def multiplied(acc: np.ndarray, m: np.ndarray | int, shift: np.ndarray | int, form: str) -> np.ndarray:
    """acc (int64, the values of an int32) times the factor of (m, shift), rounded to whole numbers."""
    acc, m, shift = np.asarray(acc, np.int64), np.asarray(m, np.int64), np.asarray(shift, np.int64)
    if form == "rounded":
        limit = LIMIT >> shift  # what leaves int32 is far beyond int8
        return ((np.clip(acc, -limit, limit) << shift) * m + (1 << 31)) >> 32
    product = (acc << np.maximum(shift, 0)) * m
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    high = np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))  # C's division: towards zero
    right = np.maximum(-shift, 0)
    rest = high & ((1 << right) - 1)
    return (high >> right) + (rest > (((1 << right) - 1) >> 1) + (high < 0))


def clipped(value: np.ndarray, zero_point: int, clip: Ints, mask: bool) -> Arrays:
    """The int8 result of rounded values, and the bits of those that were in range."""
    value = value + zero_point
    y = np.clip(value, clip[0], clip[1]).astype(np.int8)
    return (y, (value >= clip[0]) & (value <= clip[1])) if mask else y
