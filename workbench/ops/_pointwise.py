"""Elementwise float activations other than relu and relu6: they share a kernel, each with a C function of its own.

y = f(x)        dx = dy · f′(v)        v is x, or y where f′ follows from y as quickly, so that x need not live on
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel, each_alone
from workbench.ir.op import Attrs, Int8Form, Op, Sample, channelwise, register
from workbench.ir.ranges import Range, Within, single
from workbench.ir.types import TensorType


@dataclass(frozen=True)
class Activation:
    """nn.`name` and its gradient nn.`name`_grad, in C WB_NAME of kernels/pointwise_f32.h with one number, `number`.

    `slope(v, **attrs)` is f′, and `steep` lists (v, f′) at the extrema of f′. `require` raises ShapeError for values
    of the attributes that are not allowed. `bounded` as in Int8Form.
    """

    name: str
    evaluate: Callable[..., np.ndarray]
    slope: Callable[..., np.ndarray]
    within: Within
    from_result: bool = False
    steep: tuple[tuple[float, float], ...] = ()
    attrs: Attrs = field(default_factory=dict)
    number: Callable[..., float] = lambda **_: 0.0
    require: Callable[..., None] = lambda **_: None
    cases: tuple[Attrs, ...] = ({},)
    edges: tuple[float, ...] = ()
    bounded: tuple[float, int] | None = None


@dataclass(frozen=True)
class Pointwise:
    """wb_pointwise: the function by its name in C, the columns of a row, and the function's number."""

    function: str
    columns: int
    number: float


def register_activation(f: Activation) -> None:
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
        slopes = [f.slope(end, **attrs) for end in ((v.low,) if v.exact else v)]
        inside = [np.where((v.low <= at) & (at <= v.high), np.float32(slope), slopes[0]) for at, slope in f.steep]
        ends = [end * slope for end, slope in product((dy.low,) if dy.exact else dy, [*slopes, *inside])]
        low = np.minimum.reduce(ends)
        return Range(low, low if len(ends) == 1 else np.maximum.reduce(ends))

    def samples(rng: np.random.Generator) -> list[Sample]:
        edge = 4 * rng.normal(size=(2, 3, 5))
        edge.reshape(-1)[: len(f.edges)] = f.edges
        arrays = (edge, 3 * rng.normal(size=(1, 1)), 3 * rng.normal(size=(2, 3, 4, 3)), np.array([-100.0, 100.0, 0.5]))
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
        int8=Int8Form("table", bounded=f.bounded),
        footprint=each_alone(0),
        kernel=Kernel("pointwise_f32.h", "pointwise_f32", record=Pointwise, parameters=parameters, in_place=(0,),
                      views=(0,), gives_view=True),
    ))  # fmt: skip
    register(Op(
        name=f"nn.{f.name}_grad", infer=infer_grad, evaluate=evaluate_grad, within=within_grad, samples=samples_grad,
        attrs=f.attrs, layouts="same",
        footprint=each_alone(0, 1, axes=("rows", "channels")),
        kernel=Kernel("pointwise_f32.h", "pointwise_grad_f32", record=Pointwise, parameters=parameters, in_place=(0, 1),
                      views=(0, 1), gives_view=True),
    ))  # fmt: skip
