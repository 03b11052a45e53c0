"""nn.rsqrt: y = 1 / √(x + epsilon), and its gradient dx = -½ · y³ · dy: what a normalization scales by.

NaN where x + epsilon is below 0.
"""

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.ranges import same_bits
from workbench.ops._pointwise import Activation, register_activation


def require(*, epsilon: float) -> None:
    if not 0 <= epsilon < 1e6:
        raise ShapeError(f"rsqrt: epsilon is 0 or more; got {epsilon}")


def evaluate(x: np.ndarray, *, epsilon: float) -> np.ndarray:
    real = x.dtype.type
    with np.errstate(divide="ignore", invalid="ignore"):
        return real(1) / np.sqrt(x + real(epsilon))


def slope(y: np.ndarray, *, epsilon: float) -> np.ndarray:
    with np.errstate(over="ignore"):
        return y.dtype.type(-0.5) * y * y * y


register_activation(Activation(
    "rsqrt", evaluate, slope, same_bits(evaluate), from_result=True, attrs={"epsilon": 0.0}, least=0.0,
    number=lambda *, epsilon: epsilon, told=lambda number: {"epsilon": number}, require=require,
    cases=({"epsilon": 1e-5}, {"epsilon": 0.0}), edges=(0.5, 0.5, 4.0, 100.0), instructions=(9, 11),
))  # fmt: skip
