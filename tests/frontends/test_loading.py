"""Networks by name, quantized or not, and from files; what is wrong with a file is told."""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import small_mcu

from workbench import data, frontends
from workbench.errors import ModelError
from workbench.frontends.layers import Network
from workbench.frontends.loading import in_int8
from workbench.ir.interpret import interpret
from workbench.ir.types import quantized


def test_an_int8_network_computes_what_the_float_one_does():
    model = frontends.load("resnet-int8", batch=64)
    real = model.unquantized
    kind, out = model.graph.types["input0"], model.graph.types[model.graph.outputs[0]]
    x = data.load("digits").test_x[:64].reshape(kind.shape)
    want = interpret(real.graph, {**real.weights, "input0": x})[real.graph.outputs[0]]
    got = interpret(model.graph, {**model.weights, "input0": quantized(x, kind)})[model.graph.outputs[0]]
    assert (model.name, model.data, kind.dtype, out.dtype) == ("resnet-int8", "digits", "int8", "int8")
    assert np.linalg.norm((got.astype(float) - out.zero_point) * out.scale - want) <= 0.1 * np.linalg.norm(want)


@pytest.mark.parametrize(("weight", "bias"), [(0.0, 1.0), (1e-7, 1.0), (1e-7, -1.0), (1.0, 1e4)])
def test_a_filter_that_its_bias_outweighs_keeps_it(weight, bias):
    """In units of its weights the bias has more than 32 bits."""
    net = Network("net", (1, 3, 6, 6))
    x = net.conv2d(net.input, "conv", 4, 3)
    net.weights["conv.weight"][1] *= weight
    net.weights["conv.bias"][1] = bias
    model = net.model(net.flatten(x))
    made = in_int8(model)
    kind, out = made.graph.types["input0"], made.graph.types[made.graph.outputs[0]]
    x = np.random.default_rng(1).random(kind.shape, np.float32)
    want = interpret(model.graph, {**model.weights, "input0": x})[model.graph.outputs[0]]
    got = interpret(made.graph, {**made.weights, "input0": quantized(x, kind)})[made.graph.outputs[0]]
    assert np.abs((got.astype(float) - out.zero_point) * out.scale - want).max() <= 2 * out.scale
    scales = made.weights["conv.weight_scale"]
    assert scales.min() >= 1e-6 and np.abs(made.weights["conv.bias"]).max() <= 2**30


def test_what_has_no_int8_form_says_so():
    with pytest.raises(ModelError, match="quantized already"):
        in_int8(frontends.load("lenet-int8"))
    with pytest.raises(ModelError, match=r"no network is called 'lanet-int8'\n.*NAME-int8"):
        frontends.load("lanet-int8")
    with pytest.raises(ModelError, match="no network is called 'mcunet-5fps-int8-int8'"):
        frontends.load("mcunet-5fps-int8-int8")


def test_a_network_from_files(tmp_path):
    path = small_mcu.write(tmp_path)
    model = frontends.load(str(path), batch=2, classes=5)
    assert (model.name, model.weights_from) == ("small", "small.json")
    assert model.graph.types[model.graph.outputs[0]].shape == (2, 5)
    whole = frontends.load(str(path), classes=6)
    assert np.array_equal(model.weights["head.weight"], whole.weights["head.weight"][:5])
    policy = model.policy("sparse-tiny")
    assert [(part.layers, part.fraction) for part in policy.weights] == [("1", 0.5), ("head", 1.0)]
    assert policy.biases == ("last-3",)
    assert model.policy("last-2").name == "last-2"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), r"small\.json is missing"),
        (lambda path: path.with_suffix(".npz").unlink(), r"small\.npz is missing"),
        (lambda path: path.write_text(path.read_text()[:99]), r"small\.json is not whole JSON: .*\n  help: get"),
        (lambda path: path.write_text("[]"), "holds no object"),
        (lambda path: path.write_text("{}"), r"small\.json: input is missing; expected an object"),
        (
            lambda path: path.with_suffix(".npz").write_bytes(b"PK\3\4 and nothing"),
            r"small\.npz is not a whole \.npz: .*\n  help: get or write it again: it holds the weights of small\.json",
        ),
        (lambda path: _told(path, lambda told: told["convs"][1].update(x_scale=1.0)), "expand reads scale 1.0"),
        (
            lambda path: _told(path, lambda told: told["convs"][1].update(kernel=3)),
            r"small\.json: b1\.expand\.weight is int8",
        ),
        (
            lambda path: _told(path, lambda told: told["convs"][1].update(groups=0)),
            "b1.expand: groups is 0; expected a pos",
        ),
        (
            lambda path: _told(path, lambda told: told["convs"][2].update(groups=3)),
            "depthwise: groups is 3; .* divisor of",
        ),
        (lambda path: _told(path, lambda told: told["convs"][5].update(out_channels=-1)), "head: out_channels is -1"),
        (lambda path: _told(path, lambda told: told["convs"][1].pop("name")), r"convs\[1\]: name is missing"),
        (lambda path: _told(path, lambda told: told["convs"][1].update(name="stem")), r"convs\[1\] is called stem, as"),
        (lambda path: _told(path, lambda told: told.pop("convs")), "convs is missing; expected a list of objects"),
        (
            lambda path: _told(path, lambda told: told["blocks"][0]["convs"].append("no")),
            "names no, which convs does not",
        ),
        (lambda path: _told(path, lambda told: told["residual_adds"].clear()), "b1.add, which residual_adds does not"),
        (lambda path: _told(path, lambda told: told["blocks"][1].update(residual="b1.add")), "b1.add: qnn.add"),
        (
            lambda path: _told(path, lambda told: told["convs"][1].update(y_scale=0)),
            "b1.expand: y_scale is 0; expected",
        ),
        (
            lambda path: _told(path, lambda told: told["convs"][1].update(stride="2")),
            r'expand: stride is "2"; expected a p',
        ),
        (
            lambda path: _told(path, lambda told: told["input"].update(zero_point="x")),
            r'input: zero_point is "x"; expected a',
        ),
        (lambda path: _told(path, lambda told: told["input"].update(shape=[1, 3, 10**7, 8])), "stem makes int8"),
        (lambda path: _stored(path, "stem.bias", lambda old: None), "stem.bias is missing; the layer needs int32"),
        (lambda path: _stored(path, "stem.bias", lambda old: old[:3]), r"stem.bias is int32 \(3,\)"),
        (lambda path: _stored(path, "stem.bias", lambda old: old.astype(np.int64)), r"stem.bias is int64 \(4,\)"),
        (
            lambda path: _stored(path, "stem.weight", lambda old: old * np.nan),
            r"stem.weight is float\d+ \(4, 3, 3, 3\)",
        ),
        (lambda path: _stored(path, "stem.weight_scale", lambda old: old * np.float32(np.nan)), "they are positive"),
        (lambda path: _stored(path, "stem.weight_scale", lambda old: old * 0), "they are positive"),
        (lambda path: _stored(path, "stem.weight_scale", lambda old: -old), "they are positive"),
    ],
)
def test_a_file_that_is_no_network_is_told(tmp_path, spoil, words):
    path = small_mcu.write(tmp_path)
    spoil(path)
    with pytest.raises(ModelError, match=words):
        frontends.load(str(path), classes=6)


def test_nonsense_anywhere_in_a_file_is_told_in_words(tmp_path):
    path = small_mcu.write(tmp_path)
    sound = path.read_text()

    def fields(at):
        for key in list(at) if isinstance(at, dict) else range(len(at)):
            yield at, key
            yield from fields(at[key]) if isinstance(at[key], dict | list) else ()

    for number in range(len(list(fields(json.loads(sound))))):
        for nonsense in ("x", -1, 0, 1.5, 10**30, None, [], {}, [[]], True):
            told = json.loads(sound)
            at, key = list(fields(told))[number]
            at[key] = nonsense
            path.write_text(json.dumps(told))
            with suppress(ModelError):  # and nothing else
                frontends.load(str(path), classes=6)


def _told(path, change):
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))


def _stored(path, name, change):
    """Another array of this name; None: without."""
    with np.load(path.with_suffix(".npz")) as found:
        arrays = dict(found)
    values = change(arrays.pop(name))
    np.savez(path.with_suffix(".npz"), **arrays, **({} if values is None else {name: values}))


def test_more_classes_than_there_are_is_told(tmp_path):
    with pytest.raises(ModelError, match=r"small\.json: it has 6 classes; 7 are asked for\n.*up to 6"):
        frontends.load(str(small_mcu.write(tmp_path)), classes=7)


def test_classes_are_for_networks_that_leave_them_open():
    assert frontends.load("mbv2-w0.35", classes=2).graph.outputs
    named = r"\n  help: --classes is for networks that leave it open: mcunet-5fps, mbv2-w0\.35, proxyless-w0\.3, \.json"
    for name, has in (("lenet", "10 classes, fixed by its data set"), ("conv-relu", "no classes")):
        with pytest.raises(ModelError, match=f"{name} has {has}{named}"):
            frontends.load(name, classes=2)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "foo.pb",
            r"foo\.pb: no network is read from \.pb files\n  help: .* ending in \.json, \.onnx, \.pt2, \.tflite",
        ),
        ("none.onnx", r"none\.onnx is missing\n  help: name an \.onnx file, or a network of"),
        ("some/model.h5", r"no network is read from \.h5 files"),
        ("mbv2-w0.36", "no network is called 'mbv2-w0.36'"),
        ("none.tflite", r"none\.tflite is missing\n  help: name a \.tflite file, or a network of"),
        ("none.json", r"none\.json is missing\n  help: name a \.json file with none\.npz beside it"),
    ],
)
def test_a_name_that_is_no_network_says_what_there_is(name, words):
    with pytest.raises(ModelError, match=words):
        frontends.load(name)


def test_a_path_is_read_as_its_text():
    assert frontends.load(Path("lenet")).name == "lenet"
    with pytest.raises(ModelError, match=r"no network is called 'lenett'\n  help: did you mean lenet\?"):
        frontends.load(Path("lenett"))
