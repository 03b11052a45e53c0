"""nn.elu: y = x where x > 0, else alpha · (exp(x) - 1) (Clevert et al. 2016), its gradient dy or dy · (y + alpha).

Where x is near 0, exp(x) - 1 is computed with its digits.
"""

import numpy as np

from workbench.errors import ShapeError
from workbench.ops._exp import expm1
from workbench.ops._pointwise import Activation, register_activation, turning


def require(*, alpha: float) -> None:
    if not 0 <= alpha < 1e6:
        raise ShapeError(f"elu: alpha is 0 or more; got {alpha}")


def evaluate(x: np.ndarray, *, alpha: float) -> np.ndarray:
    return np.where(x > 0, x, x.dtype.type(alpha) * expm1(np.where(x > 0, x.dtype.type(0), x)))


def slope(y: np.ndarray, *, alpha: float) -> np.ndarray:
    real = y.dtype.type
    return np.where(y > 0, real(1), y + real(alpha))


register_activation(Activation(
    "elu", evaluate, slope, turning(evaluate, roundings=lambda x: 1), from_result=True, steep=(0.0,), uneven=2e-6,
    attrs={"alpha": 1.0}, number=lambda *, alpha: alpha, told=lambda number: {"alpha": number}, require=require,
    cases=({"alpha": 1.0}, {"alpha": 0.3}), edges=(0.0, -0.0, 1e-30, -1e-30, -1e-6, -0.34, -0.35, -90.0),
    instructions=(18, 12),
))  # fmt: skip
