"""nn.mse: mean squared error, Σ (x − t)² / n over all n elements; its gradient is (x − t) · 2 / n."""

from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel
from workbench.ir.op import Op, Sample, register
from workbench.ir.ranges import Range, exactly, known
from workbench.ir.types import TensorType
from workbench.objective import MSE
from workbench.ops._in_order import in_order
from workbench.ops._quantized import Reals, reals
from workbench.ops._target import ATTRS, DTYPES, check_target, real_target


def infer(x: TensorType, t: TensorType, *, scale: float, zero_point: int) -> TensorType:
    check_target("mse", x, t, scale, zero_point)
    return TensorType(())


def evaluate(x: np.ndarray, t: np.ndarray, *, scale: float = 0.0, zero_point: int = 0) -> np.ndarray:
    d = (x - real_target(t, scale, zero_point)).reshape(-1)
    return np.asarray(in_order(d * d) * x.dtype.type(1 / d.size), x.dtype)


def within(x: Range, t: Range, **attrs: Any) -> Range:
    return exactly(evaluate(known(x), known(t), **attrs))  # the same bits: C adds up in this order


def grad_x(build: Builder, dy: Value, x: Value, t: Value, *, y: Values, **attrs: Any) -> Value:
    if dy is not None:
        raise ShapeError("mse: is a loss; nothing may be computed from it")
    return build.mse_grad(x, t, **attrs)


def infer_grad(x: TensorType, t: TensorType, *, scale: float, zero_point: int) -> TensorType:
    check_target("mse_grad", x, t, scale, zero_point)
    return TensorType(x.shape)


def evaluate_grad(x: np.ndarray, t: np.ndarray, *, scale: float = 0.0, zero_point: int = 0) -> np.ndarray:
    return (x - real_target(t, scale, zero_point)) * x.dtype.type(2 / x.size)


def samples(rng: np.random.Generator) -> list[Sample]:
    shapes = ((1, 10), (4, 3), (1, 1), (2, 3, 2, 2), (1, 640))
    cases = [Sample((rng.normal(size=shape), rng.normal(size=shape))) for shape in shapes]
    far = Sample((np.array([[100.0, -100.0, 3.0]]), np.array([[0.5, 100.0, 3.0]])))
    q = [rng.integers(-128, 128, shape, dtype=np.int8) for shape in ((1, 33), (2, 1, 3, 3))]
    of_int8 = [
        Sample((rng.normal(size=each.shape), each), {"scale": 0.03, "zero_point": zero})
        for each, zero in zip(q, (-5, 127), strict=True)
    ]
    return [*cases, far, *of_int8]


register(Op(
    name="nn.mse", infer=infer, evaluate=evaluate, within=within, grads=(grad_x, None), samples=samples,
    attrs=ATTRS, dtypes=DTYPES, loss=MSE,
    kernel=Kernel("mse_f32.h", {"float32": "mse_f32", "int8": "mse_s8"}, by=1, record=Reals,
                  parameters=reals),
))  # fmt: skip
register(Op(
    name="nn.mse_grad", infer=infer_grad, evaluate=evaluate_grad, samples=samples, attrs=ATTRS, dtypes=DTYPES,
    kernel=Kernel("mse_f32.h", {"float32": "mse_grad_f32", "int8": "mse_grad_s8"}, by=1, record=Reals,
                  parameters=reals, in_place=(0,)),
))  # fmt: skip
