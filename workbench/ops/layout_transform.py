"""layout_transform: the same values stored in another order of axes, the one way from one layout to another."""

from typing import Any

import numpy as np

from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel
from workbench.ir.op import REQUIRED, Op, Sample, register
from workbench.ir.types import TensorType
from workbench.ops._loops import Loops
from workbench.ops.transpose import reordered

ROW_MAJOR = "NCHW"  # what the text calls the layout ""


def infer(x: TensorType, *, dst_layout: str) -> TensorType:
    return x.in_layout("" if dst_layout == ROW_MAJOR else dst_layout)


def evaluate(x: np.ndarray, *, dst_layout: str) -> np.ndarray:
    return np.array(x)


def grad_x(build: Builder, dy: Value, x: Value, *, y: Values, dst_layout: str) -> Value:
    return build.layout_transform(dy, dst_layout=x.type.layout or ROW_MAJOR)


def parameters(x: TensorType, **attrs: Any) -> Loops:
    stored, wanted = x.storage_axes, infer(x, **attrs).storage_axes
    return reordered(tuple(x.shape[axis] for axis in stored), tuple(stored.index(axis) for axis in wanted))


def samples(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample((rng.normal(size=shape),), {"dst_layout": layout})
        for shape, layout in (((2, 3, 4, 5), "NHWC"), ((1, 1, 3, 2), "NHWC"), ((2, 3, 1, 2), ROW_MAJOR))
    ]


register(Op(
    name="layout_transform", infer=infer, evaluate=evaluate, grads=(grad_x,), samples=samples,
    attrs={"dst_layout": REQUIRED}, layouts="any",
    kernel=Kernel("transpose_f32.h", "transpose_f32", record=Loops, parameters=parameters),
))  # fmt: skip
