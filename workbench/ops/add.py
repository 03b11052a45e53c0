"""add: y = a + b, each axis as long in both or 1 in one (see _broadcast); also how gradients that meet are summed."""

from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value
from workbench.ir.kernel import Kernel, Literals, Reach, Rows
from workbench.ir.op import Int8Form, Op, Sample, register
from workbench.ir.types import TensorType
from workbench.ops._broadcast import SHAPES, loops_literal, shape_of_both, summed_to, ties_of_both


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


def function(a: TensorType, b: TensorType) -> str:
    return "add_f32" if a.shape == b.shape else "broadcast_f32"


def literals(a: TensorType, b: TensorType) -> Literals:
    if a.shape == b.shape:
        return [a.elements]
    return ["WB_PLUS", loops_literal(shape_of_both("add", a, b), a.shape, b.shape)]


def same_rows(a: TensorType, b: TensorType, **_: Any) -> Reach:
    if a.shape != b.shape:
        raise ShapeError("add: works row by row on operands of one shape")
    return Reach()


def samples(rng: np.random.Generator) -> list[Sample]:
    shapes = [((2, 3, 4, 4),) * 2, ((1,),) * 2, ((3, 7),) * 2, *SHAPES[1:]]
    return [Sample((rng.normal(size=a), rng.normal(size=b))) for a, b in shapes]


register(Op(
    name="add", infer=infer, evaluate=evaluate, grads=(grad_a, grad_b), samples=samples,
    layouts="same", parameters={0: "constant", 1: "constant"}, adds=True, int8=Int8Form("of two", "qnn.add"),
    kernel=Kernel("broadcast_f32.h", function, literals, in_place=(0, 1)),
    rows=Rows("elementwise_rows_f32.h", "add_rows_f32", lambda a, b: [a.shape[1], a.shape[3]], same_rows, (0, 1)),
    ties=ties_of_both, instructions=(0, 6.7),
))  # fmt: skip
