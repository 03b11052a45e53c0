"""multiply: y = a · b, each axis as long in both or 1 in one (see _broadcast): gates, scales, products of branches.

Of a b that is a weight, a number for each element, the first channels (axis 1) can be updated alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.ir.build import Builder, Value
from workbench.ir.kernel import Footprint, Kernel, Refusal, Tile
from workbench.ir.op import Int8Form, Op, Sample, register
from workbench.ir.types import Ints, TensorType
from workbench.ops._broadcast import SHAPES, Two, both_read, by_tiles, shape_of_both, ties_of_both
from workbench.ops.strided_slice import first_channels


def infer(a: TensorType, b: TensorType) -> TensorType:
    return TensorType(shape_of_both("multiply", a, b), a.dtype)


def evaluate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a * b


def grad_a(build: Builder, dy: Value, a: Value, b: Value, **_: Any) -> Value:
    return _product(build, dy, b, a.shape)


def grad_b(build: Builder, dy: Value, a: Value, b: Value, **_: Any) -> Value:
    if isinstance(b.type.needs_grad, tuple):
        dy, a = (first_channels(build, each, b.type.updated.shape[1]) for each in (dy, a))
    return _product(build, dy, a, b.type.updated.shape)


def _product(build: Builder, dy: Value, other: Value, shape: Ints) -> Value:
    """dy · other, summed over what was repeated."""
    return build.multiply(dy, other) if dy.shape == shape else build.sum_to(dy, other, newshape=shape)


def part(a: TensorType, b: TensorType) -> tuple[int, int] | None:
    """Channels of a b that has a number for each element of a sample; None for a scale, one number a channel."""
    return (1, 1) if b.shape == (1, *a.shape[1:]) and b.elements > b.shape[1] > 1 else None


def footprint(tile: Tile, a: TensorType, b: TensorType) -> Footprint | Refusal:
    """`Op.footprint`: by rows, unless b lies in two arrays."""
    if isinstance(b.needs_grad, tuple):
        return Refusal("reads a weight of which a part is updated")
    return by_tiles(tile, a, b)


@dataclass(frozen=True)
class Times:
    """wb_times_f32: how both are read, and of a b that lies in two arrays, the channels of the first one."""

    both: Two
    kept: int


def parameters(a: TensorType, b: TensorType) -> Times:
    kept = b.needs_grad[1] if isinstance(b.needs_grad, tuple) else 0
    return Times(Two("WB_TIMES", **both_read(a, b)), kept)


def samples(rng: np.random.Generator) -> list[Sample]:
    return [Sample((rng.normal(size=a), rng.normal(size=b))) for a, b in SHAPES]


register(Op(
    name="multiply", infer=infer, evaluate=evaluate, grads=(grad_a, grad_b), samples=samples, ties=ties_of_both,
    parameters={0: "factor", 1: "factor"}, affine=(0, 1), int8=Int8Form("of two", "qnn.multiply"),
    footprint=footprint, part=part,
    kernel=Kernel("times_f32.h", "times_f32", record=Times, parameters=parameters, in_place=(0, 1), views=(0, 1),
                  gives_view=True, split=(1,)),
))  # fmt: skip
