"""nn.softmax: y = exp(x) / Σ exp(x) of each row; what inference ends in. Training computes its loss from the logits."""

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.op import Kernel, Op, Sample, register


def infer(x):
    if x.rank != 2:
        raise ShapeError(f"softmax: x is (batch, classes); got {x}")
    return x


def evaluate(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e * (x.dtype.type(1) / e.sum(axis=1, keepdims=True))


def samples(rng):
    cases = [Sample((3 * rng.normal(size=shape),)) for shape in ((1, 10), (4, 3), (2, 1))]
    return [*cases, Sample((np.array([[80.0, -80.0, 1e4, 1e4]]),))]


register(Op(
    name="nn.softmax", infer=infer, evaluate=evaluate, samples=samples,
    kernel=Kernel("softmax_f32.h", "softmax_f32", lambda x: list(x.shape)),
))  # fmt: skip
