"""Divide samples into a training and a held-out part: the same share of each class, recordings whole, by a seed.

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
    """Indices to train on and indices held out; class by class, within a class in the order given."""
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
    """The data with about this share of its training part set aside to validate on.

    The choice depends on the data and on the seed of its split alone. Raises DataError where a part would be empty.
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
