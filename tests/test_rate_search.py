"""--lr auto: the rate that a validation part finds, without a held-out sample, each way in its own unit."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import workbench
from workbench import boards, frontends, session
from workbench.data import Data
from workbench.diagnosis import updated, worth
from workbench.errors import DataError, ToolchainError
from workbench.feeding import Training, samples_of, with_data
from workbench.policy import Optimizer
from workbench.rate_search import RATES, _parts, at_best_rate, best_rate, grid
from workbench.report.engines import trained_seconds
from workbench.report.training_notes import SMALLER_RATE
from workbench.training import train


@pytest.fixture(scope="module")
def built():
    return session.build(session.compile("mlp"), boards.get(boards.DEFAULT))


def test_the_rate_is_found_by_validation_loss_and_no_held_out_sample_seen(built):
    samples = with_data(built.compiled.model, Training())[1].data
    held_out = {each.tobytes() for each in samples.test_x}
    asked = []

    def tried(built, options, progress, interrupted):
        progress(1150, 1150, 2.0)
        part = options.data
        assert not held_out & {each.tobytes() for each in (*part.train_x, *part.test_x)}
        assert len(part.train_x) + len(part.test_x) == len(samples.train_x)
        assert np.bincount(part.test_y, minlength=10).min() > 20  # each class
        asked.append(options.lr)
        loss = {0.01: 0.6, 0.03: 0.4, 0.1: float("nan")}.get(options.lr, 2.0)
        return SimpleNamespace(meta={"held_out_loss": {"before": 2.3, "after": loss}, "interrupted": False}), {}

    told = []
    best, sweep, note = best_rate(built, Training(lr="auto", epochs=2), tried, lambda *step: told.append(step))
    assert told == [(1150 * (at + 1), 5 * 1150, 2.0) for at in range(5)]  # of all rates as of one training
    assert (best, asked) == (0.03, list(RATES))
    assert sweep[-1] == {"lr": 0.1, "validation_loss": None}
    assert note.startswith("--lr auto: 0.03 of 0.001, 0.003, 0.01, 0.03, 0.1, by the loss on 287 validation samples")


def trial(losses):
    """A training whose held-out loss depends on its rate alone."""

    def train(built, options, *_):
        figures = {"before": 2.3, "after": losses(options.lr)}
        return SimpleNamespace(meta={"held_out_loss": figures, "interrupted": False}), {}

    return train


@pytest.mark.parametrize(
    ("best", "remedy", "end"),
    [
        (0.1, [], "of the others; a larger one may be better still"),
        (0.01, [], "of the others"),
        (0.001, [], "of the others; a smaller one may be better still"),
        (0.1, [SMALLER_RATE], "of the others"),  # told already where to go
    ],
)
def test_a_best_rate_at_an_end_of_the_grid_leaves_open_what_lies_beyond(built, best, remedy, end):
    def train(*given):
        run, weights = trial(lambda lr: abs(lr - best))(*given)
        run.meta |= {"notes": remedy, "seconds": {"emulate": 0.0}}
        return run, weights

    run, _ = at_best_rate(train, built, Training(lr="auto", epochs=1))
    assert run.meta["notes"][-1].endswith(end)


def test_a_smaller_rate_that_is_hardly_behind_is_taken(built):
    losses = {0.001: 2.2, 0.003: 1.8, 0.01: 0.51, 0.03: 0.44, 0.1: 0.4}
    assert best_rate(built, Training(lr="auto", epochs=1), trial(losses.get))[0] == 0.03
    assert best_rate(built, Training(lr="auto", epochs=1), trial({**losses, 0.03: 0.51}.get))[0] == 0.1


def test_where_no_rate_learns_targets_far_from_one_are_told():
    built = session.build(session.compile("mlp"), boards.get(boards.DEFAULT))
    rng = np.random.default_rng(0)
    numbers = rng.random((60, 1, 8, 8), np.float32), np.full((60, 10), 1000, np.float32)
    lost = trial(lambda lr: float("nan"))
    with pytest.raises(DataError, match="at no rate from") as caught:
        best_rate(built, Training(lr="auto", epochs=1, data=numbers), lost)
    assert caught.value.hint.startswith("targets are 1000 ± 0 (mean, ") and "give (y - 1000) / 1" in caught.value.hint
    with pytest.raises(DataError) as caught:
        best_rate(built, Training(lr="auto", epochs=1), lost)
    assert caught.value.hint == "a smaller rate of your own, --lr 1e-5"


def test_all_rates_together_may_be_worth_the_twin_that_one_is_not(built, monkeypatch):
    asked = []

    def train(built, options, *_):
        asked.append(options.engine)
        run, weights = trial(lambda lr: 1.0)(built, options)
        run.meta["seconds"] = {"emulate": 2.0}
        return run, weights

    monkeypatch.setattr("workbench.native.host_compiler", lambda: "gcc")
    for engine, expected in (("auto", ["auto", *["native"] * 4]), ("emulated", ["emulated"] * 5)):
        best_rate(built, Training(lr="auto", epochs=1, engine=engine), train)
        assert asked == expected
        asked.clear()

    def none():
        raise ToolchainError("no compiler for this machine")

    monkeypatch.setattr("workbench.native.host_compiler", none)
    best_rate(built, Training(lr="auto", epochs=1), train)
    assert asked == ["auto"] * 5


def test_a_run_at_the_rate_found_is_the_run_at_that_rate(built):
    options = Training(lr="auto", steps=40, trace="off", engine="emulated")
    run, weights = train(built, options)
    plain, same = train(built, replace(options, lr=run.meta["lr"]))
    assert run.meta["loss"] == plain.meta["loss"]
    assert all(np.array_equal(weights[name], same[name]) for name in weights)
    tried = {each["lr"]: each["validation_loss"] for each in run.meta["lr_sweep"]}
    assert run.meta["lr"] == min(lr for lr, loss in tried.items() if loss <= 1.25 * min(tried.values()))
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


def test_weights_with_which_no_loss_is_a_number_have_no_best_rate():
    weights = {name: np.full_like(values, 3e38) for name, values in frontends.load("mlp").weights.items()}
    with pytest.raises(DataError, match="the loss stays a number"):
        workbench.run("mlp", weights=weights, lr="auto", steps=2)
