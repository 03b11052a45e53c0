"""Notes made of weights before and after, of rates, and of how long a training was."""

import numpy as np

from workbench.report.learning.rates import Rates, rate_words
from workbench.report.learning.weights import at_the_end, no_numbers_note, saturation_note
from workbench.report.training_notes import (
    ANOTHER_RATE,
    SMALLER_RATE,
    Evidence,
    advice,
    epoch_note,
    training_notes,
)

GUESS, RATES = 2.3, Rates(0.02, 0.02)


def notes_on(losses, epoch=None, weights=None, updated=({}, {})):
    return training_notes(Evidence(losses, RATES, GUESS, epoch=epoch, weights=weights or {}, updated=updated))


def int8(*values):
    return np.asarray(values, np.int8)


def test_weights_that_are_no_numbers_are_counted():
    nan, inf = np.nan, np.inf
    weights = {
        "a": np.float32([1, nan, inf, -inf]),
        "b": np.float32([1, 2]),
        "c": np.float32([nan, 0]),
        "d": int8(1, 2),
    }
    assert no_numbers_note(weights) == "4 of 10 weights are no numbers: a 75.0 %, c 50.0 %"
    assert no_numbers_note({"b": weights["b"], "d": weights["d"]}) is None
    many = {name: np.float32([nan]) for name in "abcde"}
    assert no_numbers_note(many) == "5 of 5 weights are no numbers: a 100.0 %, b 100.0 %, c 100.0 %, 2 more"


def test_the_end_of_the_range_of_each_kind_of_weight():
    assert at_the_end(int8(-128, -127, 127, 126)) == 0.75
    assert at_the_end(np.int32([2**30, -(2**30), 2**30 - 1, 127])) == 0.5
    assert at_the_end(np.float32([127, -128, np.nan])) == 0


def test_saturation_is_what_comes_on_top_of_what_quantization_put_there():
    before = np.tile(int8(127, 1, 2, 3, 4, 5, 6, 7, 8), (4, 1))  # depthwise 3×3: one value of each filter, 11 %
    driven, hardly = before.copy(), before.copy()
    driven[:, 1:5] = 127
    hardly[:, 1:3] = -127  # 22 % more
    assert saturation_note({"w": before}, {"w": before}) is None
    assert saturation_note({"w": before}, {"w": hardly}) is None
    told = "values at the end of their range (int8 ±127, int32 ±2³⁰): w 11.1 → 55.6 %"
    assert saturation_note({"w": before}, {"w": driven}) == told
    back = np.where(driven == 127, 3, driven).astype(np.int8)
    assert saturation_note({"w": driven}, {"w": back}) is None


def test_what_to_try_is_told_last_with_the_rate():
    exploded = notes_on([2.3, 4e7])
    assert exploded[1:] == ["a smaller --lr often helps: this was lr 0.02"]
    w, saturated = {"w": int8(1, 2)}, {"w": int8(127, 127)}
    assert len(notes_on([2.3], None, saturated, (w, saturated))) == 2
    broken = {"w": np.float32([np.nan])}
    assert advice(notes_on([2.3], None, broken)) == SMALLER_RATE
    stuck = notes_on([2.4] * 30, 30)
    assert advice(stuck) == ANOTHER_RATE and stuck[-1].endswith("this was lr 0.02")
    assert notes_on([2.4, 1.1], None, w, (w, w)) == []
    assert advice([]) is advice(["3 steps are 0.21 % of an epoch"]) is None


def test_a_loss_that_was_never_a_number_is_no_fault_of_the_rate():
    notes = notes_on([None, None])
    assert len(notes) == 1 and advice(notes) is None


def test_the_rate_as_it_steps():
    assert rate_words(RATES) == "lr 0.02"
    assert rate_words(Rates(8e-4, 4e-4, qas=True)) == "lr 0.0008 with QAS, 0.0004 of biases"
    told = "lr 0.02 without QAS, momentum 0.9 steps like lr 0.2"
    assert rate_words(Rates(0.02, 0.02, 0.9, qas=False)) == told


def test_accuracies_before_the_first_epoch_is_over():
    rest = "of an epoch: accuracies say little yet; --epochs 1 or more"
    assert epoch_note(50, 1437) == f"50 steps are 3.5 % {rest}"
    assert epoch_note(1, 1437) == f"1 step is 0.07 % {rest}"
    assert epoch_note(1437, 1437) is None
