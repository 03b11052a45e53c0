"""nn.hard_sigmoid: y = clip(x + 3, 0, 6) / 6, as PyTorch has it, and its gradient dy / 6 where y is neither 0 nor 1."""

import numpy as np

from workbench.ir.ranges import same_bits
from workbench.ops._pointwise import Activation, register_activation


def evaluate(x: np.ndarray) -> np.ndarray:
    real = x.dtype.type
    raised = x + real(3)
    return np.where(raised < 0, real(0), np.where(raised > 6, real(6), raised)) / real(6)


def slope(y: np.ndarray) -> np.ndarray:
    real = y.dtype.type
    return np.where((y <= 0) | (y >= 1), real(0), real(1 / 6))


register_activation(Activation(
    "hard_sigmoid", evaluate, slope, same_bits(evaluate), from_result=True, steep=(0.5,),
    edges=(0.0, -0.0, 3.0, 3.0, -3.0, -3.0, 2.5, -2.5), bounded=(1 / 256, -128), instructions=(16, 17),
))  # fmt: skip
