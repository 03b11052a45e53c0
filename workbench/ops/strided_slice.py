"""strided_slice: y = x from `begin` up to `end` along one axis; its gradient is dy amid zeros."""

from dataclasses import dataclass
from math import prod

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Footprint, Kernel, Reach, Refusal, Tile, along
from workbench.ir.op import REQUIRED, Int8Form, Op, Sample, register
from workbench.ir.types import TensorType
from workbench.ops._parameters import Shape, shaped


def infer(x: TensorType, *, begin: int, end: int, axis: int) -> TensorType:
    if not (0 <= axis < x.rank and 0 <= begin < end <= x.shape[axis]):
        raise ShapeError(f"strided_slice: [{begin}, {end}) along axis {axis} does not lie in {x}")
    if axis > 3:
        raise ShapeError(f"strided_slice: of {x} only parts along the first four axes are taken")
    shape = (*x.shape[:axis], end - begin, *x.shape[axis + 1 :])
    return TensorType(shape, x.dtype, scale=x.scale, zero_point=x.zero_point)


def evaluate(x: np.ndarray, *, begin: int, end: int, axis: int) -> np.ndarray:
    return np.ascontiguousarray(x[_where(begin, end, axis)])


def _where(begin: int, end: int, axis: int) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, slice(begin, end))


def grad_x(build: Builder, dy: Value, x: Value, *, y: Values, begin: int, end: int, axis: int) -> Value:
    return build.strided_slice_grad(dy, begin=begin, size=x.shape[axis], axis=axis)


def first_channels(build: Builder, x: Value, count: int) -> Value:
    """The first `count` channels (axis 1) of x, or x where that is all of them."""
    return x if count == x.shape[1] else build.shared("strided_slice", x, begin=0, end=count, axis=1)


@dataclass(frozen=True)
class StridedSlice:
    """wb_strided_slice: where y begins in x, seen as images, and the columns of y."""

    image: int
    channel: int
    row: int
    column: int
    columns: int


def parameters(x: TensorType, *, begin: int, end: int, axis: int) -> StridedSlice:
    along = {1: (3,), 2: (0, 1), 3: (0, 1, 3)}.get(x.rank, (0, 1, 2, 3))[axis]
    at = [0, 0, 0, 0]
    at[along] = begin * prod(x.shape[axis + 1 :]) if along == 3 else begin
    image, channel, row, column = at
    return StridedSlice(image, channel, row, column, infer(x, begin=begin, end=end, axis=axis).as_images[3])


def by_rows(tile: Tile, x: TensorType, *, begin: int, end: int, axis: int) -> Footprint | Refusal:
    return Footprint({0: Reach()}, end) if axis == 1 else Refusal("takes or gives a part of all rows at once")


def by_channels(tile: Tile, x: TensorType, *, begin: int, end: int, axis: int) -> Footprint | Refusal:
    """A view: the first channels are the first channels of x."""
    if axis != 1 or begin or tile.of != (0,) or x.rank != 4:
        return Refusal("gives the first channels only")
    return Footprint({0: Reach()}, end, code=False)


CASES = (  # shape, axis, begin, end
    ((1, 5, 3, 3), 1, 1, 4),
    ((2, 3, 4), 2, 3, 4),
    ((4, 3), 0, 0, 2),
    ((2, 3), 1, 0, 3),
    ((7,), 0, 2, 6),
)


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = [
        Sample((rng.normal(size=shape),), {"begin": begin, "end": end, "axis": axis})
        for shape, axis, begin, end in CASES
    ]
    return [*cases, Sample((np.arange(-60, 60, dtype=np.int8).reshape(2, 5, 3, 4),), cases[0].attrs)]


def infer_grad(dy: TensorType, *, begin: int, size: int, axis: int) -> TensorType:
    if not (0 <= axis < dy.rank and 0 <= begin <= size - dy.shape[axis]):
        raise ShapeError(f"strided_slice_grad: {dy} from {begin} along axis {axis} does not fit into {size}")
    return TensorType((*dy.shape[:axis], size, *dy.shape[axis + 1 :]), dy.dtype)


def evaluate_grad(dy: np.ndarray, *, begin: int, size: int, axis: int) -> np.ndarray:
    dx = np.zeros((*dy.shape[:axis], size, *dy.shape[axis + 1 :]), dy.dtype)
    dx[_where(begin, begin + dy.shape[axis], axis)] = dy
    return dx


def grad_dy(build: Builder, g: Value, dy: Value, *, y: Values, begin: int, size: int, axis: int) -> Value:
    return build.strided_slice(g, begin=begin, end=begin + dy.shape[axis], axis=axis)


@dataclass(frozen=True)
class StridedSliceGrad:
    """wb_strided_slice_grad."""

    outer: int
    row: int
    begin: int
    end: int
    shape: Shape
    channel: int
    channel_end: int


def parameters_of_grad(dy: TensorType, *, begin: int, size: int, axis: int) -> StridedSliceGrad:
    inner = prod(dy.shape[axis + 1 :])
    end, dx = begin + dy.shape[axis], infer_grad(dy, begin=begin, size=size, axis=axis)
    channels = (begin, end) if axis == 1 else (0, 0)
    return StridedSliceGrad(prod(dy.shape[:axis]), size * inner, begin * inner, end * inner, shaped(dx), *channels)


def by_rows_of_grad(tile: Tile, dy: TensorType, *, axis: int, **_: int) -> Footprint | Refusal:
    return Footprint({0: Reach()}) if axis == 1 else Refusal("takes or gives a part of all rows at once")


def samples_grad(rng: np.random.Generator) -> list[Sample]:
    cases = []
    for shape, axis, begin, end in CASES:
        dy = rng.normal(size=(*shape[:axis], end - begin, *shape[axis + 1 :]))
        cases.append(Sample((dy,), {"begin": begin, "size": shape[axis], "axis": axis}))
    return cases


register(Op(
    name="strided_slice", infer=infer, evaluate=evaluate, grads=(grad_x,), samples=samples,
    attrs={"begin": REQUIRED, "end": REQUIRED, "axis": REQUIRED}, keeps=True,
    dtypes={0: ("float32", "int8")}, int8=Int8Form("unchanged"), footprint=along(rows=by_rows, channels=by_channels),
    kernel=Kernel("strided_slice.h", {"float32": "strided_slice_f32", "int8": "strided_slice_s8"}, record=StridedSlice,
                  parameters=parameters, views=(0,), gives_view=True),
    instructions=(0, 0.2),
))  # fmt: skip
register(Op(
    name="strided_slice_grad", infer=infer_grad, evaluate=evaluate_grad, grads=(grad_dy,), samples=samples_grad,
    attrs={"begin": REQUIRED, "size": REQUIRED, "axis": REQUIRED},
    footprint=along(rows=by_rows_of_grad),
    kernel=Kernel("strided_slice.h", "strided_slice_grad_f32", record=StridedSliceGrad, parameters=parameters_of_grad,
                  views=(0,), gives_view=True),
))  # fmt: skip
