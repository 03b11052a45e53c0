"""The notes on a training, made of plain numbers: its losses, its weights before and after, its learning rate.

training puts them into run.json, so that a saved run tells them again; whoever knows more of a training adds one here.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import inf

import numpy as np

from workbench import units
from workbench.report.losses import course, loss_note, rose, stuck

# Of a parameter's values: so many more lie at the end of their range than before. While a network learns well that
# grows slowly, to 12 % after 5 epochs (resnet-int8); one step that is too large drives half or all of them there.
SATURATED = 0.25
ENDS = {"int8": 127, "int32": 2**30}  # where an update stops (see ops/qnn_sgd)
SMALLER_RATE, ANOTHER_RATE = "a smaller --lr often helps", "another --lr may help"


def training_notes(
    losses: Sequence[float | None],
    a_guess: float | None,
    epoch: int | None,
    weights: Mapping[str, np.ndarray],
    before: Mapping[str, np.ndarray],
    after: Mapping[str, np.ndarray],
    rate: str,
) -> list[str]:
    """Everything that went wrong, and then what to try; empty where nothing did.

    `a_guess` and `epoch` as in losses.stuck; `weights` are all of them at the end, `before` and `after` only what was
    updated, as it is stored.
    """
    run = course(losses)
    too_large = [note for note in (no_numbers_note(weights), saturation_note(before, after)) if note]
    notes = [*filter(None, [loss_note(run, a_guess, epoch)]), *too_large]
    if too_large or rose(run, a_guess) or (run.lost_at or 0) > 1:  # step 1 comes before any update
        notes.append(f"{SMALLER_RATE}: this was {rate}")
    elif stuck(run, a_guess, epoch):
        notes.append(f"{ANOTHER_RATE}: this was {rate}")
    return notes


def advice(notes: Iterable[str]) -> str | None:
    """SMALLER_RATE or ANOTHER_RATE, if `notes`, as run.json has them, end so."""
    given = (each for note in notes for each in (SMALLER_RATE, ANOTHER_RATE) if note.startswith(each))
    return next(given, None)


def no_numbers_note(weights: Mapping[str, np.ndarray]) -> str | None:
    """'2,264 of 3,658 weights are no numbers: conv1.weight 62.5 %'; None where all are finite."""
    broken = {name: int(np.size(values) - np.isfinite(values).sum()) for name, values in weights.items()}
    if not any(broken.values()):
        return None
    shares = {name: count / np.size(weights[name]) for name, count in broken.items() if count}
    told = _few(f"{name} {units.percent(share)}" for name, share in _largest_first(shares))
    counts = (units.count(count) for count in (sum(broken.values()), sum(map(np.size, weights.values()))))
    return f"{' of '.join(counts)} weights are no numbers: {told}"


def saturation_note(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> str | None:
    """'values at the end of their range …: conv1.weight 3.7 → 99.3 %', where a quarter or more was driven there.

    Quantization itself puts one value of each filter there, its scale being the largest's: of a filter of nine values
    11 %. So only what comes on top is counted. A value there can step one way alone.
    """
    shares = {name: (at_the_end(before[name]), at_the_end(after[name])) for name in after}
    driven = {name: new - old for name, (old, new) in shares.items() if new - old >= SATURATED}
    if not driven:
        return None
    arrows = (
        f"{name} {100 * shares[name][0]:.1f} → {units.percent(shares[name][1])}" for name, _ in _largest_first(driven)
    )
    return f"values at the end of their range (int8 ±127, int32 ±2³⁰): {_few(arrows)}"


def at_the_end(values: np.ndarray) -> float:
    """The share of values at the end of their range, −128 of int8 too; 0 of float32."""
    limit = ENDS.get(values.dtype.name, inf)
    return 0.0 if limit == inf else float((np.abs(values.astype(np.int64)) >= limit).mean())


def rate_words(lr: float, lr_bias: float, momentum: float = 0.0, qas: bool | None = None) -> str:
    """'lr 0.02 with QAS, momentum 0.9 steps like lr 0.2'; `qas` None: nothing of int8 is updated."""
    words = f"lr {lr:g}" + ("" if qas is None else " with QAS" if qas else " without QAS")
    words += "" if lr_bias == lr else f", {lr_bias:g} of biases"
    return words + (f", momentum {momentum:g} steps like lr {lr / (1 - momentum):.3g}" if 0 < momentum < 1 else "")


def epoch_note(steps: int, epoch: int, figures: str = "accuracies") -> str | None:
    """A note on held-out figures that were measured before the network saw every sample once, in `epoch` steps."""
    if steps >= epoch:
        return None
    told = f"{steps} steps are" if steps != 1 else "1 step is"
    return f"{told} {100 * steps / epoch:.2g} % of an epoch: {figures} say little yet; --epochs 1 or more"


def _largest_first(shares: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(shares.items(), key=lambda share: -share[1])


def _few(told: Iterable[str], most: int = 3) -> str:
    """The first ones, and how many more there are."""
    told = list(told)
    more = [f"{len(told) - most} more"] * (len(told) > most)
    return ", ".join(told[:most] + more)
