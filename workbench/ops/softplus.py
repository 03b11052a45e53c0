"""nn.softplus: y = log(1 + exp(x)), and its gradient dy · (1 - exp(-y)), which is the sigmoid of x.

y     max(x, 0) + log1p(exp(-|x|))        nothing overflows, and the digits of a y near 0 are kept
"""

import numpy as np

from workbench.ops._exp import exp, expm1
from workbench.ops._log import log1p
from workbench.ops._pointwise import Activation, register_activation, turning


def evaluate(x: np.ndarray) -> np.ndarray:
    return np.where(x < 0, x.dtype.type(0), x) + log1p(exp(-np.abs(x)))


def slope(y: np.ndarray) -> np.ndarray:
    return -expm1(-y)


register_activation(Activation(
    "softplus", evaluate, slope, turning(evaluate, roundings=lambda x: 1), from_result=True, uneven=2e-6,
    edges=(0.0, -0.0, 30.0, -30.0, -90.0, 0.88, -0.88, 0.89, -0.89), instructions=(116, 52),
))  # fmt: skip
