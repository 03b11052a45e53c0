"""What a network's outputs are held against: the targets of its samples, as the loss takes them."""

import numpy as np

from workbench.ir.types import TensorType
from workbench.objective import INPUT, Objective


def told(objective: Objective, x: np.ndarray, y: np.ndarray, kind: TensorType) -> np.ndarray:
    """What outputs are held against: `y`, or the real numbers that the inputs `x`, stored as `kind`, stand for."""
    if objective.target != INPUT:
        return y
    return real(x, kind)


def real(x: np.ndarray, kind: TensorType) -> np.ndarray:
    """The real numbers that values stored as `kind` stand for."""
    return (x.astype(np.float32) - np.float32(kind.zero_point)) * np.float32(kind.scale) if kind.scale else x
