"""qnn.log_softmax: that of int8 logits as int8, y = 16 · log(softmax(x_scale · x)) + 127; what inference ends in.

In whole numbers, so that C does the same: as TensorFlow Lite's reference, to the bit
(lite/kernels/internal/reference/log_softmax.h). What lies below -16 is told as -16.
"""

from dataclasses import dataclass

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.kernel import Kernel
from workbench.ir.op import REQUIRED, Op, Sample, register
from workbench.ir.types import TensorType
from workbench.ops import qnn_softmax
from workbench.ops._fixed_point import LIMIT, LOG_BITS, logarithm, over
from workbench.ops._quantized import check, multiplied, multiplier
from workbench.ops.qnn_softmax import SUM_BITS, Softmax, below_largest, scaling, sum_of

OUTPUT_BITS = 4
SCALE, ZERO_POINT = 2.0**OUTPUT_BITS / 256, 127


@dataclass(frozen=True)
class LogSoftmax:
    """wb_log_softmax_s8: see `back`."""

    logits: Softmax
    back_m: int
    back_shift: int


def infer(x: TensorType, *, x_scale: float) -> TensorType:
    check("qnn.log_softmax", x, x_scale, x.zero_point)
    if x.rank != 2 or x.shape[1] >= 1 << SUM_BITS:
        raise ShapeError(f"qnn.log_softmax: x is (batch, classes), fewer than {1 << SUM_BITS}; got {x}")
    return TensorType(x.shape, "int8", scale=SCALE, zero_point=ZERO_POINT)


def back(x_scale: float) -> tuple[int, int]:
    """Multiplier and shift that bring 5 integer bits back to a difference of logits."""
    m, shift, _ = scaling(x_scale, 1.0)
    return multiplier(2.0 ** (31 - shift) / m, "tflite")


def parameters(x: TensorType, *, x_scale: float) -> LogSoftmax:
    return LogSoftmax(qnn_softmax.parameters(x, x_scale=x_scale, beta=1.0), *back(x_scale))


def evaluate(x: np.ndarray, *, x_scale: float) -> np.ndarray:
    m, shift, lowest = scaling(x_scale, 1.0)
    below, e, _ = below_largest(x, m, shift, lowest)
    log = logarithm(sum_of(e), SUM_BITS)
    least = np.maximum(lowest - 1, multiplied(log - LIMIT - 1, *back(x_scale), "tflite"))
    counts = x.astype(np.int64) - x.max(axis=1, keepdims=True) > least
    y = over(below - log, 31 - LOG_BITS - OUTPUT_BITS) + 127
    return np.where(counts, np.clip(y, -128, 127), -128).astype(np.int8)


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = [
        Sample((rng.integers(-128, 128, shape, dtype=np.int8),), {"x_scale": scale})
        for shape, scale in (((1, 12), 0.14), ((3, 10), 0.02), ((2, 1), 0.5), ((2, 300), 0.01), ((1, 40), 1.5),
                             ((2, 5), 1e-4))
    ]  # fmt: skip
    edges = np.array([[-128, 127, 0, 1], [5, 5, 5, 5], [127, 127, -128, 126]], np.int8)
    return [*cases, Sample((edges,), {"x_scale": 0.1})]


register(Op(
    name="qnn.log_softmax", infer=infer, evaluate=evaluate, samples=samples, dtypes={0: ("int8",)},
    attrs={"x_scale": REQUIRED},
    kernel=Kernel("log_softmax_s8.h", "log_softmax_s8", record=LogSoftmax, parameters=parameters),
))  # fmt: skip
