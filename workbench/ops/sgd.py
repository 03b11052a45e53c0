"""nn.sgd: w ← w − lr · dw, written into w. `lr` is a scalar that the host may change between steps."""

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.op import Kernel, Op, Sample, register
from workbench.ir.types import TensorType


def infer(w, dw, lr):
    if w.shape != dw.shape or lr.rank != 0:
        raise ShapeError(f"sgd: w and dw are of one shape and lr a scalar; got {w}, {dw} and {lr}")
    return TensorType(w.shape, w.dtype)


def evaluate(w, dw, lr):
    return w - lr * dw


def samples(rng):
    return [Sample((rng.normal(size=s), rng.normal(size=s), np.array(0.05))) for s in ((3, 2, 3, 3), (10,), (1, 1))]


register(Op(
    name="nn.sgd", infer=infer, evaluate=evaluate, samples=samples, takes=(0,),
    kernel=Kernel("sgd_f32.h", "sgd_f32", lambda w, dw, lr: [w.elements]),
))  # fmt: skip
