"""slice takes a part of every axis but the batch's, with strides; pad puts x amid `value`: each the other's gradient.

    slice   begin 1, strides 2, size 3        b y d y f y h  ->  y y y
    pad     low 1, strides 2, high 1          y y y          ->  v y v y v y v

Attributes name a number for each axis but the first, so that they are right for any batch.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Footprint, Kernel, Reach, Refusal, Tile, along
from workbench.ir.op import REQUIRED, Int8Form, Op, Sample, Ties, register
from workbench.ir.types import Ints, TensorType
from workbench.ops._loops import Loops, loops, row_major
from workbench.ops._parameters import Shape, shaped

IMAGES = "works by tiles on images only"


@dataclass(frozen=True)
class Part:
    """wb_part: where a part lies along one axis of the larger array, and its size."""

    first: int
    step: int
    size: int


@dataclass(frozen=True)
class Slice:
    """wb_slice: the part's first element in the larger array, and its axes there; of images also the three parts."""

    first: int
    loops: Loops
    shape: Shape
    channels: Part
    rows: Part
    columns: Part


@dataclass(frozen=True)
class Pad:
    """wb_pad: a slice of the result, which has so many elements, and what all others are."""

    elements: int
    first: int
    loops: Loops
    value: float
    shape: Shape
    channels: Part
    rows: Part
    columns: Part


def infer(x: TensorType, *, begin: Ints, size: Ints, strides: Ints) -> TensorType:
    _check("slice", x, begin=begin, size=size, strides=strides)
    ends = [b + (n - 1) * s for b, n, s in zip(begin, size, strides, strict=True)]
    if min(size) < 1 or any(end >= count for end, count in zip(ends, x.shape[1:], strict=True)):
        raise ShapeError(f"slice: {list(size)} elements from {list(begin)} on, strides {list(strides)}, do not lie in "
                         f"{x} behind its batch axis")  # fmt: skip
    parameters(x, begin=begin, size=size, strides=strides)
    return TensorType((x.shape[0], *size), x.dtype, scale=x.scale, zero_point=x.zero_point)


def _check(what: str, x: TensorType, **attrs: Any) -> None:
    for name, each in attrs.items():
        least = 1 if name == "strides" else 0
        if len(each) != x.rank - 1 or any(not isinstance(n, int) or n < least for n in each):
            raise ShapeError(f"{what}: {name} are {x.rank - 1} whole numbers, of each axis of {x} but the first, at "
                             f"least {least}; got {list(each)}")  # fmt: skip


def evaluate(x: np.ndarray, *, begin: Ints, size: Ints, strides: Ints) -> np.ndarray:
    return np.ascontiguousarray(x[_where(begin, size, strides)])


def _where(begin: Ints, size: Ints, strides: Ints) -> tuple[slice, ...]:
    return (slice(None), *(slice(b, b + (n - 1) * s + 1, s) for b, n, s in zip(begin, size, strides, strict=True)))


def grad_x(build: Builder, dy: Value, x: Value, *, y: Values, begin: Ints, size: Ints, strides: Ints) -> Value:
    ends = [b + (n - 1) * s + 1 for b, n, s in zip(begin, size, strides, strict=True)]
    high = tuple(count - end for count, end in zip(x.shape[1:], ends, strict=True))
    return build.pad(dy, low=begin, high=high, strides=strides)


def parameters(x: TensorType, *, begin: Ints, size: Ints, strides: Ints) -> Slice:
    shape = (x.shape[0], *size)
    first, loops_ = _place("slice", x.shape, shape, begin, strides)
    return Slice(first, loops_, shaped(TensorType(shape)), *_parts(shape, begin, strides))


def _place(what: str, larger: Ints, shape: Ints, begin: Ints, strides: Ints) -> tuple[int, Loops]:
    """Where a part of this shape lies in the larger array."""
    apart = row_major(larger)
    steps = [apart[0], *(each * s for each, s in zip(apart[1:], strides, strict=True))]
    first = sum(b * each for b, each in zip(begin, apart[1:], strict=True))
    return first, loops(what, shape, steps)


def _parts(shape: Ints, begin: Ints, strides: Ints) -> list[Part]:
    """Of channels, rows and columns; what is no image has none."""
    return (
        [Part(*each) for each in zip(begin, strides, shape[1:], strict=True)]
        if len(shape) == 4
        else [Part(0, 1, 0)] * 3
    )


def by_rows(tile: Tile, x: TensorType, *, begin: Ints, strides: Ints, **_: Any) -> Footprint | Refusal:
    return Footprint({0: Reach(strides[1], begin[1], begin[1])}) if x.rank == 4 else Refusal(IMAGES)


def by_rows_of_pad(tile: Tile, x: TensorType, *, low: Ints, strides: Ints, **_: Any) -> Footprint | Refusal:
    """Row r of y is row (r - low) / stride of x, if there is one; before row `low` row 0 is asked for, and not read."""
    return Footprint({0: Reach(1, -low[1], 0, strides[1])}) if x.rank == 4 else Refusal(IMAGES)


def ties(x: TensorType, **attrs: Any) -> Ties:
    """Channels correspond where axis 1 is taken whole."""
    whole = {"begin": 0, "low": 0, "high": 0, "strides": 1, "size": x.shape[1]}
    alone = all(attrs[name][0] == each for name, each in whole.items() if name in attrs)
    return ({1: "channel"}, {1: "channel"}) if alone else None


CASES = (  # shape, begin, size, strides
    ((1, 2, 5, 6), (0, 1, 2), (2, 3, 3), (1, 1, 1)),
    ((2, 3, 6, 5), (0, 0, 1), (3, 3, 2), (1, 2, 2)),
    ((2, 5, 3, 3), (1, 0, 0), (2, 3, 3), (3, 1, 1)),
    ((3, 7), (2,), (3,), (2,)),
    ((1, 1, 1, 4), (0, 0, 3), (1, 1, 1), (1, 1, 1)),
    ((2, 4, 3), (0, 0), (4, 3), (1, 1)),
    ((2, 4, 3, 2, 5), (1, 0, 1, 0), (2, 2, 1, 3), (2, 2, 1, 2)),
)


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = []
    for index, (shape, *numbers_of) in enumerate(CASES):
        attrs = dict(zip(("begin", "size", "strides"), numbers_of, strict=True))
        cases.append(Sample((rng.normal(size=shape),), attrs))
        if index % 2 == 0:
            cases.append(Sample((rng.integers(-128, 128, shape, np.int8),), attrs))
    return cases


def infer_pad(x: TensorType, *, low: Ints, high: Ints, strides: Ints, value: float) -> TensorType:
    _check("pad", x, low=low, high=high, strides=strides)
    if x.dtype == "int8" and value not in range(-128, 128):
        raise ShapeError(f"pad: {value} is no value of {x}")
    parameters_pad(x, low=low, high=high, strides=strides, value=value)
    return TensorType(_padded(x.shape, low, high, strides), x.dtype, scale=x.scale, zero_point=x.zero_point)


def _padded(shape: Ints, low: Ints, high: Ints, strides: Ints) -> tuple[int, ...]:
    sizes = zip(shape[1:], low, high, strides, strict=True)
    return (shape[0], *(a + (count - 1) * s + 1 + b for count, a, b, s in sizes))


def evaluate_pad(x: np.ndarray, *, low: Ints, high: Ints, strides: Ints, value: float) -> np.ndarray:
    y = np.full(_padded(x.shape, low, high, strides), value, x.dtype)
    y[_where(low, x.shape[1:], strides)] = x
    return y


def grad_pad(build: Builder, dy: Value, x: Value, *, y: Values, low: Ints, strides: Ints, **_: Any) -> Value:
    return build.slice(dy, begin=low, size=x.shape[1:], strides=strides)


def parameters_pad(x: TensorType, *, low: Ints, high: Ints, strides: Ints, value: float) -> Pad:
    y = TensorType(_padded(x.shape, low, high, strides))
    first, loops_ = _place("pad", y.shape, x.shape, low, strides)
    return Pad(y.elements, first, loops_, float(value), shaped(y), *_parts(x.shape, low, strides))


def samples_pad(rng: np.random.Generator) -> list[Sample]:
    cases = []
    for index, (shape, begin, size, strides) in enumerate(CASES):
        ends = [b + (n - 1) * s + 1 for b, n, s in zip(begin, size, strides, strict=True)]
        high = tuple(count - end for count, end in zip(shape[1:], ends, strict=True))
        attrs = {"low": begin, "high": high, "strides": strides}
        cases.append(Sample((rng.normal(size=(shape[0], *size)),), {**attrs, "value": 0.0 if index else -1.5}))
        if index % 2 == 0:
            x = rng.integers(-128, 128, (shape[0], *size), np.int8)
            cases.append(Sample((x,), {**attrs, "value": index - 128}))
    return cases


register(Op(
    name="slice", infer=infer, evaluate=evaluate, grads=(grad_x,), samples=samples, ties=ties,
    attrs={"begin": REQUIRED, "size": REQUIRED, "strides": REQUIRED}, dtypes={0: ("float32", "int8")},
    int8=Int8Form("unchanged"),
    footprint=along(rows=by_rows),
    kernel=Kernel("slice_f32.h", {"float32": "slice_f32", "int8": "slice_s8"}, record=Slice, parameters=parameters,
                  views=(0,), gives_view=True),
))  # fmt: skip
register(Op(
    name="pad", infer=infer_pad, evaluate=evaluate_pad, grads=(grad_pad,), samples=samples_pad, ties=ties,
    attrs={"low": REQUIRED, "high": REQUIRED, "strides": REQUIRED, "value": 0.0}, dtypes={0: ("float32", "int8")},
    int8=Int8Form("padded"),
    footprint=along(rows=by_rows_of_pad),
    kernel=Kernel("slice_f32.h", {"float32": "pad_f32", "int8": "pad_s8"}, record=Pad, parameters=parameters_pad,
                  views=(0,), gives_view=True),
))  # fmt: skip
