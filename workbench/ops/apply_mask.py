"""nn.apply_mask: dx = dy where the mask's bit is set, else 0: a clip's gradient from one saved bit an element."""

from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value
from workbench.ir.kernel import Kernel, Rows, Slice
from workbench.ir.op import Op, Sample, register
from workbench.ir.types import Ints, TensorType


def infer(dy: TensorType, mask: TensorType) -> TensorType:
    if dy.shape != mask.shape or mask.dtype != "bit":
        raise ShapeError(f"apply_mask: dy and a mask of bits are of one shape; got {dy} and {mask}")
    return dy


def evaluate(dy: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where(mask, dy, dy.dtype.type(0))


def grad_dy(build: Builder, g: Value, dy: Value, mask: Value, **_: Any) -> Value:
    return build.apply_mask(g, mask)


def slices(sliced: Ints, dy: TensorType, mask: TensorType) -> Slice | None:
    if sliced != (0,) or dy.rank != 4:
        return None
    plane = dy.shape[2] * dy.shape[3]
    numbers = (f"count * {plane}", f"first * {plane}")
    return Slice("apply_mask_f32.h", "apply_mask_f32", numbers, dy.shape[1], "channels")


def samples(rng: np.random.Generator) -> list[Sample]:
    return [Sample((rng.normal(size=shape), rng.random(shape) < 0.5)) for shape in ((2, 3, 5), (1, 64), (1,), (3, 11))]


register(Op(
    name="nn.apply_mask", infer=infer, evaluate=evaluate, grads=(grad_dy, None), samples=samples,
    dtypes={1: ("bit",)}, layouts="same",
    kernel=Kernel("apply_mask_f32.h", "apply_mask_f32", lambda dy, mask: [dy.elements, 0], in_place=(0,)),
    rows=Rows("elementwise_rows_f32.h", "apply_mask_rows_f32", lambda dy, mask: list(dy.shape[1:])),
    slices=slices, instructions=(0, 7.5),
))  # fmt: skip
