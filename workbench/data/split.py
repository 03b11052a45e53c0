"""Which samples are trained on and which are held out: by class alike, recordings whole, the same for the same seed.

class 0   r1 r1 r1 │ r2 │ r3 r3       a recording, or a sample of its own, is on one side; of each class about the
class 1   r4 │ r5 r5 │ r6             share that was asked for, and one at least on either side where it has two
"""

import numpy as np


def split(
    count: int, labels: np.ndarray | None, groups: np.ndarray | None, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """(to train on, held out), indices; class by class, and within one in the order in which they were given."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(count, np.int64) if labels is None else labels
    groups = np.arange(count) if groups is None else groups
    parts: tuple[list, list] = [], []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        members = np.unique(groups[own])
        held = members[rng.permutation(len(members))[: _held_out(len(members), share)]]
        out = np.isin(groups[own], held)
        parts[0].append(own[~out])
        parts[1].append(own[out])
    return np.concatenate(parts[0]), np.concatenate(parts[1])


def _held_out(count: int, share: float) -> int:
    return 0 if share == 1 else min(max(round(count * (1 - share)), 1), count - 1)
