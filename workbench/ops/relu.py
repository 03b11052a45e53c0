"""nn.relu: y = max(x, 0), and its gradient dx = dy where y > 0, else 0 (so relu′(0) = 0)."""

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.op import Kernel, Op, Sample, register


def evaluate(x):
    return np.maximum(x, x.dtype.type(0))


def grad_x(build, dy, x, y):
    return build.relu_grad(dy, y[0])


def samples(rng):
    edge = rng.normal(size=(2, 3, 5))
    edge[0, 0, :2] = 0, -0.0
    return [Sample((edge,)), Sample((rng.normal(size=(1, 1)),))]


def infer_grad(dy, y):
    if dy.shape != y.shape:
        raise ShapeError(f"relu_grad: dy and y are of one shape; got {dy} and {y}")
    return dy


def evaluate_grad(dy, y):
    return np.where(y > 0, dy, dy.dtype.type(0))


def grad_dy(build, g, dy, y_, **_):
    return build.relu_grad(g, y_)


def samples_grad(rng):
    return [Sample((rng.normal(size=case.operands[0].shape), evaluate(case.operands[0]))) for case in samples(rng)]


register(Op(
    name="nn.relu", infer=lambda x: x, evaluate=evaluate, grads=(grad_x,), samples=samples,
    kernel=Kernel("relu_f32.h", "relu_f32", lambda x: [x.elements]),
))  # fmt: skip
register(Op(
    name="nn.relu_grad", infer=infer_grad, evaluate=evaluate_grad, grads=(grad_dy, None), samples=samples_grad,
    kernel=Kernel("relu_grad_f32.h", "relu_grad_f32", lambda dy, y: [dy.elements]),
))  # fmt: skip
