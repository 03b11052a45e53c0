"""qnn.softmax: the softmax of int8 logits as int8, y = 256 · softmax(beta · x_scale · x) - 128; what inference ends in.

In whole numbers, so that C does the same: as TensorFlow Lite's reference, to the bit
(lite/kernels/internal/reference/softmax.h). A number of n integer bits is an int32 that counts in 2^(n - 31); a product
is the high half of twice the int32s'.

    exp(-t)    of t in 5 integer bits: a polynomial for what is below ¼, around -⅛, times exp(-2^k) for each bit above
    1 / sum    three steps of Newton's method for 1 / ((1 + f) / 2), f the sum's fraction; 48/17 - 32/17 · d first

(The fixed-point functions are gemmlowp's, fixedpoint/fixedpoint.h.)
"""

from math import floor

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.op import REQUIRED, Kernel, Op, Sample, register
from workbench.ir.types import TensorType
from workbench.ops._quantized import check, multiplier

INTEGER_BITS, SUM_BITS = 5, 12  # of the scaled difference to the largest logit, and of the sum
FRACTION = 31 - INTEGER_BITS
LIMIT = 2**31 - 1
EXP_OF_EIGHTH, THIRD = 1895147668, 715827883  # exp(-1/8), 1/3; no integer bits
EXPONENTIALS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)  # exp(-2^k), k = -2 … 4
NEWTON = 1515870810, -1010580540  # 48/17, -32/17; two integer bits


def infer(x, *, x_scale, beta):
    check("qnn.softmax", x, x_scale, x.zero_point)
    if x.rank != 2 or x.shape[1] >= 1 << SUM_BITS or not beta > 0:
        limit = 1 << SUM_BITS
        raise ShapeError(f"qnn.softmax: x is (batch, classes), fewer than {limit}, beta positive; got {x}, {beta}")
    return TensorType(x.shape, "int8", scale=1 / 256, zero_point=-128)


def scaling(x_scale: float, beta: float) -> tuple[int, int, int]:
    """Multiplier and shift that bring a difference of logits to 5 integer bits, and the lowest that they can hold."""
    m, shift = multiplier(min(beta * x_scale * (1 << FRACTION), float(LIMIT)), "tflite")
    return m, shift, -floor(((1 << INTEGER_BITS) - 1) * 2.0 ** (FRACTION - shift))


def high(a, b):
    """The high half of 2ab, rounded to nearest."""
    product = np.asarray(a, np.int64) * b
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    return np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))


def over(x, right: int):
    """x / 2^right, rounded to nearest, halves away from zero."""
    rest = x & ((1 << right) - 1)
    return (x >> right) + (rest > (((1 << right) - 1) >> 1) + (x < 0))


def exponential(a):
    """exp(a) without integer bits, of a <= 0 with 5."""
    quarter = 1 << FRACTION - 2
    below = (a & (quarter - 1)) - quarter
    x = (below << INTEGER_BITS) + (1 << 28)  # from the interval's middle, -1/8
    square = high(x, x)
    cube, fourth = high(square, x), high(square, square)
    series = x + over(high(over(fourth, 2) + cube, THIRD) + square, 1)
    result = EXP_OF_EIGHTH + high(EXP_OF_EIGHTH, series)
    for bit, factor in enumerate(EXPONENTIALS, FRACTION - 2):
        result = np.where(below - a >> bit & 1, high(result, factor), result)
    return np.where(a == 0, LIMIT, result)


def reciprocal(total) -> tuple[np.ndarray, np.ndarray]:
    """1 / total as a number without integer bits, and how many bits it is to be shifted right."""
    leading = 32 - np.floor(np.log2(total)).astype(np.int64) - 1
    fraction = (total << leading) - (1 << 31)
    half = fraction + LIMIT
    half = np.where(half >= 0, half + 1, half - 1) // 2
    x = NEWTON[0] + high(half, NEWTON[1])
    for _ in range(3):
        x = x + np.clip(high(x, (1 << 29) - high(half, x)) << 2, -LIMIT - 1, LIMIT)
    return np.minimum(x << 1, LIMIT), SUM_BITS - leading


def evaluate(x, *, x_scale, beta):
    m, shift, lowest = scaling(x_scale, beta)
    below = x.astype(np.int64) - x.max(axis=1, keepdims=True)
    counts = below >= lowest
    e = np.where(counts, exponential(high(np.where(counts, below, 0) << max(shift, 0), m)), 0)
    scale, right = reciprocal(np.where(counts, over(e, SUM_BITS), 0).sum(axis=1, keepdims=True))
    y = np.stack([over(high(s, row), int(r[0]) + 23) for s, r, row in zip(scale, right, e, strict=True)])
    return np.where(counts, np.clip(y - 128, -128, 127), -128).astype(np.int8)


CASES = (  # shape, scale, beta
    ((1, 12), 0.14, 1.0),
    ((3, 10), 0.02, 1.0),
    ((2, 1), 0.5, 1.0),
    ((2, 300), 0.01, 2.0),
    ((1, 40), 1.5, 1.0),
    ((2, 5), 1e-4, 1.0),
)


def samples(rng):
    cases = [
        Sample((rng.integers(-128, 128, shape, dtype=np.int8),), {"x_scale": scale, "beta": beta})
        for shape, scale, beta in CASES
    ]
    edges = np.array([[-128, 127, 0, 1], [5, 5, 5, 5], [127, 127, -128, 126]], np.int8)
    return [*cases, Sample((edges,), {"x_scale": 0.1, "beta": 1.0})]


register(Op(
    name="qnn.softmax", infer=infer, evaluate=evaluate, samples=samples, dtypes={0: ("int8",)},
    attrs={"x_scale": REQUIRED, "beta": 1.0},
    kernel=Kernel("softmax_s8.h", "softmax_s8",
                  lambda x, *, x_scale, beta: [*x.shape, *scaling(x_scale, beta)]),
))  # fmt: skip
