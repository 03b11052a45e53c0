"""The epilogue of a weighted layer, inside its own operator: y = clip(sum + b), and with `mask` the bits of the clip.

nn.conv2d and nn.dense take `b`, `activation` and `mask` for it. Networks are written with nn.bias_add, nn.relu and
nn.relu6; passes/fuse_activation makes one node of them.
"""

from typing import Any, Protocol

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.op import Arrays, Types
from workbench.ir.ranges import Range, Ranges, Within
from workbench.ir.types import TensorType
from workbench.ops import relu, relu6

BIAS = "bias"  # the epilogue that is no activation
ATTRS = {"activation": "", "mask": False}


class Clip(Protocol):
    """What a layer needs of an activation: the functions of the file that defines it."""

    def infer(self, x: TensorType, *, mask: bool) -> Types: ...

    def evaluate(self, x: np.ndarray, *, mask: bool) -> Arrays: ...

    @property
    def within(self) -> Within: ...

    def grad_x(self, build: Builder, dy: Value, x: Value | None, *, y: Values, mask: bool) -> Value: ...


# each one's meaning and mask are defined in its operator's own file
ACTIVATIONS: dict[str, Clip] = {"relu": relu, "relu6": relu6}
IN_C = {"": "WB_LINEAR", "relu": "WB_RELU", "relu6": "WB_RELU6"}  # of kernels/activation_f32.h


def end_types(what: str, y: TensorType, b: TensorType | None, activation: str, mask: bool) -> Types:
    """The type or types of a layer whose sums are `y`. Raises ShapeError for a bias or an activation that cannot be."""
    if b is not None and b.shape != y.shape[1:2]:
        raise ShapeError(f"{what}: y is {y}, so b needs ({y.shape[1]},); got {b}")
    if activation not in IN_C:
        raise ShapeError(f"{what}: activation {activation!r} is not one of {', '.join(ACTIVATIONS)}")
    if not activation:
        if mask:
            raise ShapeError(f"{what}: a mask is that of an activation; there is none")
        return y
    return ACTIVATIONS[activation].infer(y, mask=mask)


def end_values(y: np.ndarray, b: np.ndarray | None, activation: str, mask: bool) -> Arrays:
    """The result or results of a layer whose sums are `y`, in numpy."""
    if b is not None:
        y = y + b.reshape(1, -1, *[1] * (y.ndim - 2))
    return ACTIVATIONS[activation].evaluate(y, mask=mask) if activation else y


def end_ranges(sums: Range, activation: str, mask: bool) -> Ranges:
    """The range or ranges of the results of a layer whose `sums`, bias included, have this range."""
    return ACTIVATIONS[activation].within(sums, mask=mask) if activation else sums


def through_clip(build: Builder, dy: Value, y: Values, activation: str) -> Value:
    """The gradient of a layer's sums, given that of its result: what the activation's own gradient rule gives."""
    return ACTIVATIONS[activation].grad_x(build, dy, None, y=y, mask=False) if activation else dy


def grad_b(build: Builder, dy: Value, x: Value, w: Value, b: Value, *, y: Values, activation: str, **_: Any) -> Value:
    dy = through_clip(build, dy, y, activation)
    return build.sum(dy, axis=(0, *range(2, dy.rank)))
