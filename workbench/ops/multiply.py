"""multiply: y = a · b, each axis as long in both or 1 in one (see _broadcast): gates, scales, products of branches."""

from typing import Any

import numpy as np

from workbench.ir.build import Builder, Value
from workbench.ir.kernel import Kernel
from workbench.ir.op import Int8Form, Op, Sample, register
from workbench.ir.types import TensorType
from workbench.ops._broadcast import SHAPES, Two, both_read, by_tiles, shape_of_both, ties_of_both


def infer(a: TensorType, b: TensorType) -> TensorType:
    return TensorType(shape_of_both("multiply", a, b), a.dtype)


def evaluate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a * b


def grad_a(build: Builder, dy: Value, a: Value, b: Value, **_: Any) -> Value:
    return build.sum_to(dy, b, newshape=a.shape)


def grad_b(build: Builder, dy: Value, a: Value, b: Value, **_: Any) -> Value:
    return build.sum_to(dy, a, newshape=b.shape)


def parameters(a: TensorType, b: TensorType) -> Two:
    return Two("WB_TIMES", **both_read(a, b))


def samples(rng: np.random.Generator) -> list[Sample]:
    return [Sample((rng.normal(size=a), rng.normal(size=b))) for a, b in SHAPES]


register(Op(
    name="multiply", infer=infer, evaluate=evaluate, grads=(grad_a, grad_b), samples=samples, ties=ties_of_both,
    parameters={0: "factor", 1: "factor"}, affine=(0, 1), int8=Int8Form("of two", "qnn.multiply"),
    footprint=by_tiles,
    kernel=Kernel("broadcast_f32.h", "of_two_f32", record=Two, parameters=parameters, in_place=(0, 1), views=(0, 1),
                  gives_view=True),
))  # fmt: skip
