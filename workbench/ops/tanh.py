"""nn.tanh: y = tanh(x), and its gradient dx = dy · (1 - y²)."""

import numpy as np

from workbench.ir.ranges import Range, near
from workbench.ops._int8_functions import tanh_tflite
from workbench.ops._pointwise import Activation, register_activation


def evaluate(x: np.ndarray) -> np.ndarray:
    return np.tanh(x)


def slope(y: np.ndarray) -> np.ndarray:
    return 1 - y * y


def _ends(x: np.ndarray) -> Range:
    y = np.tanh(x.astype(np.float64))
    return near(y, np.abs(y))


def within(x: Range) -> Range:
    low = _ends(x.low)
    return low if x.exact else Range(low.low, _ends(x.high).high)


register_activation(Activation(
    "tanh", evaluate, slope, within, from_result=True, steep=(0.0,), edges=(0.0, -0.0, 0.6, -0.7, 1e-4, 30.0),
    bounded=(1 / 128, 0), tflite=tanh_tflite, instructions=(42, 10),
))  # fmt: skip
