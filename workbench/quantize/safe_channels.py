"""Make channels with extreme scales or biases safe: int32 sums must not overflow, and 1 / s² must stay a number.

Published networks hold dead filters: a scale near 4e-9, a bias near 2³¹. A power of two moves from the stored integers
into the scale, which leaves every real number where it was:

    s' = s · 2^k      w' = w / 2^k      b' = b / 2^k        rounded

k is the least that keeps every sum, bias included, below 2³⁰. Where a filter's weights cannot change its output by half
a unit anyway (it is dead: its bias alone speaks), k grows until the bias has 20 bits, so that its factor keeps digits,
and until the scale is one whose square float32 can divide by. Layers that share a weight or a bias share k.
"""

from collections.abc import Iterable

import numpy as np

SUMS = 2.0**30  # what |b| + Σ |w| · 255 must stay below
DEAD_BIAS, DEAD_SCALE = 2.0**20, 2.0**-40
SCALES = 2.0**-60, 2.0**60  # of files: beyond them float32 arithmetic on scales breaks down


def safe_channels(
    w: np.ndarray, b: np.ndarray, s: np.ndarray, output_factor: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """int8 w (O, …), int32 b (O,) and scales s (O,), float32, made safe; `output_factor` is x_scale / y_scale."""
    return moved(w, b, s, safe_shifts([(w, b, output_factor)], s))


def safe_shifts(layers: Iterable[tuple[np.ndarray, np.ndarray, float]], s: np.ndarray) -> np.ndarray:
    """k of each filter (O,) for layers (w, b, output_factor) whose filters have the same scales `s`."""
    weights, biases, factors = zip(*layers, strict=True)
    s, b = s.astype(np.float64), np.max([np.abs(each.astype(np.float64)) for each in biases], axis=0)
    reach = np.max([255 * np.abs(w.astype(np.float64)).reshape(len(w), -1).sum(axis=1) for w in weights], axis=0)
    k = np.ceil(np.log2(np.maximum((b + reach) / SUMS, 1)))
    dead = reach * s * max(factors) < 0.5
    least = np.maximum(b / DEAD_BIAS, DEAD_SCALE / s)
    shifts: np.ndarray = np.where(dead, np.maximum(k, np.ceil(np.log2(np.maximum(least, 1)))), k)
    return shifts


def moved(w: np.ndarray, b: np.ndarray, s: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(w', b', s')."""
    by = 2.0**k
    w = np.rint(w.astype(np.float64) / by.reshape(-1, *[1] * (w.ndim - 1)))
    return w.astype(np.int8), np.rint(b / by).astype(np.int32), (s.astype(np.float64) * by).astype(np.float32)
