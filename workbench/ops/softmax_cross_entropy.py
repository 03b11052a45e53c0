"""nn.softmax_cross_entropy: the batch mean of log Σ exp(x) − x[label]; its gradient is (softmax(x) − onehot) / N.

Both keep their digits where the network is sure (a loss near 0): nothing is taken from what is all but equal to it.

    loss           m − x[label] + log1p(Σ exp(x − m) without the largest)        m the largest x
    dx[label]      −Σ of the other classes' softmax                              instead of softmax − 1
"""

from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value
from workbench.ir.kernel import Kernel
from workbench.ir.op import Op, Sample, register
from workbench.ir.ranges import Range, known, near
from workbench.ir.types import TensorType
from workbench.objective import CROSS_ENTROPY
from workbench.ops import softmax
from workbench.ops.softmax import Softmax, exponentials, probabilities


def _check(name: str, logits: TensorType, labels: TensorType) -> None:
    if logits.rank != 2 or labels.shape != logits.shape[:1] or labels.dtype != "int32":
        raise ShapeError(f"{name}: logits are (batch, classes) and labels int32 (batch,); got {logits} and {labels}")


def infer(logits: TensorType, labels: TensorType) -> TensorType:
    _check("softmax_cross_entropy", logits, labels)
    return TensorType((), logits.dtype)


def _shifted(logits: np.ndarray) -> np.ndarray:
    return logits - logits.max(axis=1, keepdims=True)


def evaluate(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    x, rows = _shifted(logits), np.arange(len(logits))
    e = np.exp(x)
    e[rows, x.argmax(axis=1)] = 0
    loss = np.log1p(e.sum(axis=1)) - x[rows, labels]
    return np.asarray(loss.sum() * logits.dtype.type(1 / len(x)), logits.dtype)


def within(logits: Range, labels: Range) -> Range:
    x, rows = _shifted(known(logits).astype(np.float64)), np.arange(len(labels.low))
    e, size = exponentials(x)
    e[rows, x.argmax(axis=1)] = size[rows, x.argmax(axis=1)] = 0
    rest, label = e.sum(axis=1), -x[rows, labels.low]
    sizes = size.sum(axis=1) / (1 + rest) + np.log1p(rest) + label
    return near(np.mean(np.log1p(rest) + label), np.mean(sizes))


def grad_logits(build: Builder, dy: Value, logits: Value, labels: Value, **_: Any) -> Value:
    if dy is not None:
        raise ShapeError("softmax_cross_entropy: is a loss; nothing may be computed from it")
    return build.softmax_cross_entropy_grad(logits, labels)


def infer_grad(logits: TensorType, labels: TensorType) -> TensorType:
    _check("softmax_cross_entropy_grad", logits, labels)
    return logits


def evaluate_grad(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    e, label = np.exp(_shifted(logits)), (np.arange(len(logits)), labels)
    own = e[label]
    e[label] = 0
    others = e.sum(axis=1)
    e[label] = -others
    scale = logits.dtype.type(1) / (others + own)
    return e * scale[:, None] * logits.dtype.type(1 / len(e))


def within_grad(logits: Range, labels: Range) -> Range:
    p, size = probabilities(logits)
    rows, batch = (np.arange(len(p)), labels.low), len(p)
    spread = size.sum(axis=1, keepdims=True)
    p[rows] = size[rows] = 0  # its own is minus the sum of the others
    p[rows], size[rows] = -p.sum(axis=1), size.sum(axis=1)
    return near(p / batch, (size + np.abs(p) * spread) / batch)


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = [
        Sample((rng.normal(size=(n, c)) * 3, rng.integers(0, c, n, dtype=np.int32)))
        for n, c in ((1, 10), (4, 3), (2, 1))
    ]
    far = np.array([[80.0, -80.0, 0.0], [-1e4, 1e4, 1e4]])
    sure = np.array([[12.0, 0.5, -1.0, 1.0]])
    return [*cases, Sample((far, np.array([0, 1], np.int32))), Sample((sure, np.array([0], np.int32)))]


register(Op(
    name="nn.softmax_cross_entropy", infer=infer, evaluate=evaluate, within=within,
    grads=(grad_logits, None), samples=samples,
    loss=CROSS_ENTROPY, dtypes={1: ("int32",)},
    kernel=Kernel("softmax_cross_entropy_f32.h", "softmax_cross_entropy_f32", record=Softmax,
                  parameters=softmax.parameters),
    instructions=(0, 57.4),
))  # fmt: skip
register(Op(
    name="nn.softmax_cross_entropy_grad", infer=infer_grad, evaluate=evaluate_grad, within=within_grad,
    samples=samples,
    dtypes={1: ("int32",)},
    kernel=Kernel("softmax_cross_entropy_f32.h", "softmax_cross_entropy_grad_f32", record=Softmax,
                  parameters=softmax.parameters),
    instructions=(0, 60.7),
))  # fmt: skip
