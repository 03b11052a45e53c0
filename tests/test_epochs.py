"""Epochs: what each came to, a validation part that is never trained on, and early stopping with the best weights."""

import numpy as np
import pytest

import workbench
from workbench import boards, data, frontends, session
from workbench.data import Data
from workbench.data.split import set_aside
from workbench.errors import DataError
from workbench.feeding import Training, samples_of, with_data
from workbench.policy import Optimizer
from workbench.report.epochs import epochs_text
from workbench.report.text import run_text
from workbench.training import train

SWINGS = {"batch": 16, "lr": 0.1, "trace": "off", "optimizer": Optimizer(momentum=0.9)}  # soon worse than at its best


@pytest.fixture(scope="module")
def stopped():
    return workbench.run("mlp", epochs=12, patience=2, **SWINGS)


def losses(run, name):
    return [epoch[name] for epoch in run.meta["epochs_done"]]


def test_a_training_stops_once_patience_is_over_and_keeps_the_best_weights(stopped):
    meta, done = stopped.meta, losses(stopped, "validation_loss")
    best = meta["best_epoch"]
    assert best == 1 + int(np.argmin(done)) and len(done) == best + 2 < 12
    steps = meta["data"]["train"] // 16
    assert (meta["steps"], meta["steps_asked"], meta["interrupted"]) == (len(done) * steps, 12 * steps, False)
    assert meta["notes"] == [
        f"stopped after epoch {len(done)} of 12: best validation loss {min(done):.2f} at epoch {best}, whose "
        "weights are kept"
    ]
    assert f"{meta['steps']} of {meta['steps_asked']} steps, then stopped early" in run_text(stopped)
    assert meta["accuracy"]["after"] == losses(stopped, "accuracy")[best - 1]
    only = workbench.run("mlp", epochs=best, validation=0.1, **SWINGS)  # that ends with them
    assert all(np.array_equal(only.weights[name], values) for name, values in stopped.weights.items())
    assert only.meta["held_out_loss"] == meta["held_out_loss"] and only.meta["best_epoch"] is None


def test_an_epoch_tells_its_mean_loss_and_what_was_measured_behind_it(stopped):
    each = len(stopped.meta["loss"]) // len(stopped.meta["epochs_done"])
    for epoch in stopped.meta["epochs_done"]:
        own = stopped.meta["loss"][each * (epoch["epoch"] - 1) : each * epoch["epoch"]]
        assert epoch["loss"] == pytest.approx(np.mean(own), rel=1e-12)
        assert 0 <= epoch["accuracy"] <= 1 and 0 <= epoch["validation_accuracy"] <= 1 and epoch["held_out_loss"] > 0
    assert len({*losses(stopped, "held_out_loss")}) > 1


def test_what_is_not_an_epoch_is_not_told_as_one():
    run = workbench.run("mlp", steps=100, batch=16, trace="off")  # of 89 an epoch
    (epoch,) = run.meta["epochs_done"]
    assert epoch["epoch"] == 1 and epoch["loss"] == pytest.approx(np.mean(run.meta["loss"][:89]))
    assert epoch["held_out_loss"] != run.meta["held_out_loss"]["after"] and "validation_loss" not in epoch
    assert workbench.run("mlp", steps=88, batch=16, trace="off").meta["epochs_done"] == []


def test_many_held_out_samples_are_measured_at_the_end_alone():
    digits = data.load("digits")
    few = Data("few", digits.train_x[:64], digits.train_y[:64], digits.test_x, digits.test_y, 10)
    run = workbench.run("mlp", data=few, epochs=2, batch=16, trace="off")
    assert losses(run, "held_out_loss") == [None, run.meta["held_out_loss"]["after"]]
    assert losses(run, "accuracy") == [None, run.meta["accuracy"]["after"]]


def test_without_held_out_figures_epochs_tell_their_training_loss():
    run = workbench.run("mlp", epochs=1, batch=16, trace="off", evaluate=False)
    assert losses(run, "held_out_loss") == [None] == losses(run, "accuracy") and losses(run, "loss")[0] > 0


def test_another_schedule_tells_what_the_trained_one_came_to(stopped):
    model, options = frontends.load("mlp", 16), Training(epochs=12, patience=2, lr=0.1, trace="off", warmup=0)
    model, options = with_data(model, options)
    compiled = session.compile(model, "full", "vanilla", Optimizer(momentum=0.9))
    run, weights = train(session.build(compiled, boards.get("nrf52840")), options, like=stopped)
    told = ("epochs_done", "best_epoch", "steps", "interrupted", "notes", "accuracy", "patience", "validation")
    assert all(run.meta[name] == stopped.meta[name] for name in told) and weights is stopped.weights


def test_a_schedule_of_rates_is_the_same_for_another_schedule_of_the_step():
    model, options = with_data(
        frontends.load("mlp", 16), Training(steps=4, trace="off", warmup=3, lr_schedule="cosine")
    )
    first, other = (
        session.build(session.compile(model, "full", name), boards.get("nrf52840")) for name in ("optimized", "vanilla")
    )
    trained, _ = train(first, options)
    assert train(other, options, like=trained)[0].meta["loss"] == trained.meta["loss"]


def test_an_interrupted_training_keeps_the_best_weights_too(stopped):
    best = stopped.meta["best_epoch"]
    each = stopped.meta["steps"] // len(stopped.meta["epochs_done"])
    model, options = with_data(frontends.load("mlp", 16), Training(epochs=12, patience=2, lr=0.1, trace="off"))
    built = session.build(session.compile(model, "full", "optimized", Optimizer(momentum=0.9)), boards.get("nrf52840"))
    asked = iter(range(1, 10**6))
    run, weights = train(built, options, interrupted=lambda: next(asked) == (best + 1) * each + 5)
    assert run.meta["interrupted"] and run.meta["steps"] == (best + 1) * each + 5
    assert run.meta["epochs_done"] == stopped.meta["epochs_done"][: best + 1] and run.meta["best_epoch"] == best
    assert all(np.array_equal(weights[name], values) for name, values in stopped.weights.items())
    assert run.meta["notes"][-1].startswith("best validation loss") and "stopped" not in run.meta["notes"][-1]


def test_a_part_set_aside_takes_of_each_class_alike_and_leaves_the_held_out_one_alone():
    whole = data.load("digits")
    apart = set_aside(whole, 0.2)
    everything = {image.tobytes() for image in whole.train_x}
    trained, validated = ({image.tobytes() for image in part} for part in (apart.train_x, apart.validation_x))
    assert trained | validated == everything and len(apart.train_x) + len(apart.validation_x) == len(whole.train_x)
    assert len(apart.train_images) == len(apart.train_x) and apart.test_x is whole.test_x
    shares = np.bincount(apart.validation_y) / np.bincount(whole.train_y)
    assert np.all(np.abs(shares - 0.2) < 0.01)
    model = frontends.load("mlp")
    first, second = (samples_of(model, Training(validation=0.2, seed=seed)) for seed in (0, 7))
    assert np.array_equal(first.validation_x, second.validation_x) and np.array_equal(first.train_y, second.train_y)
    assert np.array_equal(first.validation_y, apart.validation_y)


def test_a_recording_is_trained_on_or_validated_on_as_a_whole():
    groups = np.repeat(np.arange(10), 6)
    x = np.arange(60, dtype=np.float32).reshape(60, 1)
    y = np.repeat(np.array([0, 1], np.int32), 30)
    apart = set_aside(Data("parts", x, y, x[:0], y[:0], 2, train_groups=groups), 0.2)
    assert len(apart.validation_x) == 12 and {*np.bincount(apart.validation_y)} == {6}
    assert not {*groups[apart.validation_x[:, 0].astype(int)]} & {*groups[apart.train_x[:, 0].astype(int)]}
    assert len(apart.train_groups) == len(apart.train_x)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"patience": 2}, "patience counts epochs"),
        ({"patience": 0, "epochs": 3}, "patience is 0, not a number of epochs"),
        ({"validation": 1}, "validation is 1, not a share of the training part"),
        ({"validation": 0.0}, "validation is 0.0, not a share"),
    ],
)
def test_what_cannot_be_validated_is_refused(how, told):
    with pytest.raises(DataError, match=told):
        Training(**how)


def test_random_samples_and_a_single_one_leave_nothing_to_validate():
    with pytest.raises(DataError, match="without a data set its samples are random: there is nothing to validate"):
        with_data(frontends.load("conv-relu"), Training(validation=0.1))
    digits = data.load("digits")
    alone = Data("alone", digits.train_x[:1], digits.train_y[:1], digits.test_x, digits.test_y, 10)
    with pytest.raises(DataError, match="of 1 samples to validate on leaves 1 to train on and 0"):
        samples_of(frontends.load("mlp"), Training(data=alone, validation=0.5))


def test_a_report_shows_the_epochs_and_which_was_kept(stopped):
    head, *rows = epochs_text(stopped).splitlines()
    assert head.split("  ")[0] == "epoch" and "validation loss" in head and "held-out accuracy" in head
    assert rows[-1] == f"the weights of epoch {stopped.meta['best_epoch']} were kept"
    assert len(rows) == len(stopped.meta["epochs_done"]) + 2
    (curve,) = [line for line in stopped.plot_loss().axes[0].lines if line.get_label() == "validation samples"]
    assert list(curve.get_ydata()) == losses(stopped, "validation_loss")
