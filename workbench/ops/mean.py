"""mean over some axes, which stay with one element each: (N, T, C) -> (N, 1, C); its gradient spreads dy / T.

It adds up in the order in which the elements lie.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value
from workbench.ir.kernel import Kernel
from workbench.ir.op import REQUIRED, Int8Form, Op, Sample, Ties, register
from workbench.ir.types import Ints, TensorType
from workbench.ops._in_order import in_order
from workbench.ops._loops import DEPTH, Loops, loops, row_major


@dataclass(frozen=True)
class Mean:
    """wb_mean: `share`: of each element that is added up."""

    loops: Loops
    share: float


def infer(x: TensorType, *, axis: Ints) -> TensorType:
    return TensorType(shape("mean", x, axis), x.dtype)


def shape(what: str, x: TensorType, axis: Ints) -> tuple[int, ...]:
    """The shape of the mean of `x`."""
    if not axis or list(axis) != sorted(set(axis) & set(range(x.rank))):
        raise ShapeError(f"{what}: axis names some of the {x.rank} axes of {x}, in order; got {list(axis)}")
    terms_in_order(what, x, axis)
    return tuple(1 if at in axis else size for at, size in enumerate(x.shape))


def terms_in_order(what: str, x: TensorType, axis: Ints) -> Loops:
    """Half of the loops go through the axes that stay, the inner half through those that are added up."""
    strides = row_major(x.shape)
    stays, added = ([at for at in range(x.rank) if (at in axis) == each] for each in (False, True))
    outer, inner = (
        loops(what, [x.shape[at] for at in axes], [strides[at] for at in axes], DEPTH // 2) for axes in (stays, added)
    )
    return Loops(outer.n + inner.n, outer.step + inner.step)


def terms(x: np.ndarray, axis: Ints) -> np.ndarray:
    """x with the elements of each mean along its last axis."""
    stays = [at for at in range(x.ndim) if at not in axis]
    return x.transpose(*stays, *axis).reshape(*(x.shape[at] for at in stays), -1)


def evaluate(x: np.ndarray, *, axis: Ints) -> np.ndarray:
    each = terms(x, axis)
    return np.expand_dims(in_order(each) * x.dtype.type(1 / each.shape[-1]), axis)


def grad_x(build: Builder, dy: Value, x: Value, *, axis: Ints, **_: Any) -> Value:
    return build.mean_grad(dy, axis=axis, size=tuple(x.shape[at] for at in axis))


def parameters(x: TensorType, *, axis: Ints) -> Mean:
    return Mean(terms_in_order("mean", x, axis), 1 / prod(x.shape[at] for at in axis))


def ties(x: TensorType, *, axis: Ints, **_: Any) -> Ties:
    """Channels correspond unless they or the batch are reduced."""
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


def samples(rng: np.random.Generator) -> list[Sample]:
    return [Sample((rng.normal(size=shape),), {"axis": axis}) for shape, axis in CASES]


def infer_grad(dy: TensorType, *, axis: Ints, size: Ints) -> TensorType:
    if len(size) != len(axis) or any(at >= dy.rank or dy.shape[at] != 1 for at in axis):
        raise ShapeError(f"mean_grad: axis {list(axis)} of sizes {list(size)} do not fit {dy}")
    return TensorType(_spread(dy.shape, axis, size), dy.dtype)


def _spread(shape: Ints, axis: Ints, size: Ints) -> tuple[int, ...]:
    sizes = dict(zip(axis, size, strict=True))
    return tuple(sizes.get(at, count) for at, count in enumerate(shape))


def evaluate_grad(dy: np.ndarray, *, axis: Ints, size: Ints) -> np.ndarray:
    return np.ascontiguousarray(np.broadcast_to(dy * dy.dtype.type(1 / prod(size)), _spread(dy.shape, axis, size)))


def grad_dy(build: Builder, g: Value, dy: Value, *, axis: Ints, **_: Any) -> Value:
    return build.mean(g, axis=axis)


def parameters_grad(dy: TensorType, *, axis: Ints, size: Ints) -> Mean:
    strides = [0 if at in axis else stride for at, stride in enumerate(row_major(dy.shape))]
    return Mean(loops("mean_grad", _spread(dy.shape, axis, size), strides), 1 / prod(size))


def samples_grad(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample((rng.normal(size=evaluate(np.zeros(shape), axis=axis).shape),),
               {"axis": axis, "size": tuple(shape[at] for at in axis)})
        for shape, axis in CASES
    ]  # fmt: skip


register(Op(
    name="mean", infer=infer, evaluate=evaluate, grads=(grad_x,), samples=samples, ties=ties,
    attrs={"axis": REQUIRED}, int8=Int8Form("average"),
    kernel=Kernel("mean_f32.h", "mean_f32", record=Mean, parameters=parameters),
))  # fmt: skip
register(Op(
    name="mean_grad", infer=infer_grad, evaluate=evaluate_grad, grads=(grad_dy,), samples=samples_grad,
    attrs={"axis": REQUIRED, "size": REQUIRED},
    kernel=Kernel("mean_f32.h", "mean_grad_f32", record=Mean, parameters=parameters_grad),
))  # fmt: skip
