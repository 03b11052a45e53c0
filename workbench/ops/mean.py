"""mean over some axes, in the order that the elements lie; its gradient spreads dy / elements over them.

    axis (1,):    (N, T, C) -> (N, C), or (N, 1, C) with keepdims
"""

from math import prod

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.op import REQUIRED, Kernel, Op, Sample, register
from workbench.ir.types import TensorType
from workbench.ops._in_order import in_order
from workbench.ops._loops import joined, numbers, row_major

DEPTH = 3  # loops of the kernel over the axes that stay, and as many over those it adds up


def infer(x, *, axis, keepdims):
    return TensorType(shape("mean", x, axis, keepdims), x.dtype)


def shape(what: str, x, axis, keepdims) -> tuple[int, ...]:
    """The shape of the mean of `x`."""
    if not axis or list(axis) != sorted(set(axis) & set(range(x.rank))):
        raise ShapeError(f"{what}: axis names some of the {x.rank} axes of {x}, in order; got {list(axis)}")
    loops(what, x, axis)
    sizes = [1 if at in axis else size for at, size in enumerate(x.shape)]
    return tuple(size for at, size in enumerate(sizes) if keepdims or at not in axis)


def loops(what: str, x, axis) -> list[int]:
    """(size, stride in x) of what stays, then of what is added up."""
    strides = row_major(x.shape)
    stays, added = ([at for at in range(x.rank) if (at in axis) == each] for each in (False, True))
    return [
        number
        for axes in (stays, added)
        for number in numbers(what, joined([x.shape[at] for at in axes], [strides[at] for at in axes]), DEPTH)
    ]


def terms(x, axis):
    """x with the elements of each mean along its last axis."""
    stays = [at for at in range(x.ndim) if at not in axis]
    return x.transpose(*stays, *axis).reshape(*(x.shape[at] for at in stays), -1)


def evaluate(x, *, axis, keepdims):
    each = terms(x, axis)
    mean = in_order(each) * x.dtype.type(1 / each.shape[-1])
    return np.expand_dims(mean, axis) if keepdims else mean


def grad_x(build, dy, x, *, y, axis, keepdims, **_):
    return build.mean_grad(dy, axis=axis, size=tuple(x.shape[at] for at in axis), keepdims=keepdims)


def literals(x, *, axis, keepdims):
    return [*loops("mean", x, axis), 1 / prod(x.shape[at] for at in axis)]


def ties(x, *, axis, **_):
    """Channels stay what they are as long as neither they nor the batch are added up."""
    return None if {0, 1} & set(axis) else ({1: "channel"}, {1: "channel"})


CASES = (  # shape, axis
    ((2, 7, 3), (1,)),
    ((1, 1, 5), (1,)),
    ((2, 5, 1), (1,)),
    ((2, 3, 4, 5), (2, 3)),
    ((2, 3, 4, 5), (1,)),
    ((1, 3, 4, 5), (1, 3)),
    ((2, 3, 4, 1), (1, 2, 3)),
    ((3, 4), (1,)),
    ((2, 3, 2, 3, 2, 3), (1, 3, 5)),
)


def samples(rng):
    return [
        Sample((rng.normal(size=shape),), {"axis": axis, "keepdims": index % 2 == 1})
        for index, (shape, axis) in enumerate(CASES)
    ]


def infer_grad(dy, *, axis, size, keepdims):
    if len(size) != len(axis) or (keepdims and any(at >= dy.rank or dy.shape[at] != 1 for at in axis)):
        raise ShapeError(f"mean_grad: axis {list(axis)} of sizes {list(size)} do not fit {dy}")
    sizes = list(dy.shape)
    for at, count in zip(axis, size, strict=True):
        if at > len(sizes):
            raise ShapeError(f"mean_grad: there is no axis {at} beside those of {dy}")
        sizes[at : at + keepdims] = [count]
    return TensorType(tuple(sizes), dy.dtype)


def evaluate_grad(dy, *, axis, size, keepdims):
    share = dy * dy.dtype.type(1 / prod(size))
    share = share if keepdims else np.expand_dims(share, axis)
    sizes = list(share.shape)
    for at, count in zip(axis, size, strict=True):
        sizes[at] = count
    return np.ascontiguousarray(np.broadcast_to(share, sizes))


def grad_dy(build, g, dy, *, y, axis, size, keepdims):
    return build.mean(g, axis=axis, keepdims=keepdims)


def literals_grad(dy, *, axis, size, keepdims):
    dx = infer_grad(dy, axis=axis, size=size, keepdims=keepdims)
    strides = row_major([1 if at in axis else count for at, count in enumerate(dx.shape)])
    strides = [0 if at in axis else stride for at, stride in enumerate(strides)]
    return [*numbers("mean_grad", joined(dx.shape, strides), 2 * DEPTH), 1 / prod(size)]


def samples_grad(rng):
    cases = []
    for case in samples(rng):
        axis, (x,) = case.attrs["axis"], case.operands
        y = evaluate(x, **case.attrs)
        cases.append(Sample((rng.normal(size=y.shape),), {**case.attrs, "size": tuple(x.shape[at] for at in axis)}))
    return cases


register(Op(
    name="mean", infer=infer, evaluate=evaluate, grads=(grad_x,), samples=samples, ties=ties,
    attrs={"axis": REQUIRED, "keepdims": False}, kernel=Kernel("mean_f32.h", "mean_f32", literals),
))  # fmt: skip
register(Op(
    name="mean_grad", infer=infer_grad, evaluate=evaluate_grad, grads=(grad_dy,), samples=samples_grad,
    attrs={"axis": REQUIRED, "size": REQUIRED, "keepdims": False},
    kernel=Kernel("mean_f32.h", "mean_grad_f32", literals_grad),
))  # fmt: skip
