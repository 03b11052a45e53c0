"""Layers that share a weight or a bias keep one: from .tflite and .json files, by hand, quantized, and in training."""

import json

import numpy as np
import pytest
import small_mcu
from tflite_files import SAME, TfliteFile, micro

from workbench import session
from workbench.autodiff import training_step
from workbench.errors import GraphError, ModelError
from workbench.frontends import load
from workbench.frontends.layers import Network
from workbench.frontends.loading import in_int8
from workbench.ir.deltas import joined
from workbench.ir.interpret import interpret
from workbench.ir.types import quantized
from workbench.passes.apply_policy import weighted_layers

CONV = {"Padding": SAME, "StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}
IMAGE, RELU = (1, 5, 4, 4), 1


def three_convolutions(folder, bias, dtype="float32", through_float16=False):
    """A file of three convolutions that read one weight tensor and one bias, and a dense layer."""
    rng, file = np.random.default_rng(0), TfliteFile()
    whole = dtype == "int8"
    weight = rng.normal(scale=0.3, size=(4, 3, 3, 4)).astype(np.float32)
    of = lambda scale: {"scale": scale, "zero": 3} if whole else {}  # noqa: E731
    if whole:
        scale = rng.uniform(0.004, 0.01, 4)
        w = file.tensor(data=(weight * 90).astype(np.int8), scale=scale, axis=0, name="net/conv/Conv2D")
        b = file.tensor(data=bias.astype(np.int32), scale=0.001)
        dense = file.tensor(data=rng.integers(-90, 90, (3, 80), np.int8), scale=0.01, name="net/dense/MatMul")
    else:
        w = file.tensor(data=weight.astype(np.float16 if through_float16 else np.float32), name="net/conv/Conv2D")
        b = file.tensor(data=bias.astype(np.float32))
        dense = rng.normal(scale=0.1, size=(3, 80)).astype(np.float32)
        dense = file.tensor(data=dense, name="net/dense/MatMul")
    x = first = file.tensor(IMAGE, dtype, **of(0.05))
    for _ in range(3):
        real = file.tensor((4, 3, 3, 4), dtype, name="net/conv/Conv2D") if through_float16 else None
        kernel = file.op("DEQUANTIZE", [w], real) if through_float16 else w
        y = file.tensor(IMAGE, dtype, **of(0.05))
        x = file.op("CONV_2D", [x, kernel, b], y, "Conv2DOptions", FusedActivationFunction=RELU, **CONV)
    y = file.tensor((1, 3), dtype, **of(0.1))
    file.op("FULLY_CONNECTED", [x, dense, -1], y, "FullyConnectedOptions", FusedActivationFunction=0)
    return file.write(folder / "tied.tflite", [first], [y])


def by_hand(bias):
    """The same network, float32, in the layer API's own words."""
    net = Network("tied", (1, 4, 5, 4))
    build, x = net.build, net.input
    w, b = build.parameter("conv.weight", (4, 4, 3, 3)), build.parameter("conv.bias", (4,))
    for _ in range(3):
        y = build.conv2d(x, w, channels=4, kernel_size=(3, 3), padding=(1, 1, 1, 1))
        x = build.relu(build.bias_add(y, b))
    x = build.dense(build.batch_flatten(x), build.parameter("dense.weight", (3, 80)))
    return net.model(x)


def stepped(model):
    """The weights after one step of training in numpy, on an image and a label."""
    graph = training_step(model.graph.with_needs_grad(dict.fromkeys(model.graph.parameters, True)))
    image, label = (name for name in graph.inputs if graph.types[name].rank)
    x = np.random.default_rng(1).normal(size=graph.types[image].shape).astype(np.float32)
    feeds = {**model.weights, **dict.fromkeys(graph.scalars, 0.1), image: x, label: np.array([1], np.int32)}
    got = interpret(graph, feeds)
    return {name: got[name] for name in graph.parameters}


@pytest.mark.parametrize("through_float16", [False, True])
@pytest.mark.parametrize("bias", [np.zeros(4), np.array([0.1, -0.2, 0.3, 0.0])], ids=["zeros", "numbers"])
def test_one_tensor_of_a_file_is_one_weight_with_summed_gradients(tmp_path, bias, through_float16):
    model, own = load(three_convolutions(tmp_path, bias, through_float16=through_float16)), by_hand(bias)
    assert model.graph.parameters == ("conv.weight", "conv.bias", "dense.weight")
    assert model.parameter_count == 144 + 4 + 240
    own.weights.update(model.weights)
    got, want = stepped(model), stepped(own)
    assert all(np.array_equal(got[name], want[name]) for name in want)
    assert (got["conv.weight"] != model.weights["conv.weight"]).any()


def test_a_bias_of_zeros_is_one_only_where_the_weight_is(tmp_path):
    """Converters merge equal constants: the zeros of unlike layers are one tensor, and theirs to learn apart."""
    for bias, names in ((np.zeros(4), ["a.bias", "b.bias"]), (np.ones(4), ["a.bias"])):
        file = TfliteFile()
        b, x = file.tensor(data=bias.astype(np.float32)), file.tensor((1, 4), "float32")
        first = x
        for name in "ab":
            w = file.tensor(data=np.eye(4, dtype=np.float32), name=f"{name}/MatMul")
            x = file.op("FULLY_CONNECTED", [x, w, b], file.tensor((1, 4), "float32"), "FullyConnectedOptions")
        model = load(file.write(tmp_path / "net.tflite", [first], [x]))
        assert [name for name in model.graph.parameters if name.endswith("bias")] == names


def test_dense_layers_behind_an_image_and_behind_none_share_a_weight(tmp_path):
    """The columns of the one would be reordered, those of the other not: the image is laid out as the file has it."""
    rng, file = np.random.default_rng(0), TfliteFile()
    w = file.tensor(data=rng.normal(size=(12, 12)).astype(np.float32))
    image, shape = file.tensor((1, 2, 3, 2), "float32"), file.tensor(data=np.array([1, 12], np.int32))
    x = file.op("RESHAPE", [image, shape], file.tensor((1, 12), "float32"))
    for _ in range(2):
        x = file.op("FULLY_CONNECTED", [x, w, -1], file.tensor((1, 12), "float32"), "FullyConnectedOptions")
    path = file.write(tmp_path / "net.tflite", [image], [x])
    model, values = load(path), rng.normal(size=(1, 2, 3, 2)).astype(np.float32)
    assert len(model.graph.parameters) == 1
    got = interpret(model.graph, {**model.weights, "input0": values.transpose(0, 3, 1, 2)})[model.graph.outputs[0]]
    assert np.allclose(got, micro(path)(values), rtol=1e-5)


def test_one_weight_laid_out_in_two_ways_is_refused(tmp_path):
    file = TfliteFile()
    w, x = file.tensor(data=np.ones((1, 3, 3, 2), np.float32)), file.tensor((1, 5, 4, 2), "float32")
    y = file.op("DEPTHWISE_CONV_2D", [x, w, -1], file.tensor((1, 5, 4, 2), "float32"), "DepthwiseConv2DOptions", **CONV)
    z = file.op("CONV_2D", [y, w, -1], file.tensor((1, 5, 4, 1), "float32"), "Conv2DOptions", **CONV)
    with pytest.raises(
        ModelError, match=r"operator 1 \(CONV_2D.* has the weight of another layer, but lays it out oth"
    ):
        load(file.write(tmp_path / "net.tflite", [x], [z]))


def test_an_int8_file_keeps_one_weight_and_its_forward(tmp_path):
    """Weight, bias and scales are one each; a bias beyond what sums may reach moves them all alike."""
    for bias in (np.array([300, -200, 5, 0]), np.array([2**30, -200, 5, 0])):
        path = three_convolutions(tmp_path, bias, "int8")
        model, oracle = load(path), micro(path)
        assert [name for name in model.graph.parameters if name.startswith("conv")] == [
            "conv.weight", "conv.bias", "conv.weight_scale"
        ]  # fmt: skip
        for seed in range(4):
            x = np.random.default_rng(seed).integers(-128, 128, IMAGE, dtype=np.int8)
            fed = {**model.weights, "input0": x.transpose(0, 3, 1, 2)}
            off = interpret(model.graph, fed)[model.graph.outputs[0]].astype(int) - oracle(x)
            assert np.abs(off).max() <= (0 if bias.max() < 2**29 else 1)  # half of 2³⁰ is stored: its last bit is lost


def test_int8_layers_of_one_weight_are_made_safe_alike(tmp_path):
    """A bias near 2³⁰ halves the integers of its filter; the other layer with that weight reads them too."""
    rng, file = np.random.default_rng(0), TfliteFile()
    scale = rng.uniform(0.004, 0.01, 4)
    w = file.tensor(data=rng.integers(-120, 120, (4, 4), np.int8), scale=scale, axis=0)
    x = first = file.tensor((1, 4), "int8", scale=0.05, zero=3)
    for bias, of_y in ((np.array([2**30, 5, -7, 9]), 0.05), (np.array([700, -2000, 300, 5]), 0.07)):
        b, y = file.tensor(data=bias.astype(np.int32), scale=0.001), file.tensor((1, 4), "int8", scale=of_y, zero=-2)
        x = file.op("FULLY_CONNECTED", [x, w, b], y, "FullyConnectedOptions", FusedActivationFunction=0)
    path = file.write(tmp_path / "net.tflite", [first], [x])
    model, oracle = load(path), micro(path)
    assert [name.rpartition(".")[2] for name in model.graph.parameters] == ["weight", "bias", "weight_scale", "bias"]
    for values in rng.integers(-128, 128, (8, 1, 4), dtype=np.int8):
        got = interpret(model.graph, {**model.weights, "input0": values})[model.graph.outputs[0]]
        assert np.abs(got.astype(int) - oracle(values)).max() <= 1


def test_a_layer_that_a_json_names_twice_is_one(tmp_path):
    path = small_mcu.write(tmp_path)
    told = json.loads(path.read_text())
    told["blocks"][1]["convs"].insert(0, "again")
    told["convs"].insert(5, told["convs"][4] | {"name": "again", "stride": 1})
    told["blocks"][1]["convs"][1] = "again"
    arrays = dict(np.load(path.with_suffix(".npz")))
    arrays |= {f"again.{part}": arrays[f"b2.depthwise.{part}"] for part in ("weight", "bias", "weight_scale")}
    np.savez(path.with_suffix(".npz"), **arrays)
    path.write_text(json.dumps(told))
    graph = load(path, classes=6).graph
    assert [node.label for node in graph.nodes].count("again") == 2
    assert graph.parameters.count("again.weight") == 1


def tied_network(weights: bool, biases: bool) -> Network:
    """Three times a convolution and a depthwise one, which share weights, biases or both, with what lies between."""
    net, rng = Network("tied", (1, 4, 6, 6), seed=3), np.random.default_rng(0)
    build, x = net.build, net.input

    def parameter(name, shape):
        if name not in net.weights:
            net.weights[name] = rng.normal(scale=0.5, size=shape).astype(np.float32)
            return build.parameter(name, shape)
        return build.value(name)

    def layer(x, name, number, groups):
        w = parameter(f"{name}{0 if weights else number}.weight", (4, 4 // groups, 3, 3))
        b = parameter(f"{name}{0 if biases else number}.bias", (4,))
        y = build.conv2d(x, w, channels=4, kernel_size=(3, 3), padding=(1,) * 4, groups=groups, label=f"{name}{number}")
        return build.relu(build.bias_add(y, b))

    for number in range(3):
        x = layer(layer(x, "conv", number, 1), "depthwise", number, 4)
        x = build.max_pool2d(x, pool_size=(2, 2), strides=(2, 2)) if number == 1 else x
    x, w = net.dense(net.flatten(x), "up", 8), parameter("mid.weight", (8, 8))
    x = build.dense(build.relu(build.dense(x, w, label="mid0")), w, label="mid1")  # without a bias
    return net.model(net.dense(x, "fc", 3))


@pytest.mark.parametrize("biases", [True, False], ids=["biases shared", "biases apart"])
@pytest.mark.parametrize("weights", [True, False], ids=["weights shared", "weights apart"])
def test_quantized_it_computes_the_same_with_as_many_parameters(weights, biases):
    model = tied_network(weights, biases)
    made, x = in_int8(model), np.random.default_rng(5).random((64, 4, 6, 6), np.float32)
    assert set(model.graph.parameters) <= set(made.graph.parameters)
    wide, real = made.with_batch(64), model.with_batch(64)
    kind, out = wide.graph.types["input0"], wide.graph.types[wide.graph.outputs[0]]
    want = interpret(real.graph, {**real.weights, "input0": x})[real.graph.outputs[0]]
    got = interpret(wide.graph, {**wide.weights, "input0": quantized(x, kind)})[wide.graph.outputs[0]]
    assert np.linalg.norm((got.astype(float) - out.zero_point) * out.scale - want) <= 0.1 * np.linalg.norm(want)
    bytes_needed = {schedule: session.compile(made, "full", schedule).memory.plan.bytes
                    for schedule in ("vanilla", "reordered", "optimized")}  # fmt: skip
    assert bytes_needed["optimized"] < bytes_needed["reordered"] < bytes_needed["vanilla"]


def test_int8_shared_weights_train_alike_under_every_schedule():
    model, trained = in_int8(tied_network(True, True)), []
    for schedule in ("vanilla", "reordered", "optimized"):
        compiled = session.compile(model, "conv0+depthwise0:0.5+mid:0.5+fc", schedule)
        graph, fed = compiled.graph, dict(compiled.weights)
        fed |= {name: np.zeros(graph.types[name].shape, np.int16) for name in graph.state}
        for step in range(2):
            fed |= fed_to(graph, step)
            got = interpret(graph, fed)
            fed |= {name: got[name] for name in graph.persistent}
        trained.append(joined(graph, fed))
    assert all(np.array_equal(trained[0][name], other[name]) for name in model.weights for other in trained[1:])
    assert (trained[0]["conv0.weight"] != model.weights["conv0.weight"]).any()


def fed_to(graph, step):
    """What the host writes: an int8 image, a label, rates and counters."""
    rng, scalars = np.random.default_rng(step), {"seed": 7, "step": step}
    image, label = (name for name in graph.inputs if graph.types[name].rank)
    rates = {name: scalars.get(name, 0.02) for name in graph.scalars}
    return rates | {image: rng.integers(-128, 128, graph.types[image].shape, dtype=np.int8), label: np.array([step])}


def test_what_has_no_int8_form_beside_layers_is_told():
    net = Network("odd", (256, 256))
    with pytest.raises(ModelError, match="self: a weight or bias that is computed has no int8 form"):
        in_int8(net.model(net.build.dense(net.input, net.input, label="self")))


def test_a_bias_and_an_activation_inside_a_layer_are_quantized_with_it():
    net, rng = Network("inside", (1, 3, 5, 5)), np.random.default_rng(0)
    w, b = net.build.parameter("conv.weight", (4, 3, 3, 3)), net.build.parameter("conv.bias", (4,))
    net.weights |= {"conv.weight": rng.normal(size=(4, 3, 3, 3)).astype(np.float32)}
    net.weights |= {"conv.bias": np.array([5, -5, 2, 0], np.float32)}
    y = net.build.conv2d(net.input, w, b, channels=4, kernel_size=(3, 3), activation="relu", label="conv")
    model, x = net.model(net.flatten(y)), rng.random((1, 3, 5, 5), np.float32)
    made = in_int8(model)
    kind, out = made.graph.types["input0"], made.graph.types[made.graph.outputs[0]]
    want = interpret(model.graph, {**model.weights, "input0": x})[model.graph.outputs[0]]
    got = interpret(made.graph, {**made.weights, "input0": quantized(x, kind)})[made.graph.outputs[0]]
    assert np.abs((got.astype(float) - out.zero_point) * out.scale - want).max() <= 2 * out.scale


def test_a_bias_belongs_to_the_weight_before_it_though_that_was_read_earlier():
    net = Network("net", (1, 4))
    w = net.build.parameter("a.weight", (4, 4))
    x = net.build.bias_add(net.build.dense(net.input, w), net.build.parameter("a.bias", (4,)))
    x = net.dense(x, "b", 4)
    x = net.build.bias_add(net.build.dense(x, w), net.build.parameter("a.later", (4,)))
    layers = weighted_layers(net.build.graph(x))
    assert [(each.name, each.biases) for each in layers] == [("a", ("a.bias", "a.later")), ("b", ("b.bias",))]


def test_integers_of_different_units_cannot_be_one_parameter(tmp_path):
    model = in_int8(tied_network(True, False))
    second = [node for node in model.graph.nodes if node.op == "qnn.conv2d"][2]
    nodes = [node if node is not second else _reading(node, "conv0.bias") for node in model.graph.nodes]
    graph = model.graph.with_nodes(nodes).with_needs_grad({"conv0.bias": True})
    with pytest.raises(GraphError, match=r"%conv0\.bias is read as integers of different units"):
        training_step(graph)


def _reading(node, bias):
    from dataclasses import replace

    return replace(node, operands=(*node.operands[:2], bias, node.operands[3]))
