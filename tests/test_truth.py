"""Each note on a real training that deserves it, and none on one that does not: a small network, quick to train."""

from dataclasses import replace

import numpy as np
import pytest

import workbench
from workbench.frontends.layers import Network
from workbench.frontends.loading import in_int8
from workbench.policy import Optimizer

RNG = np.random.default_rng(0)
CENTERS = RNG.normal(size=(3, 6))
LABELS = np.arange(180) % 3
X = (CENTERS[LABELS] + RNG.normal(scale=0.3, size=(180, 6))).astype(np.float32)
TARGETS = (X @ RNG.normal(size=(6, 1)) / 3).astype(np.float32)
DATA = (X[:120], LABELS[:120], X[120:], LABELS[120:])
NUMBERS = (X[:120], TARGETS[:120], X[120:], TARGETS[120:])
GOOD = {"epochs": 3, "lr": 0.05}


def network(outputs=3, scale=1.0):
    net = Network("clusters", input_shape=(1, 6), seed=0)
    x = net.relu(net.dense(net.input, "fc1", 8), "fc1")
    model = net.model(net.dense(x, "fc2", outputs))
    model.weights["fc2.weight"][:] *= scale
    return model


def with_values(model, **values):
    for name, value in values.items():
        model.weights[name.replace("_", ".")][:] = value
    return model


def notes(model, data=DATA, **options) -> list[str]:
    run = workbench.run(model, data=data, trace="off", **options)
    return run.meta["notes"]


def has(found, *words) -> bool:
    return any(all(word in note for word in words) for note in found)


def test_a_healthy_training_has_no_notes():
    assert notes(network(), **GOOD) == []
    assert notes(network(1), NUMBERS, **GOOD) == []


def test_a_rate_that_is_far_too_large():
    found = notes(network(), epochs=1, lr=30)
    assert has(found, "is no better than chance: the commonest of 3 classes is 33.3 % of 60 samples")
    assert has(found, "is predicted for 100.0 % of 60 held-out samples; 33.3 % are of it")
    assert has(found, "dead, the same for each of 32 samples: fc1 ", " of 8 channels (0 before)")
    assert found[-1] == "a smaller --lr often helps: this was lr 30"


def test_a_rate_that_is_far_too_small():
    found = notes(network(), epochs=1, lr=1e-7)
    assert has(found, "held-out loss hardly moved in 120 steps")
    assert found[-1] == "a larger --lr may help: this was lr 1e-07"
    assert not has(found, "rose")


def test_a_regression_at_far_too_small_a_rate_did_not_rise():
    for seed in range(3):
        found = notes(network(1), NUMBERS, epochs=1, lr=1e-7, seed=seed)
        assert found[-1] == "a larger --lr may help: this was lr 1e-07" and not has(found, "rose")
        assert has(found, "held-out loss ", "is no better than the mean target's ")


def test_a_few_steps_are_told_to_be_few():
    (note,) = notes(network(), steps=5, lr=1e-7)
    assert note.startswith("5 steps are 4.2 % of an epoch")
    notes_on_numbers = notes(network(1), NUMBERS, steps=5, lr=1e-7)
    assert len(notes_on_numbers) == 1 and notes_on_numbers[0].startswith("5 steps are 4.2 %")


def test_targets_far_from_one():
    far = tuple(part * 300 + 1000 if index % 2 else part for index, part in enumerate(NUMBERS))
    found = notes(network(1), far, epochs=1, lr=0.05)
    assert has(found, "loss stopped being a number") or has(found, "loss rose")
    assert has(found, "targets are ", "(mean, standard deviation); values of about 1 learn best")
    assert has(found, "a smaller --lr often helps")


def test_channels_that_were_dead_from_the_beginning():
    found = notes(with_values(network(), fc1_bias=-50), **GOOD)
    assert has(found, "dead, the same for each of 32 samples: fc1 8 of 8 channels (8 before), fc2 3 of 3")
    assert has(found, "is no better than chance")


@pytest.fixture(scope="module")
def wide():
    """Quantized with ranges in which the scores can grow."""
    return in_int8(network(scale=8), X)


def test_scores_that_int8_holds_too_closely(wide):
    narrow = in_int8(network(scale=0.1), X)
    assert has(notes(narrow, **GOOD), "int8 scores reach from", "the loss cannot fall below")
    assert not has(notes(wide, **GOOD), "the loss cannot fall below")


def test_int8_values_that_lie_at_the_end_of_their_range(wide):
    assert not has(notes(wide, **GOOD), "clipped") and not has(notes(wide, **GOOD), "end of their range")
    weights = {name: values.copy() for name, values in wide.weights.items()}
    weights["fc1.bias"][:7] = 2**24
    weights["fc2.weight"][:, :6] = 127
    found = notes(replace(wide, weights=weights), **GOOD)
    assert has(found, "results clipped at an end of their int8 range, where no gradient passes: ", "fc1 87.5 →")
    assert has(found, "values at the end of their range (int8 ±127, int32 ±2³⁰): fc2.weight 7", "they came so")


def test_rates_of_int8(wide):
    without = "without QAS rates count in other units"
    good = notes(wide, **GOOD)
    assert not has(good, "published") and not has(good, without)
    bad = notes(wide, epochs=1, lr=30)
    assert has(bad, "values at the end of their range (int8 ±127, int32 ±2³⁰)")
    assert has(bad, "the published int8 rates are --lr 0.0008 --lr-bias 0.0004", "times as large here")
    assert has(notes(wide, optimizer=Optimizer(qas=False), **GOOD), without, "moves about --lr ")
