"""nn.dense: y = x · wᵀ, the fully connected layer (its bias is nn.bias_add)."""

from workbench.errors import ShapeError
from workbench.ir.op import Kernel, Op, Sample, register
from workbench.ir.types import TensorType
from workbench.ops.strided_slice import first_channels


def infer(x, w):
    if x.rank != 2 or w.rank != 2:
        raise ShapeError(f"dense: x and w are matrices; got {x} and {w}")
    if x.shape[1] != w.shape[1]:
        raise ShapeError(f"dense: x is {x}, so w needs {x.shape[1]} columns; got {w}")
    return TensorType((x.shape[0], w.shape[0]), x.dtype)


def evaluate(x, w):
    return x @ w.T


def grad_x(build, dy, x, w, **_):
    return build.matmul(dy, w)


def part(x, w, **_):
    """Inputs."""
    return 1, 1


def ties(x, w, **_):
    return {1: "in"}, {0: "out", 1: "in"}, {1: "out"}


def grad_w(build, dy, x, w, **_):
    x = first_channels(build, x, w.type.updated.shape[1])
    return build.matmul(dy, x, transpose_a=True)


def samples(rng):
    return [
        Sample((rng.normal(size=(n, i)), rng.normal(size=(o, i))))
        for n, i, o in ((1, 5, 3), (4, 7, 2), (1, 1, 1), (3, 64, 10))
    ]


register(Op(
    name="nn.dense", infer=infer, evaluate=evaluate, grads=(grad_x, grad_w), samples=samples,
    macs=lambda x, w: x.shape[0] * w.elements, parameters={1: "weight"}, part=part, ties=ties,
    kernel=Kernel("matmul_f32.h", "matmul_f32", lambda x, w: [x.shape[0], w.shape[0], x.shape[1], 0, 1]),
))  # fmt: skip
