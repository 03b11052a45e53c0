"""What the weights at the end of a training tell: those that are no numbers, those at the end of their range."""

from collections.abc import Mapping
from math import inf

import numpy as np

from workbench import units
from workbench.report.learning.layers import few

# Of a parameter's values: so many more lie at the end of their range than before. While a network learns well that
# grows slowly, to 12 % after 5 epochs (resnet-int8); one step that is too large drives half or all of them there.
SATURATED = 0.25
FULL = 0.5  # of a parameter's values: at the end of their range from the beginning on. Filters of two values come so
ENDS = {"int8": 127, "int32": 2**30}  # where an update stops (see ops/qnn_sgd)


def no_numbers_note(weights: Mapping[str, np.ndarray]) -> str | None:
    """'2,264 of 3,658 weights are no numbers: conv1.weight 62.5 %'; None where all are finite."""
    broken = {name: int(np.size(values) - np.isfinite(values).sum()) for name, values in weights.items()}
    if not any(broken.values()):
        return None
    shares = {name: count / np.size(weights[name]) for name, count in broken.items() if count}
    names = few(f"{name} {units.percent(share)}" for name, share in _largest_first(shares))
    counts = (units.count(count) for count in (sum(broken.values()), sum(map(np.size, weights.values()))))
    return f"{' of '.join(counts)} weights are no numbers: {names}"


def saturation_note(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> str | None:
    """'values at the end of their range …: conv1.weight 3.7 → 99.3 %', where a quarter or more was driven there.

    Quantization itself puts one value of each filter there, its scale being the largest's: of a filter of nine values
    11 %. So only what comes on top is counted. A value there can step one way alone.
    """
    return _ends_note(before, after, lambda old, new: new - old >= SATURATED)


def full_note(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> str | None:
    """The same, for parameters with at least half of their values at the end of the range before and after training."""
    return _ends_note(before, after, lambda old, new: old >= FULL and new >= FULL and new - old < SATURATED)


def _ends_note(before, after, is_told) -> str | None:
    shares = {name: (at_the_end(before[name]), at_the_end(after[name])) for name in after}
    grown = {name: new - old for name, (old, new) in shares.items() if is_told(old, new)}
    if not grown:
        return None
    arrows = (
        f"{name} {100 * shares[name][0]:.1f} → {units.percent(shares[name][1])}" for name, _ in _largest_first(grown)
    )
    return f"values at the end of their range (int8 ±127, int32 ±2³⁰): {few(arrows)}"


def bias_note(ends: Mapping[str, np.ndarray]) -> str | None:
    """'3 of 18 biases changed by all that 16 bits hold …: conv2.bias 3 of 8; …'; None where no channel did."""
    counts = {name: int(each.sum()) for name, each in ends.items() if each.any()}
    if not counts:
        return None
    of = sum(each.size for each in ends.values())
    names = few(f"{name} {count} of {ends[name].size}" for name, count in _largest_first(counts))
    return (
        f"{units.count(sum(counts.values()))} of {units.count(of)} biases changed by all that 16 bits hold, and "
        f"stopped there: {names}; --bias-storage int32 holds any change, a smaller --lr-bias makes smaller ones"
    )


def at_the_end(values: np.ndarray) -> float:
    """The share of values at the end of their range, −128 of int8 too; 0 of float32."""
    limit = ENDS.get(values.dtype.name, inf)
    return 0.0 if limit == inf else float((np.abs(values.astype(np.int64)) >= limit).mean())


def _largest_first(shares: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(shares.items(), key=lambda share: -share[1])
