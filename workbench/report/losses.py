"""What the losses of a training tell: whether it learned, or exploded. Plain numbers in, words out.

loss | ·  <- largest              A loss that swings is compared by its means at both ends: with each other, and
     |· ·                         with a guess: ln(classes), the cross-entropy of equal scores, or the loss of the mean
     |----------------- a guess   target. The largest is told where it lies far above both. The first ten steps may hold
     |·    ···········  <- last   the explosion already: they count by their median, and step 1, before any update,
     +----------------> step      counts beside them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, log, sqrt
from typing import NamedTuple

import numpy as np

from workbench import units
from workbench.objective import CROSS_ENTROPY

FEWEST = 20  # steps from which on means tell something; of a shorter run its single steps are told
WINDOW, LONGEST = 10, 100  # steps of a mean: the first ones; the last tenth, between these two
# While a network learns well, one sample's loss reaches 4 guesses, ten in a row 1.3 (8×8 digits, a sample a step); the
# surer it is, the larger the loss of a sample that it gets wrong.
EXPLODED, ANYHOW = 10, 100  # times a guess and the beginning: one step; even where the network learned in the end
SWELLED = 1.5  # the same for ten steps in a row
LEARNED = 0.8  # of a guess: an end below it
CERTAIN = 3  # standard errors that the end must be worse by
NO_BETTER = 0.98  # of a guess: an end above it, though every sample was seen
HARDLY = 0.9  # of a guess: an end above it is told beside it
UP = 2  # times a guess and the beginning: a largest loss to be told of a network that ended so
ROSE = 1.02  # times the held-out loss before: one after it that rose


class Ends(NamedTuple):
    """The figures of a loss that was a number at every step, as in Course."""

    opening: float
    first: float
    last: float
    largest: float
    largest_at: int


@dataclass(frozen=True)
class Course:
    """How a loss went; steps count from 1, and a mean with a loss that is no number in it is None.

    opening          step 1's loss: the only one before any update
    first, last      means of `head` steps at the beginning, of `tail` at the end; `error` is their difference's
                     standard error
    typical          the median of the first `head`
    largest          of those that are numbers, at step `largest_at`
    highest          the largest mean of ten steps in a row; None in a short run
    lost_at          the first step whose loss is no number; None where all are
    held_out         the loss of the held-out samples before and after, which single samples' noise does not reach
    widest           the loss of the sample farthest from the mean target, in guesses: so far one reaches by itself
    """

    steps: int
    opening: float | None
    first: float | None
    last: float | None
    head: int = 1
    tail: int = 1
    error: float = 0.0
    typical: float = 0.0
    largest: float | None = None
    largest_at: int | None = None
    highest: float | None = None
    lost_at: int | None = None
    held_out: tuple[float | None, float | None] = (None, None)
    widest: float = 1.0

    @property
    def kept(self) -> bool:
        """Whether it is known that the held-out loss did not rise."""
        before, after = self.held_out
        return before is not None and after is not None and after <= ROSE * before

    @property
    def ends(self) -> Ends | None:
        """What it began and ended with; None where a loss was no number, or where there is none."""
        if self.opening is None or self.first is None or self.last is None or self.lost_at:
            return None
        if self.largest is None or self.largest_at is None:
            return None
        return Ends(self.opening, self.first, self.last, self.largest, self.largest_at)


def course(
    losses: Sequence[float | None], held_out: tuple[float | None, float | None] = (None, None), widest: float = 1.0
) -> Course:
    """The course of a training by the loss of each step; None, NaN and infinite losses are no numbers."""
    values = [loss if loss is not None and isfinite(loss) else None for loss in losses]
    if not values:
        return Course(0, None, None, None, held_out=held_out)
    short = len(values) < FEWEST
    head, tail = (1, 1) if short else (WINDOW, max(WINDOW, min(LONGEST, len(values) // 10)))
    largest = max((value for value in values if value is not None), default=None)
    told = Course(
        steps=len(values), opening=values[0], first=_mean(values[:head]), last=_mean(values[-tail:]), head=head,
        tail=tail, largest=largest, largest_at=None if largest is None else values.index(largest) + 1,
        held_out=held_out, widest=widest,
    )  # fmt: skip
    if None in values:
        return replace(told, lost_at=values.index(None) + 1)
    numbers = np.array(values, np.float64)
    begin, end = numbers[:head], numbers[-tail:]
    return replace(
        told, error=sqrt(np.var(begin) / head + np.var(end) / tail), typical=float(np.median(begin)),
        highest=None if short else _highest(numbers),
    )  # fmt: skip


def guess(loss_function: str | None, classes: int | None) -> float | None:
    """The loss of equal scores for all classes; None where that says nothing."""
    return log(classes) if loss_function == CROSS_ENTROPY and classes and classes > 1 else None


def of_meta(meta: dict) -> tuple[Course, float | None]:
    """The course of a run's loss, and the loss of a guess, as run.json has it (older runs: None)."""
    a_guess = meta.get("guess")
    if a_guess is None:
        a_guess = guess(meta.get("loss_function"), class_count(meta))
    held = meta.get("held_out_loss") or {}
    return course(
        meta.get("loss") or [], (held.get("before"), held.get("after")), meta.get("widest_guess") or 1.0
    ), a_guess


def held_out(meta: dict) -> tuple[float | None, float | None, Callable[[float | None], str]]:
    """The held-out accuracy (without classes, the loss) before and after, and the function that formats it."""
    accuracy = meta.get("accuracy")
    found = accuracy or meta.get("held_out_loss") or {}
    return found.get("before"), found.get("after"), units.percent if accuracy else units.loss


def class_count(meta: dict) -> int | None:
    """How many classes a run tells apart, whether they have names or not."""
    classes = meta.get("classes")
    return len(classes) if isinstance(classes, list) else classes


def rose(run: Course, a_guess: float | None) -> bool:
    """Whether the loss exploded, or ended worse than it began where that is more than noise.

    A held-out loss that did not rise says that it is noise. A few steps without a guess say nothing.
    """
    ends = run.ends
    if ends is None or run.steps < 2 or ends.largest_at == 1 or (run.steps < FEWEST and not a_guess):
        return False
    level, bar = _level(run, ends, a_guess), _bar(ends, a_guess)
    learned = ends.last < min(LEARNED * (a_guess or inf), bar)
    if ends.largest >= max(ANYHOW if learned else EXPLODED, UP * run.widest) * level:
        return True
    if run.steps < FEWEST or learned or run.kept:
        return False
    a_far_one = 1 + (run.widest - 1) / WINDOW  # among ten
    swelled = (run.highest or 0) >= SWELLED * a_far_one * level and ends.last >= LEARNED * run.typical
    return swelled or ends.last - CERTAIN * run.error > bar


def stuck(run: Course, a_guess: float | None, epoch: int | None) -> bool:
    """Whether the end is no better than a guess though every sample was seen, or worse than one and not falling.

    `epoch` is the steps that see every sample once; None where the labels are made up: there is nothing to learn.
    """
    ends = run.ends
    if ends is None or not a_guess or not epoch or run.steps < FEWEST or _knows_more(run, a_guess):
        return False
    if run.steps >= epoch and ends.last >= NO_BETTER * a_guess:
        return True
    return ends.last - CERTAIN * run.error > a_guess and ends.last > LEARNED * ends.first


def _knows_more(run: Course, a_guess: float) -> bool:
    """Whether the held-out loss ended below a guess, however hard the last samples were."""
    after = run.held_out[1]
    return run.kept and after is not None and after < LEARNED * a_guess


def loss_words(run: Course, a_guess: float | None) -> str:
    """'2.31 → 0.11', '1.39 → 650 at step 2 → 2.55', '2.44 → no number from step 2 on'; '' without losses."""
    if not run.steps:
        return ""
    if run.lost_at:
        return f"{units.loss(run.opening)} → " * (run.lost_at > 1) + f"no number from step {run.lost_at} on"
    if run.steps == 1:
        return units.loss(run.opening)
    begin = run.opening if _spoiled(run, a_guess) else run.first
    over = f"{_largest(run)} → " * (rose(run, a_guess) and run.largest_at != run.steps)
    return f"{units.loss(begin)} → {over}{units.loss(run.last)}"


def loss_aside(run: Course, a_guess: float | None) -> str:
    """' (means of 10; a guess is 2.30)': how many steps the ends are of, and a guess where the end is hardly better."""
    if run.steps < 2 or run.lost_at:
        return ""
    told = [f"means of {run.head}" + f" and {run.tail}" * (run.head != run.tail)] * (run.head > 1)
    told *= not _spoiled(run, a_guess)
    if a_guess is not None and run.last is not None and run.last > HARDLY * a_guess:
        told.append(f"a guess is {units.loss(a_guess)}")
    return f" ({'; '.join(told)})" if told else ""


def loss_note(run: Course, a_guess: float | None, epoch: int | None = None) -> str | None:
    """What went wrong with the loss: the largest and its step, the end beside a guess and the first ten steps."""
    beside = [f"a guess is {units.loss(a_guess)}"] * (a_guess is not None) + _beginning(run, a_guess)
    if run.lost_at:
        beside = [f"at most {_largest(run)}"] * ((run.largest_at or 1) > 1) + beside
        return f"loss stopped being a number at step {run.lost_at}; {', '.join(beside)}".rstrip("; ")
    worse, ends = rose(run, a_guess), run.ends
    if ends is None or (not worse and not stuck(run, a_guess, epoch)):
        return None
    up = worse or (not run.kept and ends.largest_at > 1 and ends.largest >= UP * _level(run, ends, a_guess))
    told = f"loss rose to {_largest(run)}" if up else f"loss ended no better than a guess, at most {_largest(run)}"
    return f"{told}; {', '.join([f'at the end {units.loss(run.last)}', *beside])}"


def _level(run: Course, ends: Ends, a_guess: float | None) -> float:
    """What a healthy loss stays near: a guess or, where it begins worse, its beginning.

    That is the median of the first steps: one explosion among them does not move it. Nor do many, past twice step 1.
    """
    return max(a_guess or 0, min(run.typical, UP * max(ends.opening, a_guess or 0)))


def _bar(ends: Ends, a_guess: float | None) -> float:
    """What the end should not exceed: a guess, or a worse beginning; after a good one its double or a quarter guess."""
    if not a_guess:
        return 2 * ends.first
    return max(ends.first, min(a_guess, max(2 * ends.first, a_guess / 4)))


def _spoiled(run: Course, a_guess: float | None) -> bool:
    """Whether the first ten steps hold an explosion already, so that only step 1 tells the beginning."""
    if run.first is None or run.opening is None:
        return False
    return run.first > UP * max(run.opening, a_guess or 0)


def _beginning(run: Course, a_guess: float | None) -> list[str]:
    if run.opening is None or run.steps < 2:
        return []
    if run.head == 1 or run.first is None:
        return [f"the first step {units.loss(run.opening)}"]
    alone = f" (step 1: {units.loss(run.opening)})" * _spoiled(run, a_guess)
    return [f"the first ten steps {units.loss(run.first)}{alone}"]


def _largest(run: Course) -> str:
    return f"{units.loss(run.largest)} at step {run.largest_at}"


def _mean(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return sum(numbers) / len(numbers) if len(numbers) == len(values) else None


def _highest(values: np.ndarray) -> float:
    return float(np.convolve(values, np.full(WINDOW, 1 / WINDOW), "valid").max())
