"""nn.matmul: y = a · b, either of them transposed on the way: the two gradients of nn.dense."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value
from workbench.ir.kernel import Kernel
from workbench.ir.op import Op, Sample, register
from workbench.ir.ranges import sums
from workbench.ir.types import TensorType


def _sizes(a: TensorType, b: TensorType, transpose_a: bool, transpose_b: bool) -> tuple[int, int, int, int]:
    rows, inner = reversed(a.shape) if transpose_a else a.shape
    other, columns = reversed(b.shape) if transpose_b else b.shape
    return rows, inner, other, columns


def infer(a: TensorType, b: TensorType, *, transpose_a: bool, transpose_b: bool) -> TensorType:
    if a.rank != 2 or b.rank != 2:
        raise ShapeError(f"matmul: a and b are matrices; got {a} and {b}")
    rows, inner, other, columns = _sizes(a, b, transpose_a, transpose_b)
    if inner != other:
        raise ShapeError(f"matmul: a sums over {inner}, b over {other}; a is {a}, b is {b}")
    return TensorType((rows, columns), a.dtype)


def evaluate(a: np.ndarray, b: np.ndarray, *, transpose_a: bool, transpose_b: bool) -> np.ndarray:
    return (a.swapaxes(-1, -2) if transpose_a else a) @ (b.swapaxes(-1, -2) if transpose_b else b)


def gradients(product: str) -> tuple[Callable[..., Value], Callable[..., Value]]:
    """Those of a and b, products themselves, which the builder makes by this name."""

    def grad_a(build: Builder, dy: Value, a: Value, b: Value, *, transpose_a: bool, transpose_b: bool,
               **_: Any) -> Value:  # fmt: skip
        if transpose_a:
            return getattr(build, product)(b, dy, transpose_a=transpose_b, transpose_b=True)
        return getattr(build, product)(dy, b, transpose_b=not transpose_b)

    def grad_b(build: Builder, dy: Value, a: Value, b: Value, *, transpose_a: bool, transpose_b: bool,
               **_: Any) -> Value:  # fmt: skip
        if transpose_b:
            return getattr(build, product)(dy, a, transpose_a=True, transpose_b=transpose_a)
        return getattr(build, product)(a, dy, transpose_a=not transpose_a)

    return grad_a, grad_b


def macs(a: TensorType, b: TensorType, *, transpose_a: bool, transpose_b: bool) -> int:
    rows, inner, _, columns = _sizes(a, b, transpose_a, transpose_b)
    return rows * inner * columns


@dataclass(frozen=True)
class Matmul:
    """wb_matmul: the sizes of the factors behind their transposition; `kept`: the columns of b in its first array."""

    rows: int
    columns: int
    inner: int
    kept: int
    transpose_a: bool
    transpose_b: bool


def parameters(a: TensorType, b: TensorType, *, transpose_a: bool, transpose_b: bool) -> Matmul:
    rows, inner, _, columns = _sizes(a, b, transpose_a, transpose_b)
    kept = columns
    if isinstance(b.needs_grad, tuple):
        axis, kept = b.needs_grad
        if transpose_a or transpose_b or axis != 1:
            raise ShapeError("matmul: a right factor in two arrays is split by columns, and nothing is transposed")
    return Matmul(rows, columns, inner, kept, transpose_a, transpose_b)


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = []
    for transpose_a in (False, True):
        for transpose_b in (False, True):
            a = rng.normal(size=(4, 3) if transpose_a else (3, 4))
            b = rng.normal(size=(5, 4) if transpose_b else (4, 5))
            cases.append(Sample((a, b), {"transpose_a": transpose_a, "transpose_b": transpose_b}))
    single = Sample((rng.normal(size=(1, 1)), rng.normal(size=(1, 5))))
    return [*cases, Sample((rng.normal(size=(1, 10)), rng.normal(size=(1, 64))), {"transpose_a": True}), single]


register(Op(
    name="nn.matmul", infer=infer, evaluate=evaluate, within=sums(evaluate), grads=gradients("matmul"),
    samples=samples, macs=macs,
    attrs={"transpose_a": False, "transpose_b": False},
    kernel=Kernel("matmul_f32.h", "matmul_f32", record=Matmul, parameters=parameters, split=(1,)),
    instructions=(5.8, 0.3),
))  # fmt: skip
