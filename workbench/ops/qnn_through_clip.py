"""qnn.through_clip: g = s · dy where the mask's bit is set, else 0; s is one scale a channel.

The gradient of a quantized layer's sums, times the scales of its filters: what the gradients of its input, weight and
bias are made of (see qnn.conv2d).
"""

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.kernel import Kernel, each_alone
from workbench.ir.op import Op, Sample, register
from workbench.ir.types import TensorType
from workbench.ops._parameters import Shape, shaped


def infer(dy: TensorType, mask: TensorType, s: TensorType) -> TensorType:
    if dy.rank != 4 or dy.shape != mask.shape or s.shape != dy.shape[1:2]:
        raise ShapeError(f"through_clip: dy and mask are of one shape, s one a channel; got {dy}, {mask} and {s}")
    return dy


def evaluate(dy: np.ndarray, mask: np.ndarray, s: np.ndarray) -> np.ndarray:
    return np.where(mask, dy * s.astype(dy.dtype).reshape(1, -1, 1, 1), dy.dtype.type(0))


def samples(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample((rng.normal(size=shape), rng.random(shape) < 0.5, rng.random(shape[1])))
        for shape in ((2, 3, 5, 1), (1, 5, 3, 3), (1, 40, 1, 1), (1, 2, 8, 8))
    ]


register(Op(
    name="qnn.through_clip", infer=infer, evaluate=evaluate, samples=samples, dtypes={1: ("bit",)},
    footprint=each_alone(0, axes=("rows", "channels")),
    kernel=Kernel("through_clip_s8.h", "through_clip_s8", record=Shape, parameters=shaped, in_place=(0,), views=(0,),
                  gives_view=True),
    instructions=(0, 4),
))  # fmt: skip
