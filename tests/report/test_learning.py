"""Findings about a training, on made-up figures: each told where it is deserved, with its number, and not elsewhere."""

import math
from dataclasses import replace

import numpy as np
import pytest

from workbench.report.learning import held_out, layers, rates, weights
from workbench.report.learning.held_out import HeldOut
from workbench.report.learning.layers import Layer, Observed
from workbench.report.learning.rates import Rates, Worth, published_note, units_note
from workbench.report.losses import course, rose, stuck
from workbench.report.training_notes import (
    ANOTHER_RATE,
    LARGER_RATE,
    SMALLER_RATE,
    Evidence,
    advice,
    targets_note,
    training_notes,
)

TEN, GUESS = (36,) * 10, math.log(10)
QAS = Rates(0.02, 0.02, qas=True, worth=Worth(1e-5, 1e-10))
FALLS = [2.3 / (1 + step / 20) for step in range(200)]
UNTRAINED = HeldOut(2.6, 0.11, TEN, TEN)
GOOD = HeldOut(0.3, 0.91, TEN, TEN)
CHANCE = HeldOut(2.303, 0.10, (360, *[0] * 9), TEN)
HEALTHY = Evidence(FALLS, QAS, GUESS, epoch=100, classes=10, held_out=(UNTRAINED, GOOD))


def on(**changes) -> list[str]:
    return training_notes(replace(HEALTHY, **changes))


def test_a_healthy_run_has_no_notes():
    fine = Observed(32, [Layer("conv", 8, 1, 0.1), Layer("fc", 10, 0, 0.3)], (-8.0, 8.0))
    assert on(observed=(fine, fine)) == on(rates=Rates(0.02, 0.02)) == []


def test_chance_is_the_commonest_class_within_noise():
    notes = on(held_out=(UNTRAINED, CHANCE))
    assert notes[0] == "held-out 10.0 % is no better than chance: the commonest of 10 classes is 10.0 % of 360 samples"
    assert notes[1] == "class 0 is predicted for 100.0 % of 360 held-out samples; 10.0 % are of it"
    assert notes[2] == "another --lr may help: this was lr 0.02 with QAS" and advice(notes) == ANOTHER_RATE
    assert notes[3].startswith("the published int8 rates are --lr 0.0008 --lr-bias 0.0004")
    assert "class cat is predicted" in on(held_out=(UNTRAINED, CHANCE), names=("cat", *"bcdefghij"))[1]
    assert on(held_out=(UNTRAINED, CHANCE), epoch=300) == []  # not yet seen once: epoch_note speaks
    assert on(held_out=(UNTRAINED, CHANCE), epoch=None) == []  # made up


@pytest.mark.parametrize(
    "right, labels, loss, near",
    [
        (46, TEN, 2.3, True),  # 12.8 %: 10 % and less than two standard errors
        (50, TEN, 2.3, False),
        (95, (95, 5), 0.2, True),
        (96, (95, 5), 0.1, False),  # within noise, but its loss is half of what the classes' shares give
        (97, (95, 5), 0.2, True),
        (100, (95, 5), 0.2, False),
        (8, (5, 5), 0.4, False),
        (8, (5, 5), 0.68, True),  # ten samples tell little
        (10, (10, 0), 0.0, False),  # one class alone
        (0, (0, 0), None, False),
    ],
)
def test_the_bar_of_chance(right, labels, loss, near):
    accuracy = right / sum(labels) if sum(labels) else None
    assert held_out.near_chance(HeldOut(loss, accuracy, labels, labels)) is near


def test_one_class_predicted_of_samples_of_more():
    assert held_out.one_class(HeldOut(1.0, 0.1, (344, 16, *[0] * 8), TEN))
    assert not held_out.one_class(HeldOut(1.0, 0.1, (340, 20, *[0] * 8), TEN))
    assert not held_out.one_class(HeldOut(0.1, 0.95, (100, 0), (95, 5)))  # nearly all are of it
    assert not held_out.one_class(HeldOut(0.1, 0.5, (4, 0), (2, 2)))


def test_what_was_known_and_is_lost_is_told_at_once():
    notes = on(held_out=(GOOD, CHANCE), epoch=10_000)
    assert notes[0].startswith("held-out 10.0 % is no better than chance") and advice(notes) == SMALLER_RATE
    notes = on(held_out=(GOOD, HeldOut(1.2, 0.60, TEN, TEN)), epoch=10_000)
    assert notes[0] == "held-out accuracy fell: 91.0 % → 60.0 %" and advice(notes) == SMALLER_RATE
    assert on(held_out=(GOOD, HeldOut(0.3, 0.88, TEN, TEN))) == []  # noise


def test_a_loss_that_stays_where_it_was():
    notes = on(losses=[2.6] * 200, held_out=(UNTRAINED, HeldOut(2.58, 0.2, TEN, TEN)), rates=Rates(1e-6, 1e-6))
    assert "held-out loss hardly moved in 200 steps: 2.60 → 2.58" in notes
    assert notes[-1] == "a larger --lr may help: this was lr 1e-06" and advice(notes) == LARGER_RATE
    assert on(held_out=(GOOD, GOOD)) == []  # nothing left to learn
    assert on(held_out=(UNTRAINED, HeldOut(2.58, 0.2, TEN, TEN)), epoch=300) == []


def of_numbers(losses, before, after, guess=1.0, widest=1.0, **more):
    sides = HeldOut(before), HeldOut(after)
    return training_notes(Evidence(losses, Rates(0.01, 0.01), guess, widest, held_out=sides, **more))


def test_numbers_are_held_against_the_mean_target():
    notes = of_numbers([1.2] * 200, 1.3, 1.05, epoch=100)
    assert "held-out loss 1.05 is no better than the mean target's 1.00" in notes
    assert of_numbers(FALLS, 1.3, 0.4, epoch=100) == []


def test_single_samples_do_not_tell_that_a_loss_rose_where_the_held_out_loss_did_not():
    """A sample a step, at far too small a rate; the first ten happened to be easy."""
    noisy = [0.2] * 10 + [1.3, 2.1, 1.8, 1.4] * 30
    assert rose(course(noisy), 1.0)
    assert not rose(course(noisy, (1.50, 1.49)), 1.0)
    assert rose(course(noisy, (0.20, 1.49)), 1.0) and rose(course(noisy, (0.20, None)), 1.0)
    notes = of_numbers(noisy, 1.50, 1.49, epoch=130)
    assert advice(notes) == LARGER_RATE and not any("rose" in note for note in notes)
    assert rose(course([1.0, *[5e3] * 3, *noisy], (1.5, 1.49)), 1.0)  # an explosion is none of noise


def test_a_far_target_s_loss_is_no_explosion():
    """A target of four standard deviations: sixteen guesses."""
    losses = [1.0, 0.8, 16.0, 0.9, 0.4] + [0.9] * 35
    assert rose(course(losses), 1.0)
    assert not rose(course(losses, widest=16.0), 1.0)
    assert rose(course([*losses, 40.0], widest=16.0), 1.0)


def test_a_few_steps_without_a_guess_tell_nothing():
    assert not rose(course([0.001, 0.9, 0.5]), None)
    assert rose(course([2.3, 4e7]), GUESS)


def test_hard_last_samples_are_no_standstill_where_the_held_out_loss_is_low():
    ends_hard = [1.0] * 30 + [2.6] * 10
    assert stuck(course(ends_hard), GUESS, 40)
    assert not stuck(course(ends_hard, (2.6, 0.9)), GUESS, 40)


def channels(dead, clipped=0.0, count=8):
    return Observed(32, [Layer("conv1", count, dead, clipped), Layer("fc", 10, 0, 0.0)], (-8.0, 8.0))


def test_dead_channels_that_the_training_killed():
    notes = on(observed=(channels(1), channels(5)))
    assert notes[0] == "dead, the same for each of 32 samples: conv1 5 of 8 channels (1 before)"
    assert advice(notes) == SMALLER_RATE
    assert on(observed=(channels(0), channels(3))) == []  # healthy networks have some
    assert on(observed=(channels(4), channels(5))) == []  # most of them were so before
    (note,) = on(observed=(channels(8), channels(8)))
    assert "conv1 8 of 8 channels (8 before); another --seed" in note


def test_results_clipped():
    notes = on(observed=(channels(0), channels(0, 0.8)))
    told = "results clipped at an end of their int8 range, where no gradient passes: conv1 0.0 → 80.0 %"
    (note,) = notes
    assert note.startswith(f"{told}; wider ranges come with trained weights (--pretrain)")
    assert on(observed=(channels(0), channels(0, 0.7))) == []
    scores = replace(channels(0), layers=[Layer("fc", 10, 0, 0.97)])
    notes = on(observed=(channels(0), scores))
    assert notes[0].startswith(told.replace("conv1 0.0 → 80.0", "fc (the scores) 0.0 → 97.0"))
    assert advice(notes) == SMALLER_RATE


def test_the_least_loss_that_scores_can_have():
    assert layers.floor((-1.97, 1.96), 10) == pytest.approx(math.log(1 + 9 * math.exp(-3.93)))
    narrow = Observed(32, [Layer("fc", 10, 0, 0.73)], (-1.97, 1.96))
    (note,) = on(observed=(narrow, narrow))
    assert note.startswith("int8 scores reach from -1.97 to 1.96, 73.0 % of them at an end: the loss cannot fall below")
    assert " 0.16;" in note
    assert on(observed=(channels(0), channels(0))) == []  # ±8: 1e-6
    assert layers.floor(None, 10) is layers.floor((-1, 1), None) is layers.floor((-1, 1), 1) is None


def test_weights_that_came_at_the_end_of_their_range():
    full, free = np.int8([127, -127, 127, 3]), np.int8([127, 1, 2, 3])
    assert weights.full_note({"w": full}, {"w": full}).endswith("w 75.0 → 75.0 %")
    assert weights.full_note({"w": free}, {"w": full}) is None and weights.full_note({"w": full}, {"w": free}) is None
    note, *rest = on(updated=({"w": full}, {"w": full}))
    assert note.endswith("they came so, and can step one way alone: --policy can leave them out") and not rest


def test_the_published_rates_are_told_of_runs_that_failed_alone():
    assert published_note(QAS).endswith("a sample a step: 25 times as large here")
    assert published_note(replace(QAS, lr=8e-5)).endswith("a sample a step: 1/10 of it here")
    assert published_note(replace(QAS, lr=1e-3)) is published_note(Rates(0.02, 0.02)) is None
    assert published_note(replace(QAS, lr=1e-3, momentum=0.9)) is not None
    assert any("published" in note for note in on(held_out=(UNTRAINED, CHANCE)))
    assert not any("published" in note for note in on(held_out=(UNTRAINED, CHANCE), rates=Rates(0.02, 0.02)))


def test_without_qas_a_rate_counts_in_other_units():
    note = units_note(replace(QAS, qas=False))
    assert "lr 0.02 moves int8 weights like 2e-07 and biases like 2e-12 with it" in note
    assert note.endswith("like 0.02 with it moves about --lr 2000 --lr-bias 2e+08")
    assert units_note(QAS) is units_note(Rates(0.02, 0.02)) is None
    assert on(rates=replace(QAS, qas=False)) == [note]  # always: whoever compares must know
    only = replace(QAS, qas=False, worth=Worth(None, 1e-10))
    assert "moves biases like" in units_note(only) and units_note(only).endswith("about --lr-bias 2e+08")


def test_far_targets_are_told_where_the_run_failed():
    told = "targets are 1000 ± 300 (mean, standard deviation); values of about 1 learn best: give (y - 1000) / 300"
    assert targets_note((1000.0, 300.0)) == told
    assert targets_note((2.0, 5.0)) is targets_note(None) is None
    lost = of_numbers([1e6, None], 1e6, None, targets=(1000.0, 300.0))
    assert lost[0].startswith("loss stopped being a number at step 2") and told in lost
    assert of_numbers(FALLS, 1.3, 0.4, epoch=100, targets=(1000.0, 300.0)) == []


def test_momentum_of_one_step():
    assert rates.Rates(0.1, 0.1, 0.9).steps_like == pytest.approx(1.0)
