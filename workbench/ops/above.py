"""above: y = 1 where a > b, ½ where they are equal, else 0: the share that a has in their maximum, b in their minimum.

Each axis is as long in both or 1 in one (see _broadcast). The gradients of maximum and minimum are products with it.
"""

import numpy as np

from workbench.ir.kernel import Kernel
from workbench.ir.op import Op, Sample, register
from workbench.ir.types import TensorType
from workbench.ops._broadcast import SHAPES, Two, both_read, by_tiles, shape_of_both, ties_of_both


def infer(a: TensorType, b: TensorType) -> TensorType:
    return TensorType(shape_of_both("above", a, b), a.dtype)


def evaluate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    real = a.dtype.type
    return np.where(a > b, real(1), np.where(a == b, real(0.5), real(0)))


def parameters(a: TensorType, b: TensorType) -> Two:
    return Two("WB_ABOVE", **both_read(a, b))


def samples(rng: np.random.Generator) -> list[Sample]:
    """Of few numbers, so that some are equal."""
    return [Sample((rng.integers(-1, 2, a) * 0.75, rng.integers(-1, 2, b) * 0.75)) for a, b in SHAPES]


register(Op(
    name="above", infer=infer, evaluate=evaluate, samples=samples, ties=ties_of_both, footprint=by_tiles,
    kernel=Kernel("broadcast_f32.h", "of_two_f32", record=Two, parameters=parameters, in_place=(0, 1), views=(0, 1),
                  gives_view=True),
))  # fmt: skip
