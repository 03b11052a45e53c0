"""nn.dense: y = x · wᵀ, the fully connected layer.

A third operand b is added to each row, then `activation` clips the sums (see _activation).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel
from workbench.ir.op import Arrays, Int8Form, Op, Sample, Ties, Types, register
from workbench.ir.ranges import Range, Ranges, sums
from workbench.ir.types import TensorType
from workbench.ops._activation import ATTRS, IN_C, end_ranges, end_types, end_values, grad_b, through_clip
from workbench.ops.strided_slice import first_channels


def infer(
    x: TensorType, w: TensorType, b: TensorType | None = None, *, activation: str = "", mask: bool = False
) -> Types:
    if x.rank != 2 or w.rank != 2:
        raise ShapeError(f"dense: x and w are matrices; got {x} and {w}")
    if x.shape[1] != w.shape[1]:
        raise ShapeError(f"dense: x is {x}, so w needs {x.shape[1]} columns; got {w}")
    return end_types("dense", TensorType((x.shape[0], w.shape[0]), x.dtype), b, activation, mask)


def evaluate(
    x: np.ndarray, w: np.ndarray, b: np.ndarray | None = None, *, activation: str = "", mask: bool = False
) -> Arrays:
    return end_values(x @ w.T, b, activation, mask)


def within(*operands: Range, activation: str, mask: bool, **attrs: Any) -> Ranges:
    return end_ranges(sums(evaluate)(*operands, **attrs), activation, mask)


def grad_x(build: Builder, dy: Value, x: Value, w: Value, *b: Value, y: Values, activation: str, **_: Any) -> Value:
    return build.matmul(through_clip(build, dy, y, activation), w)


def part(x: TensorType, w: TensorType, *b: TensorType, **_: Any) -> tuple[int, int]:
    """Single inputs: columns of w."""
    return 1, 1


def ties(x: TensorType, w: TensorType, *b: TensorType, **_: Any) -> Ties:
    return {1: "in"}, {0: "out", 1: "in"}, *({0: "out"} for _ in b), {1: "out"}


def grad_w(build: Builder, dy: Value, x: Value, w: Value, *b: Value, y: Values, activation: str, **_: Any) -> Value:
    x = first_channels(build, x, w.type.updated.shape[1])
    return build.matmul(through_clip(build, dy, y, activation), x, transpose_a=True)


@dataclass(frozen=True)
class Dense:
    """wb_dense_f32. `kept`: of a w that lies in two arrays, the inputs of the first one."""

    rows: int
    outputs: int
    inputs: int
    activation: str
    kept: int


def parameters(x: TensorType, w: TensorType, *b: TensorType, activation: str, mask: bool) -> Dense:
    kept = w.needs_grad[1] if isinstance(w.needs_grad, tuple) else 0
    return Dense(x.shape[0], w.shape[0], x.shape[1], IN_C[activation], kept)


CASES = (  # rows, inputs, outputs, bias, activation, mask
    *((1, 5, 3, False, "", False), (4, 7, 2, False, "", False), (1, 1, 1, False, "", False)),
    *((3, 64, 10, False, "", False), (2, 6, 3, True, "", False), (3, 9, 11, True, "relu", True)),
    *((1, 4, 2, True, "relu6", False), (1, 5, 32, False, "relu", False), (5, 3, 20, False, "relu6", True)),
    *((2, 6, 1, True, "relu", True), (1, 1, 3, False, "", False)),
)


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = []
    for rows, inputs, outputs, biased, activation, mask in CASES:
        x, w = 2 * rng.normal(size=(rows, inputs)), rng.normal(size=(outputs, inputs))
        b = [rng.normal(size=outputs)] if biased else []
        cases.append(Sample((x, w, *b), {"activation": activation, "mask": mask}))
    return cases


register(Op(
    name="nn.dense", infer=infer, evaluate=evaluate, within=within, grads=(grad_x, grad_w, grad_b),
    samples=samples, attrs=ATTRS,
    macs=lambda x, w, *b, **_: x.shape[0] * w.elements,
    parameters={1: "weight", 2: "bias"}, part=part, ties=ties, int8=Int8Form("layer", of_pixels=True),
    kernel=Kernel("dense_f32.h", "dense_f32", record=Dense, parameters=parameters, operands=3, results=2, split=(1,)),
    instructions=(5.6, 7.7),
))  # fmt: skip
