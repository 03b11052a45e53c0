"""add: y = a + b of one shape; also how gradients that meet are summed."""

from workbench.errors import ShapeError
from workbench.ir.op import Kernel, Op, Rows, Sample, channelwise, register


def infer(a, b):
    if a.shape != b.shape or a.dtype != b.dtype:
        raise ShapeError(f"add: a and b are of one shape; got {a} and {b}")
    return a


def evaluate(a, b):
    return a + b


def grad(build, dy, a, b, **_):
    return dy


def samples(rng):
    return [Sample((rng.normal(size=shape), rng.normal(size=shape))) for shape in ((2, 3, 4, 4), (1,), (3, 7))]


register(Op(
    name="add", infer=infer, evaluate=evaluate, grads=(grad, grad), samples=samples,
    layouts="same", kernel=Kernel("add_f32.h", "add_f32", lambda a, b: [a.elements], in_place=(0, 1)),
    rows=Rows("elementwise_rows_f32.h", "add_rows_f32", lambda a, b: [a.shape[1], a.shape[3]], images=(0, 1)),
    ties=channelwise,
))  # fmt: skip
