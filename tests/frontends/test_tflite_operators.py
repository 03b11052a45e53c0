"""Every operator that is imported, in files made for it, against TensorFlow Lite Micro: int8 to the bit."""

from dataclasses import replace

import numpy as np
import pytest
from tflite_files import (
    IMAGE,
    RELU,
    RELU6,
    RELU_N1_TO_1,
    SAME,
    VALID,
    TfliteFile,
    X,
    desktop,
    forward,
    inputs,
    micro,
    require_equal,
)

from workbench.frontends import load


def output_size(image, window, stride, padding):
    if padding == SAME:
        return [-(-n // s) for n, s in zip(image[1:3], stride, strict=True)]
    return [(n - k) // s + 1 for n, s, k in zip(image[1:3], stride, window, strict=True)]


def layer(path, kind: str, filters, dtype="int8", *, stride=(1, 1), padding=SAME, dilation=(1, 1), activation=0,
          scales="filter", image=IMAGE, bias=True, out=None):  # fmt: skip
    """A file of one convolution: `filters` as the file has them, OHWI or (1, H, W, O)."""
    rng, file = np.random.default_rng(0), TfliteFile()
    depthwise = kind == "DEPTHWISE_CONV_2D"
    count, axis = (filters[3], 3) if depthwise else (filters[0], 0)
    effective = [d * (k - 1) + 1 for d, k in zip(dilation, filters[1:3], strict=True)]
    size = output_size(image, effective, stride, padding)
    if dtype == "int8":
        scale = rng.uniform(0.002, 0.01, count if scales == "filter" else 1)
        axis = axis if scales == "filter" else 0
        w = file.tensor(data=rng.integers(-127, 128, filters, np.int8), scale=scale, axis=axis)
        b = file.tensor(data=rng.integers(-3000, 3000, count, np.int32), scale=scale * X[0])
    else:
        w = file.tensor(data=rng.normal(size=filters).astype(np.float32))
        b = file.tensor(data=rng.normal(size=count).astype(np.float32))
    of_x, of_y = ({"scale": q[0], "zero": q[1]} if dtype == "int8" else {} for q in (X, out or (0.3, 7)))
    x = file.tensor(image, dtype, **of_x)
    y = file.tensor((image[0], *size, count), dtype, **of_y)
    options = {"Padding": padding, "StrideH": stride[0], "StrideW": stride[1], "FusedActivationFunction": activation,
               "DilationHFactor": dilation[0], "DilationWFactor": dilation[1]}  # fmt: skip
    if depthwise:
        options["DepthMultiplier"] = count // image[3]
    table = "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
    file.op(kind, [x, w, b] if bias else [x, w, -1], y, table, **options)
    return file.write(path / "net.tflite", [x], [y])


@pytest.mark.parametrize("case", [
    {}, {"stride": (2, 2)}, {"stride": (2, 1), "padding": VALID}, {"stride": (3, 2)}, {"activation": RELU},
    {"activation": RELU6}, {"activation": RELU_N1_TO_1}, {"activation": RELU6, "out": (0.02, -128)},
    {"scales": "tensor"}, {"dilation": (2, 1)}, {"image": (1, 4, 5, 6), "stride": (2, 2)},
], ids=str)  # fmt: skip
@pytest.mark.parametrize(("kind", "filters"), [
    ("CONV_2D", (7, 3, 2, 6)), ("CONV_2D", (5, 1, 1, 6)), ("DEPTHWISE_CONV_2D", (1, 3, 3, 6)),
    ("DEPTHWISE_CONV_2D", (1, 2, 3, 12)),
])  # fmt: skip
def test_int8_convolutions(tmp_path, kind, filters, case):
    require_equal(layer(tmp_path, kind, filters, **case), case.get("image", IMAGE))


@pytest.mark.parametrize("case", [{}, {"stride": (2, 2), "activation": RELU}, {"padding": VALID, "activation": RELU6}],
                         ids=str)  # fmt: skip
@pytest.mark.parametrize(("kind", "filters"), [("CONV_2D", (7, 3, 2, 6)), ("DEPTHWISE_CONV_2D", (1, 3, 3, 12))])
def test_float_convolutions(tmp_path, kind, filters, case):
    require_equal(layer(tmp_path, kind, filters, "float32", **case), IMAGE, "float32")


def test_grouped_convolution(tmp_path):
    require_equal(layer(tmp_path, "CONV_2D", (6, 3, 3, 2)), IMAGE)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("case", [
    {}, {"padding": VALID}, {"stride": (1, 1)}, {"stride": (3, 2), "activation": RELU}, {"bias": False},
    {"kernel": (2, 2), "padding": VALID, "activation": RELU6}, {"kernel": (1, 1)}, {"size": (10, 14), "padding": VALID},
    {"scales": "tensor"},
], ids=str)  # fmt: skip
def test_transposed_convolutions(tmp_path, dtype, case):
    rng, file, image, kernel = np.random.default_rng(0), TfliteFile(), (1, 4, 6, 3), case.get("kernel", (3, 3))
    stride, padding = case.get("stride", (2, 2)), case.get("padding", SAME)
    size = [n * s if padding == SAME else (n - 1) * s + k
            for n, s, k in zip(image[1:3], stride, kernel, strict=True)]  # fmt: skip
    size = case.get("size", size)
    shape = (5, *kernel, 3)
    if dtype == "int8":
        scale = rng.uniform(0.002, 0.01, 1 if case.get("scales") == "tensor" else 5)
        w = file.tensor(data=rng.integers(-127, 128, shape, np.int8), scale=scale)
        b = file.tensor(data=rng.integers(-3000, 3000, 5, np.int32), scale=scale * X[0])
        x, y = file.tensor(image, scale=X[0], zero=X[1]), file.tensor((1, *size, 5), scale=0.1, zero=7)
    else:
        w = file.tensor(data=rng.normal(size=shape).astype(np.float32))
        b = file.tensor(data=rng.normal(size=5).astype(np.float32))
        x, y = file.tensor(image, "float32"), file.tensor((1, *size, 5), "float32")
    operands = [file.tensor(data=np.array([1, *size, 5], np.int32)), w, x, *([b] if case.get("bias", True) else [])]
    file.op("TRANSPOSE_CONV", operands, y, "TransposeConvOptions", Padding=padding, StrideH=stride[0],
            StrideW=stride[1], FusedActivationFunction=case.get("activation", 0))  # fmt: skip
    require_equal(file.write(tmp_path / "net.tflite", [x], [y]), image, dtype)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_convolutions_without_a_bias(tmp_path, dtype):
    """Filters whose sums are zero on average: all of them, with the bias of zeros that the file could have had."""
    for kind, filters in (("CONV_2D", (5, 3, 3, 6)), ("DEPTHWISE_CONV_2D", (1, 3, 3, 6))):
        model = load(layer(tmp_path, kind, filters, dtype, bias=False))
        x = inputs(np.random.default_rng(1), IMAGE, dtype, 1)[0]
        biased = load(layer(tmp_path, kind, filters, dtype))
        (name,) = [name for name in biased.weights if name.endswith(".bias")]
        zeros = {**biased.weights, name: np.zeros_like(biased.weights[name])}
        assert np.array_equal(forward(model, x), forward(replace(biased, weights=zeros), x))


def dense(file, x, shape, outputs, dtype="int8", activation=0, bias=True, scales="tensor", keep=False):
    rng, rows = np.random.default_rng(3), int(np.prod(shape[:-1]))
    columns = shape[-1]
    if dtype == "int8":
        scale = rng.uniform(0.004, 0.01, outputs if scales == "filter" else 1)
        w = file.tensor(data=rng.integers(-127, 128, (outputs, columns), np.int8), scale=scale)
        b = file.tensor(data=rng.integers(-3000, 3000, outputs, np.int32), scale=scale * X[0])
        y = file.tensor((*shape[:-1], outputs) if keep else (rows, outputs), scale=0.2, zero=-11)
    else:
        w = file.tensor(data=rng.normal(size=(outputs, columns)).astype(np.float32))
        b = file.tensor(data=rng.normal(size=outputs).astype(np.float32))
        y = file.tensor((*shape[:-1], outputs) if keep else (rows, outputs), "float32")
    return file.op("FULLY_CONNECTED", [x, w, b] if bias else [x, w], y, "FullyConnectedOptions",
                   FusedActivationFunction=activation, KeepNumDims=keep)  # fmt: skip


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("case", [{}, {"activation": RELU}, {"activation": RELU6}, {"bias": False},
                                  {"scales": "filter"}], ids=str)  # fmt: skip
def test_fully_connected(tmp_path, dtype, case):
    file = TfliteFile()
    x = file.tensor((1, 37), dtype, *(X if dtype == "int8" else ()))
    y = dense(file, x, (1, 37), 11, dtype, **case)
    path = file.write(tmp_path / "net.tflite", [x], [y])
    require_equal(path, (1, 37), dtype)
    if dtype == "int8" and case.get("scales") != "filter":
        require_equal(path, (1, 37), oracle=desktop, form="rounded")  # which rounds once


@pytest.mark.parametrize("scales", [(0.05, 0.04, 0.07), (0.001, 0.3, 0.25), (0.02, 0.02, 0.04)])
@pytest.mark.parametrize("activation", [0, RELU, RELU6])
def test_add(tmp_path, scales, activation):
    """x requantized is added to x."""
    file = TfliteFile()
    x = file.tensor(IMAGE, scale=scales[0], zero=-3)
    other = file.op("QUANTIZE", [x], file.tensor(IMAGE, scale=scales[1], zero=40))
    y = file.op("ADD", [x, other], file.tensor(IMAGE, scale=scales[2], zero=7), "AddOptions",
                FusedActivationFunction=activation)  # fmt: skip
    require_equal(file.write(tmp_path / "net.tflite", [x], [y]), IMAGE)


@pytest.mark.parametrize("activation", [0, RELU])
def test_float_add(tmp_path, activation):
    file = TfliteFile()
    x = file.tensor(IMAGE, "float32")
    other = file.op("RELU", [x], file.tensor(IMAGE, "float32"))
    y = file.op("ADD", [x, other], file.tensor(IMAGE, "float32"), "AddOptions", FusedActivationFunction=activation)
    require_equal(file.write(tmp_path / "net.tflite", [x], [y]), IMAGE, "float32")


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("kind", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
@pytest.mark.parametrize(("window", "stride", "padding", "activation"), [
    ((2, 2), (2, 2), VALID, 0), ((3, 3), (2, 2), SAME, 0), ((3, 2), (1, 2), SAME, RELU), ((9, 8), (9, 8), VALID, 0),
    ((2, 3), (1, 1), SAME, RELU6),
])  # fmt: skip
def test_pooling(tmp_path, dtype, kind, window, stride, padding, activation):
    file, of_x = TfliteFile(), X if dtype == "int8" else ()
    size = output_size(IMAGE, window, stride, padding)
    x, y = file.tensor(IMAGE, dtype, *of_x), file.tensor((1, *size, IMAGE[3]), dtype, *of_x)
    file.op(kind, [x], y, "Pool2DOptions", Padding=padding, StrideH=stride[0], StrideW=stride[1],
            FilterHeight=window[0], FilterWidth=window[1], FusedActivationFunction=activation)  # fmt: skip
    require_equal(file.write(tmp_path / "net.tflite", [x], [y]), IMAGE, dtype)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("out", [(0.05, -3), (0.02, 5), (0.011, -128)])
def test_mean(tmp_path, dtype, keep, out):
    file = TfliteFile()
    of_x, of_y = (X, out) if dtype == "int8" else ((), ())
    x, axes = file.tensor(IMAGE, dtype, *of_x), file.tensor(data=np.array([1, 2], np.int32))
    y = file.tensor((1, 1, 1, 6) if keep else (1, 6), dtype, *of_y)
    file.op("MEAN", [x, axes], y, "ReducerOptions", KeepDims=keep)
    require_equal(file.write(tmp_path / "net.tflite", [x], [y]), IMAGE, dtype)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("padding", [SAME, VALID])
def test_pad_before_a_convolution(tmp_path, dtype, padding):
    rng, file = np.random.default_rng(5), TfliteFile()
    of_x = X if dtype == "int8" else ()
    x, sizes = file.tensor(IMAGE, dtype, *of_x), file.tensor(data=np.array([[0, 0], [1, 2], [0, 1], [0, 0]], np.int32))
    padded = file.op("PAD", [x, sizes], file.tensor((1, 12, 9, 6), dtype, *of_x), "PadOptions")
    if dtype == "int8":
        w = file.tensor(data=rng.integers(-127, 128, (4, 3, 3, 6), np.int8), scale=np.full(4, 0.004))
        b, of_y = file.tensor(data=np.zeros(4, np.int32), scale=np.full(4, 0.0002)), (0.3, 7)
    else:
        w, b, of_y = file.tensor(data=rng.normal(size=(4, 3, 3, 6)).astype(np.float32)), -1, ()
    y = file.tensor((1, 6, 5, 4) if padding == SAME else (1, 5, 4, 4), dtype, *of_y)
    file.op("CONV_2D", [x if padded < 0 else padded, w, b], y, "Conv2DOptions", Padding=padding, StrideH=2, StrideW=2)
    require_equal(file.write(tmp_path / "net.tflite", [x], [y]), IMAGE, dtype)


SHAPES = [
    [(1, 9, 8, 6), (1, 432)],
    [(1, 9, 8, 6), (1, 72, 6)],
    [(1, 9, 8, 6), (1, 432), (1, 6, 8, 9)],
    [(1, 9, 8, 6), (1, 8, 9, 6), (1, 432)],
    [(1, 5, 12, 5), (1, 12, 5, 5)],  # as NHWC the one is what as NCHW the other is
    [(1, 9, 8, 6), (1, 432), (1, 36, 12)],
    [(1, 20), (1, 5, 4, 1), (1, 4, 5)],
    [(1, 24), (1, 2, 3, 4), (1, 24)],
    [(1, 1, 1, 7), (1, 7)],
    [(1, 9, 8, 6), (1, 432), (432,), (1, 2, 1, 216)],
]


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_reshapes_keep_the_order_of_elements(tmp_path, dtype, shapes):
    file, of_x = TfliteFile(), X if dtype == "int8" else ()
    first = at = file.tensor(shapes[0], dtype, *of_x)
    for shape in shapes[1:]:
        wanted = file.tensor(data=np.array(shape, np.int32))
        at = file.op("RESHAPE", [at, wanted], file.tensor(shape, dtype, *of_x), "ReshapeOptions", NewShape=list(shape))
    require_equal(file.write(tmp_path / "net.tflite", [first], [at]), shapes[0], dtype)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("between", [[], ["RELU"], ["QUANTIZE"]])
def test_a_dense_layer_behind_an_image(tmp_path, dtype, between):
    """Its columns are reordered: no value moves at run time."""
    file, of_x = TfliteFile(), X if dtype == "int8" else ()
    x = file.tensor(IMAGE, dtype, *of_x)
    at = file.op("RESHAPE", [x], file.tensor((1, 432), dtype, *of_x), "ReshapeOptions", NewShape=[1, 432])
    for name in between if dtype == "int8" else [name for name in between if name == "RELU"]:
        at = file.op(name, [at], file.tensor((1, 432), dtype, *of_x))
    y = dense(file, at, (1, 432), 5, dtype)
    path = file.write(tmp_path / "net.tflite", [x], [y])
    require_equal(path, IMAGE, dtype)
    assert "transpose" not in {node.op for node in load(path).graph.nodes}


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize(("shape", "outputs", "keep"), [
    ((1, 3, 4, 5), 7, False), ((1, 6, 5), 4, True), ((1, 1, 1, 5), 7, True), ((1, 1, 6, 1), 3, True),
])  # fmt: skip
def test_a_dense_layer_over_more_than_two_axes(tmp_path, dtype, shape, outputs, keep):
    file = TfliteFile()
    x = file.tensor(shape, dtype, *(X if dtype == "int8" else ()))
    y = dense(file, x, shape if keep else (1, int(np.prod(shape))), outputs, dtype, keep=keep)
    require_equal(file.write(tmp_path / "net.tflite", [x], [y]), shape, dtype)


def test_shapes_computed_at_run_time(tmp_path):
    """As Keras writes a flatten: the shape of x, its first size, that and a constant put together."""
    file = TfliteFile()
    x = file.tensor(IMAGE, scale=X[0], zero=X[1])
    begin, end, one = (file.tensor(data=np.array([n], np.int32)) for n in (0, 1, 1))
    rest = file.tensor(data=np.array(432, np.int32))
    shape = file.op("SHAPE", [x], file.tensor((4,), "int32"), "ShapeOptions", OutType=2)
    first = file.op("STRIDED_SLICE", [shape, begin, end, one], file.tensor((), "int32"), "StridedSliceOptions",
                    ShrinkAxisMask=1)  # fmt: skip
    wanted = file.op("PACK", [first, rest], file.tensor((2,), "int32"), "PackOptions", ValuesCount=2)
    flat = file.op("RESHAPE", [x, wanted], file.tensor((1, 432), scale=X[0], zero=X[1]))
    require_equal(file.write(tmp_path / "net.tflite", [x], [dense(file, flat, (1, 432), 5)]), IMAGE)


def test_squeeze_and_expand_dims(tmp_path):
    file = TfliteFile()
    x, axis = file.tensor((1, 1, 5, 4), scale=X[0], zero=X[1]), file.tensor(data=np.array(2, np.int32))
    y = file.op("SQUEEZE", [x], file.tensor((1, 5, 4), scale=X[0], zero=X[1]), "SqueezeOptions", SqueezeDims=[1])
    y = file.op("EXPAND_DIMS", [y, axis], file.tensor((1, 5, 1, 4), scale=X[0], zero=X[1]))
    require_equal(file.write(tmp_path / "net.tflite", [x], [y]), (1, 1, 5, 4))


@pytest.mark.parametrize("kind", ["RELU", "RELU6"])
@pytest.mark.parametrize("out", [(0.05, -3), (0.04, -128)])
def test_activations_alone(tmp_path, kind, out):
    file = TfliteFile()
    x = file.tensor(IMAGE, scale=X[0], zero=X[1])
    y = file.op(kind, [x], file.tensor(IMAGE, scale=out[0], zero=out[1]))
    # of RELU6, TensorFlow Lite Micro believes that scales are the same in and out
    require_equal(file.write(tmp_path / "net.tflite", [x], [y]), IMAGE, oracle=desktop if kind == "RELU6" else micro)


@pytest.mark.parametrize("out", [(0.05, -3), (0.02, 100), (0.7, -128)])
def test_quantize_to_another_scale(tmp_path, out):
    file = TfliteFile()
    x = file.tensor(IMAGE, scale=X[0], zero=X[1])
    y = file.op("QUANTIZE", [x], file.tensor(IMAGE, scale=out[0], zero=out[1]))
    require_equal(file.write(tmp_path / "net.tflite", [x], [y]), IMAGE)


def test_a_float_network_of_int8_layers(tmp_path):
    """QUANTIZE, a layer and DEQUANTIZE, fed halves of the input's scale too."""
    file = TfliteFile()
    x = file.tensor((1, 38), "float32")
    q = file.op("QUANTIZE", [x], file.tensor((1, 38), scale=0.25, zero=-3))
    y = file.op("DEQUANTIZE", [dense(file, q, (1, 38), 11)], file.tensor((1, 11), "float32"))
    path = file.write(tmp_path / "net.tflite", [x], [y])
    require_equal(path, (1, 38), "float32")
    halves = (np.arange(-19, 19, dtype=np.float32) / 8).reshape(1, 38)
    assert np.array_equal(forward(load(path), halves), micro(path)(halves))


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize(
    ("classes", "scale", "beta"), [(10, 0.1, 1.0), (3, 0.4, 1.0), (200, 0.02, 1.0), (12, 0.03, 2.0)]
)
def test_softmax(tmp_path, dtype, classes, scale, beta):
    """It is in `inference`; `graph` ends at the logits, where training begins."""
    file = TfliteFile()
    of_x, of_y = ((scale, 5), (1 / 256, -128)) if dtype == "int8" else ((), ())
    x, y = file.tensor((1, classes), dtype, *of_x), file.tensor((1, classes), dtype, *of_y)
    file.op("SOFTMAX", [x], y, "SoftmaxOptions", Beta=beta if dtype == "int8" else 1.0)
    path = file.write(tmp_path / "net.tflite", [x], [y])
    require_equal(path, (1, classes), dtype)
    model = load(path)
    assert model.classifies and not model.graph.nodes and len(model.inference.nodes) == 1


def test_weights_stored_as_float16_or_int8_become_float32(tmp_path):
    rng, file = np.random.default_rng(2), TfliteFile()
    x = file.tensor(IMAGE, "float32")
    half = file.tensor(data=rng.normal(size=(4, 3, 3, 6)).astype(np.float16))
    w = file.op("DEQUANTIZE", [half], file.tensor((4, 3, 3, 6), "float32"))
    b = file.tensor(data=rng.normal(size=4).astype(np.float32))
    y = file.op("CONV_2D", [x, w, b], file.tensor((1, 9, 8, 4), "float32"), "Conv2DOptions", StrideH=1, StrideW=1)
    require_equal(file.write(tmp_path / "net.tflite", [x], [y]), IMAGE, "float32", oracle=desktop)


def test_a_batch(tmp_path):
    path = layer(tmp_path, "CONV_2D", (7, 3, 2, 6))
    x = np.random.default_rng(1).integers(-128, 128, (3, *IMAGE[1:]), dtype=np.int8)
    got = forward(load(path, 3), x)
    one_by_one = [forward(load(path), x[i : i + 1]) for i in range(3)]
    assert np.array_equal(got, np.concatenate(one_by_one))
