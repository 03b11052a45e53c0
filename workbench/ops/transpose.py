"""transpose: axis i of y is axis axes[i] of x, the data moved accordingly; the gradient is the inverse permutation."""

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel
from workbench.ir.op import REQUIRED, Attrs, Int8Form, Op, Sample, register
from workbench.ir.types import Ints, TensorType
from workbench.ops._loops import Loops, loops, row_major


def infer(x: TensorType, *, axes: Ints) -> TensorType:
    if sorted(axes) != list(range(x.rank)):
        raise ShapeError(f"transpose: axes name each of the {x.rank} axes of {x} once; got {list(axes)}")
    reordered(x.shape, axes)
    return TensorType(tuple(x.shape[axis] for axis in axes), x.dtype, scale=x.scale, zero_point=x.zero_point)


def evaluate(x: np.ndarray, *, axes: Ints) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(axes))


def grad_x(build: Builder, dy: Value, x: Value, *, y: Values, axes: Ints) -> Value:
    return build.transpose(dy, axes=tuple(axes.index(axis) for axis in range(len(axes))))


def simpler(x: TensorType, *, axes: Ints) -> tuple[str, Attrs] | None:
    """A view, where only axes of one element change places."""
    moved = [axis for axis in axes if x.shape[axis] > 1]
    return None if moved != sorted(moved) else ("reshape", {"newshape": infer(x, axes=axes).shape})


def reordered(shape: Ints, axes: Ints) -> Loops:
    """The parameters of transpose_f32 for an array of this shape whose axes are to be in this order."""
    strides = row_major(shape)
    return loops("transpose", [shape[axis] for axis in axes], [strides[axis] for axis in axes])


CASES = (
    ((2, 3, 4, 5), (0, 2, 3, 1)),
    ((2, 3, 4, 5), (0, 3, 1, 2)),
    ((1, 2, 3, 4, 5), (0, 2, 1, 3, 4)),
    ((3, 7), (1, 0)),
    ((2, 3, 4), (0, 1, 2)),
    ((5,), (0,)),
    ((1, 1), (1, 0)),
    ((2, 3, 2, 3, 2, 3), (5, 1, 3, 0, 4, 2)),
)


def samples(rng: np.random.Generator) -> list[Sample]:
    int8 = [Sample((rng.integers(-128, 128, shape, np.int8),), {"axes": axes}) for shape, axes in CASES[:2]]
    return [*(Sample((rng.normal(size=shape),), {"axes": axes}) for shape, axes in CASES), *int8]


register(Op(
    name="transpose", infer=infer, evaluate=evaluate, grads=(grad_x,), samples=samples, attrs={"axes": REQUIRED},
    dtypes={0: ("float32", "int8")}, int8=Int8Form("unchanged"), simpler=simpler,
    kernel=Kernel("transpose_f32.h", {"float32": "transpose_f32", "int8": "transpose_s8"}, record=Loops,
                  parameters=lambda x, *, axes: reordered(x.shape, axes)),
))  # fmt: skip
