"""reshape and nn.batch_flatten: the same storage under another shape; they cost nothing."""

from math import prod
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value
from workbench.ir.op import REQUIRED, Int8Form, Op, Sample, channelwise, register
from workbench.ir.types import Ints, TensorType


def infer(x: TensorType, *, newshape: Ints) -> TensorType:
    """One of the sizes may be -1: as much as is left."""
    if newshape.count(-1) == 1 and (known := -prod(newshape)) and x.elements % known == 0:
        newshape = tuple(x.elements // known if size == -1 else size for size in newshape)
    if -1 in newshape or prod(newshape) != x.elements:
        raise ShapeError(f"reshape: {x} has {x.elements} elements, {newshape} {prod(newshape)}")
    return TensorType(tuple(newshape), x.dtype, scale=x.scale, zero_point=x.zero_point)


def evaluate(x: np.ndarray, *, newshape: Ints) -> np.ndarray:
    return x.reshape(newshape)


def grad_x(build: Builder, dy: Value, x: Value, **_: Any) -> Value:
    return build.reshape(dy, newshape=x.shape)


def samples(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample((rng.normal(size=(2, 3, 4)),), {"newshape": (6, 4)}),
        Sample((rng.normal(size=(1, 5)),), {"newshape": (5,)}),
        Sample((rng.normal(size=(2, 3, 4)),), {"newshape": (4, -1, 2)}),
    ]


def infer_flatten(x: TensorType) -> TensorType:
    if x.rank < 2:
        raise ShapeError(f"batch_flatten: x has a batch axis and more; got {x}")
    return TensorType((x.shape[0], x.elements // x.shape[0]), x.dtype, scale=x.scale, zero_point=x.zero_point)


def samples_flatten(rng: np.random.Generator) -> list[Sample]:
    return [Sample((rng.normal(size=(2, 3, 4, 2)),)), Sample((rng.normal(size=(1, 5)),))]


register(Op(
    name="reshape", infer=infer, evaluate=evaluate, grads=(grad_x,), samples=samples,
    attrs={"newshape": REQUIRED}, view=True, int8=Int8Form("unchanged"),
))  # fmt: skip
register(Op(
    name="nn.batch_flatten", infer=infer_flatten, evaluate=lambda x: x.reshape(x.shape[0], -1), grads=(grad_x,),
    samples=samples_flatten, view=True, ties=channelwise, int8=Int8Form("unchanged"),
))  # fmt: skip
