"""nn.bce_with_logits: binary cross-entropy of logits x and targets t in [0, 1], the mean over all n elements.

With e = exp(−|x|) nothing overflows, and nothing is taken from what is all but equal to it where the network is sure:

            loss, Σ of … / n              gradient, … / ((1 + e) · n): sigmoid(x) − t
    x ≥ 0    x · (1 − t) + log1p(e)       (1 − t) − t · e
    x < 0   −x · t       + log1p(e)       (1 − t) · e − t
"""

from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel
from workbench.ir.op import Op, Sample, register
from workbench.ir.ranges import Range, known, near
from workbench.ir.types import TensorType
from workbench.objective import BCE
from workbench.ops._in_order import in_order
from workbench.ops._quantized import Reals, reals
from workbench.ops._target import ATTRS, DTYPES, check_target, real_target
from workbench.ops.softmax import exponentials


def infer(x: TensorType, t: TensorType, *, scale: float, zero_point: int) -> TensorType:
    check_target("bce_with_logits", x, t, scale, zero_point)
    return TensorType(())


def evaluate(x: np.ndarray, t: np.ndarray, *, scale: float = 0.0, zero_point: int = 0) -> np.ndarray:
    t, one = real_target(t, scale, zero_point), x.dtype.type(1)
    terms = np.abs(x) * np.where(x >= 0, one - t, t) + np.log1p(np.exp(-np.abs(x)))
    return np.asarray(in_order(terms.reshape(-1)) * x.dtype.type(1 / x.size), x.dtype)


def within(x: Range, t: Range, *, scale: float, zero_point: int) -> Range:
    """Near the mean in float64, or near that of float32 sums in C's order: many equal terms are all rounded alike."""
    single, target = known(x), real_target(known(t), scale, zero_point)
    logits = single.astype(np.float64)
    e, size = exponentials(-np.abs(logits))
    linear = np.abs(logits) * np.where(logits >= 0, 1 - target.astype(np.float64), target)
    wide = near(np.mean(linear + np.log1p(e)), np.mean(np.abs(linear) + size / (1 + e) + np.log1p(e)))
    as_c, slack = evaluate(single, target).astype(np.float64), (wide.high - wide.low) / 2
    return Range(np.minimum(wide.low, as_c - slack), np.maximum(wide.high, as_c + slack))


def grad_x(build: Builder, dy: Value, x: Value, t: Value, *, y: Values, **attrs: Any) -> Value:
    if dy is not None:
        raise ShapeError("bce_with_logits: is a loss; nothing may be computed from it")
    return build.bce_with_logits_grad(x, t, **attrs)


def infer_grad(x: TensorType, t: TensorType, *, scale: float, zero_point: int) -> TensorType:
    check_target("bce_with_logits_grad", x, t, scale, zero_point)
    return TensorType(x.shape)


def evaluate_grad(x: np.ndarray, t: np.ndarray, *, scale: float = 0.0, zero_point: int = 0) -> np.ndarray:
    t, one = real_target(t, scale, zero_point), x.dtype.type(1)
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, (one - t) - t * e, (one - t) * e - t) / (one + e) * x.dtype.type(1 / x.size)


def within_grad(x: Range, t: Range, *, scale: float, zero_point: int) -> Range:
    logits = known(x).astype(np.float64)
    target = real_target(known(t), scale, zero_point).astype(np.float64)
    e, size = exponentials(-np.abs(logits))
    above, below = np.abs(1 - target), np.abs(target)
    terms = np.where(logits >= 0, above + below * size, above * size + below) / (1 + e)
    value = evaluate_grad(logits, target)
    return near(value, terms / logits.size + np.abs(value) * size)


def samples(rng: np.random.Generator) -> list[Sample]:
    shapes = ((1, 10), (4, 3), (2, 1), (1, 1), (2, 3, 2, 2), (1, 640))
    cases = [Sample((rng.normal(size=shape) * 3, rng.integers(0, 2, shape).astype(float))) for shape in shapes]
    soft = Sample((rng.normal(size=(3, 4)) * 3, rng.random((3, 4))))
    far = np.array([[100.0, -100.0, 1e4, -1e4, 0.0, -0.0, 88.0, -87.5]])
    sure = Sample((far, (far >= 0).astype(float)))
    wrong = Sample((far[:, 4:] / 2, (far[:, 4:] < 0).astype(float)))
    q = rng.integers(-128, 128, (2, 9), dtype=np.int8)
    return [*cases, soft, sure, wrong, Sample((rng.normal(size=(2, 9)), q), {"scale": 1 / 256, "zero_point": -128})]


register(Op(
    name="nn.bce_with_logits", infer=infer, evaluate=evaluate, within=within, grads=(grad_x, None), samples=samples,
    attrs=ATTRS, dtypes=DTYPES, loss=BCE,
    kernel=Kernel("bce_with_logits_f32.h", {"float32": "bce_with_logits_f32", "int8": "bce_with_logits_s8"}, by=1,
                  record=Reals, parameters=reals),
))  # fmt: skip
register(Op(
    name="nn.bce_with_logits_grad", infer=infer_grad, evaluate=evaluate_grad, within=within_grad, samples=samples,
    attrs=ATTRS, dtypes=DTYPES,
    kernel=Kernel("bce_with_logits_f32.h", {"float32": "bce_with_logits_grad_f32", "int8": "bce_with_logits_grad_s8"},
                  by=1, record=Reals, parameters=reals, in_place=(0,)),
))  # fmt: skip
