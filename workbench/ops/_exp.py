"""exp and exp - 1 as kernels/exp_log_f32.h computes them, operation by operation: with equal bits.

numpy's own differs in the last place, so an operator that uses it can be held against C within a tolerance only.
"""

import numpy as np

LOWEST = -87  # exp of less is 0: what follows is hardly above the smallest float32
HIGHEST = np.float32(88.722839)  # exp of more is infinite


def _terms(r: np.ndarray) -> np.ndarray:
    """exp(r) - 1 of float32 numbers of at most ln(2) / 2."""
    p = np.full_like(r, 1.9875691500e-4)
    for c in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        p = p * r + np.float32(c)
    return p * r * r + r


def exp(x: np.ndarray) -> np.ndarray:
    """Of numbers of 0 or less: in float32 what C gives; in float64 numpy's, which is as exact as that allows."""
    if x.dtype != np.float32:
        return np.exp(x)
    real = np.float32
    least = x < LOWEST
    of = np.where(least | np.isnan(x), real(0), x)
    n = (of * real(1.44269504088896341) - real(0.5)).astype(np.int32)  # towards 0, as C converts: to nearest
    r = (of - n.astype(real) * real(0.693359375)) - n.astype(real) * real(-2.12194440e-4)
    power = ((n + 127) << 23).astype(np.int32).view(real)
    y = (_terms(r) + real(1)) * power
    return np.where(least, real(0), np.where(np.isnan(x), x, y))


def exp_of_any(x: np.ndarray) -> np.ndarray:
    """The same of numbers above 0, too."""
    with np.errstate(over="ignore"):
        if x.dtype != np.float32:
            return np.exp(x)
        real, above = np.float32, (x > 0) & (x <= HIGHEST)
        of = np.where(above, x, real(0))
        n = (of * real(1.44269504088896341)).astype(np.int32) + 1
        r = (of - n.astype(real) * real(0.693359375)) - n.astype(real) * real(-2.12194440e-4)
        power = ((n + 125) << 23).astype(np.int32).view(real)
        y = exp(r) * power * real(4)
        return np.where(above, y, np.where(x > 0, real(np.inf), exp(np.where(x > 0, real(0), x))))


def expm1(x: np.ndarray) -> np.ndarray:
    """exp(x) - 1 of numbers of 0 or less, with the digits of those near 0."""
    if x.dtype != np.float32:
        return np.expm1(x)
    near = x > np.float32(-0.34)
    return np.where(near, _terms(np.where(near, x, np.float32(0))), exp(x) - np.float32(1))
