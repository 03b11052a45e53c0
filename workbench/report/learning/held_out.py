"""Judge held-out figures before and after a training: no better than chance, one class predicted, worse, unmoved.

Chance is to answer the commonest class always: right for its `share` of the samples. With n samples that accuracy has
a standard error of sqrt(share · (1 - share) / n).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

from workbench import units

CERTAIN = 2  # standard errors above the commonest class's share up to which an accuracy may be chance
FELL = 3  # standard errors by which an accuracy must have fallen
INFORMED = 0.8  # of the loss of who knows the classes' shares alone: a loss below it knows more of the input
ALL_BUT_ALL = 0.95  # of the predictions: one class
BEYOND = 0.15  # and of the samples by so much fewer
FEWEST = 10  # samples
NO_BETTER = 0.98  # of a guess's loss
HARDLY = 0.02  # of the loss before: a change that is none
LEARNED = 0.8  # of a guess's loss: who has come below it has no need to move


@dataclass(frozen=True)
class HeldOut:
    """Figures of the held-out samples: mean `loss` (None: no number), `accuracy` (None: no classes), and by class how
    many samples were `predicted` to be of it and how many are (`labels`).
    """

    loss: float | None = None
    accuracy: float | None = None
    predicted: Sequence[int] = ()
    labels: Sequence[int] = ()

    @property
    def count(self) -> int:
        return sum(self.labels)

    @property
    def commonest(self) -> float:
        """The share of the class that most samples are of."""
        return max(self.labels) / self.count

    @property
    def error(self) -> float:
        """The standard error of the accuracy of always answering the commonest class."""
        return sqrt(self.commonest * (1 - self.commonest) / self.count)

    @property
    def uninformed(self) -> float:
        """The least cross-entropy that can be had by knowing the share of each class alone."""
        shares = [count / self.count for count in self.labels if count]
        return -sum(share * log(share) for share in shares)


def near_chance(held: HeldOut) -> bool:
    """Whether the accuracy is within noise of always answering the commonest class, and the loss is no better."""
    if held.accuracy is None or not held.count or held.commonest == 1:
        return False
    informed = held.loss is not None and held.loss < INFORMED * held.uninformed
    return not informed and held.accuracy <= held.commonest + CERTAIN * held.error


def one_class(held: HeldOut) -> bool:
    """Whether nearly all predictions are of one class, though the samples are not."""
    if held.count < FEWEST or not held.predicted:
        return False
    share = max(held.predicted) / held.count
    return share >= ALL_BUT_ALL and held.commonest <= share - BEYOND


def worse(before: HeldOut, after: HeldOut) -> bool:
    """Whether the accuracy fell by more than noise."""
    if before.accuracy is None or after.accuracy is None or not after.count:
        return False
    of_both = before.accuracy * (1 - before.accuracy) + after.accuracy * (1 - after.accuracy)
    return before.accuracy - after.accuracy > FELL * sqrt(of_both / after.count)


def no_better(after: HeldOut, a_guess: float | None) -> bool:
    """For targets that are numbers: whether always answering their mean would have done as well."""
    if after.accuracy is not None or after.loss is None or not a_guess:
        return False
    return after.loss >= NO_BETTER * a_guess


def unmoved(before: HeldOut, after: HeldOut, a_guess: float | None) -> bool:
    """Whether the loss stayed where it was, though there was something to learn."""
    if before.loss is None or after.loss is None or (a_guess and after.loss < LEARNED * a_guess):
        return False
    return abs(after.loss - before.loss) <= HARDLY * before.loss


def chance_note(held: HeldOut) -> str:
    """'held-out 10.0 % is no better than chance: the commonest of 10 classes is 10.3 % of 360 samples'."""
    classes = sum(count > 0 for count in held.labels)
    return (
        f"held-out {units.percent(held.accuracy)} is no better than chance: the commonest of {classes} classes is "
        f"{units.percent(held.commonest)} of {units.count(held.count)} samples"
    )


def one_class_note(held: HeldOut, names: Sequence[str] = ()) -> str:
    """'class 3 is predicted for 100.0 % of 360 held-out samples; 10.3 % are of it'."""
    most = max(range(len(held.predicted)), key=lambda index: held.predicted[index])
    of_it = held.labels[most] / held.count if most < len(held.labels) else 0.0
    name = names[most] if most < len(names) else most
    return (
        f"class {name} is predicted for {units.percent(held.predicted[most] / held.count)} of "
        f"{units.count(held.count)} held-out samples; {units.percent(of_it)} are of it"
    )


def worse_note(before: HeldOut, after: HeldOut) -> str:
    return f"held-out accuracy fell: {units.percent(before.accuracy)} → {units.percent(after.accuracy)}"


def no_better_note(after: HeldOut, a_guess: float | None) -> str:
    return f"held-out loss {units.loss(after.loss)} is no better than the mean target's {units.loss(a_guess)}"


def unmoved_note(before: HeldOut, after: HeldOut, steps: int) -> str:
    return (
        f"held-out loss hardly moved in {units.count(steps)} steps: {units.loss(before.loss)} → "
        f"{units.loss(after.loss)}"
    )
