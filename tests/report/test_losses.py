"""Whether losses are told as what they were: on recorded ones of real runs, named by the command that gave them.

losses.npz holds them to three digits; trained.npz there stands for the weights after `--epochs 5 --lr-decay 0.6`.
"""

import math
from pathlib import Path

import numpy as np
import pytest

from workbench.report.losses import course, guess, loss_aside, loss_note, loss_words, of_meta, rose

GUESS = guess("cross-entropy", 10)
EPOCH = {"--pretrain": 719, "--batch": 89}  # steps, where it is not all of digits, a sample at a time
RECORDED = np.load(Path(__file__).with_name("losses.npz"))

ROSE = {  # the largest loss, its step, the end, the first ten steps, step 1 where those hold the explosion
    "lenet --epochs 1 --lr 1": "650 at step 2; at the end 2.56, {guess}, {ten} 67.02 (step 1: 1.38)",
    "lenet --epochs 1 --lr 1 --seed 1": "5.6e+11 at step 6; at the end 2.60, {guess}, {ten} 5.6e+10 (step 1: 1.97)",
    "lenet --epochs 1 --lr 0.3 --seed 1": "16.50 at step 3; at the end 2.41, {guess}, {ten} 3.56",
    "lenet --epochs 1 --lr 0.3 --seed 2": "6.32 at step 2; at the end 2.38, {guess}, {ten} 3.05",
    "lenet --epochs 1 --lr 0.1 --seed 2": "26.20 at step 1243; at the end 2.00, {guess}, {ten} 2.91",
    "lenet --epochs 1 --lr 3 --seed 2": "563 at step 4; at the end 3.18, {guess}, {ten} 162 (step 1: 4.64)",
    "mlp --epochs 1 --lr 1 --seed 1": "6.2e+08 at step 10; at the end 2.60, {guess}, {ten} 6.2e+07 (step 1: 3.52)",
    "mlp --epochs 1 --momentum 0.9 --lr 0.1": "34.50 at step 32; at the end 2.62, {guess}, {ten} 3.08",
    "lenet --epochs 2 --batch 16 --lr 2": "38.30 at step 3; at the end 2.35, {guess}, {ten} 12.84 (step 1: 2.26)",
    "lenet --epochs 1 --pretrain digits --data digits-rotated --lr 0.5": "2060 at step 2; at the end 2.45, {guess}, "
    "{ten} 216 (step 1: 23.20)",
    "lenet --epochs 1 --load-weights trained.npz --lr 1": "4.1e+06 at step 17; at the end 2.56, {guess}, {ten} 0.00085",
    "mlp --epochs 1 --load-weights trained.npz --lr 0.1": "34.10 at step 1420; at the end 1.01, {guess}, {ten} 0.03",
    "mlp-int8 --epochs 1 --pretrain digits --data digits-rotated --lr 0.5": "35.70 at step 49; at the end 7.76, "
    "{guess}, {ten} 12.84 (step 1: 5.50)",
    "lenet --steps 30 --lr 1e25": "1.1e+25 at step 30; at the end 9.1e+24, {guess}, {ten} 7.9e+24 (step 1: 1.38)",
}
NO_BETTER = {
    "lenet --epochs 1 --momentum 0.9": "5.04 at step 12; at the end 2.37, {guess}, {ten} 2.55",
    "lenet-int8 --epochs 1 --lr 2": "4.09 at step 2; at the end 3.74, {guess}, {ten} 3.82",
    "mobilenet-int8 --epochs 1 --lr 0.3": "3.37 at step 2; at the end 2.64, {guess}, {ten} 2.37",
    "lenet --epochs 1 --lr 1e-6 --seed 1": "6.53 at step 3; at the end 3.26, {guess}, {ten} 3.54",
}
LOST = {"mlp --steps 30 --lr 1e25": 2}
GOOD = [run for run in RECORDED.files if run not in {**ROSE, **NO_BETTER, **LOST}]


def losses_of(run: str) -> list[float | None]:
    return [float(loss) if math.isfinite(loss) else None for loss in RECORDED[run]]


def told(losses) -> str:
    """As the summary of a run has it."""
    return f"{loss_words(course(losses), GUESS)}{loss_aside(course(losses), GUESS)}"


def epoch_of(run: str) -> int:
    return next((steps for option, steps in EPOCH.items() if option in run), 1437)


def note_on(run: str) -> str | None:
    return loss_note(course(losses_of(run)), GUESS, epoch_of(run))


@pytest.mark.parametrize("run", ROSE)
def test_a_run_that_diverged_is_told_with_its_largest_loss_and_its_end(run):
    assert note_on(run) == f"loss rose to {ROSE[run]}".format(guess="a guess is 2.30", ten="the first ten steps")


@pytest.mark.parametrize("run", NO_BETTER)
def test_a_run_that_learned_nothing_is_told_beside_a_guess(run):
    told = NO_BETTER[run].format(guess="a guess is 2.30", ten="the first ten steps")
    assert note_on(run) in (f"loss rose to {told}", f"loss ended no better than a guess, at most {told}")


@pytest.mark.parametrize("run", LOST)
def test_a_loss_that_is_no_number_any_more_is_told_with_its_step(run):
    assert note_on(run) == f"loss stopped being a number at step {LOST[run]}; a guess is 2.30, the first step 2.44"
    assert loss_words(course(losses_of(run)), GUESS) == f"2.44 → no number from step {LOST[run]} on"


@pytest.mark.parametrize("run", GOOD)
def test_a_good_run_has_no_note_however_early_it_ends(run):
    losses = losses_of(run)
    transient = 40 if "--pretrain" in run else 0  # other images than before: the loss does rise, and falls again
    for steps in {*range(1, 60), *range(60, len(losses), 37), len(losses)}:
        if steps > transient and steps <= len(losses):
            assert loss_note(course(losses[:steps]), GUESS, epoch_of(run)) is None, steps


def test_there_are_enough_recorded_runs_of_each_kind():
    assert len(ROSE) + len(NO_BETTER) + len(LOST) >= 15
    assert len(GOOD) >= 15


def test_a_run_that_exploded_is_not_told_as_progress():
    """The first tenth of its steps holds the explosion: their mean, 8.94, is no beginning."""
    assert told(losses_of("lenet --epochs 1 --lr 1")) == "1.38 → 650 at step 2 → 2.56 (a guess is 2.30)"
    assert told(losses_of("lenet --epochs 1")) == "2.43 → 0.39 (means of 10 and 100)"
    assert told(losses_of("lenet --epochs 1")[:50]) == "2.43 → 2.20 (means of 10; a guess is 2.30)"


def test_few_steps_are_told_one_by_one():
    few = [], [2.4], [2.4, 1.1], [2.4, 3.1]
    assert list(map(told, few)) == ["", "2.40", "2.40 → 1.10", "2.40 → 3.10 (a guess is 2.30)"]
    assert loss_note(course([2.3, 4e7]), GUESS) == (
        "loss rose to 4.0e+07 at step 2; at the end 4.0e+07, a guess is 2.30, the first step 2.30"
    )
    assert loss_note(course([0.001, 0.9]), GUESS) is None  # an easy sample, then a hard one


def test_losses_that_are_no_numbers():
    assert loss_note(course([None, None]), GUESS) == "loss stopped being a number at step 1; a guess is 2.30"
    assert loss_note(course([None]), None) == "loss stopped being a number at step 1"
    told = "loss stopped being a number at step 4; at most 650 at step 2, a guess is 2.30, the first step 2.10"
    for lost in (None, float("nan"), float("inf")):
        assert loss_note(course([2.1, 650.0, 3.0, lost, 2.0]), GUESS) == told
    assert loss_words(course([2.1, 650.0, 3.0, None, 2.0]), GUESS) == "2.10 → no number from step 4 on"
    assert loss_words(course([None, None]), GUESS) == "no number from step 1 on"


def test_made_up_labels_cannot_be_learned_but_a_loss_can_explode():
    stays = [GUESS + 0.3 * math.sin(step) for step in range(400)]
    assert loss_note(course(stays), GUESS, None) is None
    assert loss_note(course(stays), GUESS, 400).startswith("loss ended no better than a guess")
    assert rose(course([*stays, 900.0, *stays]), GUESS)


def test_without_a_guess_a_loss_is_held_against_its_beginning():
    falls = [0.5 / (1 + step / 20) for step in range(200)]
    assert guess("mse", 10) is guess("cross-entropy", None) is guess(None, 10) is None
    assert loss_note(course(falls), None) is None
    assert loss_note(course(falls[:50] + [80.0] * 20), None).startswith(
        "loss rose to 80.00 at step 51; at the end 80.00, the"
    )


def test_a_guess_is_the_one_that_the_run_tells():
    """Two named classes of ten outputs: equal scores of all ten; a run from before guesses were kept tells its own."""
    named = {"loss_function": "cross-entropy", "classes": ["cat", "dog"]}
    assert of_meta({**named, "guess": GUESS})[1] == GUESS
    assert of_meta(named)[1] == guess("cross-entropy", 2)
    assert of_meta({"loss_function": "mse", "guess": 0.0})[1] == 0.0
