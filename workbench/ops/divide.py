"""divide: y = a / b, each axis as long in both or 1 in one (see _broadcast).

The gradient of a is dy / b; that of b is -(dy / b) · y: the same quotient, and nothing is squared.
"""

from typing import Any

import numpy as np

from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel
from workbench.ir.op import Op, Sample, register
from workbench.ir.ranges import Range, same_bits
from workbench.ir.types import TensorType
from workbench.ops._broadcast import SHAPES, Two, both_read, by_tiles, shape_of_both, summed_to, ties_of_both


def infer(a: TensorType, b: TensorType) -> TensorType:
    return TensorType(shape_of_both("divide", a, b), a.dtype)


def evaluate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return a / b


def within(a: Range, b: Range) -> Range:
    """Anything, where b may be 0 or is on either side of it."""
    (y,) = same_bits(evaluate)(a, b)
    if b.exact:
        return y
    poles = (b.low <= 0) & (b.high >= 0)
    return Range(np.where(poles, -np.inf, y.low), np.where(poles, np.inf, y.high))


def grad_a(build: Builder, dy: Value, a: Value, b: Value, **_: Any) -> Value:
    return summed_to(build, build.shared("divide", dy, b), a)


def grad_b(build: Builder, dy: Value, a: Value, b: Value, *, y: Values) -> Value:
    return build.sum_to(build.shared("divide", dy, b), y[0], newshape=b.shape, times=-1.0)


def parameters(a: TensorType, b: TensorType) -> Two:
    return Two("WB_OVER", **both_read(a, b))


def samples(rng: np.random.Generator) -> list[Sample]:
    """By numbers of both signs, none of them near 0."""

    def divisor(shape: tuple[int, ...]) -> np.ndarray:
        b = rng.normal(size=shape)
        return np.where(b < 0, b - 0.5, b + 0.5)

    return [Sample((rng.normal(size=a), divisor(b))) for a, b in SHAPES]


register(Op(
    name="divide", infer=infer, evaluate=evaluate, within=within, grads=(grad_a, grad_b), samples=samples,
    ties=ties_of_both, parameters={0: "factor", 1: "factor"}, affine=(0,),
    footprint=by_tiles,
    kernel=Kernel("broadcast_f32.h", "of_two_f32", record=Two, parameters=parameters, in_place=(0, 1), views=(0, 1),
                  gives_view=True),
    instructions=(0, 6.8),
))  # fmt: skip
