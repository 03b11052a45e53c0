"""The targets of a network's samples, as the loss takes them."""

import numpy as np

from workbench.ir.types import TensorType
from workbench.objective import INPUT, Objective


def told(objective: Objective, x: np.ndarray, y: np.ndarray, kind: TensorType) -> np.ndarray:
    """The targets: `y`, or, where the input is its own target, the real numbers of `x`, which is stored as `kind`."""
    if objective.target != INPUT:
        return y
    return real(x, kind)


def real(x: np.ndarray, kind: TensorType) -> np.ndarray:
    """The real numbers that values stored as `kind` stand for."""
    return (x.astype(np.float32) - np.float32(kind.zero_point)) * np.float32(kind.scale) if kind.scale else x
