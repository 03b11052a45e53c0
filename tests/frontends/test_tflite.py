"""Real networks from .tflite files: against TensorFlow Lite, on the emulated board, at the command line."""

import json

import numpy as np
import pytest
from samples import forward_emulated
from tflite_files import desktop, micro

from workbench import boards, session
from workbench.cli import main
from workbench.feeding import Training
from workbench.frontends import load, tflite
from workbench.ir.interpret import interpret
from workbench.ir.text import parse_graph, print_graph
from workbench.objective import Objective
from workbench.study.check import check

SHAPES = {"kws_ref_model": (1, 49, 10, 1), "kws_ref_model_float32": (1, 49, 10, 1), "ad01_int8": (1, 640)}


@pytest.fixture(scope="module")
def networks(shared_data):
    folder = shared_data / "mlperf-tiny"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return {name: folder / f"{name}.tflite" for name in SHAPES}


def cases(model, shape, count):
    """Uniform random inputs, and smooth ones around the input's zero, as spectra are."""
    rng, kind = np.random.default_rng(0), model.graph.types["input0"]
    low, high = (-128, 127) if kind.dtype == "int8" else (-20, 20)
    for number in range(count):
        smooth = rng.normal(size=shape).cumsum(axis=1) * (high - low) / 30 + kind.zero_point
        values = rng.uniform(low, high + 1, shape) if number % 2 else smooth
        yield np.clip(np.floor(values) if kind.dtype == "int8" else values, low, high).astype(kind.dtype)


def own_output(model, x):
    graph = model.inference or model.graph
    return interpret(graph, {**model.weights, "input0": x.reshape(model.graph.types["input0"].shape)})[graph.outputs[0]]


@pytest.mark.parametrize(("name", "oracle", "form"), [
    ("kws_ref_model", micro, "tflite"), ("ad01_int8", micro, "tflite"), ("ad01_int8", desktop, "rounded"),
])  # fmt: skip
def test_forward_equals_tensorflow_lite(networks, name, oracle, form):
    model, expected = tflite.load(networks[name], form=form), oracle(networks[name])
    pairs = [(own_output(model, x), expected(x)) for x in cases(model, SHAPES[name], 60)]
    got, want = (np.array(side, np.int16) for side in zip(*pairs, strict=True))
    assert (got == want).mean() >= 0.999
    assert np.abs(got - want).max() <= 1
    assert len(np.unique(want.reshape(60, -1), axis=0)) > 30  # the inputs tell something apart


def test_forward_of_the_float_network(networks):
    """Its int8 weights are real numbers here; TensorFlow Lite also rounds each layer's input to 255 steps."""
    model, expected = load(networks["kws_ref_model_float32"]), desktop(networks["kws_ref_model_float32"])
    inputs = list(cases(model, SHAPES["kws_ref_model_float32"], 60))
    got, want = (np.concatenate([run(x) for x in inputs]) for run in (lambda x: own_output(model, x), expected))
    assert np.allclose(got.sum(axis=1), 1, atol=1e-6)
    assert (got.argmax(axis=1) == want.argmax(axis=1)).mean() >= 0.9
    assert np.abs(got - want).mean() <= 0.02


@pytest.mark.parametrize("name", SHAPES)
def test_the_emulated_board_computes_it(networks, name, tmp_path):
    model = load(networks[name])
    graph = model.inference or model.graph
    x = next(cases(model, model.graph.types["input0"].shape, 1))
    got, want = forward_emulated(graph, {**model.weights, "input0": x}, tmp_path), own_output(model, x)
    if want.dtype == np.int8:
        assert np.array_equal(got, want)
    else:
        assert np.linalg.norm(got - want) <= 1e-5 * np.linalg.norm(want)


def test_names_types_and_text(networks):
    model = load(networks["kws_ref_model"])
    assert model.name == "kws_ref_model" and model.classifies
    layers = [f"{kind}{number}" for number in ("", "_1", "_2", "_3") for kind in ("conv2d", "depthwise_conv2d")]
    names = [
        f"{layer}.{part}" for layer in (*layers, "conv2d_4", "dense") for part in ("weight", "bias", "weight_scale")
    ]
    assert list(model.graph.parameters) == names
    assert [model.weights[name].dtype for name in names[:3]] == [np.int8, np.int32, np.float32]
    assert parse_graph(print_graph(model.inference)) == model.inference
    assert model.inference.nodes[:-1] == model.graph.nodes and model.inference.nodes[-1].op == "qnn.softmax"


def test_a_batch_of_four(networks):
    model, single = load(networks["kws_ref_model"], 4), load(networks["kws_ref_model"])
    x = np.random.default_rng(0).integers(-128, 128, (4, 1, 49, 10), dtype=np.int8)
    want = [own_output(single, x[i : i + 1]) for i in range(4)]
    graph = model.inference
    assert np.array_equal(interpret(graph, {**model.weights, "input0": x})[graph.outputs[0]], np.concatenate(want))


def test_an_autoencoder_is_its_own_target(networks):
    model = load(networks["ad01_int8"])
    assert not model.classifies and model.objective() == Objective("mse", "input")
    assert main(["show", str(networks["ad01_int8"]), "--stage", "backward", "--policy", "last-1"]) == 0


@pytest.mark.parametrize("name", ["kws_ref_model", "kws_ref_model_float32"])
def test_the_last_layers_train_within_256_kilobytes(networks, name, tmp_path, capsys):
    command = ["run", str(networks[name]), "--policy", "last-2", "--steps", "3", "--trace", "memory", "--json"]
    assert main([*command, "-o", str(tmp_path / "run")]) == 0
    meta = json.loads(capsys.readouterr().out)
    assert (meta["model"], meta["board"], meta["data"]) == (name, "nrf52840", None)
    assert meta["loss"][-1] < meta["loss"][0] and meta["memory"]["sram_peak"] <= 96 * 1024
    assert meta["parameters_updated"] == 12 * 64 + 12 + 64 * 64 + 64


def test_each_operator_of_a_training_step_agrees_with_numpy(networks, tmp_path):
    compiled = session.compile(load(networks["kws_ref_model"]), "last-3")
    outcome = check(session.build(compiled, boards.get("nrf52840"), tmp_path), Training())
    assert {row.position for row in outcome.rows} == set(range(len(compiled.graph.analysis.work)))
    assert not outcome.findings


def test_files_are_taken_wherever_names_are(networks, capsys):
    path = str(networks["kws_ref_model"])
    for command in (
        ["show", path],
        ["plan", path, "--policy", "last-1"],
        ["policies", path, "--policies", "last-1,bias-only"],
    ):
        assert main(command) == 0
    assert "%conv2d.weight" in capsys.readouterr().out
