"""nn.relu6: y = min(max(x, 0), 6), and its gradient dx = dy where 0 < y < 6, else 0 (slope 0 at both kinks)."""

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.op import Kernel, Op, Sample, register


def evaluate(x):
    return np.clip(x, x.dtype.type(0), x.dtype.type(6))


def grad_x(build, dy, x, y):
    return build.relu6_grad(dy, y[0])


def samples(rng):
    edge = rng.normal(size=(2, 3, 5)) * 6
    edge[0, 0, :4] = 0, -0.0, 6, 6
    return [Sample((edge,)), Sample((rng.normal(size=(1, 1)),)), Sample((np.array([-7.0, 7.0, 5.5]),))]


def infer_grad(dy, y):
    if dy.shape != y.shape:
        raise ShapeError(f"relu6_grad: dy and y are of one shape; got {dy} and {y}")
    return dy


def evaluate_grad(dy, y):
    return np.where((y > 0) & (y < 6), dy, dy.dtype.type(0))


def grad_dy(build, g, dy, y_, **_):
    return build.relu6_grad(g, y_)


def samples_grad(rng):
    return [Sample((rng.normal(size=case.operands[0].shape), evaluate(case.operands[0]))) for case in samples(rng)]


register(Op(
    name="nn.relu6", infer=lambda x: x, evaluate=evaluate, grads=(grad_x,), samples=samples,
    kernel=Kernel("relu6_f32.h", "relu6_f32", lambda x: [x.elements]),
))  # fmt: skip
register(Op(
    name="nn.relu6_grad", infer=infer_grad, evaluate=evaluate_grad, grads=(grad_dy, None), samples=samples_grad,
    kernel=Kernel("relu6_grad_f32.h", "relu6_grad_f32", lambda dy, y: [dy.elements]),
))  # fmt: skip
