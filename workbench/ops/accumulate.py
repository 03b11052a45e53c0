"""accumulate: sum ← sum + x, and clear: sum ← 0, both written into the sum: gradients over several batches."""

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.kernel import Kernel
from workbench.ir.op import Op, Sample, register
from workbench.ir.types import TensorType
from workbench.ops._parameters import Count, counted


def infer(total: TensorType, x: TensorType) -> TensorType:
    if total.shape != x.shape or total.dtype != x.dtype:
        raise ShapeError(f"accumulate: the sum and x are of one shape; got {total} and {x}")
    return total


def evaluate(total: np.ndarray, x: np.ndarray) -> np.ndarray:
    return total + x


def samples(rng: np.random.Generator) -> list[Sample]:
    return [Sample((rng.normal(size=shape), rng.normal(size=shape))) for shape in ((3, 5), (1,))]


def samples_clear(rng: np.random.Generator) -> list[Sample]:
    return [Sample((rng.normal(size=shape),)) for shape in ((3, 5), (1,))]


register(Op(
    name="accumulate", infer=infer, evaluate=evaluate, samples=samples, takes=(0,), phase="backward",
    kernel=Kernel("accumulate_f32.h", "accumulate_f32", record=Count, parameters=counted),
))  # fmt: skip
register(Op(
    name="clear", infer=lambda total: total, evaluate=np.zeros_like, samples=samples_clear, takes=(0,), phase="update",
    kernel=Kernel("accumulate_f32.h", "clear_f32", record=Count, parameters=counted),
))  # fmt: skip
