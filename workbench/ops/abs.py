"""nn.abs: y = |x|, and its gradient dy or -dy, 0 at 0."""

import numpy as np

from workbench.ops._pointwise import Activation, register_activation, turning


def evaluate(x: np.ndarray) -> np.ndarray:
    return np.abs(x)


def slope(x: np.ndarray) -> np.ndarray:
    return np.sign(x)


register_activation(Activation(
    "abs", evaluate, slope, turning(evaluate, 0.0), steep=(0.0,), edges=(0.0, -0.0), instructions=(6, 11),
))  # fmt: skip
