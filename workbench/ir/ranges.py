"""The range in which a float32 result of the C must lie: what the order of a sum may change, and nothing else.

    same bits    each element is rounded alike in numpy and in C; where operands are ranges, their ends give its ends
    sums         |computed - Σ terms| ≤ 16 ε · Σ |terms|, both sums by the operator's own `evaluate` in float64

So what is left of large terms that cancel may be off by as much as they are rounded, and everything else by nothing.
A result is a range only because of sums before it in the same operator: what lies in memory is known to the bit.
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from workbench.errors import GraphError

EPSILON = float(np.finfo(np.float32).eps)
ROUNDINGS = 16  # in ε · Σ |terms|
SMALLEST = float(np.finfo(np.float32).tiny)  # below it float32 rounds by steps, not by digits
LARGEST = float(np.finfo(np.float32).max)


class Range(NamedTuple):
    """Every element lies in [low, high]; exactly known where both are one and the same array."""

    low: np.ndarray
    high: np.ndarray

    @property
    def exact(self) -> bool:
        return self.low is self.high


Ranges = Range | tuple[Range, ...]  # of one result, or of several
Within = Callable[..., Ranges]
Evaluate = Callable[..., np.ndarray | tuple[np.ndarray, ...]]


def exactly(value: np.ndarray | np.generic) -> Range:
    """The range of what is known to the bit."""
    value = np.asarray(value)
    return Range(value, value)


def same_bits(evaluate: Evaluate) -> Callable[..., tuple[Range, ...]]:
    """Of an operator that numpy and C round alike, each element of which rises or falls with each of its operands."""

    def within(*operands: Range, **attrs: Any) -> tuple[Range, ...]:
        ends = [(_single(x.low),) if x.exact else (_single(x.low), _single(x.high)) for x in operands]
        cases = [_results(evaluate(*chosen, **attrs)) for chosen in product(*ends)]
        if len(cases) == 1:
            return tuple(map(exactly, cases[0]))
        return tuple(_between(each) for each in zip(*cases, strict=True))

    return within


def _between(ends: Sequence[np.ndarray]) -> Range:
    """The range of these; anything, where infinite ends cancel to no number."""
    low, high = np.minimum.reduce(ends), np.maximum.reduce(ends)
    if not _is_real(low):
        return Range(low, high)
    unknown = np.isnan(low)
    return (
        Range(np.where(unknown, -np.inf, low), np.where(unknown, np.inf, high)) if unknown.any() else Range(low, high)
    )


def sums(evaluate: Evaluate, in_order: Callable[..., np.ndarray] | None = None) -> Callable[..., Range]:
    """Of an operator whose elements are sums of its operands' products.

    `in_order` adds the same terms up in float32, one after the other as C does, for sums so long that equal terms,
    which are all rounded the same way, may leave 16 ε.
    """

    def within(*operands: Range, **attrs: Any) -> Range:
        middle = [_middle(x) for x in operands]
        value, size = (_sum(evaluate, each, attrs) for each in (middle, [_size(m) for m in middle]))
        slack = ROUNDINGS * EPSILON * np.maximum(size, SMALLEST)
        if not all(x.exact for x in operands):
            wider = [_size(m) + _half_width(x) for m, x in zip(middle, operands, strict=True)]
            slack = slack + _sum(evaluate, wider, attrs) - size
        other = in_order(*map(_single, middle), **attrs) if in_order else value
        low, high = np.minimum(value, other) - slack, np.maximum(value, other) + slack
        overflows = ~(size < LARGEST)  # a part of the sum may be infinite, and infinities cancel to no number
        return Range(np.where(overflows, -np.inf, low), np.where(overflows, np.inf, high))

    return within


def known(x: Range) -> np.ndarray:
    """The values of what lies in memory: an operator that takes no ranges never stands behind a sum in a region."""
    if not x.exact:
        raise GraphError("an operator that takes exact values only stands behind a sum inside a region")
    return x.low


def near(value: np.ndarray, size: np.ndarray) -> Range:
    """`value` in float64, and `size`: the sum of the magnitudes of the terms it is made of."""
    slack = ROUNDINGS * EPSILON * np.maximum(size, SMALLEST)
    return Range(value - slack, value + slack)


def single(x: Range) -> Range:
    """The float32 numbers at its ends: none of those inside lies beyond them."""
    low = _single(x.low)
    return Range(low, low if x.exact else _single(x.high))


def _results(evaluated: np.ndarray | tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    return evaluated if isinstance(evaluated, tuple) else (evaluated,)


def _sum(evaluate: Evaluate, operands: Sequence[np.ndarray], attrs: dict[str, Any]) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.asarray(evaluate(*operands, **attrs), np.float64)


def _single(value: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return value.astype(np.float32) if value.dtype == np.float64 else value


def _is_real(value: np.ndarray) -> bool:
    return np.issubdtype(value.dtype, np.floating)


def _middle(x: Range) -> np.ndarray:
    low = x.low.astype(np.float64) if _is_real(x.low) else x.low
    with np.errstate(invalid="ignore"):
        return low if x.exact or not _is_real(low) else (low + x.high.astype(np.float64)) / 2


def _size(value: np.ndarray) -> np.ndarray:
    return value if value.dtype == bool else np.abs(value.astype(np.float64))


def _half_width(x: Range) -> np.ndarray | float:
    if x.exact or not _is_real(x.low):
        return np.zeros_like(x.low)
    with np.errstate(invalid="ignore"):
        return (x.high.astype(np.float64) - x.low.astype(np.float64)) / 2
