"""int8 activations as TensorFlow Lite Micro computes them, for tables of their 256 results (qnn.table).

Each takes (x, number, x_scale, y_scale, y_zero_point), where x are whole numbers less their zero point, and gives
results that are not yet clipped to int8. Scales and `number` are float32 there: factors are told in its precision.
"""

import numpy as np

from workbench.errors import ShapeError
from workbench.ops._fixed_point import LIMIT, exponential, one_minus_over_one_plus, one_over_one_plus, over
from workbench.ops._quantized import multiplied, multiplier

BITS = 4  # integer bits of the arguments of sigmoid and tanh


def _scaled(x: np.ndarray, x_scale: float) -> tuple[np.ndarray, np.ndarray]:
    """x as fixed point with BITS integer bits, and whether it fits into them; 0 where it does not."""
    m, shift = multiplier(float(np.float32(x_scale) * 2.0 ** (31 - BITS)), "tflite")
    inside = np.abs(x) < np.floor((2**BITS - 1) * 2.0 ** (31 - BITS - shift))
    return multiplied(np.where(inside, x, 0), m, shift, "tflite"), inside


def sigmoid_tflite(x: np.ndarray, number: float, x_scale: float, y_scale: float, y_zero_point: int) -> np.ndarray:
    """lite/kernels/internal/reference/integer_ops/logistic.h."""
    if (y_scale, y_zero_point) != (1 / 256, -128):
        raise ShapeError(f"an int8 sigmoid gives scale 1/256 and zero point -128; got {y_scale}, {y_zero_point}")
    scaled, inside = _scaled(x, x_scale)
    positive = one_over_one_plus(exponential(-np.abs(scaled), BITS))
    y = np.where(scaled > 0, positive, np.where(scaled == 0, 1 << 30, LIMIT - positive))
    return np.where(inside, over(y, 23) - 128, np.where(x < 0, -128, 127))


def tanh_tflite(x: np.ndarray, number: float, x_scale: float, y_scale: float, y_zero_point: int) -> np.ndarray:
    """lite/kernels/internal/reference/integer_ops/tanh.h."""
    if (y_scale, y_zero_point) != (1 / 128, 0):
        raise ShapeError(f"an int8 tanh gives scale 1/128 and zero point 0; got {y_scale}, {y_zero_point}")
    scaled, inside = _scaled(x, x_scale)
    positive = one_minus_over_one_plus(exponential(-np.abs(scaled), BITS + 1))  # of twice as much
    return np.where(inside, over(np.sign(scaled) * positive, 24), np.where(x < 0, -128, 127))


def leaky_relu_tflite(x: np.ndarray, number: float, x_scale: float, y_scale: float, y_zero_point: int) -> np.ndarray:
    """lite/kernels/internal/reference/leaky_relu.h."""
    of_x, of_y, slope = np.float32(x_scale), np.float32(y_scale), np.float32(number)
    kept, scaled = (multiplied(x, *multiplier(float(factor), "tflite"), "tflite")
                    for factor in (of_x / of_y, of_x * slope / of_y))  # fmt: skip
    return np.where(x >= 0, kept, scaled) + y_zero_point


def _int16(m: int) -> int:
    """An int32 multiplier as one of int16."""
    return min((m + (1 << 15)) >> 16, 2**15 - 1)


def _high16(a: np.ndarray, b: np.ndarray | int, nudge: int = 1 << 14) -> np.ndarray:
    """The high half of 2ab of int16s, rounded to nearest by `nudge`, or towards zero without."""
    product = np.asarray(a, np.int64) * b
    nudged = product + np.where(product >= 0, nudge, (1 - nudge) if nudge else 0)
    high = np.where(nudged >= 0, nudged >> 15, -(-nudged >> 15))
    return np.minimum(high, 2**15 - 1)


def hard_swish_tflite(x: np.ndarray, number: float, x_scale: float, y_scale: float, y_zero_point: int) -> np.ndarray:
    """lite/kernels/internal/reference/hard_swish.h: int16 arithmetic on x · 2⁷."""
    fine = np.float32(1 / 128) * np.float32(x_scale)
    of_y, y_shift = multiplier(float(fine / np.float32(y_scale)), "tflite")
    of_relu, relu_shift = multiplier(float(fine / np.float32(3 / 32768)), "tflite")
    if y_shift > 0:
        raise ShapeError(f"an int8 hard swish needs a y_scale above x_scale / 128; got {y_scale} and {x_scale}")
    x = x.astype(np.int64) * 128
    gate = x
    if relu_shift > 0:
        gate = np.clip(gate << relu_shift - 1, -(2**15), 2**15 - 1)
    gate = _high16(gate, _int16(of_relu))
    gate = np.clip(gate << 1, -(2**15), 2**15 - 1) if relu_shift > 0 else over(gate, -relu_shift)
    gate = (gate + (1 << 15)) >> 1
    return over(_high16(gate, _high16(x, _int16(of_y)), nudge=0), -y_shift) + y_zero_point
