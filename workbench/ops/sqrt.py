"""nn.sqrt: y = √x, NaN below 0, and its gradient dy / 2y."""

import numpy as np

from workbench.ir.ranges import same_bits
from workbench.ops._pointwise import Activation, register_activation


def evaluate(x: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.sqrt(x)


def slope(y: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return y.dtype.type(0.5) / y


register_activation(Activation(
    "sqrt", evaluate, slope, same_bits(evaluate), from_result=True, least=0.0, edges=(1.0, 0.5, 2.0, 4.0, 100.0),
    instructions=(7, 9),
))  # fmt: skip
