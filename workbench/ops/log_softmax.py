"""nn.log_softmax: y = x − log Σ exp(x) along the last axis, and its gradient dx = dy − exp(y) · Σ dy.

What inference ends in: training computes its loss from the logits.

y     x − m − log1p(Σ exp(x − m) without the largest)        m the largest x: digits are kept where one is sure
"""

import numpy as np

from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel
from workbench.ir.op import Op, Sample, register
from workbench.ir.ranges import Range, exactly, known, near
from workbench.ir.types import TensorType
from workbench.ops import softmax
from workbench.ops._exp import exp
from workbench.ops._in_order import in_order
from workbench.ops.softmax import SHAPES, Softmax, exponentials, gradient_of, rows_of


def infer(x: TensorType) -> TensorType:
    return rows_of("log_softmax", x)


def _rest(x: np.ndarray, e: np.ndarray) -> np.ndarray:
    """The sum of a row's terms, without the term of the largest x."""
    np.put_along_axis(e, x.argmax(axis=-1, keepdims=True), 0, axis=-1)
    return e.sum(axis=-1, keepdims=True)


def evaluate(x: np.ndarray) -> np.ndarray:
    below = x - x.max(axis=-1, keepdims=True)
    return below - np.log1p(_rest(x, np.exp(below)))


def within(x: Range) -> Range:
    logits = known(x).astype(np.float64)
    below = logits - logits.max(axis=-1, keepdims=True)
    e, size = exponentials(below)
    rest, size = _rest(logits, e), _rest(logits, np.where(e == 0, 0, size))
    slack = np.abs(below) + np.log1p(rest) + size / (1 + rest)
    return near(below - np.log1p(rest), np.where(below == -np.inf, 0, slack))


def grad_x(build: Builder, dy: Value, x: Value, *, y: Values) -> Value:
    return build.log_softmax_grad(dy, y[0])


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = [Sample((3 * rng.normal(size=shape),)) for shape in SHAPES]
    return [*cases, Sample((np.array([[80.0, -80.0, 300.0, 300.0]]),)), Sample((np.array([[16.0, 0.5, -1.0, 1.0]]),))]


def infer_grad(dy: TensorType, y: TensorType) -> TensorType:
    return gradient_of("log_softmax_grad", dy, y)


def evaluate_grad(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    return dy - exp(y) * in_order(dy)[..., None]


def within_grad(dy: Range, y: Range) -> Range:
    return exactly(evaluate_grad(known(dy), known(y)))


def samples_grad(rng: np.random.Generator) -> list[Sample]:
    logits = [case.operands[0] for case in samples(rng)]
    return [Sample((rng.normal(size=x.shape), evaluate(x))) for x in logits]


register(Op(
    name="nn.log_softmax", infer=infer, evaluate=evaluate, within=within, grads=(grad_x,), samples=samples,
    kernel=Kernel("log_softmax_f32.h", "log_softmax_f32", record=Softmax, parameters=softmax.parameters),
    instructions=(0, 57),
))  # fmt: skip
register(Op(
    name="nn.log_softmax_grad", infer=infer_grad, evaluate=evaluate_grad, within=within_grad, samples=samples_grad,
    kernel=Kernel("log_softmax_f32.h", "log_softmax_grad_f32", record=Softmax, parameters=softmax.parameters,
                  in_place=(0, 1)),
    instructions=(0, 46),
))  # fmt: skip
