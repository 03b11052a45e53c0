"""What ends a layer, inside its own operator: y = clip(sum + b), and the bits of the clip where `mask` asks for them.

nn.conv2d and nn.dense take `b`, `activation` and `mask` for it. Networks are written with nn.bias_add, nn.relu and
nn.relu6; passes/fuse_activation makes one node of them.
"""

from workbench.errors import ShapeError
from workbench.ir.ranges import Range
from workbench.ir.types import TensorType
from workbench.ops import relu, relu6

ATTRS = {"activation": "", "mask": False}
ACTIVATIONS = {"relu": relu, "relu6": relu6}  # what each means, and its mask, stands in that operator's own file
LITERALS = {"": 0, "relu": 1, "relu6": 2}  # as kernels/activation_f32.h calls them


def end_types(what: str, y: TensorType, b: TensorType | None, activation: str, mask: bool):
    """The type or types of a layer whose sums are `y`. Raises ShapeError for a bias or an activation that cannot be."""
    if b is not None and b.shape != y.shape[1:2]:
        raise ShapeError(f"{what}: y is {y}, so b needs ({y.shape[1]},); got {b}")
    if activation not in LITERALS:
        raise ShapeError(f"{what}: activation {activation!r} is not one of {', '.join(ACTIVATIONS)}")
    if not activation:
        if mask:
            raise ShapeError(f"{what}: a mask is that of an activation; there is none")
        return y
    return ACTIVATIONS[activation].infer(y, mask=mask)


def end_values(y, b, activation: str, mask: bool):
    """The result or results of a layer whose sums are `y`, in numpy."""
    if b is not None:
        y = y + b.reshape(1, -1, *[1] * (y.ndim - 2))
    return ACTIVATIONS[activation].evaluate(y, mask=mask) if activation else y


def end_ranges(sums: Range, activation: str, mask: bool):
    """The range or ranges of the same, its bias being one of the terms of the sums."""
    return ACTIVATIONS[activation].within(sums, mask=mask) if activation else sums


def through_clip(build, dy, y, activation: str):
    """The gradient of a layer's sums, given that of its result: as of the activation alone."""
    return ACTIVATIONS[activation].grad_x(build, dy, None, y=y, mask=False) if activation else dy


def grad_b(build, dy, x, w, b, *, y, activation, **_):
    dy = through_clip(build, dy, y, activation)
    return build.sum(dy, axis=(0, *range(2, dy.rank)))
