"""nn.batch_matmul: y[…] = a[…] · b[…] of equal leading axes, for attention; either may be transposed on the way.

a (…, M, K) · b (…, K, N) -> (…, M, N): each pair of matrices as nn.matmul has it, gradients too.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.kernel import Kernel
from workbench.ir.op import Op, Sample, register
from workbench.ir.ranges import sums
from workbench.ir.types import TensorType
from workbench.ops import matmul
from workbench.ops.matmul import Matmul, evaluate, gradients


def _one(x: TensorType) -> TensorType:
    return TensorType(x.shape[-2:], x.dtype)


def infer(a: TensorType, b: TensorType, *, transpose_a: bool, transpose_b: bool) -> TensorType:
    if a.rank not in (3, 4) or a.shape[:-2] != b.shape[:-2] or a.rank != b.rank:
        raise ShapeError(f"batch_matmul: a and b have rank 3 or 4 and equal axes before the last two; got {a} and {b}")
    one = matmul.infer(_one(a), _one(b), transpose_a=transpose_a, transpose_b=transpose_b)
    return TensorType((*a.shape[:-2], *one.shape), a.dtype)


def macs(a: TensorType, b: TensorType, **how: bool) -> int:
    return prod(a.shape[:-2]) * matmul.macs(_one(a), _one(b), **how)


@dataclass(frozen=True)
class BatchMatmul:
    """wb_batch_matmul: how many products, and what each of them is."""

    count: int
    each: Matmul


def parameters(a: TensorType, b: TensorType, **how: bool) -> BatchMatmul:
    return BatchMatmul(prod(a.shape[:-2]), matmul.parameters(_one(a), _one(b), **how))


SIZES = (  # the leading axes, M, K and N
    ((2,), 3, 4, 5),
    ((2, 3), 2, 5, 3),
    ((1, 2), 1, 6, 4),
    ((3,), 4, 1, 2),
    ((2, 2), 5, 7, 1),
    ((1,), 1, 1, 1),
)


def samples(rng: np.random.Generator) -> list[Sample]:
    """The first two sizes in each form, the others in one of them."""
    cases = []
    for index, (leading, rows, inner, columns) in enumerate(SIZES):
        for form in range(4) if index < 2 else [index % 4]:
            transpose_a, transpose_b = form >= 2, form % 2 == 1
            a = rng.normal(size=(*leading, *((inner, rows) if transpose_a else (rows, inner))))
            b = rng.normal(size=(*leading, *((columns, inner) if transpose_b else (inner, columns))))
            cases.append(Sample((a, b), {"transpose_a": transpose_a, "transpose_b": transpose_b}))
    return cases


register(Op(
    name="nn.batch_matmul", infer=infer, evaluate=evaluate, within=sums(evaluate), grads=gradients("batch_matmul"),
    samples=samples, macs=macs,
    attrs={"transpose_a": False, "transpose_b": False},
    kernel=Kernel("batch_matmul_f32.h", "batch_matmul_f32", record=BatchMatmul, parameters=parameters),
    instructions=(5.8, 16),
))  # fmt: skip
