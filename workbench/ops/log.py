"""nn.log: y = log(x), -inf at 0 and NaN below, and its gradient dy / x."""

import numpy as np

from workbench.ops._log import log
from workbench.ops._pointwise import Activation, register_activation, turning


def slope(x: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return x.dtype.type(1) / x


register_activation(Activation(
    "log", log, slope, turning(log, roundings=lambda x: 1), least=0.0, edges=(1.0, 1.0, 1.001, 0.999, 0.5, 2.0, 100.0),
    instructions=(63, 9),
))  # fmt: skip
