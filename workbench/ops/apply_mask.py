"""nn.apply_mask: dx = dy where the mask's bit is set, else 0: a clip's gradient from one saved bit an element."""

from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value
from workbench.ir.kernel import Kernel, each_alone
from workbench.ir.op import Op, Sample, register
from workbench.ir.types import TensorType
from workbench.ops._parameters import Shape, shaped


def infer(dy: TensorType, mask: TensorType) -> TensorType:
    if dy.shape != mask.shape or mask.dtype != "bit":
        raise ShapeError(f"apply_mask: dy and a mask of bits are of one shape; got {dy} and {mask}")
    return dy


def evaluate(dy: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where(mask, dy, dy.dtype.type(0))


def grad_dy(build: Builder, g: Value, dy: Value, mask: Value, **_: Any) -> Value:
    return build.apply_mask(g, mask)


def samples(rng: np.random.Generator) -> list[Sample]:
    return [Sample((rng.normal(size=shape), rng.random(shape) < 0.5)) for shape in ((2, 3, 5), (1, 64), (1,), (3, 11))]


register(Op(
    name="nn.apply_mask", infer=infer, evaluate=evaluate, grads=(grad_dy, None), samples=samples,
    dtypes={1: ("bit",)}, layouts="same",
    footprint=each_alone(0, axes=("rows", "channels")),
    kernel=Kernel("apply_mask_f32.h", "apply_mask_f32", record=Shape, parameters=shaped, in_place=(0,), views=(0,),
                  gives_view=True),
    instructions=(0, 7.5),
))  # fmt: skip
