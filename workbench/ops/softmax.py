"""nn.softmax: y = exp(x) / Σ exp(x) of each row; what inference ends in. Training computes its loss from the logits."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.kernel import Kernel
from workbench.ir.op import Op, Sample, register
from workbench.ir.ranges import EPSILON, ROUNDINGS, Range, known, near
from workbench.ir.types import TensorType


@dataclass(frozen=True)
class Softmax:
    """wb_softmax."""

    batch: int
    classes: int


def parameters(x: TensorType, *_: TensorType, **__: Any) -> Softmax:
    """`Kernel.parameters` of what works on logits, one row an image."""
    return Softmax(*x.shape)


def infer(x: TensorType) -> TensorType:
    if x.rank != 2:
        raise ShapeError(f"softmax: x is (batch, classes); got {x}")
    return x


def evaluate(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e * (x.dtype.type(1) / e.sum(axis=1, keepdims=True))


LOWEST = -87  # where the kernel's exp gives 0: what follows is hardly above the smallest float32


def exponentials(below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """exp in float64 of numbers of 0 or less, and its size (see ir/ranges.py), which covers the rounding of x."""
    e = np.exp(below)
    return e, np.where(below < LOWEST, e / (ROUNDINGS * EPSILON), e * (1 - below))


def probabilities(x: Range) -> tuple[np.ndarray, np.ndarray]:
    """Softmax in float64, and the sizes of its numerators, divided by its denominators."""
    e, size = exponentials(known(x).astype(np.float64) - known(x).max(axis=1, keepdims=True))
    total = e.sum(axis=1, keepdims=True)
    return e / total, size / total


def within(x: Range) -> Range:
    p, size = probabilities(x)
    return near(p, size + p * size.sum(axis=1, keepdims=True))


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = [Sample((3 * rng.normal(size=shape),)) for shape in ((1, 10), (4, 3), (2, 1))]
    return [*cases, Sample((np.array([[80.0, -80.0, 1e4, 1e4]]),))]


register(Op(
    name="nn.softmax", infer=infer, evaluate=evaluate, within=within, samples=samples,
    kernel=Kernel("softmax_f32.h", "softmax_f32", record=Softmax, parameters=parameters),
))  # fmt: skip
