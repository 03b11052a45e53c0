"""QDQ files as int8 networks: each operator within a step of onnxruntime, which rounds halves to even."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
import onnxruntime as ort
from onnx import TensorProto
from onnx_files import OnnxFile
from samples import forward_emulated

from workbench.autodiff import training_step
from workbench.errors import ModelError
from workbench.frontends import load, saving
from workbench.ir.interpret import interpret

OF_X, OF_Y = (0.03, -5), (0.067, 11)


class Int8File(OnnxFile):
    """`q`, `dq`: the file's own pairs; `weight`: one that it stores as int8. With `unsigned`, activations are uint8."""

    def __init__(self, unsigned: bool = False, opset: int = 17) -> None:
        super().__init__(opset)
        self.unsigned = unsigned

    def of(self, scale: float, zero: int) -> list[str]:
        name, zero, dtype = f"s{len(self.constants)}", *((zero + 128, np.uint8) if self.unsigned else (zero, np.int8))
        return [self.stored(name, scale), self.stored(f"{name}.zero", zero, dtype)]

    def q(self, x: str, kind: tuple[float, int], outputs=None) -> str:
        return self.op("QuantizeLinear", [x, *self.of(*kind)], outputs)

    def dq(self, x: str, kind: tuple[float, int], outputs=None) -> str:
        return self.op("DequantizeLinear", [x, *self.of(*kind)], outputs)

    def pair(self, x: str, kind: tuple[float, int], outputs=None) -> str:
        return self.dq(self.q(x, kind), kind, outputs)

    def weight(self, name: str, shape, scales=0.02, axis: int = 0, dtype=np.int8) -> str:
        rng = np.random.default_rng(len(self.constants))
        low, high = (-100, 100) if dtype == np.int8 else (-3000, 3000)
        stored = self.stored(name, rng.integers(low, high, shape), dtype)
        return self.op("DequantizeLinear", [stored, self.stored(f"{name}.scale", scales)], axis=axis)


def conv(file, x, **how):
    w = file.weight("c.weight", (6, 3, 3, 3), np.linspace(0.005, 0.02, 6))
    b = file.weight("c.bias", 6, np.linspace(0.005, 0.02, 6) * OF_X[0], dtype=np.int32)
    return file.op("Conv", [x, w, b], pads=[1, 0, 1, 2], **how)


def conv_of_lines(file, x):
    y = file.op("Reshape", [x, file.stored("shape", [0, 3, 36], np.int64)])
    return file.op("Conv", [y, file.weight("c.weight", (3, 1, 4))], group=3, strides=[2])


def transposed(file, x):
    b = file.stored("c.bias", np.linspace(-1, 1, 2))
    return file.op("ConvTranspose", [x, file.weight("c.weight", (3, 2, 2, 2), [0.01, 0.02], axis=1), b], strides=[2, 2])


def gemm(file, x):
    y, b = file.op("Flatten", [x]), file.stored("f.bias", np.linspace(-3, 3, 5))
    return file.op("Gemm", [y, file.weight("f.weight", (5, 108), np.linspace(0.004, 0.008, 5)), b], transB=1)


def of_two(kind, **stored):
    def make(file, x):
        y = file.dq(
            file.q(file.op("MaxPool", [x], kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4), (0.0417, 3)), (0.0417, 3)
        )
        return file.op(kind, [x, y])

    return make


def alone(kind, **attributes):
    return lambda file, x: file.op(kind, [x], **attributes)


def joined(file, x):
    y = file.pair(file.op("Sigmoid", [x]), (1 / 256, -128))
    return file.op("Concat", [y, x], axis=1)


def behind(make, kind, *limits):
    def both(file, x):
        names = [file.stored(f"limit{at}", each) for at, each in enumerate(limits)]
        return file.op(kind, [make(file, x), *names])

    return both


CASES = {
    "conv": (conv, "qnn.conv2d"),
    "conv strided": (lambda file, x: conv(file, x, strides=[2, 1], dilations=[2, 1]), "qnn.conv2d"),
    "conv relu": (behind(conv, "Relu"), "qnn.conv2d"), "conv clip": (behind(conv, "Clip", -0.5, 3.0), "qnn.conv2d"),
    "conv of lines": (conv_of_lines, "qnn.conv2d"), "transposed": (transposed, "qnn.transposed_conv2d"),
    "gemm": (gemm, "qnn.conv2d"), "add": (of_two("Add"), "qnn.add"), "sub": (of_two("Sub"), "qnn.subtract"),
    "mul": (of_two("Mul"), "qnn.multiply"), "add relu": (behind(of_two("Add"), "Relu"), "qnn.add"),
    "average": (alone("AveragePool", kernel_shape=[2, 3], strides=[2, 1]), "qnn.avg_pool2d"),
    "global average": (alone("GlobalAveragePool"), "qnn.global_avg_pool2d"),
    "mean": (alone("ReduceMean", axes=[1, 3], keepdims=0), "qnn.mean"), "joined": (joined, "concatenate"),
    "relu": (alone("Relu"), "qnn.requantize"), "tanh": (alone("Tanh"), "qnn.lookup"),
    "leaky relu": (alone("LeakyRelu", alpha=0.3), "qnn.lookup"),
    "max pool": (alone("MaxPool", kernel_shape=[2, 2]), "nn.max_pool2d"),
    "transpose": (alone("Transpose", perm=[0, 2, 3, 1]), "transpose"),
    "in real numbers": (alone("Softmax", axis=1), "nn.softmax"),
}  # fmt: skip


def run(path, x):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # the file as it is written
    return ort.InferenceSession(str(path), options).run(None, {"x": x})[0]


def ours(model, x):
    graph = model.inference or model.graph
    return interpret(graph, {**model.weights, "input0": x})[graph.outputs[0]]


@pytest.mark.parametrize("unsigned", [False, True], ids=["int8", "uint8"])
@pytest.mark.parametrize("name", CASES)
def test_an_operator_between_int8_values_is_one_on_int8(tmp_path, name, unsigned):
    make, kind = CASES[name]
    file = Int8File(unsigned)
    file.pair(make(file, file.pair("x", OF_X)), OF_Y, ["y"])
    path = file.write(tmp_path / "net.onnx", {"x": ("n", 3, 6, 6)}, {"y": None})
    x = np.random.default_rng(0).normal(size=(2, 3, 6, 6)).astype(np.float32) * 2
    model = load(path, 2)
    assert kind in [node.op for node in model.graph.nodes]
    real = {"nn.softmax", "nn.sigmoid", "add", "multiply"} - {kind}
    assert not real & {node.op for node in model.graph.nodes}
    steps = np.abs(ours(model, x) - run(path, x)) / OF_Y[0]
    assert steps.max() <= 1.001 and (steps > 0.001).mean() < 0.05


def test_a_network_keeps_its_stored_numbers_and_learns(tmp_path):
    """From float32 to float32; weights are int8 parameters under the file's names."""
    file = Int8File(unsigned=True)
    y = file.pair(file.op("Relu", [conv(file, file.pair("x", OF_X))]), (0.05, -128))
    y = file.op("Flatten", [file.pair(file.op("GlobalAveragePool", [y]), (0.03, -128))])
    y = file.pair(file.op("Gemm", [y, file.weight("f.weight", (4, 6))], transB=1), (0.05, 0))
    file.op("Softmax", [y], ["y"])
    path = file.write(tmp_path / "net.onnx", {"x": ("n", 3, 6, 6)}, {"y": ("n", 4)})
    model = load(path, 2)
    assert model.graph.parameters == ("c.weight", "c.bias", "c.weight_scale", "f.weight", "f.bias", "f.weight_scale")
    assert [model.weights[name].dtype for name in model.graph.parameters] == ["int8", "int32", "float32"] * 2
    x = np.random.default_rng(0).normal(size=(2, 3, 6, 6)).astype(np.float32)
    assert np.abs(ours(model, x) - run(path, x)).max() < 0.02
    logits = interpret(model.graph, {**model.weights, "input0": x})[model.graph.outputs[0]]
    assert np.array_equal(forward_emulated(model.graph, {**model.weights, "input0": x}, tmp_path), logits)
    wanted = dict.fromkeys(("c.weight", "f.weight", "f.bias"), True)
    graph = training_step(model.graph.with_needs_grad(wanted))
    feeds = {**model.weights, **dict.fromkeys(graph.scalars, 50.0), "input0": x, "label0": np.array([1, 3], np.int32)}
    feeds |= {name: np.zeros(graph.types[name].shape, np.int32) for name in graph.arguments if name not in feeds}
    after = interpret(graph, feeds)
    assert all((after[name] != model.weights[name]).any() for name in wanted)


@pytest.mark.parametrize("unsigned", [False, True])
def test_an_input_may_be_int8_itself(tmp_path, unsigned):
    file = Int8File(unsigned)
    file.op("Relu", [conv(file, file.dq("x", OF_X))], ["r"])
    file.pair("r", OF_Y, ["y"])
    dtype = TensorProto.UINT8 if unsigned else TensorProto.INT8
    path = file.write(tmp_path / "net.onnx", {"x": ("n", 3, 6, 6)}, {"y": None}, dtype)
    model = load(path)
    kind = model.graph.types["input0"]
    assert (kind.dtype, round(kind.scale, 6), kind.zero_point) == ("int8", *OF_X)
    x = np.random.default_rng(0).integers(-128, 128, (1, 3, 6, 6))
    theirs = run(path, (x + 128).astype(np.uint8) if unsigned else x.astype(np.int8))
    assert np.abs(ours(model, x.astype(np.int8)) - theirs).max() / OF_Y[0] <= 1.001


def test_int8_weights_of_a_float32_layer_are_real_numbers(tmp_path):
    file = Int8File()
    file.op("MatMul", ["x", file.weight("f.weight", (4, 3), [0.1, 0.2, 0.3], axis=1)], ["y"])
    path = file.write(tmp_path / "net.onnx", {"x": ("n", 4)}, {"y": None})
    model, x = load(path), np.random.default_rng(0).normal(size=(1, 4)).astype(np.float32)
    assert model.weights["f.weight"].dtype == np.float32
    assert np.allclose(ours(model, x), run(path, x), rtol=1e-5)
    assert any("stores weights as int8" in note for note in model.notes)
    with pytest.raises(ModelError, match=r"trained values of f.weight: it is stored as int8, and trains as float32"):
        saving.writer("w.onnx", "net", model.origin, ["f.weight"])


def test_trained_int8_weights_are_not_written_into_the_file(tmp_path):
    file = Int8File()
    file.pair(conv(file, file.pair("x", OF_X)), OF_Y, ["y"])
    model = load(file.write(tmp_path / "net.onnx", {"x": (1, 3, 6, 6)}, {"y": None}))
    for name in ("c.weight", "c.bias"):
        with pytest.raises(ModelError, match=f"trained values of {name}: int8 layers of .onnx files are not written"):
            saving.writer("w.onnx", "net", model.origin, [name])


def with_a_zero_point(file, x):
    w = [file.stored("w", np.ones((2, 3, 1, 1)), np.int8), file.stored("s", 0.1), file.stored("z", 3, np.int8)]
    return file.op("Conv", [x, file.op("DequantizeLinear", w)])


def test_halves_are_rounded_up(tmp_path):
    """Where onnxruntime takes the even neighbour: a scale of twice the operand's makes them."""
    file = Int8File()
    file.pair(file.op("Relu", [file.pair("x", (0.5, 0))]), (1.0, 0), ["y"])
    path = file.write(tmp_path / "net.onnx", {"x": ("n", 5)}, {"y": None})
    x = np.array([[-1.0, 0.5, 1.0, 1.5, 2.5]], np.float32)
    assert run(path, x).tolist() == [[0, 0, 1, 2, 2]]
    assert ours(load(path), x).tolist() == [[0, 1, 1, 2, 3]]


@pytest.mark.parametrize(("harm", "words"), [
    (with_a_zero_point, "a zero point that is not zero"),
    (lambda file, x: file.op("Conv", [x, file.weight("w", (2, 3, 1, 1), [0.1] * 3, axis=1)]), "3 scales along axis 1"),
    (lambda file, x: file.op("Conv", [x, file.weight("w", (2, 3, 1, 1), -0.1)]), "beyond what int8 can have"),
    (lambda file, x: file.op("Conv", [x, file.weight("w", (2, 3, 1, 1), 1e9)]), "too small for sums of 32 bits"),
    (lambda file, x: file.dq(file.q(x, (0.1, 0)), (0.2, 0)), "as of 0.2 and 0"),
    (lambda file, x: file.q(x, (float("nan"), 0)), "not those of int8"),
    (lambda file, x: file.op("QuantizeLinear", [x, "x"]), "depend|not known|scales"),
    (lambda file, x: file.op("QuantizeLinear", [x, file.stored("s16", 0.1), file.stored("z16", 0, np.int16)]),
     "activations of int16 are not supported"),
    (lambda file, x: file.op("QuantizeLinear", [x, file.stored("many", [0.1, 0.1, 0.1])], axis=1), "of weights alone"),
    (lambda file, x: file.op("QuantizeLinear", []), "lacks its scale"),
])  # fmt: skip
def test_what_int8_cannot_be_is_said(tmp_path, harm, words):
    import re

    file = Int8File()
    file.pair(harm(file, file.pair("x", OF_X)), OF_Y, ["y"])
    path = file.write(tmp_path / "net.onnx", {"x": (1, 3, 6, 6)}, {"y": None})
    with pytest.raises(ModelError) as error:
        load(path)
    assert re.search(words, str(error.value)), str(error.value)
