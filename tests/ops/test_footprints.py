"""What operators say that a row of their result needs is true: no other row of their operands changes it."""

import numpy as np
import pytest
from samples import dtype_name, evaluate, every_sample, in_dtype

from workbench.ir.graph import Node
from workbench.ir.kernel import Reach, Refusal, Tile
from workbench.ir.op import Op, Sample
from workbench.ir.types import TensorType
from workbench.schedule.stages import can


def footprint(op: Op, sample: Sample):
    """By rows; None where the sample does not run so or its result is no image by tiles."""
    kinds = [TensorType(a.shape, dtype_name(a)) for a in in_dtype(sample.operands, np.float32)]
    names = [f"x{at}" for at in range(len(kinds))]
    results = op.result_types(kinds, sample.attrs)
    node = Node(op.name, tuple(names), tuple(f"y{at}" for at in range(len(results))), sample.attrs)
    needs = can(node, Tile("rows"), dict(zip((*names, *node.results), (*kinds, *results), strict=True)))
    return None if isinstance(needs, Refusal) or needs.gives != "tile" or kinds[0].bytes == 0 else needs


CASES = [
    pytest.param(op, sample, id=case)
    for case, op, sample in every_sample()
    if op.name != "region" and not sample.layouts and footprint(op, sample)
]


def others_changed(array: np.ndarray, reach: Reach, row: int, rng: np.random.Generator) -> np.ndarray:
    """The operand with other numbers in all rows that row `row` of the result does not read."""
    changed = array.copy()
    unread = np.ones(array.shape[2], bool)
    unread[max(0, reach.first(row)) : reach.end(row + 1)] = False
    changed[:, :, unread] = rng.permutation(array.reshape(-1))[: changed[:, :, unread].size].reshape(
        changed[:, :, unread].shape
    )
    return changed


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_a_row_needs_no_other_rows(op, sample):
    needs, rng, want = footprint(op, sample), np.random.default_rng(2), evaluate(op, sample)
    for row in range(want[0].shape[2]):
        operands = list(sample.operands)
        for at, reach in needs.reads.items():
            operands[at] = others_changed(sample.operands[at], reach, row, rng)
        got = evaluate(op, Sample(tuple(operands), sample.attrs))
        for before, after in zip(want, got, strict=True):
            if before.shape[2:3] == want[0].shape[2:3]:
                assert np.array_equal(before[:, :, row], after[:, :, row])


def test_operators_of_all_kinds_are_looked_at():
    seen = {case.values[0].name for case in CASES}
    assert {
        "nn.conv2d",
        "qnn.conv2d_transpose",
        "nn.avg_pool2d_grad",
        "pad",
        "nn.resize_nearest",
        "qnn.multiply",
    } <= seen
