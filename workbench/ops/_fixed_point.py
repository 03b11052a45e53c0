"""Fixed-point functions of int32 in whole numbers, as gemmlowp (fixedpoint/fixedpoint.h) and TensorFlow Lite
(lite/kernels/internal/common.h) compute them, to the bit; kernels/softmax_s8.h and log_softmax_s8.h do the same.

A number of n integer bits is an int32 that counts in 2^(n - 31); a product is the high half of twice the int32s'.

    exp(-t)        a polynomial for what is below ¼, around -⅛, times exp(-2^k) for each bit above
    1 / (1 + f)    three steps of Newton's method for 1 / ((1 + f) / 2); 48/17 - 32/17 · d first
    log(x)         x = 2^k · r with r around 2^-¼, a rational function of r
"""

import numpy as np

LIMIT = 2**31 - 1
EXP_OF_EIGHTH, THIRD = 1895147668, 715827883  # exp(-1/8), 1/3; no integer bits
EXPONENTIALS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)  # exp(-2^k), k = -2 … 4
NEWTON = 1515870810, -1010580540  # 48/17, -32/17; two integer bits
LOG_2, ROOT_HALF, FOURTH_ROOT_HALF = 1488522236, 1518500250, 1805811301  # log(2), √½, ⁴√½; no integer bits
SQUARE, IN_SQUARE, CONSTANT, LINEAR = 117049297, 127690142, 1057819769, 638450708  # of the rational function:
# ⁴√2 · (11/240, 1/20), 2/⁴√2 - ⁴√2, ⁴√2/4
LOG_BITS = 5  # integer bits of a logarithm


def high(a: np.ndarray | int, b: np.ndarray | int) -> np.ndarray:
    """The high half of 2ab, rounded to nearest."""
    product = np.asarray(a, np.int64) * b
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    return np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))


def over(x: np.ndarray, right: int) -> np.ndarray:
    """x / 2^right, rounded to nearest, halves away from zero."""
    rest = x & ((1 << right) - 1)
    return (x >> right) + (rest > (((1 << right) - 1) >> 1) + (x < 0))


def exponential(a: np.ndarray, integer_bits: int) -> np.ndarray:
    """exp(a) without integer bits, of a <= 0 with `integer_bits`."""
    quarter = 1 << 29 - integer_bits
    below = (a & (quarter - 1)) - quarter
    x = (below << integer_bits) + (1 << 28)  # from the interval's middle, -1/8
    square = high(x, x)
    cube, fourth = high(square, x), high(square, square)
    series = x + over(high(over(fourth, 2) + cube, THIRD) + square, 1)
    result: np.ndarray = EXP_OF_EIGHTH + high(EXP_OF_EIGHTH, series)
    for bit, factor in enumerate(EXPONENTIALS[: integer_bits + 2], 29 - integer_bits):
        result = np.where(below - a >> bit & 1, high(result, factor), result)
    return np.where(a == 0, LIMIT, result)


def one_over_one_plus(fraction: np.ndarray) -> np.ndarray:
    """1 / (1 + f), f in [0, 1]; no integer bits."""
    return np.minimum(_inverse(fraction) << 1, LIMIT)


def one_minus_over_one_plus(fraction: np.ndarray) -> np.ndarray:
    """(1 - f) / (1 + f), f in [0, 1]; no integer bits."""
    return np.minimum(_inverse(fraction) - (1 << 29) << 2, LIMIT)


def _inverse(fraction: np.ndarray) -> np.ndarray:
    """1 / ((1 + f) / 2), two integer bits."""
    half = (np.asarray(fraction, np.int64) + LIMIT + 1) // 2
    x = NEWTON[0] + high(half, NEWTON[1])
    for _ in range(3):
        x = x + np.clip(high(x, (1 << 29) - high(half, x)) << 2, -LIMIT - 1, LIMIT)
    return x


def leading_zeros(x: np.ndarray) -> np.ndarray:
    return 31 - np.floor(np.log2(x)).astype(np.int64)


def logarithm(x: np.ndarray, integer_bits: int) -> np.ndarray:
    """log(x) with LOG_BITS integer bits, of x >= 1 with `integer_bits`."""
    unit = 1 << 30 - LOG_BITS  # 1, with one integer bit more
    up = leading_zeros(x)
    r = np.minimum(high(x << up - 1, ROOT_HALF) << 1, LIMIT)
    power = (integer_bits - up) * unit + unit // 4
    up = leading_zeros(high(x, ROOT_HALF)) - 1
    r = np.minimum(r, np.minimum(x << up, LIMIT))
    power = np.maximum(power, (integer_bits - up) * unit - unit // 4)
    p, q = (r + FOURTH_ROOT_HALF + 1) // 2, 2 * (r - FOURTH_ROOT_HALF)
    square = high(q, q)
    numerator = high(q, r) + high(high(q, square), SQUARE)
    denominator = high(p, CONSTANT + q + high(IN_SQUARE, square)) + high(LINEAR, q)
    log = high(power, LOG_2) + high(over(numerator, LOG_BITS + 1), one_over_one_plus(denominator))
    return np.clip(log << 1, -LIMIT - 1, LIMIT)
