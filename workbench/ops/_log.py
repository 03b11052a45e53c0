"""log(x) and log(1 + x) as kernels/exp_log_f32.h computes them, operation by operation: with equal bits (see _exp)."""

import numpy as np

TINY = np.finfo(np.float32).tiny
REDUCED = np.float32(0.414213562373095049)  # log(1 + x) of less needs no reduction


def _split(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(m, e): x = (1 + m) · 2^e, m around 0, of normal float32 numbers above 0."""
    bits = x.view(np.int32)
    e, m = (bits >> 23) - 126, ((bits & 0x007FFFFF) | 0x3F000000).view(np.float32)
    low = m < np.float32(0.707106781186547524)
    return np.where(low, m + m, m) - np.float32(1), e - low


def _joined(m: np.ndarray, e: np.ndarray) -> np.ndarray:
    """log(1 + m) + e · log(2)."""
    real, exponent = np.float32, e.astype(np.float32)
    p = np.full_like(m, 7.0376836292e-2)
    for c in (-1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1,
              -2.4999993993e-1, 3.3333331174e-1):  # fmt: skip
        p = p * m + real(c)
    z = m * m
    y = p * m * z + real(-2.12194440e-4) * exponent - real(0.5) * z
    return m + y + real(0.693359375) * exponent


def log(x: np.ndarray) -> np.ndarray:
    """In float32 what C gives; in float64 numpy's. -inf at 0, NaN below."""
    if x.dtype != np.float32:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(x)
    real, small = np.float32, x < TINY
    of = np.where((x > 0) & (x < np.inf), x * np.where(small, real(1 << 23), real(1)), real(1))
    m, e = _split(of)
    y = _joined(m, e - np.where(small, 23, 0))
    return np.where(x > 0, np.where(x == np.inf, x, y), np.where(x == 0, real(-np.inf), real(np.nan)))


def log1p(x: np.ndarray) -> np.ndarray:
    """Of numbers of 0 or more: in float32 what C gives, in float64 numpy's."""
    if x.dtype != np.float32:
        return np.log1p(x)
    finite = x < np.inf
    of = np.where(finite, x, np.float32(0))
    m, e = _split(np.float32(1) + of)
    large = of >= REDUCED
    return np.where(finite, _joined(np.where(large, m, of), np.where(large, e, 0)), x)
