"""Small ONNX files give what onnxruntime gives, for any batch, under the names that the file has."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
import onnxruntime as ort
from onnx import TensorProto
from onnx_files import OnnxFile, classifier

from workbench.autodiff import training_step
from workbench.errors import ModelError
from workbench.frontends import load
from workbench.frontends import onnx as frontend
from workbench.frontends.onnx.file import read
from workbench.frontends.onnx.network import Reading
from workbench.frontends.weight import undone
from workbench.ir.interpret import interpret


def outputs(path, x):
    return ort.InferenceSession(str(path)).run(None, {"x": x})[0]


def ours(model, x):
    graph = model.inference or model.graph
    return interpret(graph, {**model.weights, "input0": x})[graph.outputs[0]]


def drawn(shape):
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def of_lines(file, rng):
    """Of (N, 5, 16): convolutions of one axis, the second depthwise and dilated; norms; a mean."""
    w, b = file.stored("c.weight", rng.normal(size=(6, 5, 3))), file.stored("c.bias", rng.normal(size=6))
    y = file.op("Conv", ["x", w, b], strides=[2], pads=[1, 0])
    y = file.op("HardSwish", [y])
    y = file.op("Conv", [y, file.stored("d.weight", rng.normal(size=(6, 1, 2)))], group=6, dilations=[2])
    norm = [file.stored(f"n.{each}", rng.uniform(0.5, 2, 6)) for each in ("weight", "bias", "mean", "var")]
    y = file.op("BatchNormalization", [y, *norm])
    y = file.op("AveragePool", [y], kernel_shape=[2], strides=[2], ceil_mode=1)
    y = file.op("ReduceMean", [y], axes=[2], keepdims=0)
    file.op("MatMul", [y, file.stored("f.weight", rng.normal(size=(6, 3)))], ["y"])
    return {"x": ("n", 5, 16)}, {"y": ("n", 3)}


def of_sequences(file, rng):
    """Of (N, 4, 6): attention with two heads as exporters write it, shapes computed from Shape."""
    w = [file.stored(f"{each}.weight", rng.normal(scale=0.4, size=(6, 6))) for each in "qkv"]
    b = [file.stored(f"{each}.bias", rng.normal(size=6)) for each in "qkv"]
    count = file.op("Gather", [file.op("Shape", ["x"]), file.stored("0", 0, np.int64)], axis=0)
    rows = file.op("Unsqueeze", [count, file.stored("axes", [0], np.int64)])
    apart = file.op("Concat", [rows, file.stored("sizes", [4, 2, 3], np.int64)], axis=0)
    q, k, v = (
        file.op("Reshape", [file.op("Add", [file.op("MatMul", ["x", weight]), bias]), apart])
        for weight, bias in zip(w, b, strict=True)
    )
    q, k, v = (
        file.op("Transpose", [each], perm=perm)
        for each, perm in ((q, [0, 2, 1, 3]), (k, [0, 2, 3, 1]), (v, [0, 2, 1, 3]))
    )
    scores = file.op("Div", [file.op("MatMul", [q, k]), file.stored("scale", 1.7)])
    y = file.op("MatMul", [file.op("Softmax", [scores], axis=-1), v])
    y = file.op("Reshape", [file.op("Transpose", [y], perm=[0, 2, 1, 3]), file.stored("flat", [0, 0, -1], np.int64)])
    y = file.op(
        "LayerNormalization",
        [
            file.op("Add", ["x", y]),
            file.stored("n.weight", rng.normal(size=6)),
            file.stored("n.bias", rng.normal(size=6)),
        ],
    )
    half = file.op("Mul", [y, file.stored("half", 0.5)])
    erf = file.op("Erf", [file.op("Div", [y, file.stored("root", 2**0.5)])])
    y = file.op("Mul", [half, file.op("Add", [erf, file.stored("one", 1.0)])])
    file.op("Flatten", [y], ["y"])
    return {"x": ("n", 4, 6)}, {"y": ("n", 24)}


def of_images(file, rng):
    """Of (N, 3, 8, 8), as an autoencoder: down, up, joined with what was before, resized and cut."""
    y = file.op(
        "Conv",
        ["x", file.stored("down.weight", rng.normal(scale=0.3, size=(4, 3, 3, 3)))],
        strides=[2, 2],
        auto_pad="SAME_UPPER",
    )
    y = file.op("LeakyRelu", [y], alpha=0.2)
    u = file.op(
        "ConvTranspose",
        [y, file.stored("up.weight", rng.normal(size=(4, 2, 2, 2))), file.stored("up.bias", rng.normal(size=4))],
        strides=[2, 2],
        group=2,
    )
    scales = file.stored("scales", [1, 1, 2, 2])
    r = file.op(
        "Resize", [y, "", scales], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )
    y = file.op("Concat", [u, r], axis=1)
    y = file.op("Clip", [y, file.stored("low", 0.0), file.stored("high", 6.0)])
    y = file.op(
        "Slice",
        [y, file.stored("starts", [1], np.int64), file.stored("ends", [7], np.int64), file.stored("at", [1], np.int64)],
    )
    y = file.op("Pad", [y, file.stored("pads", [0, 0, 1, 0, 0, 0, 0, 1], np.int64)])
    file.op("Conv", [y, file.stored("end.weight", rng.normal(scale=0.2, size=(3, 6, 2, 2)))], ["y"])
    return {"x": ("n", 3, 8, 8)}, {"y": ("n", 3, 8, 8)}


def of_steps(file, rng):
    """Of (N, 6, 5): a recurrent layer of each kind, both directions of the first."""
    y = file.op("Transpose", ["x"], perm=[1, 0, 2])
    for at, (kind, gates, directions) in enumerate((("LSTM", 4, 2), ("GRU", 3, 1), ("RNN", 1, 1))):
        shape = (directions, gates * 4, (5, 8, 4)[at])
        w = file.stored(f"r{at}.w", rng.normal(scale=0.4, size=shape))
        r = file.stored(f"r{at}.r", rng.normal(scale=0.4, size=(directions, gates * 4, 4)))
        b = file.stored(f"r{at}.b", rng.normal(scale=0.4, size=(directions, gates * 8)))
        how = {"direction": "bidirectional"} if directions == 2 else {"linear_before_reset": 1} if kind == "GRU" else {}
        y = file.op(kind, [y, w, r, b], hidden_size=4, **how)
        y = file.op("Transpose", [y], perm=[0, 2, 1, 3])
        y = file.op("Reshape", [y, file.stored(f"s{at}", [0, 0, -1], np.int64)])
    file.op("Gather", [y, file.stored("last", -1, np.int64)], ["y"], axis=0)
    return {"x": ("n", 6, 5)}, {"y": ("n", 4)}


@pytest.mark.parametrize("make", [of_lines, of_sequences, of_images, of_steps])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_network_gives_what_onnxruntime_gives(tmp_path, make, batch):
    file = OnnxFile(17)
    path = file.write(tmp_path / "net.onnx", *make(file, np.random.default_rng(0)))
    model = load(path, batch)
    x = drawn(model.graph.types["input0"].shape)
    wanted = outputs(path, x)
    assert np.allclose(ours(model, x), wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())
    assert np.array_equal(ours(load(path).with_batch(batch), x), ours(model, x))


@pytest.mark.parametrize("opset", [13, 15, 17, 18, 21, 22])
def test_a_classifier_ends_at_its_logits(tmp_path, opset):
    file, inputs, results = classifier(opset)
    path = file.write(tmp_path / "net.onnx", inputs, results)
    model = load(path, 2)
    own = ("conv.weight", "conv.bias", "bn.mean.constant", "bn.var.constant", "bn.weight", "bn.bias")
    assert model.graph.parameters == (*own, "fc.weight", "fc.bias")
    assert model.classifies and model.graph.types[model.graph.outputs[0]].shape == (2, 3)
    assert len(model.inference.nodes) == len(model.graph.nodes) + 1
    assert [note.partition(":")[0] for note in model.notes] == ["the softmax at the end is left to the loss"]
    x = drawn((2, 2, 6, 6))
    assert np.allclose(ours(model, x), outputs(path, x), rtol=1e-5, atol=1e-6)


def test_a_file_for_one_sample_is_read_for_more(tmp_path):
    """Where a Reshape says 1, it means the batch."""
    rng, file = np.random.default_rng(0), OnnxFile()
    flat = file.op("Reshape", ["x", file.stored("shape", [1, -1], np.int64)])
    file.op("Gemm", [flat, file.stored("w", rng.normal(size=(12, 2)))], ["y"])
    path = file.write(tmp_path / "net.onnx", {"x": (1, 3, 4)}, {"y": (1, 2)})
    x = drawn((3, 3, 4))
    got = ours(load(path, 3), x)
    assert np.allclose(got, np.concatenate([outputs(path, each[None]) for each in x]), rtol=1e-5, atol=1e-6)


def test_a_file_whose_sizes_hold_for_one_batch_refuses_another(tmp_path):
    rng, file = np.random.default_rng(0), OnnxFile()
    seen = file.op(
        "Transpose",
        [file.op("Reshape", [file.op("Transpose", ["x"], perm=[1, 0, 2]), file.stored("s", [3, 4], np.int64)])],
        perm=[1, 0],
    )
    file.op(
        "MatMul",
        [file.op("Reshape", [seen, file.stored("t", [1, 12], np.int64)]), file.stored("w", rng.normal(size=(12, 2)))],
        ["y"],
    )
    path = file.write(tmp_path / "net.onnx", {"x": (1, 3, 4)}, {"y": (1, 2)})
    assert load(path).batch == 1
    with pytest.raises(ModelError, match=r"net\.onnx is for 1 samples at once, and cannot be for 2: #1 Reshape"):
        load(path, 2)


def test_sizes_that_are_open_are_named_or_given(tmp_path):
    file = OnnxFile()
    file.op("Conv", ["x", file.stored("w", np.ones((2, 3, 3, 3)))], ["y"])
    path = file.write(tmp_path / "net.onnx", {"x": ("n", 3, "height", "width")}, {"y": ("n", 2, "a", "b")})
    with pytest.raises(
        ModelError, match=r"open until it runs: height, width, in float32 \(n, 3, height, width\)"
    ) as error:
        load(path)
    assert "--shape" in error.value.hint
    assert frontend.load(path, 2, shape=(3, 5, 6)).graph.types["input0"].shape == (2, 3, 5, 6)
    with pytest.raises(ModelError, match=r"a shape of \(4, 5, 6\) behind the batch does not fit it"):
        frontend.load(path, shape=(4, 5, 6))


def test_names_stay_where_the_graph_can_hold_them(tmp_path):
    """And those that it cannot hold stay apart from each other and from what the graph calls its own."""
    rng, file = np.random.default_rng(0), OnnxFile()
    names = [
        "model/fc/Read:0",
        "model/fc/Read;0",
        "7",
        "int",
        "last-1",
        "*/ evil",
        'a"b\nc',
        "input0",
        "y.constant",
        "",
    ]
    value = "x"
    for name in names[:-1]:
        value = file.op("MatMul", [value, file.stored(name, rng.normal(size=(4, 4)))])
    file.op("Relu", [value], ["y"])
    path = file.write(tmp_path / "net.onnx", {"x": (1, 4)}, {"y": (1, 4)})
    model = load(path)
    assert model.graph.parameters == ("model/fc/Read_0", "model/fc/Read_0_2", "w_7", "int", "w_last-1", "_/_evil",
                                      "a_b_c", "w_input0", "w_y.constant")  # fmt: skip
    assert np.allclose(ours(model, drawn((1, 4))), outputs(path, drawn((1, 4))), rtol=1e-4)


def test_what_a_weight_was_made_of_can_be_undone(tmp_path):
    rng, file = np.random.default_rng(0), OnnxFile()
    weights = {"a": rng.normal(size=(4, 6)), "b": rng.normal(size=(3, 2, 3, 1))}
    line = file.op("MatMul", ["x", file.stored("a", weights["a"])])
    turned = file.op(
        "Transpose",
        [file.op("Reshape", [file.stored("b", weights["b"]), file.stored("s", [3, 6], np.int64)])],
        perm=[1, 0],
    )
    file.op("MatMul", [line, turned], ["y"])
    path = file.write(tmp_path / "net.onnx", {"x": (2, 4)}, {"y": (2, 3)})
    emit = Reading(read(path)).read().emit
    for name, stored in weights.items():
        assert np.array_equal(undone(emit.weights[name], emit.steps[name]), stored.astype(np.float32))


def test_biases_that_an_exporter_made_one_are_apart(tmp_path):
    file, rng = OnnxFile(), np.random.default_rng(0)
    zeros, value = file.stored("zeros", np.zeros(4)), "x"
    for number in range(2):
        value = file.op("Gemm", [value, file.stored(f"fc{number}.weight", rng.normal(size=(4, 4))), zeros])
    file.op("Relu", [value], ["y"])
    model = load(file.write(tmp_path / "net.onnx", {"x": (1, 4)}, {"y": (1, 4)}))
    assert model.graph.parameters == ("fc0.weight", "fc0.bias", "fc1.weight", "fc1.bias")
    tensors = Reading(read(tmp_path / "net.onnx")).read().tensors
    assert (tensors["fc0.weight"], tensors["fc0.bias"], tensors["fc1.bias"]) == ("fc0.weight", "zeros", "zeros")


def test_one_step_of_training_is_that_of_numpy(tmp_path):
    rng, file = np.random.default_rng(0), OnnxFile()
    w, b = rng.normal(size=(5, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    product = file.op("MatMul", ["x", file.stored("w", w)])
    file.op("Softmax", [file.op("Add", [product, file.stored("b", b)])], ["y"])
    model = load(file.write(tmp_path / "net.onnx", {"x": ("n", 5)}, {"y": ("n", 3)}), 4)
    graph = training_step(model.graph.with_needs_grad(dict.fromkeys(model.graph.parameters, True)))
    x, labels = drawn((4, 5)), np.array([0, 2, 1, 1], np.int32)
    feeds = {**model.weights, **dict.fromkeys(graph.scalars, 0.1), "input0": x, "label0": labels}
    got = interpret(graph, feeds)
    e = np.exp(x @ w + b)
    dy = (e / e.sum(1, keepdims=True) - np.eye(3)[labels]) / 4
    assert np.allclose(got["w"], (w - 0.1 * x.T @ dy).T, rtol=1e-4, atol=1e-6)  # a layer keeps it as (outputs, inputs)
    assert np.allclose(got["b"], b - 0.1 * dy.sum(0), rtol=1e-4, atol=1e-6)


def test_an_embedding_reads_what_the_network_is_given(tmp_path):
    rng, file = np.random.default_rng(0), OnnxFile()
    table = file.stored("embed.weight", rng.normal(size=(9, 4)))
    rows = file.op("Gather", [table, "x"])
    file.op("ReduceMean", [rows], ["y"], axes=[1], keepdims=0)
    path = file.write(tmp_path / "net.onnx", {"x": ("n", 6)}, {"y": ("n", 4)}, TensorProto.INT64)
    model, indices = load(path, 2), rng.integers(0, 9, (2, 6))
    assert np.allclose(ours(model, indices.astype(np.float32)), outputs(path, indices), rtol=1e-5, atol=1e-6)
