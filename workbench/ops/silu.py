"""nn.silu: y = x · s, s = 1 / (1 + exp(-x)) (Elfwing et al. 2018), and its gradient dy · (s + x · s · (1 - s)).

Both begin at exp(-|x|), operation by operation as kernels/pointwise_f32.h does: the bits are equal. Where it is 0, x,
which may be infinite, is not multiplied by it.
"""

import numpy as np

from workbench.ops._exp import exp
from workbench.ops._pointwise import Activation, register_activation, turning

LOWEST = -1.27846454  # where y is least
STEEPEST = 2.39935728  # where its slope is greatest, and at minus that least


def evaluate(x: np.ndarray) -> np.ndarray:
    real = x.dtype.type
    e = exp(-np.abs(x))
    return np.where(x < 0, np.where(e == 0, real(-1), x) * e, x) / (real(1) + e)


def slope(x: np.ndarray) -> np.ndarray:
    real = x.dtype.type
    e = exp(-np.abs(x))
    share = real(1) / (real(1) + e)
    density = e * share * share
    return np.where(x < 0, e * share, share) + np.where(density == 0, real(0), x) * density


register_activation(Activation(
    "silu", evaluate, slope, turning(evaluate, LOWEST, roundings=lambda x: 1), steep=(STEEPEST, -STEEPEST), uneven=2e-6,
    edges=(0.0, -0.0, 90.0, -90.0, 1e-30, -1e-30, -1.28, 2.4, -2.4), instructions=(54, 64),
))  # fmt: skip
