"""nn.softmax: y = exp(x) / Σ exp(x) along the last axis, and its gradient dx = y · (dy - Σ dy · y).

In attention, or what inference ends in: training computes its loss from the logits.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel
from workbench.ir.op import Op, Sample, register
from workbench.ir.ranges import EPSILON, ROUNDINGS, Range, exactly, known, near
from workbench.ir.types import TensorType
from workbench.ops._exp import exp
from workbench.ops._in_order import in_order


@dataclass(frozen=True)
class Softmax:
    """wb_softmax: rows, and the elements of each."""

    batch: int
    classes: int


def parameters(x: TensorType, *_: TensorType, **__: Any) -> Softmax:
    """`Kernel.parameters` of what works on logits, row by row."""
    return Softmax(prod(x.shape[:-1]), x.shape[-1])


def rows_of(what: str, x: TensorType) -> TensorType:
    """The type of a result shaped as the rows of x are. Raises ShapeError where there are none."""
    if x.rank < 2:
        raise ShapeError(f"{what}: x is (batch, …, classes); got {x}")
    return x


def infer(x: TensorType) -> TensorType:
    return rows_of("softmax", x)


def evaluate(x: np.ndarray) -> np.ndarray:
    e = exp(x - x.max(axis=-1, keepdims=True))
    return e * (x.dtype.type(1) / in_order(e)[..., None])


def grad_x(build: Builder, dy: Value, x: Value, *, y: Values) -> Value:
    return build.softmax_grad(dy, y[0])


LOWEST = -87  # where the kernel's exp gives 0: what follows is hardly above the smallest float32


def exponentials(below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """exp in float64 of numbers of 0 or less, and its size (see ir/ranges.py), which covers the rounding of x."""
    e = np.exp(below)
    return e, np.where(below < LOWEST, e / (ROUNDINGS * EPSILON), e * (1 - below))


def probabilities(x: Range) -> tuple[np.ndarray, np.ndarray]:
    """Softmax in float64, and the sizes of its numerators, divided by its denominators."""
    e, size = exponentials(known(x).astype(np.float64) - known(x).max(axis=-1, keepdims=True))
    total = e.sum(axis=-1, keepdims=True)
    return e / total, size / total


def within(x: Range) -> Range:
    p, size = probabilities(x)
    return near(p, size + p * size.sum(axis=-1, keepdims=True))


SHAPES = (1, 10), (4, 3), (2, 1), (2, 3, 5), (1, 2, 3, 3), (2, 1, 1)


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = [Sample((3 * rng.normal(size=shape),)) for shape in SHAPES]
    return [*cases, Sample((np.array([[80.0, -80.0, 1e4, 1e4]]),))]


def gradient_of(what: str, dy: TensorType, y: TensorType) -> TensorType:
    """The type of a gradient that is computed from dy and y. Raises ShapeError where they differ."""
    if dy.shape != y.shape:
        raise ShapeError(f"{what}: dy and y are of one shape; got {dy} and {y}")
    return rows_of(what, dy)


def infer_grad(dy: TensorType, y: TensorType) -> TensorType:
    return gradient_of("softmax_grad", dy, y)


def evaluate_grad(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    return y * (dy - in_order(dy * y)[..., None])


def within_grad(dy: Range, y: Range) -> Range:
    return exactly(evaluate_grad(known(dy), known(y)))


def samples_grad(rng: np.random.Generator) -> list[Sample]:
    logits = [case.operands[0] for case in samples(rng)]
    return [Sample((rng.normal(size=x.shape), evaluate(x))) for x in logits]


register(Op(
    name="nn.softmax", infer=infer, evaluate=evaluate, within=within, grads=(grad_x,), samples=samples,
    kernel=Kernel("softmax_f32.h", "softmax_f32", record=Softmax, parameters=parameters, in_place=(0,)),
    instructions=(0, 51),
))  # fmt: skip
register(Op(
    name="nn.softmax_grad", infer=infer_grad, evaluate=evaluate_grad, within=within_grad, samples=samples_grad,
    kernel=Kernel("softmax_f32.h", "softmax_grad_f32", record=Softmax, parameters=parameters, in_place=(0, 1)),
    instructions=(0, 7.7),
))  # fmt: skip
