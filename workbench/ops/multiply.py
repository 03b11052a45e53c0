"""multiply: y = a · b, each axis as long in both or 1 in one (see _broadcast): gates, scales, products of branches."""

from workbench.ir.op import Kernel, Op, Sample, register
from workbench.ir.types import TensorType
from workbench.ops._broadcast import SHAPES, loops_literal, shape_of_both, ties_of_both


def infer(a, b):
    return TensorType(shape_of_both("multiply", a, b), a.dtype)


def evaluate(a, b):
    return a * b


def grad_a(build, dy, a, b, **_):
    return build.sum_to(dy, b, newshape=a.shape)


def grad_b(build, dy, a, b, **_):
    return build.sum_to(dy, a, newshape=b.shape)


def literals(a, b):
    return ["WB_TIMES", loops_literal(shape_of_both("multiply", a, b), a.shape, b.shape)]


def samples(rng):
    return [Sample((rng.normal(size=a), rng.normal(size=b))) for a, b in SHAPES]


register(Op(
    name="multiply", infer=infer, evaluate=evaluate, grads=(grad_a, grad_b), samples=samples, ties=ties_of_both,
    parameters={0: "constant", 1: "constant"},
    kernel=Kernel("broadcast_f32.h", "broadcast_f32", literals, in_place=(0, 1)),
))  # fmt: skip
