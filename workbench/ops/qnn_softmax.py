"""qnn.softmax: the softmax of int8 logits as int8, y = 256 · softmax(beta · x_scale · x) - 128; what inference ends in.

In whole numbers, so that C does the same: as TensorFlow Lite's reference, to the bit
(lite/kernels/internal/reference/softmax.h; its functions stand in _fixed_point.py).
"""

from dataclasses import dataclass
from math import floor

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.kernel import Kernel
from workbench.ir.op import REQUIRED, Op, Sample, register
from workbench.ir.types import TensorType
from workbench.ops._fixed_point import LIMIT, exponential, high, leading_zeros, one_over_one_plus, over
from workbench.ops._quantized import check, multiplier

INTEGER_BITS, SUM_BITS = 5, 12  # of the scaled difference to the largest logit, and of the sum
FRACTION = 31 - INTEGER_BITS


@dataclass(frozen=True)
class Softmax:
    """wb_softmax_s8: see `scaling`."""

    batch: int
    classes: int
    m: int
    shift: int
    lowest: int


def infer(x: TensorType, *, x_scale: float, beta: float) -> TensorType:
    check("qnn.softmax", x, x_scale, x.zero_point)
    if x.rank != 2 or x.shape[1] >= 1 << SUM_BITS or not beta > 0:
        limit = 1 << SUM_BITS
        raise ShapeError(f"qnn.softmax: x is (batch, classes), fewer than {limit}, beta positive; got {x}, {beta}")
    return TensorType(x.shape, "int8", scale=1 / 256, zero_point=-128)


def scaling(x_scale: float, beta: float) -> tuple[int, int, int]:
    """Multiplier and shift that bring a difference of logits to 5 integer bits, and the lowest that they can hold."""
    m, shift = multiplier(min(beta * x_scale * (1 << FRACTION), float(LIMIT)), "tflite")
    return m, shift, -floor(((1 << INTEGER_BITS) - 1) * 2.0 ** (FRACTION - shift))


def parameters(x: TensorType, *, x_scale: float, beta: float) -> Softmax:
    batch, classes = x.shape
    return Softmax(batch, classes, *scaling(x_scale, beta))


def below_largest(x: np.ndarray, m: int, shift: int, lowest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The differences to a row's largest logit, with 5 integer bits; the exponentials; which of them count."""
    below = x.astype(np.int64) - x.max(axis=1, keepdims=True)
    counts = below >= lowest
    scaled = high(np.where(counts, below, 0) << max(shift, 0), m)
    return scaled, np.where(counts, exponential(scaled, INTEGER_BITS), 0), counts


def sum_of(e: np.ndarray) -> np.ndarray:
    """Of a row's exponentials, with 12 integer bits."""
    return over(e, SUM_BITS).sum(axis=1, keepdims=True)


def reciprocal(total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1 / total as a number without integer bits, and how many bits it is to be shifted right."""
    leading = leading_zeros(total)
    return one_over_one_plus((total << leading) - (1 << 31)), SUM_BITS - leading


def evaluate(x: np.ndarray, *, x_scale: float, beta: float) -> np.ndarray:
    _, e, counts = below_largest(x, *scaling(x_scale, beta))
    scale, right = reciprocal(sum_of(e))
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


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = [
        Sample((rng.integers(-128, 128, shape, dtype=np.int8),), {"x_scale": scale, "beta": beta})
        for shape, scale, beta in CASES
    ]
    edges = np.array([[-128, 127, 0, 1], [5, 5, 5, 5], [127, 127, -128, 126]], np.int8)
    return [*cases, Sample((edges,), {"x_scale": 0.1, "beta": 1.0})]


register(Op(
    name="qnn.softmax", infer=infer, evaluate=evaluate, samples=samples, dtypes={0: ("int8",)},
    attrs={"x_scale": REQUIRED, "beta": 1.0},
    kernel=Kernel("softmax_s8.h", "softmax_s8", record=Softmax, parameters=parameters),
))  # fmt: skip
