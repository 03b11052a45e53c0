"""nn.sgd and nn.sgd_momentum: w ← w − lr · v, written into w; `lr` is a scalar that the host may change.

g = scale · dw + weight_decay · w        scale: 1 / N where dw is a sum over N batches
v = g                                    nn.sgd
v ← momentum · v + g                     nn.sgd_momentum (as PyTorch's SGD: no dampening, no Nesterov)
"""

from workbench.errors import ShapeError
from workbench.ir.op import REQUIRED, Kernel, Op, Sample, register
from workbench.ir.types import TensorType


def infer(w, dw, lr, *, scale, weight_decay):
    if w.shape != dw.shape or lr.rank != 0:
        raise ShapeError(f"sgd: w and dw are of one shape and lr a scalar; got {w}, {dw} and {lr}")
    return TensorType(w.shape, w.dtype)


def _gradient(w, dw, scale, weight_decay):
    g = dw if scale == 1 else dw * dw.dtype.type(scale)
    return g + w * w.dtype.type(weight_decay) if weight_decay else g


def evaluate(w, dw, lr, *, scale, weight_decay):
    return w - lr * _gradient(w, dw, scale, weight_decay)


SHAPES = ((3, 2, 3, 3), (10,), (1, 1))


def samples(rng):
    plain = [Sample((rng.normal(size=s), rng.normal(size=s), rng.uniform(size=()))) for s in SHAPES]
    full = {"scale": 0.25, "weight_decay": 0.01}
    return [*plain, Sample((rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), rng.uniform(size=())), full)]


def infer_momentum(w, dw, v, lr, *, momentum, scale, weight_decay):
    if v.shape != w.shape:
        raise ShapeError(f"sgd_momentum: w and v are of one shape; got {w} and {v}")
    kind = infer(w, dw, lr, scale=scale, weight_decay=weight_decay)
    return kind, kind


def evaluate_momentum(w, dw, v, lr, *, momentum, scale, weight_decay):
    v = v * v.dtype.type(momentum) + _gradient(w, dw, scale, weight_decay)
    return w - lr * v, v


def samples_momentum(rng):
    return [
        Sample((*(rng.normal(size=shape) for _ in range(3)), rng.uniform(size=())), {"momentum": 0.9, **extra})
        for shape, extra in zip(SHAPES, ({}, {"scale": 0.5}, {"weight_decay": 0.001}), strict=True)
    ]


register(Op(
    name="nn.sgd", infer=infer, evaluate=evaluate, samples=samples, takes=(0,), phase="update",
    attrs={"scale": 1.0, "weight_decay": 0.0},
    kernel=Kernel(
        "sgd_f32.h", "sgd_f32",
        lambda w, dw, lr, *, scale, weight_decay: [w.elements, scale, weight_decay],
    ),
))  # fmt: skip
register(Op(
    name="nn.sgd_momentum", infer=infer_momentum, evaluate=evaluate_momentum, samples=samples_momentum, takes=(0, 2),
    phase="update", attrs={"momentum": REQUIRED, "scale": 1.0, "weight_decay": 0.0},
    kernel=Kernel(
        "sgd_f32.h", "sgd_momentum_f32",
        lambda w, dw, v, lr, **attrs: [w.elements, attrs["momentum"], attrs["scale"], attrs["weight_decay"]],
    ),
))  # fmt: skip
