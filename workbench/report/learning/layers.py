"""What a network's layers make of some samples: channels that are the same for all, results at an end of their range.

An int8 result that the clip holds at an end passes no gradient back, and a score there cannot grow. The end at which a
ReLU clips is not counted: that is its meaning.

The cross-entropy of C scores, each within [low, high], is least where the right one is at `high` and all others at
`low`: log(1 + (C - 1) · exp(low - high)), known before the first step.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, log1p

from workbench import units

DEAD = 0.5  # of a layer's channels. After healthy runs of the built-in networks up to 30 % are
DIED = 0.25  # of a layer's channels: so many more than before training
CLIPPED = 0.5  # of the scores
HIDDEN_CLIPPED = 0.75  # of another layer's results. Where int8 learned well the last layer of a branch had up to 67 %
LOCKED = 0.95  # of the scores
FLOOR = 0.05  # cross-entropy: the right class has 95 %


@dataclass(frozen=True)
class Layer:
    """`dead` of its `channels` held the same values for every sample; `clipped` is the share of its results that lie at
    an end of their int8 range at which no activation clips.
    """

    name: str
    channels: int
    dead: int
    clipped: float = 0.0

    @property
    def striking(self) -> bool:
        """Whether the layer may be worth a note."""
        return self.dead >= DEAD * self.channels or self.clipped >= CLIPPED


@dataclass(frozen=True)
class Observed:
    """The layers of a network that so many `samples` ran through; the last one gives its output.

    `reach`: the real numbers that an int8 output can hold, (low, high); None of a float32 one.
    """

    samples: int = 0
    layers: Sequence[Layer] = ()
    reach: tuple[float, float] | None = None

    @property
    def striking(self) -> bool:
        """Whether one of the layers may be worth a note."""
        return any(layer.striking for layer in self.layers)


def dead_note(before: Observed, after: Observed) -> str | None:
    """'the same for each of 32 samples: fc1 28 of 32 channels (8 before training)', where that is most of a layer and
    came with the training, or is all of it.
    """
    begun = {layer.name: layer.dead for layer in before.layers}
    told = []
    for layer in after.layers:
        grew = layer.dead - begun.get(layer.name, 0)
        most = layer.dead >= DEAD * layer.channels and grew >= DIED * layer.channels
        if most or layer.dead == layer.channels:
            told.append(f"{layer.name} {layer.dead} of {layer.channels} channels ({begun.get(layer.name, 0)} before)")
    return f"dead, the same for each of {after.samples} samples: {few(told)}" if told else None


def died(before: Observed, after: Observed) -> bool:
    """Whether a layer has lost so many channels in training."""
    begun = {layer.name: layer.dead for layer in before.layers}
    return any(layer.dead - begun.get(layer.name, 0) >= DEAD * layer.channels for layer in after.layers)


def clipped_note(before: Observed, after: Observed, scores: bool = True) -> str | None:
    """'results clipped at an end of their int8 range …: fc2 (the scores) 0.0 → 73.0 %', of half of the scores or most
    of another layer; without the `scores` where floor_note tells them.
    """
    begun = {layer.name: layer.clipped for layer in before.layers}
    told = []
    for layer in after.layers:
        of_output = layer is after.layers[-1]
        if layer.clipped >= (CLIPPED if of_output else HIDDEN_CLIPPED) and (scores or not of_output):
            share = f"{100 * begun.get(layer.name, 0.0):.1f} → {units.percent(layer.clipped)}"
            told.append(f"{layer.name}{' (the scores)' * of_output} {share}")
    if not told:
        return None
    return f"results clipped at an end of their int8 range, where no gradient passes: {few(told)}"


def locked(observed: Observed) -> bool:
    """Whether nearly all scores are at an end of their range, so that no gradient is left."""
    return bool(observed.layers) and observed.layers[-1].clipped >= LOCKED


def floor(reach: tuple[float, float] | None, classes: int | None) -> float | None:
    """The least cross-entropy that scores within `reach` can have."""
    if reach is None or not classes or classes < 2:
        return None
    low, high = reach
    return log1p((classes - 1) * exp(low - high))


def floor_note(observed: Observed, classes: int | None) -> str | None:
    """'int8 scores reach from -1.97 to 1.96, 73.0 % of them at an end: the loss cannot fall below 0.16', where that is
    far from 0.
    """
    least = floor(observed.reach, classes)
    if observed.reach is None or least is None or least < FLOOR:
        return None
    low, high = observed.reach
    share = observed.layers[-1].clipped if observed.layers else 0.0
    ends = f", {units.percent(share)} of them at an end" * (share >= CLIPPED)
    return f"int8 scores reach from {low:.3g} to {high:.3g}{ends}: the loss cannot fall below {units.loss(least)}"


def few(told: Iterable[str], most: int = 3) -> str:
    """The first ones, and how many more there are."""
    told = list(told)
    return ", ".join(told[:most] + [f"{len(told) - most} more"] * (len(told) > most))
