"""concatenate: operands one behind the other along one axis; the gradient of each is its part of dy (strided_slice).

Seen from the axis, operand k is `outer` pieces of sizeₖ elements in a row, and y puts them one behind the other:

    a = a0 a1      b = b0 b1      y = a0 b0 a1 b1
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel
from workbench.ir.op import REQUIRED, Int8Form, Op, Sample, register
from workbench.ir.types import Ints, TensorType

KERNELS = {"float32": "concatenate_f32", "int8": "concatenate_s8"}


@dataclass(frozen=True)
class Concatenate:
    """wb_concatenate: `rows` of y, the elements of each, and of each operand's piece of it: as many as there are."""

    rows: int
    row: int
    count: int
    sizes: str


def infer(*operands: TensorType, axis: int) -> TensorType:
    first = operands[0] if operands else TensorType(())
    if not 0 <= axis < first.rank:
        raise ShapeError(f"concatenate: axis {axis} is not one of the operands', the first of which is {first}")
    total = 0
    for x in operands:
        if x.rank != first.rank or x.dtype != first.dtype or _without(x.shape, axis) != _without(first.shape, axis):
            raise ShapeError(f"concatenate: operands differ along axis {axis} at most; got {first} and {x}")
        if x.dtype not in KERNELS or (x.scale, x.zero_point) != (first.scale, first.zero_point):
            raise ShapeError(f"concatenate: operands are float32, or int8 of one scale and zero point; got {first}, "
                             f"{first.scale}, {first.zero_point} and {x}, {x.scale}, {x.zero_point}")  # fmt: skip
        total += x.shape[axis]
    shape = (*first.shape[:axis], total, *first.shape[axis + 1 :])
    return TensorType(shape, first.dtype, scale=first.scale, zero_point=first.zero_point)


def _without(shape: Ints, axis: int) -> Ints:
    return shape[:axis] + shape[axis + 1 :]


def evaluate(*operands: np.ndarray, axis: int) -> np.ndarray:
    return np.concatenate(operands, axis)


def grad(build: Builder, dy: Value, *operands: Value, y: Values, index: int, axis: int) -> Value:
    begin = sum(x.shape[axis] for x in operands[:index])
    return build.strided_slice(dy, begin=begin, end=begin + operands[index].shape[axis], axis=axis)


def parameters(*operands: TensorType, axis: int) -> Concatenate:
    sizes = [prod(x.shape[axis:]) for x in operands]
    listed = f"(const int[]){{ {', '.join(map(str, sizes))} }}"
    return Concatenate(prod(operands[0].shape[:axis]), sum(sizes), len(sizes), listed)


CASES = (  # axis, shapes
    (1, ((1, 2, 3, 3), (1, 4, 3, 3))),
    (1, ((2, 3, 2, 2), (2, 1, 2, 2), (2, 2, 2, 2))),
    (0, ((2, 5), (1, 5))),
    (3, ((1, 2, 3, 1), (1, 2, 3, 4))),
    (1, ((2, 3),)),
    (0, ((1,), (2,), (3,), (1,), (5,))),
)


def samples(rng: np.random.Generator) -> list[Sample]:
    int8 = [
        Sample(tuple(rng.integers(-128, 128, shape, np.int8) for shape in shapes), {"axis": axis})
        for axis, shapes in CASES[1:4]
    ]
    return [
        *(Sample(tuple(rng.normal(size=shape) for shape in shapes), {"axis": axis}) for axis, shapes in CASES),
        *int8,
    ]


register(Op(
    name="concatenate", infer=infer, evaluate=evaluate, grads=(grad,), variadic=True, samples=samples,
    attrs={"axis": REQUIRED}, dtypes=None, int8=Int8Form("joined"),
    kernel=Kernel("concatenate_f32.h", KERNELS, record=Concatenate, parameters=parameters),
))  # fmt: skip
