"""nn.hard_swish: y = x · clip(x + 3, 0, 6) / 6 (Howard et al. 2019), and its gradient dy · (x / 3 + ½) in between.

Slope 0 up to -3, 1 from 3 on.
"""

import numpy as np

from workbench.ops._int8_functions import hard_swish_tflite
from workbench.ops._pointwise import Activation, register_activation, turning

LOWEST = -1.5  # where y is least


def evaluate(x: np.ndarray) -> np.ndarray:
    real = x.dtype.type
    raised = x + real(3)
    return x * np.where(raised < 0, real(0), np.where(raised > 6, real(6), raised)) * real(1 / 6)


def slope(x: np.ndarray) -> np.ndarray:
    real = x.dtype.type
    return np.where(x <= -3, real(0), np.where(x >= 3, real(1), x * real(1 / 3) + real(0.5)))


BEND = float(np.nextafter(np.float32(3), np.float32(0)))  # where the slope begins and ends to be neither 0 nor 1

register_activation(Activation(
    "hard_swish", evaluate, slope, turning(evaluate, LOWEST), steep=(-BEND, BEND),
    edges=(0.0, -0.0, 3.0, 3.0, -3.0, -3.0, -1.5), tflite=hard_swish_tflite, instructions=(16, 17),
))  # fmt: skip
