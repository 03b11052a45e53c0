"""The learning rate of each step: warm-up, then constant, an epoch's decay, or half a cosine."""

from itertools import islice

import numpy as np
import pytest

import workbench
from workbench import frontends
from workbench.errors import DataError
from workbench.feeding import Training, require_samples, samples_of, steps_of


def rates(count, **how) -> tuple[list[float], list[float]]:
    """lr and lr_bias of the first `count` steps of mlp, two batches of 250 a step: two steps an epoch."""
    model, options = frontends.load("mlp", batch=250), Training(lr=0.1, lr_bias=0.2, **how)
    steps = list(islice(steps_of(samples_of(model, options), model.batch, 2, options), count))
    return [step.lr for step in steps], [step.lr_bias for step in steps]


def test_constant_rates_are_the_ones_asked_for_to_the_bit():
    assert rates(9, steps=9) == rates(9, steps=2) == ([0.1] * 9, [0.2] * 9)


def test_a_cosine_goes_from_the_rate_to_nearly_nothing_over_the_steps_asked_for():
    lr, lr_bias = rates(8, steps=8, lr_schedule="cosine")
    want = 0.05 * (1 + np.cos(np.pi * np.arange(8) / 8))
    assert lr[0] == 0.1 and lr_bias[0] == 0.2
    np.testing.assert_allclose(lr, want, rtol=1e-12)
    np.testing.assert_allclose(lr_bias, 2 * want, rtol=1e-12)
    assert rates(4, epochs=2, lr_schedule="cosine") == rates(4, steps=4, lr_schedule="cosine")  # epochs count as steps


def test_a_warm_up_rises_to_the_rate_and_what_comes_then_begins_there():
    np.testing.assert_allclose(rates(6, steps=6, warmup=4)[0], [0.025, 0.05, 0.075, 0.1, 0.1, 0.1], rtol=1e-12)
    lr, lr_bias = rates(10, steps=10, warmup=4, lr_schedule="cosine")
    np.testing.assert_allclose(lr[:4], [0.025, 0.05, 0.075, 0.1], rtol=1e-12)
    np.testing.assert_allclose(lr[4:], 0.05 * (1 + np.cos(np.pi * np.arange(6) / 6)), rtol=1e-12)
    np.testing.assert_allclose(lr_bias, 2 * np.array(lr), rtol=1e-12)
    decayed = rates(5, steps=5, warmup=3, lr_decay=0.5)[0]
    np.testing.assert_allclose(decayed, [0.1 / 3, 0.2 / 3, 0.05, 0.05, 0.025], rtol=1e-12)
    assert rates(3, steps=3, warmup=3, lr_schedule="cosine")[0][-1] == 0.1  # all of it is warm-up


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"lr_schedule": "cosin"}, "no schedule of the learning rate is called 'cosin'"),
        ({"lr_schedule": "cosine", "lr_decay": 0.5}, "a cosine goes down by itself; lr_decay 0.5"),
        ({"warmup": -1}, "warmup is -1, not a whole number"),
        ({"warmup": 2.5}, "warmup is 2.5, not a whole number"),
        ({"lr": np.array([0.1, 0.2])}, "lr is array"),
        ({"lr": True}, "lr is True, not a rate: a number of 0 or more"),
        ({"lr_bias": "auto"}, "lr_bias is 'auto', not a rate: a number of 0 or more"),
        ({"epochs": 2, "patience": True}, "patience is True, not a number of epochs"),
    ],
)
def test_what_makes_no_schedule_is_refused(how, told):
    with pytest.raises(DataError, match=told):
        Training(**how)


def test_a_warm_up_longer_than_the_training_is_refused_before_anything_is_built():
    with pytest.raises(DataError, match="the warm-up takes 51 steps; the training has 50"):
        require_samples(frontends.load("mlp"), 1, Training(warmup=51))


def test_a_run_is_trained_at_them_and_tells_them():
    plain, warm = (
        workbench.run("mlp", steps=3, trace="off", evaluate=False, lr_schedule=schedule, warmup=warmup)
        for schedule, warmup in (("constant", 0), ("cosine", 2))
    )
    assert (plain.meta["lr_schedule"], plain.meta["warmup"]) == ("constant", 0)
    assert (warm.meta["lr"], warm.meta["lr_schedule"], warm.meta["warmup"]) == (0.02, "cosine", 2)
    assert warm.meta["loss"][0] == plain.meta["loss"][0] and warm.meta["loss"][1] != plain.meta["loss"][1]
    half = workbench.run("mlp", steps=2, trace="off", evaluate=False, lr=0.01)
    assert warm.meta["loss"][:2] == half.meta["loss"][:2]  # the first step is half as large
