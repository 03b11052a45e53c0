"""sum_to: y = times · Σ x · (b - zero_point) over the axes that `newshape` has one element along; without b, Σ x.

The gradient of an operand that was read again and again along those axes (see _broadcast), times the other operand
where the two were multiplied; b may be int8. Where nothing is summed, y is the product alone and may lie over x.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.kernel import Kernel
from workbench.ir.op import REQUIRED, Op, Sample, register
from workbench.ir.ranges import Range, exactly, known, sums
from workbench.ir.types import Ints, TensorType
from workbench.ops._broadcast import SHAPES, Broadcast, broadcast, shape_of_both
from workbench.ops._in_order import in_order


@dataclass(frozen=True)
class SumTo:
    """wb_sum_to: the elements of y, loops over x, with the steps in y and in b, and the zero point of an int8 b."""

    count: int
    loops: Broadcast
    times: float
    zero: int


def infer(x: TensorType, b: TensorType | None = None, *, newshape: Ints, times: float, zero_point: int) -> TensorType:
    both = [TensorType(newshape), *([b] if b else [])]
    if any(shape_of_both("sum_to", x, other) != x.shape for other in both):
        raise ShapeError(f"sum_to: each axis of newshape and b is as long as x's, or 1; got {x}, {list(newshape)}, {b}")
    if zero_point and (b is None or b.dtype != "int8"):
        raise ShapeError(f"sum_to: a zero point is that of an int8 b; got {b}")
    return TensorType(newshape, x.dtype)


def evaluate(
    x: np.ndarray, b: np.ndarray | None = None, *, newshape: Ints, times: float = 1.0, zero_point: int = 0
) -> np.ndarray:
    if b is not None:
        x = x * (b.astype(x.dtype) - x.dtype.type(zero_point))
    summed = [axis for axis, (n, size) in enumerate(zip(newshape, x.shape, strict=True)) if n != size]
    if summed:
        kept = [axis for axis in range(x.ndim) if axis not in summed]
        x = in_order(x.transpose(*kept, *summed).reshape(*(x.shape[axis] for axis in kept), -1)).reshape(newshape)
    return x if times == 1 else x * x.dtype.type(times)


def within(x: Range, b: Range | None = None, *, zero_point: int, times: float, **attrs: Any) -> Range:
    def magnitude(*operands: np.ndarray, **_: Any) -> np.ndarray:
        return evaluate(*operands, times=abs(times), **attrs)

    if b is None:
        total = sums(magnitude)(x)
    else:
        real = b if b.low.dtype == np.float32 else exactly(known(b).astype(np.float64) - zero_point)
        total = sums(magnitude)(x, real)
    return total if times > 0 else Range(-total.high, -total.low)


def parameters(x: TensorType, b: TensorType | None = None, *, newshape: Ints, times: float, zero_point: int) -> SumTo:
    other = b.shape if b else (1,) * x.rank
    return SumTo(TensorType(newshape).elements, broadcast(x.shape, newshape, other), times, zero_point)


def samples(rng: np.random.Generator) -> list[Sample]:
    """Without b, with a real and with an int8 b; each pair of shapes is summed to both of its shapes."""
    cases = []
    for index, (shape, other) in enumerate([*SHAPES, *((b, a) for a, b in SHAPES[1:])]):
        x = rng.normal(size=np.broadcast_shapes(shape, other))
        b = ((), (rng.normal(size=other),), (rng.integers(-128, 128, other, dtype=np.int8),))[index % 3]
        attrs = ({"times": -1.0}, {}, {"times": 0.03, "zero_point": -5})[index % 3]
        cases.append(Sample((x, *b), {"newshape": shape, **attrs}))
    return cases


register(Op(
    name="sum_to", infer=infer, evaluate=evaluate, within=within, samples=samples,
    attrs={"newshape": REQUIRED, "times": 1.0, "zero_point": 0}, dtypes={1: ("float32", "int8")},
    kernel=Kernel("sum_to_f32.h", {"float32": "sum_to_f32", "int8": "sum_to_s8"}, by=1, record=SumTo,
                  parameters=parameters, in_place=(0,), operands=2),
))  # fmt: skip
