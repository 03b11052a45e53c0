"""Make channels with extreme scales or biases safe: int32 sums must not overflow, and 1 / s² must stay a number.

Published networks hold dead filters: a scale near 4e-9, a bias near 2³¹. A power of two moves from the stored integers
into the scale, which leaves every real number where it was:

    s' = s · 2^k      w' = w / 2^k      b' = b / 2^k        rounded

k is the least that keeps every sum, bias included, below 2³⁰. Where a filter's weights cannot change its output by half
a unit anyway (it is dead: its bias alone speaks), k grows until the bias has 20 bits, so that its factor keeps digits,
and until the scale is one whose square float32 can divide by.
"""

import numpy as np

SUMS = 2.0**30  # what |b| + Σ |w| · 255 must stay below
DEAD_BIAS, DEAD_SCALE = 2.0**20, 2.0**-40
SCALES = 2.0**-60, 2.0**60  # of files: beyond them float32 arithmetic on scales breaks down


def safe_channels(
    w: np.ndarray, b: np.ndarray, s: np.ndarray, output_factor: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """int8 w (O, …), int32 b (O,) and scales s (O,), float32, made safe; `output_factor` is x_scale / y_scale."""
    w, b, s = w.astype(np.float64), b.astype(np.float64), s.astype(np.float64)
    reach = 255 * np.abs(w).reshape(len(w), -1).sum(axis=1)
    k = np.ceil(np.log2(np.maximum((np.abs(b) + reach) / SUMS, 1)))
    dead = reach * s * output_factor < 0.5
    least = np.maximum(np.abs(b) / DEAD_BIAS, DEAD_SCALE / s)
    k = np.where(dead, np.maximum(k, np.ceil(np.log2(np.maximum(least, 1)))), k)
    by = 2.0**k
    w = np.rint(w / by.reshape(-1, *[1] * (w.ndim - 1)))
    return w.astype(np.int8), np.rint(b / by).astype(np.int32), (s * by).astype(np.float32)
