"""Arithmetic of .tflite files, in files made for it, against TensorFlow Lite Micro: int8 to the bit."""

import numpy as np
import pytest
from tflite_files import IMAGE, RELU, RELU6, RELU_N1_TO_1, TfliteFile, forward, inputs, micro, require_equal

from workbench.autodiff import training_step
from workbench.errors import ModelError
from workbench.frontends import load
from workbench.passes.apply_policy import apply_policy
from workbench.policy import parse_policy

SUMS = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}
FLAT = (1, 432)


class File(TfliteFile):
    """`of`: tensors of one dtype, int8 ones with a scale and a zero point."""

    def __init__(self, dtype: str):
        super().__init__()
        self.dtype, self.rng = dtype, np.random.default_rng(8)

    def of(self, shape, scale=0.05, zero=-3) -> int:
        return self.tensor(shape, self.dtype, *((scale, zero) if self.dtype == "int8" else ()))

    def stored(self, shape, scale=0.03, zero=11) -> int:
        if self.dtype == "int8":
            return self.tensor(data=self.rng.integers(-128, 128, shape, np.int8), scale=scale, zero=zero)
        return self.tensor(data=self.rng.normal(size=shape).astype(np.float32))

    def reshape(self, x, shape, **of) -> int:
        wanted = self.tensor(data=np.array(shape, np.int32))
        return self.op("RESHAPE", [x, wanted], self.of(shape, **of), "ReshapeOptions", NewShape=list(shape))

    def both(self, kind, a, b, shape, activation=0, **of) -> int:
        return self.op(kind, [a, b], self.of(shape, **of), SUMS[kind], FusedActivationFunction=activation)


def equal(tmp_path, file, x, y, shape):
    require_equal(file.write(tmp_path / "net.tflite", [x], [y]), shape, file.dtype)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("kind", SUMS)
@pytest.mark.parametrize(("shape", "constant"), [
    (IMAGE, ()), (IMAGE, (6,)), (IMAGE, (1, 1, 1, 6)), (IMAGE, (8, 1)), (IMAGE, (1, 9, 8, 1)), (IMAGE, IMAGE),
    ((1, 1, 1, 6), (1, 4, 5, 6)), ((1, 37), (37,)), ((1, 37), (1, 1)), ((1, 6, 5), (5,)), ((1, 5), (1, 3, 2, 5)),
], ids=str)  # fmt: skip
def test_of_data_and_a_constant(tmp_path, dtype, kind, shape, constant):
    """On both sides; the constant is a parameter that nothing updates."""
    for turned in (False, True):
        file = File(dtype)
        x, c = file.of(shape), file.stored(constant)
        both = (c, x) if turned else (x, c)
        y = file.both(kind, *both, np.broadcast_shapes(shape, constant), scale=0.07)
        equal(tmp_path, file, x, y, shape)


@pytest.mark.parametrize("kind", SUMS)
@pytest.mark.parametrize("scales", [(0.02, 0.3, 0.25), (0.02, 0.01, 0.04), (0.05, 0.5, 0.02)], ids=str)
@pytest.mark.parametrize("activation", [0, RELU, RELU6, RELU_N1_TO_1])
def test_int8_of_data_and_data(tmp_path, kind, scales, activation):
    """x and x at another scale; x and its mean, a gate."""
    for gate in (False, True):
        file = File("int8")
        x = file.of(IMAGE, scales[0])
        if gate:
            axes = file.tensor(data=np.array([1, 2], np.int32))
            other = file.op("MEAN", [x, axes], file.of((1, 1, 1, 6), scales[1], 40), "ReducerOptions", KeepDims=True)
        else:
            other = file.op("QUANTIZE", [x], file.of(IMAGE, scales[1], 40))
        y = file.both(kind, other, x, IMAGE, activation, scale=scales[2], zero=7)
        equal(tmp_path, file, x, y, IMAGE)


@pytest.mark.parametrize("kind", SUMS)
@pytest.mark.parametrize("activation", [0, RELU, RELU6])
def test_float_of_data_and_data(tmp_path, kind, activation):
    file = File("float32")
    x, axes = file.of(IMAGE), file.tensor(data=np.array([1, 2], np.int32))
    gate = file.op("MEAN", [x, axes], file.of((1, 1, 1, 6)), "ReducerOptions", KeepDims=True)
    y = file.both(kind, file.both(kind, x, gate, IMAGE, activation), x, IMAGE)
    equal(tmp_path, file, x, y, IMAGE)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("other", ["image", "constant", "scalar", "rows"])
def test_of_an_image_flattened(tmp_path, dtype, other):
    """Its elements lie in another order than the file's, and so do the constant's."""
    file = File(dtype)
    x = file.of(IMAGE)
    flat = file.reshape(x, FLAT)
    if other == "image":
        b = file.op("RELU", [flat], file.of(FLAT))
    elif other == "rows":
        b = file.reshape(file.reshape(x, (1, 6, 8, 9)), FLAT)
    else:
        b = file.stored(FLAT[1:] if other == "constant" else ())
    equal(tmp_path, file, x, file.both("MUL", flat, b, FLAT), IMAGE)


def test_one_constant_in_two_places(tmp_path):
    file = File("float32")
    x, c = file.of(IMAGE), file.stored((6,))
    first = file.both("MUL", x, c, IMAGE)
    y = file.both("ADD", file.reshape(first, (1, 72, 6)), c, (1, 72, 6))
    path = file.write(tmp_path / "net.tflite", [x], [file.reshape(y, IMAGE)])
    require_equal(path, IMAGE, "float32")
    batch = np.concatenate(inputs(np.random.default_rng(2), IMAGE, "float32", 3))
    one_by_one = np.concatenate([forward(load(path), each[None]) for each in batch])
    assert np.array_equal(forward(load(path, 3), batch), one_by_one)


REFUSED = {
    "shapes that do not fit": ((1, 9, 8, 6), (1, 9, 8, 5), "as long in both or 1"),
    "a constant for each sample": ((1, 6), (3, 6), "a constant that differs in a batch"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path, case):
    shape, constant, message = REFUSED[case]
    file = File("float32")
    x = file.of(shape)
    path = file.write(tmp_path / "net.tflite", [x], [file.both("MUL", x, file.stored(constant), shape)])
    with pytest.raises(ModelError, match=message):
        load(path)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize(("classes", "scale"), [(10, 0.1), (3, 0.4), (200, 0.02), (2, 5.0)])
def test_log_softmax(tmp_path, dtype, classes, scale):
    """It is in `inference`; `graph` ends at the logits, where training begins."""
    file = File(dtype)
    x, y = file.of((1, classes), scale), file.of((1, classes), 16 / 256, 127)
    file.op("LOG_SOFTMAX", [x], y, "LogSoftmaxOptions")
    path = file.write(tmp_path / "net.tflite", [x], [y])
    require_equal(path, (1, classes), dtype)
    model = load(path)
    assert model.classifies and not model.graph.nodes and len(model.inference.nodes) == 1
    x = np.zeros((1, classes), dtype)
    assert np.abs(forward(model, x) - 1.0 * micro(path)(x)).max() <= (0 if dtype == "int8" else 1e-6)


@pytest.mark.parametrize("of_x", [(0.05, -3), (0.004, 20), (0.4, -128)], ids=str)
@pytest.mark.parametrize(("kind", "table", "options", "of_y"), [
    ("LOGISTIC", "", {}, (1 / 256, -128)), ("TANH", "", {}, (1 / 128, 0)),
    ("HARD_SWISH", "HardSwishOptions", {}, (0.06, -110)),
    ("LEAKY_RELU", "LeakyReluOptions", {"Alpha": 0.3}, (0.04, 7)),
    ("LEAKY_RELU", "LeakyReluOptions", {"Alpha": 0.01}, (0.3, -128)),
])  # fmt: skip
def test_activations(tmp_path, kind, table, options, of_x, of_y):
    """Of each of the 256, alone and of an image flattened."""
    file = File("int8")
    x = file.of((1, 256), *of_x)
    path = file.write(tmp_path / "net.tflite", [x], [file.op(kind, [x], file.of((1, 256), *of_y), table, **options)])
    every = np.arange(-128, 128).astype(np.int8)[None]
    assert np.array_equal(forward(load(path), every), micro(path)(every))
    for dtype in ("int8", "float32"):
        file = File(dtype)
        x = file.of(IMAGE, *of_x)
        flat = file.reshape(x, FLAT, scale=of_x[0], zero=of_x[1])
        y = file.op(kind, [flat], file.of(FLAT, *of_y), table, **options)
        equal(tmp_path, file, x, file.reshape(y, IMAGE, scale=of_y[0], zero=of_y[1]), IMAGE)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_constant_is_frozen(tmp_path, dtype):
    """The layers before and behind it are trained."""
    file = File(dtype)
    x = file.of(IMAGE)
    for _ in range(2):
        w = file.stored((6, 1, 1, 6), zero=0)
        x_, x = x, file.of(IMAGE, scale=0.5)
        file.op("CONV_2D", [x_, w, -1], x, "Conv2DOptions", StrideH=1, StrideW=1)
        x = file.both("MUL", x, file.stored((6,)), IMAGE, scale=0.5)
    y = file.reshape(x, FLAT, scale=0.5)
    graph = apply_policy(load(file.write(tmp_path / "net.tflite", [0], [y])).graph, parse_policy("full"))
    updated = {node.operands[0] for node in training_step(graph).nodes if node.overwrites}
    constants = {name for name in graph.parameters if name.endswith(".constant")}
    weights = {name for name in graph.parameters if name.endswith(".weight")}
    assert len(constants) == len(weights) == 2 and weights <= updated and not constants & updated
