"""How an operator's float32 sums add their products: each rounded before it is added, or fused with the addition.

A fused multiply-add rounds once: it is one instruction (VFMA) that pays on a Cortex-M7 and costs on a Cortex-M4. So it
is part of what a network computes, an attribute of its operators (`sum="fma"`), the same in all schedules.
"""

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.op import Attrs

SUM: Attrs = {"sum": ""}
FMA = "fma"


def fused(sum: str) -> int:
    """The field `fused` of C's records. Raises ShapeError for a kind of sum that there is not."""
    if sum not in ("", FMA):
        raise ShapeError(f'sum is "" or {FMA!r}; got {sum!r}')
    return int(sum == FMA)


def takes_fused(sum: str, *operands: np.ndarray) -> bool:
    """Whether products are to be fused: in float32 alone. Wider numbers are the measure for both kinds of sums."""
    return bool(fused(sum)) and all(x.dtype == np.float32 for x in operands)


def multiply_add(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a · b + c in float32, rounded once, as C's fmaf.

    float64 holds the product exactly (48 of 53 bits). Its sum with c is rounded to odd, from which float32 follows as
    from the exact one (Boldo and Melquiond, Emulation of FMA and correctly rounded sums, 2008).
    """
    product, c = a.astype(np.float64) * b, c.astype(np.float64)
    total = product + c
    with np.errstate(invalid="ignore"):  # infinities have no error
        part = total - product
        error = (product - (total - part)) + (c - part)  # exact: Knuth's two-sum
    total = np.asarray(total)
    odd = total.view(np.int64) & 1 == 1
    inexact = np.isfinite(total) & (error != 0) & ~odd
    towards = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, as in C
        return np.where(inexact, towards, total).astype(np.float32)
