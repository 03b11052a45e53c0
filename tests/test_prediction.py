"""Predictions: what the emulated wb_forward says with a run's weights, right after it and from its folder."""

import json
import re
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest

import workbench
from workbench import data, frontends, prediction, session
from workbench.boards import get
from workbench.cli import main
from workbench.errors import DataError, RecordError, WorkbenchError
from workbench.feeding import Training
from workbench.frontends.layers import Network
from workbench.record import ELF

STEPS = {"steps": 40, "lr": 0.05, "trace": "off"}


@pytest.fixture(scope="module")
def run():
    return workbench.run("mlp", **STEPS)


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.mark.parametrize(
    ("network", "how"),
    [("mlp", {}), ("mlp", {"policy": "fc2:0.25+largest"}), ("mlp-int8", {"policy": "fc2:0.5+bias-only", "lr": 0.005}),
     ("mlp", {"batch": 7})],
)  # fmt: skip
def test_accuracy_by_hand_is_the_one_told(network, how, digits, tmp_path):
    run = workbench.run(network, **{**STEPS, **how})
    scores = run.predict(digits.test_x)
    assert scores.shape == (len(digits.test_y), 10) and scores.dtype == np.float32
    assert np.mean(scores.argmax(1) == digits.test_y) == run.meta["accuracy"]["after"]
    run.save(tmp_path / "run")
    again = workbench.load_run(tmp_path / "run")
    assert np.array_equal(again.predict(digits.test_x), scores)
    before = frontends.network(network, how.get("batch")).weights
    assert list(run.weights) == list(again.weights) == list(before)
    assert all(np.array_equal(run.weights[name], again.weights[name]) for name in before)
    assert any(not np.array_equal(run.weights[name], before[name]) for name in before)


def test_predicting_again_and_again_keeps_no_machine(run, digits, monkeypatch):
    closed = set()
    monkeypatch.setattr("workbench.emulate.machine.Machine.close", lambda machine: closed.add(machine))  # noqa: PLW0108
    run.predict(digits.test_x[:1])
    run.predict(digits.test_x[:1])
    assert len(closed) == 2


def test_scores_are_those_of_the_interpreter(run, digits):
    model = session.with_weights(frontends.load("mlp"), run.weights)
    graph = model.with_batch(3).graph
    images = digits.test_x[:3].reshape(graph.types[graph.inputs[0]].shape)
    expected = workbench.interpret(graph, {graph.inputs[0]: images, **model.weights})[graph.outputs[0]]
    assert np.allclose(run.predict(digits.test_x[:3]), expected, rtol=1e-5, atol=1e-6)


def test_every_cell_of_a_comparison_predicts_alike(digits, tmp_path):
    comparison = workbench.compare("mlp", ["last-1"], folder=tmp_path / "c", **{**STEPS, "steps": 3})
    first, *others = (workbench.load_run(outcome.run.meta["artifacts"]["run"]) for outcome in comparison.outcomes)
    scores = first.predict(digits.test_x[:20])
    assert len(others) == 2
    for other in others:
        assert np.array_equal(other.predict(digits.test_x[:20]), scores)
        assert all(np.array_equal(other.weights[name], first.weights[name]) for name in first.weights)


def test_weights_that_are_no_numbers_are_kept(tmp_path):
    run = workbench.run("mlp", steps=3, lr=1e30, trace="off", evaluate=False)
    assert any(np.isnan(values).any() for values in run.weights.values())
    run.save(tmp_path / "run")
    again = workbench.load_run(tmp_path / "run")
    assert all(np.array_equal(again.weights[name], run.weights[name], equal_nan=True) for name in run.weights)
    assert any("no numbers" in note or "not numbers" in note for note in again.meta["notes"])


def test_weights_that_were_edited_are_refused(run, tmp_path):
    run.save(tmp_path / "run")
    assert set(json.loads((tmp_path / "run" / "run.json").read_text())["files"]) >= {"weights.npz", ELF}
    (tmp_path / "run" / "weights.npz").write_bytes(b"PK")
    with pytest.raises(RecordError, match=r"weights\.npz is not the one this run wrote"):
        workbench.load_run(tmp_path / "run")


def test_a_run_without_its_firmware_says_so(run, tmp_path, digits):
    model = frontends.load("mlp")
    only, _ = session.train(session.build(session.compile(model), get("nrf52840")), Training(steps=1, trace="off"))
    only.save(tmp_path / "run")
    with pytest.raises(RecordError, match="mlp full optimized: its firmware and weights were not kept"):
        workbench.load_run(tmp_path / "run").predict(digits.test_x)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((3, 63)), "63"),
        (np.zeros((0, 64)), "empty"),
        (np.full((2, 64), "a"), "not numbers"),
        ([[1.0], [1.0, 2.0]], "no array"),
        (np.full((2, 64), np.nan), "NaN"),
    ],
)
def test_samples_that_do_not_fit_are_refused(run, x, words):
    with pytest.raises(DataError, match=words):
        run.predict(x)


@pytest.fixture(scope="module")
def told(run, tmp_path_factory):
    """The folder of a run, and what its run.json holds."""
    folder = tmp_path_factory.mktemp("told") / "run"
    workbench.run("mlp", **{**STEPS, "policy": "fc2:0.5+largest", "steps": 1}).save(folder)
    return folder, json.loads((folder / "run.json").read_text())


FLASH, SRAM = {"name": "flash", "base": 0, "size": 1 << 20}, {"name": "sram", "base": 1 << 29, "size": 1 << 18}
EDITED = [  # what is changed, to what, and what is said
    ("linked_for.regions", [FLASH, {**SRAM, "size": 1 << 40}], "no region has size 1099511627776, as sram"),
    ("linked_for.regions", [FLASH, {**SRAM, "size": -1024}], "no region has size -1024, as sram"),
    ("linked_for.regions", [{**FLASH, "base": "x"}, SRAM], "no region has base 'x', as flash"),
    ("linked_for.regions", [{**FLASH, "size": 1000}, SRAM], "no region has size 1000, as flash"),
    ("linked_for.regions", [FLASH, {**SRAM, "base": 0}], "overlap"),
    ("linked_for.regions", [FLASH, {**SRAM, "size": 1024}], "does not fit its board"),
    ("linked_for.regions", [FLASH, 3], "does not tell the board"),
    ("linked_for.regions", [FLASH], "no region is called 'sram', which holds the data"),
    ("linked_for.more", 1, "does not tell the board"),
    ("linked_for.core", "m99", "the core 'm99' is not known"),
    ("linked_for.clock_hz", True, "clock_hz is True"),
    ("channel_orders", {"fc2.weight": {"1": [10**30]}}, "the channels of fc2.weight have no such order"),
    ("channel_orders", {"fc2.weight": {"1": [0] * 64}}, "the channels of fc2.weight have no such order"),
    ("channel_orders", {"fc2.weight": {"9": [0]}}, "the channels of fc2.weight have no such order"),
    ("channel_orders", {"fc2.weight": {"x": [0]}}, "does not tell its firmware"),
    ("classes", ["a"] * 11, "it names 11 classes of 10"),
    ("loss_function", "mse", "the loss mse needs numbers"),
    ("data", "digits", "it does not tell its data"),
    ("data.source", ["x"], "it does not tell its data"),
    ("data.normalize", {"kind": "unit", "shift": [10**400], "scale": [1]}, "no normalization that a run has saved"),
    ("data.normalize", {"kind": "unit", "shift": [0], "scale": [1e-300]}, "beyond float32"),
    ("data.reading", {"zzz": 1}, "no reading that a run has saved"),
    ("data.reading", {"normalize": "x"}, "no normalization is called 'x'"),
]


@pytest.mark.parametrize(("key", "value", "words"), EDITED)
def test_a_run_that_was_edited_is_refused(told, key, value, words, digits):
    folder, meta = told
    holder, _, name = key.rpartition(".")
    changed = {**meta[holder], name: value} if holder else value
    (folder / "run.json").write_text(json.dumps({**meta, (holder or name): changed}))
    with pytest.raises(WorkbenchError, match=re.escape(words)):
        workbench.load_run(folder).predict(digits.test_x[:2].reshape(2, -1))


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("ops.csv", ",loss,loss,", ",loss,forward,", "no operator of phase loss"),
        ("ops.csv", ",loss,loss,1 5,", ",loss,loss,1,", "its tables do not fit its firmware"),
        ("graph.txt", "nn.softmax_cross_entropy(", "nn.mse(", "does not tell its firmware"),
    ],
)
def test_tables_of_another_firmware_are_refused(told, digits, file, old, new, words):
    folder, meta = told
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    digest = sha256((folder / file).read_bytes()).hexdigest()
    (folder / "run.json").write_text(json.dumps({**meta, "files": {**meta["files"], file: digest}}))
    with pytest.raises(WorkbenchError, match=words):
        workbench.load_run(folder).predict(digits.test_x[:2].reshape(2, -1))
    (folder / file).write_text(text)


def test_an_autoencoder_tells_the_error_of_each_sample(tmp_path):
    rng = np.random.default_rng(0)
    net = Network("mirror", input_shape=(1, 6))
    model = net.model(net.dense(net.input, "fc", 6), data=(rng.normal(size=(30, 6)) * 3,))
    run = workbench.run(model, steps=60, lr=0.05, trace="off", normalize="standard")
    x = rng.normal(size=(7, 6)) * 3
    made = prediction.predict_run(run, run.elf, x)
    mean, deviation = (np.array(run.meta["data"]["normalize"][key]) for key in ("shift", "scale"))
    seen = ((x - mean) / deviation).astype(np.float32)
    assert np.allclose(made.losses, ((made.scores - seen) ** 2).mean(axis=1), rtol=1e-5)
    assert made.figures.loss == pytest.approx(np.mean(made.losses)) and made.figures.accuracy is None


def test_the_error_of_an_image_is_told_in_the_layout_that_it_is_in():
    """Scores are in the layout of the network's file, whichever way the samples came."""
    net = Network("image", input_shape=(1, 2, 4, 3))
    model = net.model(net.conv2d(net.input, "conv", 2, kernel=3, padding=1))
    x = np.random.default_rng(0).random((9, 2, 4, 3), np.float32)
    for network, expected in ((model, x), (replace(model, source="image.tflite"), np.moveaxis(x, 1, -1))):
        run = workbench.run(network, data=x, steps=1, trace="off")
        for given in (x, np.moveaxis(x, 1, -1)):
            made = prediction.predict_run(run, run.elf, given)
            assert made.scores.shape == expected.shape
            assert made.figures.loss == pytest.approx(np.mean((made.scores - expected) ** 2), rel=1e-5)


def test_what_a_run_held_out_is_found_again_whatever_its_target_is(tmp_path, monkeypatch):
    """An autoencoder leaves out the labels of its data; one output takes them as numbers."""
    monkeypatch.chdir(tmp_path)
    digits = data.load("digits")
    np.savez("own.npz", x=digits.train_x[:60], y=digits.train_y[:60])
    for outputs, loss in ((64, None), (1, "mse")):
        for given in ("digits", "own.npz"):
            net = Network("net", input_shape=(1, 64))
            run = workbench.run(net.model(net.dense(net.input, "fc", outputs)), data=given, loss=loss, lr=0.001,
                                steps=3, trace="off")  # fmt: skip
            assert prediction.predict_run(run, run.elf).figures.loss == run.meta["held_out_loss"]["after"]
    with pytest.raises(DataError, match="what it held out is read as it was then"):
        prediction.predict_run(run, run.elf, None, data.Reading(label="y"))


def test_scores_that_are_images_lie_as_the_network_s_file_does():
    rng = np.random.default_rng(0)
    net = Network("paint", (2, 2, 3, 4))
    model = replace(net.model(net.conv2d(net.input, "c", 5, 1)), source="paint.tflite")
    x = rng.normal(size=(20, 3, 4, 2)).astype(np.float32)  # NHWC
    y = x @ rng.normal(size=(2, 5))
    run = workbench.run(model, data=(x[:16], y[:16], x[16:], y[16:]), steps=300, lr=0.3, trace="off")
    assert run.meta["held_out_loss"]["after"] < 1e-3
    given = x[16:]
    scores = run.predict(given)
    assert scores.shape == (4, 3, 4, 5) and np.mean((scores - y[16:]) ** 2) < 1e-3
    for shape in (given, np.moveaxis(given, -1, 1)):  # however the input lies
        made = prediction.predict_run(run, run.elf, (shape, y[16:]))
        assert made.figures.loss == pytest.approx(run.meta["held_out_loss"]["after"], rel=1e-6)


def test_what_is_printed_and_written(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    kinds = np.array(["cat", "dog"])[np.arange(40) % 2]
    x = np.where((kinds == "cat")[:, None], 1.0, -1.0) + rng.normal(size=(40, 64))
    np.savez("pets.npz", x=x, y=kinds)
    np.savez("new.npz", x=x[:3])
    assert main(["run", "mlp", "--data", "pets.npz", "--epochs", "1", "--trace", "off", "-o", "run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert main(["predict", "run", "--json"]) == 0
    held_out = json.loads(capsys.readouterr().out)
    assert held_out["accuracy"] == told["accuracy"]["after"] and held_out["samples"] == told["data"]["test"] == 8
    assert held_out["held_out_loss"] == told["held_out_loss"]["after"]
    assert held_out["classes"] == ["cat", "dog"] and set(held_out["predicted"]) <= {"cat", "dog"}
    assert np.sum(held_out["confusion"]) == 8
    folder = tmp_path / "out" / "run-predictions"
    assert {path.name for path in folder.iterdir() if path.name[0] != "."} == {
        "predictions.csv", "confusion.png", "loss.png", "files.json"}  # fmt: skip
    table = pd.read_csv(folder / "predictions.csv")
    assert (table.actual == table.predicted).mean() == held_out["accuracy"]

    assert main(["predict", "run", "--data", "new.npz", "-o", "new"]) == 0
    out = capsys.readouterr().out
    assert "3 samples of new.npz" in out and "accuracy" not in out and "confusion" not in out
    np.savez("pets.npz", x=x[::-1], y=kinds)
    assert main(["predict", "run"]) == 1
    assert "pets.npz holds other samples than it was trained on" in capsys.readouterr().err
    assert main(["predict", "run", "--data", "pets.npz"]) == 0
    assert "trained the run" not in capsys.readouterr().out  # it holds others now
    np.savez("pets.npz", x=x, y=kinds)
    assert main(["predict", "run", "--data", "pets.npz"]) == 0
    assert "32 of these samples trained the run: without --data, the 8 that" in capsys.readouterr().out
    np.savetxt("new.csv", x[:3], delimiter=",")  # no column of labels
    np.savez("dogs.npz", x=x[1:2], y=kinds[1:2])
    for name in ("new.csv", "dogs.npz"):
        assert main(["predict", "run", "--data", name]) == 0
    assert "1 sample of dogs.npz" in capsys.readouterr().out
    assert main(["predict", "./rum"]) == 1
    assert "rum holds no run\n  help: did you mean run?" in capsys.readouterr().err
    assert main(["predict", "nowhere"]) == 1
    assert main(["predict", "mcunet-5fps"]) == 1
    assert "has no data set of its own" in capsys.readouterr().err


def test_numbers_are_told_beside_their_targets_and_the_most_unusual_first(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(30, 3)).astype(np.float32)
    (tmp_path / "nets.py").write_text(
        "from workbench.frontends.layers import Network\n"
        "def line():\n    net = Network('line', (1, 3))\n    return net.model(net.dense(net.input, 'fc', 1))\n"
        "def mirror():\n    net = Network('mirror', (1, 3))\n    return net.model(net.dense(net.input, 'fc', 3))\n"
    )
    np.savez("line.npz", x=1000 * x, y=x @ [1.0, 2.0, 3.0])
    np.savez("x.npz", x=x)
    assert main(["run", "nets.py:line", "--data", "line.npz", "--steps", "20", "--trace", "off", "-o", "line"]) == 0
    assert re.search(r"inputs reach [\d,]+; --normalize standard may help[^~]*next: [^\n]*--normalize standard",
                     capsys.readouterr().out)  # fmt: skip
    how = ["--steps", "20", "--trace", "off", "--data"]
    assert main(["run", "nets.py:line", *how, "line.npz", "-o", "line", "--force", "--normalize", "standard"]) == 0
    assert main(["predict", "line"]) == 0
    table = pd.read_csv("out/line-predictions/predictions.csv")
    error = np.abs(table.predicted_0 - table.actual_0)
    told = re.search(r"error +(\S+) on average, (\S+) at most", capsys.readouterr().out)
    assert [float(each) for each in told.groups()] == pytest.approx([error.mean(), error.max()], rel=1e-3)
    assert main(["run", "nets.py:mirror", *how, "x.npz", "-o", "mirror"]) == 0
    capsys.readouterr()
    assert main(["predict", "mirror", "--data", "x.npz"]) == 0
    losses = pd.read_csv("out/mirror-predictions/predictions.csv").loss
    first = capsys.readouterr().out.split("most unusual samples: sample, loss, outputs\n")[1].split()[0]
    assert int(first) == losses.idxmax()
