"""nn.bias_add: y = x + b along the channel axis 1; the gradient of b is the sum over all other axes."""

from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value
from workbench.ir.kernel import Kernel, each_alone
from workbench.ir.op import Int8Form, Op, Sample, register
from workbench.ir.types import TensorType
from workbench.ops._parameters import Shape, shaped


def infer(x: TensorType, b: TensorType) -> TensorType:
    if x.rank < 2 or b.shape != x.shape[1:2]:
        raise ShapeError(f"bias_add: x is {x}, so b needs ({x.shape[1] if x.rank > 1 else '?'},); got {b}")
    return x


def evaluate(x: np.ndarray, b: np.ndarray) -> np.ndarray:
    return x + b.reshape(1, -1, *[1] * (x.ndim - 2))


def grad_x(build: Builder, dy: Value, x: Value, b: Value, **_: Any) -> Value:
    return dy


def grad_b(build: Builder, dy: Value, x: Value, b: Value, **_: Any) -> Value:
    return build.sum(dy, axis=(0, *range(2, dy.rank)))


def samples(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample((rng.normal(size=shape), rng.normal(size=shape[1])))
        for shape in ((1, 3, 4, 4), (2, 5), (3, 1, 1, 2), (1, 1))
    ]


register(Op(
    name="nn.bias_add", infer=infer, evaluate=evaluate, grads=(grad_x, grad_b), samples=samples, parameters={1: "bias"},
    epilogue="bias", affine=(0,), int8=Int8Form("of two", "qnn.add"),
    ties=lambda x, b: ({1: "channel"}, {0: "channel"}, {1: "channel"}),
    footprint=each_alone(0),
    kernel=Kernel("bias_add_f32.h", "bias_add_f32", record=Shape, parameters=shaped, in_place=(0,), views=(0,),
                  gives_view=True),
))  # fmt: skip
