"""Is a plan right? Naive on purpose: every byte of every position is looked at, sharing nothing with the allocator."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from workbench.plan.problem import Buffer, Placed


def validate(buffers: Sequence[Buffer], placed: Sequence[Placed], capacity: int) -> str | None:
    """None if every buffer is placed as asked, inside [0, capacity) and apart from all others; else the reason."""
    by_id = {buffer.id: buffer for buffer in placed}
    if len(by_id) != len(placed) or set(by_id) != {buffer.id for buffer in buffers}:
        return "the plan does not hold each buffer once"
    for buffer in buffers:
        place = by_id[buffer.id]
        if (place.lower, place.upper, place.size) != (buffer.lower, buffer.upper, buffer.size):
            return f"buffer {buffer.id} was changed on the way"
        if place.offset < 0 or place.offset + place.size > capacity:
            return f"buffer {buffer.id} at [{place.offset}, {place.offset + place.size}) leaves the {capacity} bytes"
    lower, upper = np.array([p.lower for p in placed]), np.array([p.upper for p in placed])
    for position in sorted({buffer.lower for buffer in buffers}):
        # Whoever overlaps does so at the birth of the later one.
        living = [placed[int(at)] for at in np.flatnonzero((lower <= position) & (position < upper))]
        alive = sorted((p.offset, p.offset + p.size, p.id) for p in living)
        for (_, end, first), (start, _, second) in pairwise(alive):
            if start < end:
                return f"buffers {first} and {second} overlap at position {position}, offset {start}"
    return None
