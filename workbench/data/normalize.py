"""Normalize inputs to a range that networks learn well from: fitted to the training part, applied to all samples.

none       as they are
unit       over the largest magnitude: within [-1, 1], zero stays zero         one number for all values
standard   less the mean, over the standard deviation                          of each channel, of each value of a row
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import DataError
from workbench.options import NORMALIZATIONS

NONE, UNIT, STANDARD = NORMALIZATIONS
LARGEST = float(np.finfo(np.float64).max)  # no infinity, no whole number beyond it
ROWS = 4096  # at a time, in float64


@dataclass(frozen=True)
class Normalize:
    """(x - shift) / scale, along axis 1 of x (n, …) where there are several of them."""

    kind: str = NONE
    shift: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    def apply(self, x: np.ndarray) -> np.ndarray:
        """float32, of the same shape; computed in float64."""
        if self.kind == NONE:
            return x
        if len(self.scale) not in (1, x.shape[1]):
            raise DataError(f"normalize {self.kind} is for {len(self.scale)} channels; x has {x.shape[1]}")
        shift, scale = (np.reshape(each, (1, -1) + (1,) * (x.ndim - 2)) for each in (self.shift, self.scale))
        done = np.empty(x.shape, np.float32)
        with np.errstate(over="ignore"):
            for begin in range(0, len(x), ROWS):
                done[begin : begin + ROWS] = (x[begin : begin + ROWS] - shift) / scale
        if not np.isfinite(done).all():
            raise DataError(f"normalize {self.kind} gives numbers beyond float32", "do its units fit those it is for?")
        return done

    def plain(self) -> dict:
        """As JSON holds it."""
        if self.kind == NONE:
            return {"kind": NONE}
        return {"kind": self.kind, "shift": list(self.shift), "scale": list(self.scale)}

    @classmethod
    def of_plain(cls, told) -> "Normalize":
        """What `plain` gave. Raises DataError for anything else."""
        lists: list[Any] = [told.get(name, []) for name in ("shift", "scale")] if isinstance(told, dict) else [None]
        numbers = all(isinstance(each, list) and all(map(_is_number, each)) for each in lists)
        if not numbers or told.get("kind") not in NORMALIZATIONS or len(lists[0]) != len(lists[1]) or 0 in lists[1]:
            raise DataError("this is no normalization that a run has saved")
        return cls(told["kind"], tuple(map(float, lists[0])), tuple(map(float, lists[1])))

    def __str__(self) -> str:
        """'unit: over 255'."""
        if self.kind == UNIT:
            return f"unit: over {self.scale[0]:.6g}"
        return self.kind + (f", {len(self.scale)} channels" if self.kind == STANDARD else "")


def found(kind: str, x: np.ndarray) -> Normalize:
    """The normalization of this kind, fitted to the training part x (n, channels, …)."""
    if kind == UNIT:
        largest = float(max(x.max(), -x.min()))
        return Normalize(UNIT, (0.0,), (largest or 1.0,))
    if kind == STANDARD:
        axes = (0, *range(2, x.ndim))
        mean, spread = x.mean(axis=axes, dtype=np.float64), x.std(axis=axes, dtype=np.float64)
        spread = np.where(spread > 1e-7 * np.abs(mean), spread, 1.0)  # where all are equal, rounding alone spreads them
        return Normalize(STANDARD, tuple(mean.tolist()), tuple(spread.tolist()))
    return Normalize()


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST
