"""maximum and minimum: y = one of a and b, each axis as long in both or 1 in one (see _broadcast); NaN where either is.

The gradient goes to the operand that was taken, half to each where they are equal, as PyTorch has it.
"""

from typing import Any

import numpy as np

from workbench.ir.build import Builder, Value
from workbench.ir.kernel import Kernel
from workbench.ir.op import Op, Sample, register
from workbench.ir.types import TensorType
from workbench.ops._broadcast import SHAPES, Two, both_read, by_tiles, shape_of_both, ties_of_both


def samples(rng: np.random.Generator) -> list[Sample]:
    return [Sample((rng.normal(size=a), rng.normal(size=b))) for a, b in SHAPES]


def register_choice(name: str, how: str, larger: bool) -> None:
    """The operator of this name that takes the larger one, or the smaller; `how`: what it is in C."""

    def infer(a: TensorType, b: TensorType) -> TensorType:
        return TensorType(shape_of_both(name, a, b), a.dtype)

    def evaluate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where((a > b if larger else a < b) | np.isnan(a), a, b)

    def grad_a(build: Builder, dy: Value, a: Value, b: Value, **_: Any) -> Value:
        return build.sum_to(dy, build.above(a, b) if larger else build.above(b, a), newshape=a.shape)

    def grad_b(build: Builder, dy: Value, a: Value, b: Value, **_: Any) -> Value:
        return build.sum_to(dy, build.above(b, a) if larger else build.above(a, b), newshape=b.shape)

    def parameters(a: TensorType, b: TensorType) -> Two:
        return Two(how, **both_read(a, b))

    register(Op(
        name=name, infer=infer, evaluate=evaluate, grads=(grad_a, grad_b), samples=samples, ties=ties_of_both,
        parameters={0: "factor", 1: "factor"},
        footprint=by_tiles,
        kernel=Kernel("broadcast_f32.h", "of_two_f32", record=Two, parameters=parameters, in_place=(0, 1),
                      views=(0, 1), gives_view=True),
    ))  # fmt: skip
