"""nn.embedding: y = the rows of a table that indices name, (…) and (V, D) -> (…, D): what a token is in a network.

Indices are float32 that hold whole numbers, as the host writes inputs. What lies below the table, NaN too, is its first
row, what lies beyond it the last. The table's gradient (nn.embedding_backward) adds dy up in the order of positions:

    indices  2 0 2        table gradient  row 0: dy[1]    row 1: 0    row 2: dy[0] + dy[2]
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value
from workbench.ir.kernel import Kernel
from workbench.ir.op import REQUIRED, Op, Sample, register
from workbench.ir.ranges import Range, exactly, known, same_bits
from workbench.ir.types import TensorType

MOST = 1 << 24  # rows: up to here float32 has every whole number


@dataclass(frozen=True)
class Embedding:
    """wb_embedding: indices, rows of the table, and the columns of both."""

    count: int
    rows: int
    columns: int


def _check(what: str, rows: int) -> None:
    if not 0 < rows <= MOST:
        raise ShapeError(f"{what}: a table has 1 to {MOST} rows; got {rows}")


def infer(indices: TensorType, table: TensorType) -> TensorType:
    if table.rank != 2 or indices.rank < 1:
        raise ShapeError(f"embedding: a table is (rows, columns), indices have an axis or more; got {table}, {indices}")
    _check("embedding", table.shape[0])
    return TensorType((*indices.shape, table.shape[1]), table.dtype)


def row_numbers(indices: np.ndarray, rows: int) -> np.ndarray:
    """The row that each index names."""
    return np.where(indices > 0, np.minimum(indices, rows - 1), 0).astype(np.intp)


def evaluate(indices: np.ndarray, table: np.ndarray) -> np.ndarray:
    return table[row_numbers(indices, len(table))]


def within(indices: Range, table: Range) -> tuple[Range, ...]:
    return same_bits(evaluate)(exactly(known(indices)), table)


def grad_table(build: Builder, dy: Value, indices: Value, table: Value, **_: Any) -> Value:
    return build.embedding_backward(dy, indices, rows=table.shape[0])


def parameters(indices: TensorType, table: TensorType) -> Embedding:
    return Embedding(indices.elements, *table.shape)


CASES = (  # indices, rows, columns
    ([[2, 0, 2], [1, 4, 4]], 5, 3),
    ([[0]], 1, 1),
    ([[3], [1]], 4, 1),
    ([[0, 5, 1, 5, 5]], 6, 7),
    ([-1, 1e9, 3, 2], 3, 4),
    ([[[1, 0], [1, 1]]], 2, 2),
)


def samples(rng: np.random.Generator) -> list[Sample]:
    return [Sample((np.array(indices, float), rng.normal(size=(rows, columns)))) for indices, rows, columns in CASES]


def infer_backward(dy: TensorType, indices: TensorType, *, rows: int) -> TensorType:
    if dy.rank < 2 or dy.shape[:-1] != indices.shape:
        raise ShapeError(f"embedding_backward: dy has a row for each index; got {dy} and {indices}")
    _check("embedding_backward", rows)
    return TensorType((rows, dy.shape[-1]), dy.dtype)


def evaluate_backward(dy: np.ndarray, indices: np.ndarray, *, rows: int) -> np.ndarray:
    columns = dy.shape[-1]
    total = np.zeros((rows, columns), dy.dtype)
    np.add.at(total, row_numbers(indices, rows).reshape(-1), dy.reshape(-1, columns))  # one after the other
    return total


def within_backward(dy: Range, indices: Range, *, rows: int) -> tuple[Range, ...]:
    return same_bits(evaluate_backward)(dy, exactly(known(indices)), rows=rows)


def grad_dy(build: Builder, g: Value, dy: Value, indices: Value, **_: Any) -> Value:
    return build.embedding(indices, g)


def parameters_backward(dy: TensorType, indices: TensorType, *, rows: int) -> Embedding:
    return Embedding(indices.elements, rows, dy.shape[-1])


def samples_backward(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample((rng.normal(size=(*np.shape(indices), columns)), np.array(indices, float)), {"rows": rows})
        for indices, rows, columns in CASES
    ]


register(Op(
    name="nn.embedding", infer=infer, evaluate=evaluate, within=within, grads=(None, grad_table), samples=samples,
    parameters={1: "weight"},
    kernel=Kernel("embedding_f32.h", "embedding_f32", record=Embedding, parameters=parameters),
    instructions=(0, 4.9),
))  # fmt: skip
register(Op(
    name="nn.embedding_backward", infer=infer_backward, evaluate=evaluate_backward, within=within_backward,
    grads=(grad_dy, None), samples=samples_backward, attrs={"rows": REQUIRED},
    kernel=Kernel("embedding_f32.h", "embedding_backward_f32", record=Embedding, parameters=parameters_backward),
    instructions=(0, 7.8),
))  # fmt: skip
