"""qnn.conv2d_transpose: nn.conv2d_transpose with int8 weights: the gradient of an int8 convolution's input."""

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from workbench.ir.kernel import Kernel, Slice
from workbench.ir.op import Op, Sample, get, register
from workbench.ir.ranges import sums
from workbench.ir.types import Ints, TensorType
from workbench.ops import conv2d_transpose


def evaluate(dy: np.ndarray, w: np.ndarray, *onto: np.ndarray, **attrs: Any) -> np.ndarray:
    return conv2d_transpose.evaluate(dy, w.astype(dy.dtype), *onto, **attrs)


def function(dy: TensorType, w: TensorType, *_: TensorType, **__: Any) -> str:
    return "conv2d_transpose_split_s8" if isinstance(w.needs_grad, tuple) else "conv2d_transpose_s8"


def scratch(dy: TensorType, w: TensorType, *_: TensorType, groups: int, kernel_size: Ints, **__: Any) -> int:
    """One input channel of the filters as floats."""
    return 4 * w.shape[0] // groups * kernel_size[0] * kernel_size[1]


def slices(
    sliced: Ints, dy: TensorType, w: TensorType, *onto: TensorType, kernel_size: Ints, **attrs: Any
) -> Slice | None:
    tile, taps = conv2d_transpose.slices(sliced, dy, w, *onto, kernel_size=kernel_size, **attrs), prod(kernel_size)
    if tile is None:
        return None
    function = tile.function.replace("_f32", "_s8")
    filters = {"conv2d_transpose_made_s8": dy.shape[1], "conv2d_transpose_each_s8": 1}.get(function)
    return replace(tile, header="conv2d_transpose_slice_s8.h", function=function,
                   scratch=lambda count: 4 * (filters or count) * taps)  # fmt: skip


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = conv2d_transpose.samples(rng)
    return [
        Sample(
            (case.operands[0], rng.integers(-127, 128, case.operands[1].shape, np.int8), *case.operands[2:]), case.attrs
        )
        for case in cases
    ]


register(Op(
    name="qnn.conv2d_transpose", infer=conv2d_transpose.infer, evaluate=evaluate, within=sums(evaluate),
    samples=samples, macs=conv2d_transpose.macs, attrs=get("nn.conv2d_transpose").attrs, dtypes={1: ("int8",)},
    kernel=Kernel("conv2d_transpose_s8.h", function, conv2d_transpose.literals, scratch, in_place=(2,), split=(1,),
                  operands=3),
    slices=slices, onto=2, instructions=(5.2, 0),
))  # fmt: skip
