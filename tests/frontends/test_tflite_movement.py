"""Operators that move data or average it away, in files made for it, against TensorFlow Lite Micro: int8 to the bit."""

from math import prod

import numpy as np
import pytest
from tflite_files import IMAGE, VALID, File, X, desktop

from workbench.errors import ModelError
from workbench.frontends import load
from workbench.ir.interpret import interpret

DTYPES = pytest.mark.parametrize("dtype", ["int8", "float32"])


def ops(path) -> list[str]:
    return [node.op for node in load(path).graph.nodes]


MEANS = [  # shape, axes, shape of the result, scale and zero point of an int8 one
    ((1, 7, 5), [1], (1, 5), (0.02, 5)),
    ((1, 7, 5), [1], (1, 1, 5), (0.011, -128)),
    ((1, 7, 5), [-1], (1, 7), X),
    ((1, 1, 5), [1], (1, 5), (0.02, 5)),
    ((1, 5, 1), [1, 2], (1,), (0.02, 5)),
    (IMAGE, [1], (1, 8, 6), (0.03, 5)),
    (IMAGE, [2], (1, 9, 1, 6), (0.03, 5)),
    (IMAGE, [3], (1, 9, 8), (0.07, 0)),
    (IMAGE, [3, 1], (1, 8), (0.02, 5)),
    ((1, 2, 3, 2), [1, 2, 3], (1, 1, 1, 1), (0.011, 5)),
    ((1, 40), [1], (1, 1), (0.02, 5)),
]


@DTYPES
@pytest.mark.parametrize(("shape", "axes", "result", "scale"), MEANS, ids=str)
def test_mean_over_any_axes(tmp_path, dtype, shape, axes, result, scale):
    file = File(shape, dtype)
    keep = len(result) == len(shape)
    file.require_equal(tmp_path, file.op("MEAN", [file.source, file.numbers(*axes)], file.values(result, scale),
                                         "ReducerOptions", KeepDims=keep))  # fmt: skip


ORDERS = [((1, 3, 4, 5), (0, 2, 3, 1)), ((1, 3, 4, 5), (0, 3, 1, 2)), ((1, 4, 5), (0, 2, 1)),
          ((1, 3, 4, 5), (0, 1, 3, 2)), ((1, 1, 4, 5), (0, 2, 1, 3)),
          ((1, 6), (0, 1))]  # fmt: skip


@DTYPES
@pytest.mark.parametrize(("shape", "order"), ORDERS, ids=str)
def test_transpose(tmp_path, dtype, shape, order):
    file = File(shape, dtype)
    y = file.values([shape[axis] for axis in order])
    file.require_equal(tmp_path, file.op("TRANSPOSE", [file.source, file.numbers(*order)], y, "TransposeOptions"))


@DTYPES
def test_channels_become_pixels(tmp_path, dtype):
    """A pixel shuffle, written as a transpose of six axes: one more than TensorFlow Lite Micro has."""
    file, shapes = File((1, 3, 4, 20), dtype), [(1, 3, 4, 2, 2, 5), (1, 3, 2, 4, 2, 5), (1, 6, 8, 5)]
    at = file.op("RESHAPE", [file.source, file.numbers(*shapes[0])], file.values(shapes[0]))
    at = file.op("TRANSPOSE", [at, file.numbers(0, 1, 3, 2, 4, 5)], file.values(shapes[1]), "TransposeOptions")
    at = file.op("RESHAPE", [at, file.numbers(*shapes[2])], file.values(shapes[2]))
    file.require_equal(tmp_path, at, oracle=desktop)


@DTYPES
def test_a_global_average_told_as_a_transpose_and_two_means_moves_nothing(tmp_path, dtype):
    file = File(IMAGE, dtype)
    order, axis = file.numbers(0, 3, 1, 2), file.numbers(3)
    at = file.op("TRANSPOSE", [file.source, order], file.values((1, 6, 9, 8)), "TransposeOptions")
    at = file.op("MEAN", [at, axis], file.values((1, 6, 9), (0.04, 2)), "ReducerOptions")
    at = file.op("MEAN", [at, file.numbers(2)], file.values((1, 6), (0.03, 2)), "ReducerOptions")
    file.require_equal(tmp_path, at)
    assert "transpose" not in ops(tmp_path / "net.tflite")


@DTYPES
def test_transposes_that_undo_each_other_leave_nothing(tmp_path, dtype):
    file = File((1, 3, 4, 5), dtype)
    at = file.op("TRANSPOSE", [file.source, file.numbers(0, 2, 3, 1)], file.values((1, 4, 5, 3)), "TransposeOptions")
    at = file.op("TRANSPOSE", [at, file.numbers(0, 3, 1, 2)], file.values((1, 3, 4, 5)), "TransposeOptions")
    at = file.op("RELU", [at], file.values((1, 3, 4, 5)))
    file.require_equal(tmp_path, at)
    assert "transpose" not in ops(tmp_path / "net.tflite")


@DTYPES
@pytest.mark.parametrize(("shape", "axis"), [(IMAGE, 3), (IMAGE, -2), (IMAGE, 1), ((1, 5, 4), 1), ((1, 5, 4), 2),
                                             ((1, 7), 1), ((1, 1, 1, 4), 3)], ids=str)  # fmt: skip
def test_concatenation(tmp_path, dtype, shape, axis):
    """Of x, of what is not negative in it, and of x again."""
    file, times = File(shape, dtype), 3
    other = file.op("RELU", [file.source], file.values(shape))
    result = [size * (times if at == axis % len(shape) else 1) for at, size in enumerate(shape)]
    file.require_equal(tmp_path, file.op("CONCATENATION", [file.source, other, file.source], file.values(result),
                                         "ConcatenationOptions", Axis=axis))  # fmt: skip


PADS = [(IMAGE, ((0, 0), (1, 2), (0, 1), (0, 0))), (IMAGE, ((0, 0), (0, 0), (0, 0), (0, 3))),
        (IMAGE, ((0, 0), (1, 0), (0, 2), (2, 1))), ((1, 5, 4), ((0, 0), (2, 0), (0, 0))),
        ((1, 5), ((0, 0), (1, 3)))]  # fmt: skip


@DTYPES
@pytest.mark.parametrize(("shape", "sizes"), PADS, ids=str)
@pytest.mark.parametrize("value", [None, 3])
def test_pad_at_the_end(tmp_path, dtype, shape, sizes, value):
    file = File(shape, dtype)
    result = file.values([n + a + b for n, (a, b) in zip(shape, sizes, strict=True)])
    operands = [file.source, file.numbers(*sizes)]
    if value is not None:
        stored = np.array(value, dtype)
        operands.append(file.tensor(data=stored, **({"scale": X[0], "zero": X[1]} if dtype == "int8" else {})))
    name, table = ("PAD", "PadOptions") if value is None else ("PADV2", "PadV2Options")
    file.require_equal(tmp_path, file.op(name, operands, result, table))


@DTYPES
@pytest.mark.parametrize("kind", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
def test_pad_before_pooling(tmp_path, dtype, kind):
    """Its zeros are elements of the windows, which padding of a pooling is not."""
    file = File((1, 6, 8, 3), dtype)
    sizes = file.numbers((0, 0), (1, 1), (1, 1), (0, 0))
    at = file.op("PAD", [file.source, sizes], file.values((1, 8, 10, 3)), "PadOptions")
    y = file.op(kind, [at], file.values((1, 3, 4, 3)), "Pool2DOptions", Padding=VALID, StrideH=2, StrideW=2,
                FilterHeight=3, FilterWidth=3)  # fmt: skip
    file.require_equal(tmp_path, y)


SLICES = [  # shape, begin, end, strides, masks, shape of the result
    (IMAGE, (0, 1, 2, 0), (1, 8, 8, 6), (1, 1, 1, 1), {}, (1, 7, 6, 6)),
    (IMAGE, (0, 0, 1, 0), (0, 0, 0, 0), (1, 2, 3, 1), {"BeginMask": 1, "EndMask": 15}, (1, 5, 3, 6)),
    (IMAGE, (0, -4, 0, 1), (1, -1, 8, 99), (1, 1, 1, 2), {}, (1, 3, 8, 3)),
    (IMAGE, (0, 0, 0, 2), (1, 9, 8, 0), (1, 1, 1, 1), {"ShrinkAxisMask": 8}, (1, 9, 8)),
    (IMAGE, (0, 3, 0, 0), (1, 4, 8, 6), (1, 1, 1, 1), {"ShrinkAxisMask": 2}, (1, 8, 6)),
    ((1, 9, 4), (0, -1, 0), (0, 0, 0), (1, 1, 1), {"EndMask": 7, "ShrinkAxisMask": 2}, (1, 4)),
    ((1, 9), (0, 2), (1, 9), (1, 3), {}, (1, 3)),
    (IMAGE, (0, 0, 0, 0), (1, 9, 8, 6), (1, 1, 1, 1), {}, IMAGE),
]


@DTYPES
@pytest.mark.parametrize(("shape", "begin", "end", "strides", "masks", "result"), SLICES, ids=str)
def test_strided_slice(tmp_path, dtype, shape, begin, end, strides, masks, result):
    file = File(shape, dtype)
    operands = [file.source, *(file.numbers(*each) for each in (begin, end, strides))]
    file.require_equal(
        tmp_path, file.op("STRIDED_SLICE", operands, file.values(result), "StridedSliceOptions", **masks)
    )


@DTYPES
@pytest.mark.parametrize(("shape", "axis", "sizes"), [
    (IMAGE, 3, (3, 3)), (IMAGE, -2, (2, 2, 2, 2)), ((1, 9, 4), 1, (3, 3, 3)), ((1, 6), 1, (1,) * 6),
    (IMAGE, 3, (1, 3, 2)), ((1, 9, 4), 1, (4, -1)),
], ids=str)  # fmt: skip
def test_split(tmp_path, dtype, shape, axis, sizes):
    """The parts put together the other way round; equal ones by SPLIT."""
    file = File(shape, dtype)
    known = [size if size > 0 else shape[axis] - sum(sizes) - 1 for size in sizes]
    shapes = [[size if at == axis % len(shape) else n for at, n in enumerate(shape)] for size in known]
    parts = [file.values(each) for each in shapes]
    if len(set(sizes)) == 1:
        file.op("SPLIT", [file.numbers(axis), file.source], parts, "SplitOptions", NumSplits=len(sizes))
    else:
        operands = [file.source, file.numbers(*sizes), file.numbers(axis)]
        file.op("SPLIT_V", operands, parts, "SplitVOptions", NumSplits=len(sizes))
    y = file.op("CONCATENATION", parts[::-1], file.values(shape), "ConcatenationOptions", Axis=axis)
    file.require_equal(tmp_path, y)


@DTYPES
def test_unpack(tmp_path, dtype):
    file = File((1, 4, 3), dtype)
    parts = [file.values((1, 3)) for _ in range(4)]
    file.op("UNPACK", [file.source], parts, "UnpackOptions", Axis=1, Num=4)
    file.require_equal(tmp_path, file.op("CONCATENATION", [parts[2], parts[0]], file.values((1, 6)),
                                         "ConcatenationOptions", Axis=1))  # fmt: skip
    assert ops(tmp_path / "net.tflite").count("slice") == 2  # those that are read


@DTYPES
@pytest.mark.parametrize("how", [{}, {"AlignCorners": True}, {"HalfPixelCenters": True}], ids=str)
@pytest.mark.parametrize("size", [(18, 16), (5, 21), (9, 1), (40, 3)], ids=str)
def test_resize_nearest_neighbor(tmp_path, dtype, how, size):
    file = File(IMAGE, dtype)
    y = file.values((1, *size, 6))
    file.require_equal(tmp_path, file.op("RESIZE_NEAREST_NEIGHBOR", [file.source, file.numbers(*size)], y,
                                         "ResizeNearestNeighborOptions", **how))  # fmt: skip


def conv1d(file, at: int, length: int, channels: int, filters: int) -> int:
    """As Keras writes a Conv1D: EXPAND_DIMS, CONV_2D over one row, RESHAPE."""
    rng = np.random.default_rng(filters)
    image = file.op("EXPAND_DIMS", [at, file.numbers(1)], file.values((1, 1, length, channels)))
    shape, int8 = (filters, 1, 3, channels), file.dtype == "int8"
    w = rng.integers(-127, 128, shape, np.int8) if int8 else rng.normal(size=shape).astype(np.float32)
    b = rng.integers(-900, 900, filters, np.int32) if int8 else rng.normal(size=filters).astype(np.float32)
    scale, of_b = ({"scale": np.full(filters, 0.004)}, {"scale": np.full(filters, 0.0002)}) if int8 else ({}, {})
    y = file.op("CONV_2D", [image, file.tensor(data=w, **scale), file.tensor(data=b, **of_b)],
                file.values((1, 1, length, filters)), "Conv2DOptions", StrideH=1, StrideW=1,
                FusedActivationFunction=1)  # fmt: skip
    return file.op("RESHAPE", [y, file.numbers(1, length, filters)], file.values((1, length, filters)),
                   "ReshapeOptions", NewShape=[1, length, filters])  # fmt: skip


@DTYPES
def test_a_network_of_one_dimension_transposes_its_input_alone(tmp_path, dtype):
    file = File((1, 16, 3), dtype)
    at = conv1d(file, file.source, 16, 3, 5)
    at = conv1d(file, at, 16, 5, 4)
    at = file.op("MEAN", [at, file.numbers(1)], file.values((1, 4), (0.03, -20)), "ReducerOptions")
    file.require_equal(tmp_path, at)
    names = ops(tmp_path / "net.tflite")
    assert names.count("transpose") == 1 and any("global_avg_pool2d" in name for name in names)


def _split_in_two(file):
    parts = [file.values((1, 4, 4, 2)) for _ in range(2)]
    file.op("SPLIT", [file.numbers(0), file.source], parts, "SplitOptions", NumSplits=2)
    return parts[0]


REFUSED = {
    "moves the batch axis": lambda f: f.op("TRANSPOSE", [f.source, f.numbers(1, 0, 2, 3)], f.values((4, 1, 4, 4))),
    "along the batch axis": lambda f: f.op("MEAN", [f.source, f.numbers(0)], f.values((4, 4, 4)), "ReducerOptions"),
    "works along the batch axis": _split_in_two,
    "drops the batch axis": lambda f: f.op("STRIDED_SLICE", [f.source, f.numbers(0), f.numbers(1), f.numbers(1)],
                                        f.values((4, 4, 4)), "StridedSliceOptions", ShrinkAxisMask=1),
    "pads the batch axis": lambda f: f.op("PAD", [f.source, f.numbers((1, 0), (0, 0), (0, 0), (0, 0))],
                                          f.values((2, 4, 4, 4))),
    "other scales in than out": lambda f: f.op("CONCATENATION", [f.source, f.source], f.values((1, 4, 4, 8), (0.1, 0)),
                                               "ConcatenationOptions", Axis=3),
    "a stride of -1": lambda f: f.op("STRIDED_SLICE", [f.source, *(f.numbers(1, 1, 1, n) for n in (4, 1, -1))],
                                     f.values((1, 1, 1, 4)), "StridedSliceOptions"),
    r"pads int8 \(1, 4, 4, 4\) by \[3\]": lambda f: f.op("PAD", [f.source, f.tensor(data=np.array(3, np.int32))],
                                                      f.values((1, 4, 4, 7))),
    r"a constant of \(1, 2\) does not fit": lambda f: f.op("ADD", [
        f.op("RESHAPE", [f.source, f.numbers(1, 64)], f.values((1, 64))),
        f.tensor(data=np.ones((1, 2), np.int8), scale=0.1)], f.values((1, 64)), "AddOptions"),
    "has no axis 4": lambda f: f.op("MEAN", [f.source, f.numbers(4)], f.values((1, 4, 4)), "ReducerOptions"),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_refused_says_why(tmp_path, message):
    file = File((1, 4, 4, 4), "int8")
    path = file.path(tmp_path, REFUSED[message](file))
    with pytest.raises(ModelError, match=message):
        load(path)


def test_a_batch_of_several(tmp_path):
    """Slices, pads and means are those of one sample, several times."""
    file = File((1, 6, 5, 4), "float32")
    at = file.op("STRIDED_SLICE", [file.source, *(file.numbers(*each) for each in ((0, 1), (1, 6), (1, 2)))],
                 file.values((1, 3, 5, 4)), "StridedSliceOptions")  # fmt: skip
    at = file.op("PAD", [at, file.numbers((0, 0), (0, 1), (0, 0), (0, 2))], file.values((1, 4, 5, 6)), "PadOptions")
    at = file.op("TRANSPOSE", [at, file.numbers(0, 2, 3, 1)], file.values((1, 5, 6, 4)), "TransposeOptions")
    path = file.path(tmp_path, file.op("MEAN", [at, file.numbers(2)], file.values((1, 5, 4)), "ReducerOptions"))
    x = np.random.default_rng(0).normal(size=(3, 4, 6, 5)).astype(np.float32)

    def run(x):
        graph = load(path, batch=len(x)).graph
        return interpret(graph, {"input0": x})[graph.outputs[0]]

    assert np.array_equal(run(x), np.concatenate([run(x[i : i + 1]) for i in range(3)]))
    assert prod(run(x).shape) == 3 * 5 * 4
