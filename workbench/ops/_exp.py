"""exp of numbers of 0 or less as kernels/exp_log_f32.h computes it, operation by operation: with equal bits.

numpy's own differs in the last place, so an operator that uses it can be held against C within a tolerance only.
"""

import numpy as np

LOWEST = -87  # exp of less is 0: what follows is hardly above the smallest float32


def exp(x: np.ndarray) -> np.ndarray:
    """In float32 what C gives; in float64 numpy's, which is as exact as that allows."""
    if x.dtype != np.float32:
        return np.exp(x)
    real = np.float32
    least = x < LOWEST
    of = np.where(least | np.isnan(x), real(0), x)
    n = (of * real(1.44269504088896341) - real(0.5)).astype(np.int32)  # towards 0, as C converts: to nearest
    r = (of - n.astype(real) * real(0.693359375)) - n.astype(real) * real(-2.12194440e-4)
    p = real(1.9875691500e-4)
    for c in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        p = p * r + real(c)
    power = ((n + 127) << 23).astype(np.int32).view(real)
    y = (p * r * r + r + real(1)) * power
    return np.where(least, real(0), np.where(np.isnan(x), x, y))
