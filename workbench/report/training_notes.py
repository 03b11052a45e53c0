"""The notes on a training: each finding with its number, then what to try. Evidence in, sentences out.

A new kind of note is a function in FINDINGS. run.json keeps the notes, so a saved run can be reported with them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from workbench.report.learning import held_out, layers, weights
from workbench.report.learning.held_out import HeldOut
from workbench.report.learning.layers import Observed
from workbench.report.learning.rates import Rates, published_note, rate_words, units_note
from workbench.report.losses import Course, course, loss_note, rose

SMALLER_RATE, LARGER_RATE, ANOTHER_RATE = REMEDIES = (  # the first one that is called for is told
    "a smaller --lr often helps",
    "a larger --lr may help",
    "another --lr may help",
)
RANGES = "wider ranges come with trained weights (--pretrain), or where the float32 network is quantized here"
OTHERS = "another --seed draws other weights, where they are drawn"
FAR = 10  # of a target's mean or standard deviation: far from 1


@dataclass(frozen=True)
class Evidence:
    """What a training left behind.

    `a_guess`: the loss of an answer that knows nothing of the input (see losses.stuck); `widest`: the largest loss of a
    sample under that answer, in units of `a_guess`. `epoch`: steps that see every sample once; None for random samples,
    of which nothing can be learned. `weights`: all weights at the end. `updated`, `held_out`, `observed`: (before,
    after); `updated` holds the updated parts as they are stored. `names`: of the classes. `targets`: mean and standard
    deviation of targets that are numbers. `ends`: of biases kept as 16-bit changes, which channels came to their end.
    """

    losses: Sequence[float | None]
    rates: Rates
    a_guess: float | None = None
    widest: float = 1.0
    epoch: int | None = None
    classes: int | None = None
    names: Sequence[str] = ()
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)
    updated: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]] = ({}, {})
    ends: Mapping[str, np.ndarray] = field(default_factory=dict)
    held_out: tuple[HeldOut, HeldOut] = (HeldOut(), HeldOut())
    observed: tuple[Observed, Observed] = (Observed(), Observed())
    targets: tuple[float, float] | None = None

    @cached_property
    def run(self) -> Course:
        before, after = self.held_out
        return course(self.losses, (before.loss, after.loss), self.widest)

    @property
    def seen(self) -> bool:
        """Whether the training saw every sample, so that the network should have learned something."""
        return self.epoch is not None and 0 < self.epoch <= self.run.steps

    @property
    def knew(self) -> bool:
        """Whether the network told classes apart before this training, and should not have forgotten that."""
        before = self.held_out[0]
        return bool(self.epoch) and before.accuracy is not None and not held_out.near_chance(before)


Told = tuple[str, str]  # a note, and the remedy it calls for ("": none)


def of_loss(evidence: Evidence) -> Told | None:
    run, a_guess = evidence.run, evidence.a_guess
    note = loss_note(run, a_guess, evidence.epoch)
    if note is None:
        return None
    if run.lost_at == 1:  # it comes before any update
        return note, ""
    return note, SMALLER_RATE if run.lost_at or rose(run, a_guess) else ANOTHER_RATE


def of_no_numbers(evidence: Evidence) -> Told | None:
    note = weights.no_numbers_note(evidence.weights)
    return (note, SMALLER_RATE) if note else None


def of_driven_weights(evidence: Evidence) -> Told | None:
    note = weights.saturation_note(*evidence.updated)
    return (note, SMALLER_RATE) if note else None


def of_saturated_biases(evidence: Evidence) -> Told | None:
    note = weights.bias_note(evidence.ends)
    driven = any(each.mean() >= weights.SATURATED for each in evidence.ends.values())
    return (note, SMALLER_RATE if driven else "") if note else None


def of_full_weights(evidence: Evidence) -> Told | None:
    note = weights.full_note(*evidence.updated)
    return (f"{note}; they came so, and can step one way alone: --policy can leave them out", "") if note else None


def of_accuracy(evidence: Evidence) -> Told | None:
    """No better than chance once every sample was seen, or worse than before at any time."""
    before, after = evidence.held_out
    if (evidence.seen or evidence.knew) and held_out.near_chance(after):
        return held_out.chance_note(after), SMALLER_RATE if evidence.knew else ANOTHER_RATE
    if evidence.epoch and held_out.worse(before, after):
        return held_out.worse_note(before, after), SMALLER_RATE
    return None


def of_one_class(evidence: Evidence) -> Told | None:
    after = evidence.held_out[1]
    if (evidence.seen or evidence.knew) and held_out.one_class(after):
        return held_out.one_class_note(after, evidence.names), ANOTHER_RATE
    return None


def of_numbers(evidence: Evidence) -> Told | None:
    """For targets that are numbers: whether the held-out loss is no better than that of the mean target."""
    after = evidence.held_out[1]
    if evidence.seen and held_out.no_better(after, evidence.a_guess):
        return held_out.no_better_note(after, evidence.a_guess), ANOTHER_RATE
    return None


def of_rest(evidence: Evidence) -> Told | None:
    """A held-out loss that stays where it was, though every sample was seen and nothing exploded."""
    exploded = evidence.run.lost_at or rose(evidence.run, evidence.a_guess)
    if evidence.seen and not exploded and held_out.unmoved(*evidence.held_out, evidence.a_guess):
        return held_out.unmoved_note(*evidence.held_out, evidence.run.steps), LARGER_RATE
    return None


def of_dead_channels(evidence: Evidence) -> Told | None:
    note = layers.dead_note(*evidence.observed)
    if note and layers.died(*evidence.observed):
        return note, SMALLER_RATE
    return (f"{note}; {OTHERS}", "") if note else None


def of_reach(evidence: Evidence) -> Told | None:
    """The least loss that int8 scores can have, which no training gets below."""
    after = evidence.observed[1]
    note = layers.floor_note(after, evidence.classes)
    return (f"{note}; {RANGES}", SMALLER_RATE if layers.locked(after) else "") if note else None


def of_clipped_results(evidence: Evidence) -> Told | None:
    before, after = evidence.observed
    told = layers.floor_note(after, evidence.classes)
    note = layers.clipped_note(before, after, scores=not told)
    if not note:
        return None
    return note if told else f"{note}; {RANGES}", SMALLER_RATE if layers.locked(after) else ""


FINDINGS: tuple[Callable[[Evidence], Told | None], ...] = (
    of_loss, of_accuracy, of_one_class, of_numbers, of_rest, of_no_numbers, of_driven_weights,
    of_saturated_biases, of_full_weights, of_dead_channels, of_reach, of_clipped_results,
)  # fmt: skip


def training_notes(evidence: Evidence) -> list[str]:
    """Notes on all that went wrong or cannot succeed, then one on what to try; empty where nothing is wrong."""
    found = [told for finding in FINDINGS if (told := finding(evidence))]
    notes = [note for note, _ in found]
    called_for = {remedy for _, remedy in found}
    remedy = next((each for each in REMEDIES if each in called_for), None)
    if remedy:
        notes += filter(None, [f"{remedy}: this was {rate_words(evidence.rates)}", published_note(evidence.rates)])
    if remedy or evidence.run.lost_at:
        notes += filter(None, [targets_note(evidence.targets)])
    return [*notes, *filter(None, [units_note(evidence.rates)])]


def advice(notes: Iterable[str]) -> str | None:
    """The remedy, one of REMEDIES, that these notes of run.json name; None if they name none."""
    given = (each for note in notes for each in REMEDIES if note.startswith(each))
    return next(given, None)


def targets_note(targets: tuple[float, float] | None) -> str | None:
    """'targets are 250 ± 80 (mean and standard deviation) …', where they are far from 1."""
    if targets is None or max(abs(targets[0]), targets[1]) <= FAR:
        return None
    mean, deviation = targets
    return (
        f"targets are {mean:.4g} ± {deviation:.4g} (mean, standard deviation); values of about 1 learn best: give "
        f"(y - {mean:.4g}) / {deviation or 1:.4g}"
    )


def epoch_note(steps: int, epoch: int, figures: str = "accuracies") -> str | None:
    """A note on held-out figures that were measured before the network saw every sample once, in `epoch` steps."""
    if steps >= epoch:
        return None
    told = f"{steps} steps are" if steps != 1 else "1 step is"
    return f"{told} {100 * steps / epoch:.2g} % of an epoch: {figures} say little yet; --epochs 1 or more"
