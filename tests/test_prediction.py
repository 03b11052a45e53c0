"""Predictions: what the emulated wb_forward says with a run's weights, right after it and from its folder."""

import json

import numpy as np
import pytest

import workbench
from workbench import data, frontends, session
from workbench.boards import get
from workbench.errors import DataError, RecordError
from workbench.record import ELF
from workbench.training import Training

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
    "x", [np.zeros((3, 63)), np.zeros(()), np.zeros((0, 64)), np.full((2, 64), "a"), [[1.0], [1.0, 2.0]],
          np.full((2, 64), np.nan)]
)  # fmt: skip
def test_samples_that_do_not_fit_are_refused(run, x):
    with pytest.raises(DataError, match="samples are"):
        run.predict(x)
