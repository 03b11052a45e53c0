"""Elementwise float activations other than relu and relu6: they share a kernel, each with a C function of its own.

y = f(x)        dx = dy · f′(v)        v is x, or y where f′ follows from y as quickly, so that x need not live on
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel, each_alone
from workbench.ir.op import UNMEASURED, Attrs, Int8Form, Op, Sample, channelwise, register
from workbench.ir.ranges import Range, Within, near, single
from workbench.ir.types import TensorType

Tflite = Callable[[np.ndarray, float, float, float, int], np.ndarray]


@dataclass(frozen=True)
class Activation:
    """nn.`name` and its gradient nn.`name`_grad, in C WB_NAME of kernels/pointwise_f32.h with one number, `number`.

    `slope(v, **attrs)` is f′, and `steep` lists the v of its extrema; rounding makes it `uneven` by so much, elsewhere
    too. f is defined from `least` on; an int8 table takes what is less for it. `require` raises ShapeError for values
    of the attributes that are not allowed. `number` tells the attributes to the C and to int8 tables, `told` gives them
    back. `tflite` is f in int8 as TensorFlow Lite Micro computes it (see _int8_functions), where it does.
    `edges` and `ends` are x that samples have. `bounded` as in Int8Form. `instructions`: per element, of f and of its
    gradient (see study/instructions).
    """

    name: str
    evaluate: Callable[..., np.ndarray]
    slope: Callable[..., np.ndarray]
    within: Within
    from_result: bool = False
    steep: tuple[float, ...] = ()
    uneven: float = 0.0
    least: float = -np.inf
    attrs: Attrs = field(default_factory=dict)
    number: Callable[..., float] = lambda **_: 0.0
    told: Callable[[float], Attrs] = lambda _: {}
    require: Callable[..., None] = lambda **_: None
    cases: tuple[Attrs, ...] = ({},)
    edges: tuple[float, ...] = ()
    ends: tuple[float, ...] = (-100.0, 100.0, 0.5)
    bounded: tuple[float, int] | None = None
    tflite: Tflite | None = None
    instructions: tuple[float, float] = UNMEASURED[1], UNMEASURED[1]

    def of(self, x: np.ndarray, number: float) -> np.ndarray:
        """f of each element."""
        return self.evaluate(np.maximum(x, self.least), **self.told(number))

    def slope_of(self, x: np.ndarray, number: float) -> np.ndarray:
        """f′ at each element; 0 where it is infinite, as that of a root is at 0."""
        slopes = self.slope(self.of(x, number) if self.from_result else x, **self.told(number))
        return np.where((x < self.least) | np.isinf(slopes), 0, slopes)


FUNCTIONS: dict[str, Activation] = {}  # by the name that int8 tables know them by


@dataclass(frozen=True)
class Pointwise:
    """wb_pointwise: the function by its name in C, the columns of a row, and the function's number."""

    function: str
    columns: int
    number: float


def _ends(x: Range, turns: Sequence[float] = ()) -> list[np.ndarray]:
    """What x may be at the ends of its range, and at those of `turns` that lie inside."""
    if x.exact:
        return [x.low]
    inside = [np.where((x.low <= at) & (at <= x.high), np.float32(at), x.low) for at in turns]
    return [x.low, x.high, *inside]


def turning(evaluate: Callable[..., np.ndarray], *turns: float, roundings: Callable[..., Any] | None = None) -> Within:
    """The range of what numpy and C round alike, and which falls and rises, or rises and falls, at each x of `turns`.

    `roundings(x)`: the size of the terms that y is made of, as a multiple of y, where rounding makes it fall and rise
    elsewhere too.
    """

    def within(x: Range, **attrs: Any) -> Range:
        ends = _ends(single(x), turns)
        values = [evaluate(end, **attrs) for end in ends]
        if len(values) == 1:
            return Range(values[0], values[0])
        if roundings:
            sizes = [np.abs(y) * roundings(end) for y, end in zip(values, ends, strict=True)]
            values = [end for y, size in zip(values, sizes, strict=True) for end in near(y.astype(np.float64), size)]
        return Range(np.minimum.reduce(values), np.maximum.reduce(values))

    return within


def register_activation(f: Activation) -> None:
    """Register nn.`name` and nn.`name`_grad, and make its int8 table known."""
    FUNCTIONS[f.name] = f

    def infer(x: TensorType, **attrs: Any) -> TensorType:
        f.require(**attrs)
        return x

    def grad_x(build: Builder, dy: Value, x: Value, *, y: Values, **attrs: Any) -> Value:
        return build.op(f"nn.{f.name}_grad", dy, y[0] if f.from_result else x, **attrs)

    def infer_grad(dy: TensorType, v: TensorType, **attrs: Any) -> TensorType:
        if dy.shape != v.shape:
            raise ShapeError(f"{f.name}_grad: both operands are of one shape; got {dy} and {v}")
        return infer(dy, **attrs)

    def evaluate_grad(dy: np.ndarray, v: np.ndarray, **attrs: Any) -> np.ndarray:
        return dy * f.slope(v, **attrs).astype(dy.dtype)

    def within_grad(dy: Range, v: Range, **attrs: Any) -> Range:
        v, dy = single(v), single(dy)
        slopes = [f.slope(end, **attrs) for end in _ends(v, f.steep)]
        if not v.exact and f.uneven:
            slopes = [slope + by for slope in slopes for by in (np.float32(f.uneven), np.float32(-f.uneven))]
        ends = [end * slope for end, slope in product(_ends(dy), slopes)]
        low = np.minimum.reduce(ends)
        return Range(low, low if len(ends) == 1 else np.maximum.reduce(ends))

    def samples(rng: np.random.Generator) -> list[Sample]:
        edge = 4 * rng.normal(size=(2, 3, 5))
        ends = np.array(f.ends)
        arrays = [edge, *(3 * rng.normal(size=shape) for shape in ((1, 1), (2, 3, 4, 3), (1, 2, 3, 4))), ends]
        if f.least > -np.inf:
            arrays = [f.least + 0.3 + np.abs(x - f.least) for x in arrays]
        arrays[0].reshape(-1)[: len(f.edges)] = f.edges
        return [Sample((x,), f.cases[index % len(f.cases)]) for index, x in enumerate(arrays)]

    def samples_grad(rng: np.random.Generator) -> list[Sample]:
        of = [(case.operands[0], case.attrs) for case in samples(rng)]
        return [Sample((rng.normal(size=x.shape), f.evaluate(x, **attrs) if f.from_result else x), attrs)
                for x, attrs in of]  # fmt: skip

    def parameters(x: TensorType, *_: TensorType, **attrs: Any) -> Pointwise:
        return Pointwise(f"WB_{f.name.upper()}", x.as_images[3], float(f.number(**attrs)))

    register(Op(
        name=f"nn.{f.name}", infer=infer, evaluate=f.evaluate, within=f.within, grads=(grad_x,), samples=samples,
        attrs=f.attrs, layouts="same", ties=channelwise, function=f.name,
        int8=Int8Form("table", bounded=f.bounded, number=f.number),
        footprint=each_alone(0),
        kernel=Kernel("pointwise_f32.h", "pointwise_f32", record=Pointwise, parameters=parameters, in_place=(0,),
                      views=(0,), gives_view=True),
        instructions=(0, f.instructions[0]),
    ))  # fmt: skip
    register(Op(
        name=f"nn.{f.name}_grad", infer=infer_grad, evaluate=evaluate_grad, within=within_grad, samples=samples_grad,
        attrs=f.attrs, layouts="same",
        footprint=each_alone(0, 1, axes=("rows", "channels")),
        kernel=Kernel("pointwise_f32.h", "pointwise_grad_f32", record=Pointwise, parameters=parameters, in_place=(0, 1),
                      views=(0, 1), gives_view=True),
        instructions=(0, f.instructions[1]),
    ))  # fmt: skip
