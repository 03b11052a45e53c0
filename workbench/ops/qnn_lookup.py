"""qnn.lookup: y = t[x + 128], an int8 activation of which `t` is the table (qnn.table); its gradient dy · s[x + 128].

The gradient's table is that of the derivatives (qnn.slopes), 0 where the result was clipped.
"""

from typing import Any

import numpy as np

from workbench.errors import GraphError, ShapeError
from workbench.ir.build import Builder, Value
from workbench.ir.kernel import Kernel, each_alone
from workbench.ir.labels import GRADIENT
from workbench.ir.op import Op, Sample, register
from workbench.ir.types import Ints, TensorType
from workbench.ops._parameters import Shape, shaped


def infer(x: TensorType, t: TensorType) -> TensorType:
    if t.shape != (256,):
        raise ShapeError(f"qnn.lookup: a table has 256 elements; got {t}")
    return TensorType(x.shape, "int8", scale=t.scale, zero_point=t.zero_point)


def evaluate(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    return t[x.astype(np.int64) + 128]


def grad_x(build: Builder, dy: Value, x: Value, t: Value, **_: Any) -> Value:
    table = build.producer(t)
    if table is None or table.op != "qnn.table":
        raise GraphError(f"qnn.lookup: %{t.name} is not made by qnn.table, so that its derivative is not known")
    slopes = build.shared("qnn.slopes", label=table.label and f"{GRADIENT}{table.label}", **table.attrs)
    return build.op("qnn.lookup_grad", dy, x, slopes)


def infer_grad(dy: TensorType, x: TensorType, s: TensorType) -> TensorType:
    if dy.shape != x.shape or s.shape != (256,):
        raise ShapeError(f"qnn.lookup_grad: dy and x are of one shape, slopes are 256; got {dy}, {x} and {s}")
    return dy


def evaluate_grad(dy: np.ndarray, x: np.ndarray, s: np.ndarray) -> np.ndarray:
    return dy * s[x.astype(np.int64) + 128].astype(dy.dtype)


SHAPES = (1, 256), (2, 3, 4, 3), (1, 1), (3, 7), (1, 2, 3, 4)


def operands(rng: np.random.Generator, shape: Ints) -> np.ndarray:
    whole = np.arange(-128, 128).astype(np.int8).reshape(shape) if shape == (1, 256) else None
    return rng.integers(-128, 128, shape, np.int8) if whole is None else whole


def samples(rng: np.random.Generator) -> list[Sample]:
    return [Sample((operands(rng, shape), rng.integers(-128, 128, 256, np.int8))) for shape in SHAPES]


def samples_grad(rng: np.random.Generator) -> list[Sample]:
    return [Sample((rng.normal(size=shape), operands(rng, shape), rng.normal(size=256))) for shape in SHAPES]


register(Op(
    name="qnn.lookup", infer=infer, evaluate=evaluate, grads=(grad_x,), samples=samples,
    dtypes={0: ("int8",), 1: ("int8",)}, tabulated=1, ties=lambda x, t: ({1: "channel"}, {}, {1: "channel"}),
    footprint=each_alone(0),
    kernel=Kernel("lookup_s8.h", "lookup_s8", record=Shape, parameters=shaped, in_place=(0,), views=(0,),
                  gives_view=True),
))  # fmt: skip
register(Op(
    name="qnn.lookup_grad", infer=infer_grad, evaluate=evaluate_grad, samples=samples_grad,
    dtypes={1: ("int8",)}, footprint=each_alone(0, 1, axes=("rows", "channels")),
    kernel=Kernel("lookup_s8.h", "lookup_grad_s8", record=Shape, parameters=shaped, in_place=(0,), views=(0, 1),
                  gives_view=True),
))  # fmt: skip
