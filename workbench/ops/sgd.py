"""nn.sgd and nn.sgd_momentum: w ← w − lr · v, written into w; `lr` is a scalar that the host may change.

Where dw has fewer channels than w along one axis, the first ones of w are updated and the rest stays.

g = scale · dw + weight_decay · w        scale: 1 / N where dw is a sum over N batches
v = g                                    nn.sgd
v ← momentum · v + g                     nn.sgd_momentum (as PyTorch's SGD: no dampening, no Nesterov)
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.kernel import Kernel
from workbench.ir.op import REQUIRED, Op, Sample, register
from workbench.ir.types import Ints, TensorType


def infer(w: TensorType, dw: TensorType, lr: TensorType, *, scale: float, weight_decay: float) -> TensorType:
    if lr.rank != 0 or w.rank != dw.rank or not _is_part(dw.shape, w.shape):
        raise ShapeError(f"sgd: dw has w's shape, or fewer channels along one axis, and lr is a scalar; "
                         f"got {w}, {dw} and {lr}")  # fmt: skip
    return TensorType(w.shape, w.dtype)


def _is_part(part: Ints, whole: Ints) -> bool:
    less = [k < n for k, n in zip(part, whole, strict=True)]
    return sum(less) <= 1 and all(k <= n for k, n in zip(part, whole, strict=True))


def _updated(w: np.ndarray, dw: np.ndarray, change: np.ndarray) -> np.ndarray:
    """w with its first channels, as many as dw has, replaced by `change`."""
    if w.shape == dw.shape:
        return change
    y = w.copy()
    y[tuple(map(slice, dw.shape))] = change
    return y


def _gradient(w: np.ndarray, dw: np.ndarray, scale: float, weight_decay: float) -> np.ndarray:
    g = dw if scale == 1 else dw * dw.dtype.type(scale)
    return g + w * w.dtype.type(weight_decay) if weight_decay else g


def evaluate(w: np.ndarray, dw: np.ndarray, lr: np.ndarray, *, scale: float, weight_decay: float) -> np.ndarray:
    part = w[tuple(map(slice, dw.shape))]
    return _updated(w, dw, part - lr * _gradient(part, dw, scale, weight_decay))


@dataclass(frozen=True)
class Rule:
    """wb_sgd_rule: what becomes of each element; `momentum`: 0 where there is none."""

    momentum: float
    scale: float
    weight_decay: float


@dataclass(frozen=True)
class Sgd:
    """wb_sgd: how many elements of the weight change, and how."""

    count: int
    rule: Rule


def parameters(w: TensorType, dw: TensorType, *_: TensorType, momentum: float = 0.0, **attrs: Any) -> Sgd:
    return Sgd(dw.elements, Rule(momentum, **attrs))


SHAPES = ((3, 2, 3, 3), (10,), (1, 1))


def samples(rng: np.random.Generator) -> list[Sample]:
    plain = [Sample((rng.normal(size=s), rng.normal(size=s), rng.uniform(size=()))) for s in SHAPES]
    full = {"scale": 0.25, "weight_decay": 0.01}
    return [*plain, Sample((rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), rng.uniform(size=())), full)]


def infer_momentum(
    w: TensorType, dw: TensorType, v: TensorType, lr: TensorType, *, momentum: float, scale: float, weight_decay: float
) -> tuple[TensorType, TensorType]:
    if v.shape != dw.shape:
        raise ShapeError(f"sgd_momentum: dw and v are of one shape; got {dw} and {v}")
    return infer(w, dw, lr, scale=scale, weight_decay=weight_decay), TensorType(v.shape, v.dtype)


def evaluate_momentum(
    w: np.ndarray, dw: np.ndarray, v: np.ndarray, lr: np.ndarray, *, momentum: float, scale: float, weight_decay: float
) -> tuple[np.ndarray, np.ndarray]:
    part = w[tuple(map(slice, dw.shape))]
    v = v * v.dtype.type(momentum) + _gradient(part, dw, scale, weight_decay)
    return _updated(w, dw, part - lr * v), v


def samples_momentum(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample((*(rng.normal(size=shape) for _ in range(3)), rng.uniform(size=())), {"momentum": 0.9, **extra})
        for shape, extra in zip(SHAPES, ({}, {"scale": 0.5}, {"weight_decay": 0.001}), strict=True)
    ]


register(Op(
    name="nn.sgd", infer=infer, evaluate=evaluate, samples=samples, takes=(0,), phase="update",
    attrs={"scale": 1.0, "weight_decay": 0.0},
    kernel=Kernel("sgd_f32.h", "sgd_f32", record=Sgd, parameters=parameters),
    instructions=(0, 6.5),
))  # fmt: skip
register(Op(
    name="nn.sgd_momentum", infer=infer_momentum, evaluate=evaluate_momentum, samples=samples_momentum, takes=(0, 2),
    phase="update", attrs={"momentum": REQUIRED, "scale": 1.0, "weight_decay": 0.0},
    kernel=Kernel("sgd_f32.h", "sgd_momentum_f32", record=Sgd, parameters=parameters),
))  # fmt: skip
