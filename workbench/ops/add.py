"""add: y = a + b, each axis as long in both or 1 in one (see _broadcast); also how gradients that meet are summed."""

from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value
from workbench.ir.kernel import Kernel
from workbench.ir.op import Int8Form, Op, Sample, register
from workbench.ir.types import TensorType
from workbench.ops._broadcast import SHAPES, Two, both_read, of_gradients, shape_of_both, summed_to, ties_of_both


def infer(a: TensorType, b: TensorType) -> TensorType:
    if a.dtype != b.dtype:
        raise ShapeError(f"add: a and b are of one dtype; got {a} and {b}")
    if a.shape == b.shape:
        return a
    if a.layout or b.layout:
        raise ShapeError(f"add: operands of different shapes are row-major; got {a} and {b}")
    return TensorType(shape_of_both("add", a, b), a.dtype)


def evaluate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a + b


def grad_a(build: Builder, dy: Value, a: Value, b: Value, **_: Any) -> Value:
    return summed_to(build, dy, a)


def grad_b(build: Builder, dy: Value, a: Value, b: Value, **_: Any) -> Value:
    return summed_to(build, dy, b)


def parameters(a: TensorType, b: TensorType) -> Two:
    return Two("WB_PLUS", **both_read(a, b))


def samples(rng: np.random.Generator) -> list[Sample]:
    shapes = [((2, 3, 4, 4),) * 2, ((1,),) * 2, ((3, 7),) * 2, *SHAPES[1:]]
    return [Sample((rng.normal(size=a), rng.normal(size=b))) for a, b in shapes]


register(Op(
    name="add", infer=infer, evaluate=evaluate, grads=(grad_a, grad_b), samples=samples,
    layouts="same", parameters={0: "term", 1: "term"}, adds=True, affine=(0, 1), int8=Int8Form("of two", "qnn.add"),
    footprint=of_gradients,
    kernel=Kernel("broadcast_f32.h", "of_two_f32", record=Two, parameters=parameters, in_place=(0, 1), views=(0, 1),
                  gives_view=True),
    ties=ties_of_both, instructions=(0, 6.7),
))  # fmt: skip
