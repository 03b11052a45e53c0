"""--lr auto: the rate of least validation loss, found without a held-out sample, each way in its own unit."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import workbench
from workbench import boards, frontends, session
from workbench.data import Data
from workbench.diagnosis import updated, worth
from workbench.errors import DataError
from workbench.feeding import Training, samples_of
from workbench.policy import Optimizer
from workbench.rate_search import RATES, _parts, best_rate, grid
from workbench.report.engines import trained_seconds
from workbench.training import train


@pytest.fixture(scope="module")
def built():
    return session.build(session.compile("mlp"), boards.get(boards.DEFAULT))


def test_the_rate_of_least_validation_loss_is_taken_and_no_held_out_sample_seen(built):
    samples = session.with_data(built.compiled.model, Training())[1].data
    held_out = {each.tobytes() for each in samples.test_x}
    asked = []

    def tried(built, options, interrupted):
        part = options.data
        assert not held_out & {each.tobytes() for each in (*part.train_x, *part.test_x)}
        assert len(part.train_x) + len(part.test_x) == len(samples.train_x)
        assert np.bincount(part.test_y, minlength=10).min() > 20  # each class
        asked.append(options.lr)
        loss = {0.01: 0.5, 0.03: 0.4, 0.1: float("nan")}.get(options.lr, 2.0)
        return SimpleNamespace(meta={"held_out_loss": {"before": 2.3, "after": loss}, "interrupted": False}), {}

    best, sweep, note = best_rate(built, Training(lr="auto", epochs=2), tried)
    assert (best, asked) == (0.03, list(RATES))
    assert sweep[-1] == {"lr": 0.1, "validation_loss": None}
    assert note.startswith("--lr auto: 0.03 of 0.001, 0.003, 0.01, 0.03, 0.1, by the loss on 287 validation samples")


def test_a_run_at_the_rate_found_is_the_run_at_that_rate(built):
    options = Training(lr="auto", steps=40, trace="off", engine="emulated")
    run, weights = train(built, options)
    plain, same = train(built, replace(options, lr=run.meta["lr"]))
    assert run.meta["loss"] == plain.meta["loss"]
    assert all(np.array_equal(weights[name], same[name]) for name in weights)
    tried = {each["lr"]: each["validation_loss"] for each in run.meta["lr_sweep"]}
    assert run.meta["lr"] == min(tried, key=tried.get)
    assert any(note.startswith("--lr auto: ") for note in run.meta["notes"])
    assert not plain.meta.get("lr_sweep")
    assert trained_seconds(run.meta) == sum(run.meta["seconds"][key] for key in ("emulate", "lr_sweep"))


def test_the_sweep_keeps_recordings_whole_and_takes_the_part_that_is_validated_on_anyway():
    recordings = np.repeat(np.arange(20), 6)
    x = np.random.default_rng(0).random((120, 64), np.float32)
    x[:, 0] = recordings
    samples = Data("own", x, recordings.astype(np.int32) % 2, x[:3], recordings[:3].astype(np.int32) % 2, 2,
                   train_groups=recordings)  # fmt: skip
    model = frontends.load("mlp")
    for asked, count in ((None, 24), (0.1, 12)):
        parts = _parts(model, Training(lr="auto", data=samples, validation=asked))
        fit, valid = (set(part.reshape(len(part), -1)[:, 0]) for part in (parts.train_x, parts.test_x))
        assert not fit & valid and len(parts.test_x) == count
        aside = samples_of(model, Training(data=samples, validation=asked or 0.2)).validation_x
        assert np.array_equal(aside, parts.test_x)


def test_an_interrupt_ends_the_sweep(built):
    asked = []
    with pytest.raises(KeyboardInterrupt):
        train(built, Training(lr="auto", steps=40, trace="off"), None, lambda: asked.append(1) or len(asked) > 2)
    assert len(asked) == 3


def test_without_qas_the_grid_is_in_the_unit_of_the_integers_that_are_updated():
    def compiled(policy, **how):
        return session.compile("mlp-int8", policy, optimizer=Optimizer(**how))

    assert grid(compiled("full")) == list(RATES)
    weights, biases = (compiled(policy, qas=False) for policy in ("full", "bias-only"))
    of_weights, of_biases = (worth(each.model.graph, each.model.weights, updated(each)) for each in (weights, biases))
    for each, unit in ((weights, of_weights.weights), (biases, of_biases.biases)):
        assert grid(each) == pytest.approx([rate / unit for rate in RATES], rel=0.01)
    scales = weights.model.weights["fc1.weight_scale"].astype(float)  # most weights are of it
    assert 0.2 < of_weights.weights / np.median(scales**2) < 5
    assert of_biases.weights is None and of_biases.biases < of_weights.weights


def test_random_samples_have_no_best_rate():
    with pytest.raises(DataError, match="random samples: no rate is better"):
        workbench.run("conv-relu", lr="auto", steps=2)
