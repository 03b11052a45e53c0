"""nn.exp: y = exp(x), and its gradient dy · y. Less than exp(-87), the last that is normal, is 0."""

import numpy as np

from workbench.ops._exp import exp_of_any
from workbench.ops._pointwise import Activation, register_activation, turning


def slope(y: np.ndarray) -> np.ndarray:
    return y


register_activation(Activation(
    "exp", exp_of_any, slope, turning(exp_of_any, roundings=lambda x: 1), from_result=True, ends=(-100.0, 40.0, 0.5),
    edges=(0.0, -0.0, 1e-7, 0.7, 1e-3, -1e-3, -87.0, 40.0), instructions=(60, 8),
))  # fmt: skip
