"""--lr auto: the rate of least validation loss, found without a held-out sample, each way in its own unit."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import workbench
from workbench import boards, frontends, session
from workbench.errors import DataError
from workbench.feeding import Training
from workbench.policy import Optimizer
from workbench.rate_search import RATES, best_rate, grid, median_worth
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
        return SimpleNamespace(meta={"held_out_loss": {"before": 2.3, "after": loss}}), {}

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


def test_without_qas_the_grid_is_in_the_unit_of_integers():
    model = frontends.load("mlp-int8")
    worth = median_worth(model)
    qas, plain = (SimpleNamespace(model=model, optimizer=Optimizer(qas=qas)) for qas in (True, False))
    assert grid(qas) == list(RATES)
    assert grid(plain) == pytest.approx([rate / worth for rate in RATES], rel=0.01)
    assert 1e4 < 1 / worth < 1e6


def test_random_samples_have_no_best_rate():
    with pytest.raises(DataError, match="random samples: no rate is better"):
        workbench.run("conv-relu", lr="auto", steps=2)


def test_an_interrupt_ends_the_sweep(built):
    rates = []

    def tried(built, options, interrupted):
        rates.append(options.lr)
        return SimpleNamespace(meta={"held_out_loss": {"before": 2.3, "after": None}}), {}

    with pytest.raises(KeyboardInterrupt):
        best_rate(built, Training(lr="auto", epochs=2), tried, lambda: len(rates) == 2)
    assert rates == list(RATES[:2])


def test_weights_with_which_no_loss_is_a_number_have_no_best_rate():
    weights = {name: np.full_like(values, 3e38) for name, values in frontends.load("mlp").weights.items()}
    with pytest.raises(DataError, match="the loss stays a number"):
        workbench.run("mlp", weights=weights, lr="auto", steps=2)
