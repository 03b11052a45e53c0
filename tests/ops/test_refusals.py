"""What the operators that move data refuse, and in which words."""

import pytest

import workbench.schedule  # noqa: F401  registers the operators
from workbench.errors import ShapeError
from workbench.ir.build import Builder

REFUSED = {
    "concatenate of other sizes": ("concatenate", [(1, 2, 3), (1, 2, 4)], {"axis": 1}, "differ along axis 1 at most"),
    "concatenate of another rank": ("concatenate", [(1, 2), (1, 2, 1)], {"axis": 1}, "differ along axis 1 at most"),
    "concatenate beyond": ("concatenate", [(1, 2)], {"axis": 2}, "axis 2 is not one"),
    "concatenate of nothing": ("concatenate", [], {"axis": 0}, "axis 0 is not one"),
    "slice beyond": ("strided_slice", [(2, 3)], {"begin": 1, "end": 4, "axis": 1}, r"\[1, 4\) along axis 1"),
    "slice of nothing": ("strided_slice", [(2, 3)], {"begin": 1, "end": 1, "axis": 1}, r"\[1, 1\)"),
    "slice gradient too long": ("strided_slice_grad", [(2,)], {"begin": 2, "size": 3, "axis": 0}, "does not fit"),
    "transpose of an axis twice": ("transpose", [(2, 3)], {"axes": (0, 0)}, "name each of the 2 axes"),
    "transpose too tangled": ("transpose", [(2,) * 7], {"axes": tuple(reversed(range(7)))}, "more than 6 axes"),
    "mean over no axis": ("mean", [(2, 3)], {"axis": ()}, "some of the 2 axes"),
    "mean over an axis twice": ("mean", [(2, 3)], {"axis": (1, 1)}, "in order"),
    "mean beyond": ("mean", [(2, 3)], {"axis": (2,)}, "some of the 2 axes"),
    "mean too tangled": ("mean", [(2,) * 8], {"axis": (1, 3, 5, 7)}, "more than 3 axes"),
    "part beyond": ("slice", [(2, 5)], {"begin": (2,), "size": (2,), "strides": (3,)}, "do not lie in"),
    "part of nothing": ("slice", [(2, 5)], {"begin": (2,), "size": (0,), "strides": (1,)}, "do not lie in"),
    "part backwards": ("slice", [(2, 5)], {"begin": (4,), "size": (2,), "strides": (-1,)}, "at least 1"),
    "part of the batch": ("slice", [(2, 5)], {"begin": (0, 0), "size": (1, 5), "strides": (1, 1)}, "but the first"),
    "padded by less than nothing": ("pad", [(2, 5)], {"low": (-1,), "high": (0,), "strides": (1,)}, "at least 0"),
    "resized to nothing": ("nn.resize_nearest", [(1, 1, 2, 2)], {"size": (0, 4)}, "a size of"),
    "resized beyond a table": ("nn.resize_nearest", [(1, 1, 1, 2)], {"size": (1, 40000)}, "up to 32767"),
    "resized sequence": ("nn.resize_nearest", [(1, 2, 2)], {"size": (2, 4)}, r"takes \(N, C, H, W\)"),
    "no groups": ("nn.conv2d", [(1, 2, 3, 3), (2, 2, 1, 1)],
                  {"channels": 2, "kernel_size": (1, 1), "groups": 0}, "0 groups do not divide"),
    "transposed groups": ("nn.conv2d_transpose", [(1, 2, 3, 3), (2, 2, 1, 1)],
                          {"channels": 5, "kernel_size": (1, 1), "groups": 2}, "2 groups do not divide 2 and 5"),
    "quotient of other sizes": ("divide", [(2, 3), (2, 2)], {}, "as long in both or 1 in one"),
    "softmax of one axis": ("nn.softmax", [(3,)], {}, r"\(batch, …, classes\)"),
    "products of matrices": ("nn.batch_matmul", [(2, 3), (3, 4)], {}, "rank 3 or 4"),
    "products of other batches": ("nn.batch_matmul", [(2, 2, 3), (1, 3, 4)], {}, "equal axes before the last two"),
    "products of other sums": ("nn.batch_matmul", [(1, 2, 3), (1, 4, 3)], {}, "sums over 3, b over 4"),
    "a table of one axis": ("nn.embedding", [(1, 2), (4,)], {}, "a table is"),
    "clamped to nothing": ("nn.clamp", [(1, 2)], {"min": 1.0, "max": 0.5}, "min is a number up to max"),
    "clamped to no number": ("nn.clamp", [(1, 2)], {"min": float("nan")}, "min is a number up to max"),
    "clamped beyond all": ("nn.clamp", [(1, 2)], {"min": float("inf")}, "min is a number up to max"),
    "rsqrt below 0": ("nn.rsqrt", [(1, 2)], {"epsilon": -1.0}, "epsilon is 0 or more"),
    "global average of a matrix": ("nn.global_avg_pool2d", [(2, 3)], {}, "x is NCHW"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    name, shapes, attrs, message = REFUSED[case]
    build = Builder()
    operands = [build.input(f"x{number}", shape) for number, shape in enumerate(shapes)]
    with pytest.raises(ShapeError, match=message):
        build.op(name, *operands, **attrs)
