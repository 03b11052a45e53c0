"""nn.log_softmax: y = x − log Σ exp(x) of each row; what inference ends in. Training computes its loss from the logits.

y     x − m − log1p(Σ exp(x − m) without the largest)        m the largest x: digits are kept where one is sure
"""

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.kernel import Kernel
from workbench.ir.op import Op, Sample, register
from workbench.ir.ranges import Range, known, near
from workbench.ir.types import TensorType
from workbench.ops import softmax
from workbench.ops.softmax import Softmax, exponentials


def infer(x: TensorType) -> TensorType:
    if x.rank != 2:
        raise ShapeError(f"log_softmax: x is (batch, classes); got {x}")
    return x


def _rest(x: np.ndarray, e: np.ndarray) -> np.ndarray:
    """The sum of a row's terms, without the term of the largest x."""
    e[np.arange(len(x)), x.argmax(axis=1)] = 0
    return e.sum(axis=1, keepdims=True)


def evaluate(x: np.ndarray) -> np.ndarray:
    below = x - x.max(axis=1, keepdims=True)
    return below - np.log1p(_rest(x, np.exp(below)))


def within(x: Range) -> Range:
    logits = known(x).astype(np.float64)
    below = logits - logits.max(axis=1, keepdims=True)
    e, size = exponentials(below)
    rest, size = _rest(logits, e), _rest(logits, np.where(e == 0, 0, size))
    slack = np.abs(below) + np.log1p(rest) + size / (1 + rest)
    return near(below - np.log1p(rest), np.where(below == -np.inf, 0, slack))


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = [Sample((3 * rng.normal(size=shape),)) for shape in ((1, 10), (4, 3), (2, 1))]
    return [*cases, Sample((np.array([[80.0, -80.0, 1e4, 1e4]]),)), Sample((np.array([[16.0, 0.5, -1.0, 1.0]]),))]


register(Op(
    name="nn.log_softmax", infer=infer, evaluate=evaluate, within=within, samples=samples,
    kernel=Kernel("log_softmax_f32.h", "log_softmax_f32", record=Softmax, parameters=softmax.parameters),
))  # fmt: skip
