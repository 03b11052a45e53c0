"""nn.sigmoid: y = 1 / (1 + exp(-x)), and its gradient dx = dy · y · (1 - y)."""

import numpy as np

from workbench.ir.ranges import Range, near
from workbench.ops._int8_functions import sigmoid_tflite
from workbench.ops._pointwise import Activation, register_activation
from workbench.ops.softmax import exponentials


def evaluate(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, x.dtype.type(1)) / (1 + e)


def slope(y: np.ndarray) -> np.ndarray:
    return y * (1 - y)


def _ends(x: np.ndarray) -> Range:
    x = x.astype(np.float64)
    e, size = exponentials(-np.abs(x))
    y = np.where(x < 0, e, 1) / (1 + e)
    return near(y, y + np.where(e == 0, 0, size))


def within(x: Range) -> Range:
    low = _ends(x.low)
    return low if x.exact else Range(low.low, _ends(x.high).high)


register_activation(Activation(
    "sigmoid", evaluate, slope, within, from_result=True, steep=(0.5,), edges=(0.0, -0.0, 30.0, -30.0, -90.0),
    bounded=(1 / 256, -128), tflite=sigmoid_tflite, instructions=(54, 10),
))  # fmt: skip
