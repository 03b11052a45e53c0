"""What operators share that read or update a bias kept as a delta (see ir/deltas)."""

from itertools import pairwise

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.deltas import change_of
from workbench.ir.types import Ints, TensorType
from workbench.ops._tables import in_flash


def require_delta(op: str, bias: TensorType, delta: TensorType | None, wide: Ints) -> None:
    """Raise ShapeError where `delta` does not hold the changes of `bias`, or channels are wide where there is none."""
    ascending = all(a < b for a, b in pairwise((-1, *wide, bias.elements)))
    size = (bias.elements + len(wide),)
    if not ascending or (delta.shape != size if delta else wide):
        raise ShapeError(f"{op}: a delta has an element a channel of {bias} and, behind them, one for each of the wide "
                         f"channels, which ascend; got {delta} and {list(wide)}")  # fmt: skip


def whole_bias(b: np.ndarray, delta: np.ndarray | None, wide: Ints) -> np.ndarray:
    """The bias that counts, int64."""
    return b.astype(np.int64) + (0 if delta is None else change_of(delta, wide))


def places(channels: int, wide: Ints) -> str:
    """C for the table wb_bias.wide: of each channel the place of its high half, 0 for none; 0 where no channel is."""
    found = {channel: channels + index for index, channel in enumerate(wide)}
    return in_flash(found.get(channel, 0) for channel in range(channels)) if wide else "0"


def sample_of(rng: np.random.Generator, channels: int, wide: Ints) -> np.ndarray:
    """Changes of all sizes, those at both ends among them."""
    stored = rng.integers(-3000, 3000, channels + len(wide)).astype(np.int16)
    stored[:2] = (-(2**15) + 1, 2**15 - 1)[: len(stored[:2])]
    stored[channels:] = rng.integers(-3, 3, len(wide))  # times 2¹⁶: sums stay within int32
    return stored
