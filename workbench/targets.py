"""What a network's outputs are held against: the targets of its samples, as the loss takes them."""

from dataclasses import replace
from math import prod

import numpy as np

from workbench.data import Data
from workbench.errors import DataError
from workbench.frontends import Model
from workbench.ir.types import TensorType
from workbench.objective import INPUT, LABELS, VALUES, Objective


def targeted(samples: Data, model: Model, loss: str | None) -> Data:
    """Labels, where numbers are wanted: an autoencoder leaves them out; a network of one output takes them as numbers.

    Raises DataError for labels that a network of several outputs is to take as numbers.
    """
    wanted = model.objective(loss)
    if samples.target != LABELS or wanted.target == LABELS:
        return samples
    shape = model.graph.types[model.graph.outputs[0]].shape[1:]
    if wanted.target == INPUT and (loss is not None or shape != (samples.classes,)):
        none = [np.empty((len(x), 0), np.float32) for x in (samples.train_x, samples.test_x)]
        return replace(samples, train_y=none[0], test_y=none[1], target=INPUT, classes=None, names=())
    if loss is None:
        return samples
    if prod(shape) != 1:
        raise DataError(f"{samples.name} has class labels; {loss} takes numbers of the output's shape, {shape}",
                        "--loss cross-entropy, or a network of one output: labels count as numbers there")  # fmt: skip
    numbers = [y.astype(np.float32).reshape(-1, *shape) for y in (samples.train_y, samples.test_y)]
    return replace(samples, train_y=numbers[0], test_y=numbers[1], target=VALUES, classes=None, names=())


def told(objective: Objective, x: np.ndarray, y: np.ndarray, kind: TensorType) -> np.ndarray:
    """What outputs are held against: `y`, or the real numbers that the inputs `x`, stored as `kind`, stand for."""
    if objective.target != INPUT:
        return y
    return real(x, kind)


def real(x: np.ndarray, kind: TensorType) -> np.ndarray:
    """The real numbers that values stored as `kind` stand for."""
    return (x.astype(np.float32) - np.float32(kind.zero_point)) * np.float32(kind.scale) if kind.scale else x
