"""qnn.through_clip: g = s · dy where the mask's bit is set, else 0; s is one scale a channel.

The gradient of a quantized layer's sums, times the scales of its filters: what the gradients of its input, weight and
bias are made of (see qnn.conv2d).
"""

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.kernel import Kernel, Literals, Slice
from workbench.ir.op import Op, Sample, register
from workbench.ir.types import Ints, TensorType


def infer(dy: TensorType, mask: TensorType, s: TensorType) -> TensorType:
    if dy.rank != 4 or dy.shape != mask.shape or s.shape != dy.shape[1:2]:
        raise ShapeError(f"through_clip: dy and mask are of one shape, s one a channel; got {dy}, {mask} and {s}")
    return dy


def evaluate(dy: np.ndarray, mask: np.ndarray, s: np.ndarray) -> np.ndarray:
    return np.where(mask, dy * s.astype(dy.dtype).reshape(1, -1, 1, 1), dy.dtype.type(0))


def literals(dy: TensorType, *_: TensorType) -> Literals:
    return [dy.shape[0], dy.shape[1], dy.shape[2] * dy.shape[3], 0]


def slices(sliced: Ints, dy: TensorType, mask: TensorType, s: TensorType) -> Slice | None:
    if sliced == (0,):
        plane = dy.shape[2] * dy.shape[3]
        numbers = (1, "count", plane, f"first * {plane}")
        return Slice("through_clip_s8.h", "through_clip_s8", numbers, dy.shape[1], "channels", {2: 1})
    return None


def samples(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample((rng.normal(size=shape), rng.random(shape) < 0.5, rng.random(shape[1])))
        for shape in ((2, 3, 5, 1), (1, 5, 3, 3), (1, 40, 1, 1), (1, 2, 8, 8))
    ]


register(Op(
    name="qnn.through_clip", infer=infer, evaluate=evaluate, samples=samples, dtypes={1: ("bit",)},
    kernel=Kernel("through_clip_s8.h", "through_clip_s8", literals, in_place=(0,)), slices=slices, instructions=(0, 8),
))  # fmt: skip
