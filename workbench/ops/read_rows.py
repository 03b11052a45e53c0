"""read_rows: the image that the host hands over row by row (layout STREAM), each row once; never in memory as a whole.

It works inside a region only, which keeps of it what its other nodes will still read. The rows come from wb_read_rows
of main.c.
"""

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.kernel import Footprint, Kernel, Tile, along
from workbench.ir.op import Op, Sample, register
from workbench.ir.types import STREAM, TensorType
from workbench.ops._parameters import Shape


def infer(x: TensorType) -> TensorType:
    if x.layout != STREAM or x.rank != 4 or x.shape[0] != 1:
        raise ShapeError(f"read_rows: one image comes row by row, batch 1 in layout {STREAM}; got {x}")
    return x.in_layout("")


def evaluate(x: np.ndarray) -> np.ndarray:
    return x.copy()


def samples(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample((rng.normal(size=(1, 3, 4, 5)),), layouts={0: STREAM}),
        Sample((rng.integers(-128, 128, (1, 2, 3, 7)).astype(np.int8),), layouts={0: STREAM}),
        Sample((rng.normal(size=(1, 1, 1, 5)),), layouts={0: STREAM}),
    ]


def by_rows(tile: Tile, x: TensorType) -> Footprint:
    return Footprint({}, x.shape[2])


def parameters(x: TensorType) -> Shape:
    return Shape(*x.shape[1:])


register(Op(
    name="read_rows", infer=infer, evaluate=evaluate, samples=samples, dtypes={0: ("float32", "int8")}, layouts="any",
    footprint=along(rows=by_rows),
    kernel=Kernel("read_rows.h", {"float32": "read_rows_f32", "int8": "read_rows_s8"}, record=Shape,
                  parameters=parameters, gives_view=True, whole=False),
))  # fmt: skip
