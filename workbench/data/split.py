"""Which samples are trained on and which are held out: by class alike, recordings whole, the same for the same seed.

class 0   r1 r1 r1 │ r2 │ r3 r3       a recording, or a sample of its own, is on one side; of each class about the
class 1   r4 │ r5 r5 │ r6             share that was asked for, and one at least on either side where it has two
"""

from dataclasses import replace

import numpy as np

from workbench.data.sets import Data
from workbench.errors import DataError
from workbench.units import percent


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


def set_aside(data: Data, share: float) -> Data:
    """The same data, about this share of its training part set aside to validate on. Raises DataError for a share that
    leaves one of them empty.

    Which samples those are depends on the data alone, and on the seed it was split with.
    """
    labels = data.train_y.reshape(-1) if data.classes else None
    groups = data.train_groups if len(data.train_groups) else None
    seed = (data.split or {}).get("seed", 0)
    train, validation = split(len(data.train_x), labels, groups, 1 - share, seed)
    if not len(train) or not len(validation):
        raise DataError(f"{percent(share)} of {len(data.train_x)} samples to validate on leaves "
                        f"{len(train)} to train on and {len(validation)} to validate on")  # fmt: skip
    kept = {name: values[train] for name in ("train_images", "train_groups") if len(values := getattr(data, name))}
    return replace(data, train_x=data.train_x[train], train_y=data.train_y[train],
                   validation_x=data.train_x[validation], validation_y=data.train_y[validation], **kept)  # fmt: skip


def _held_out(count: int, share: float) -> int:
    return 0 if share == 1 else min(max(round(count * (1 - share)), 1), count - 1)
