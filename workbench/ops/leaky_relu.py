"""nn.leaky_relu: y = x where x > 0, else alpha · x, and its gradient dy or alpha · dy (alpha at 0)."""

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.op import REQUIRED
from workbench.ir.ranges import same_bits
from workbench.ops._int8_functions import leaky_relu_tflite
from workbench.ops._pointwise import Activation, register_activation


def require(*, alpha: float) -> None:
    if not 0 <= alpha < 1e6:
        raise ShapeError(f"leaky_relu: alpha is 0 or more; got {alpha}")


def evaluate(x: np.ndarray, *, alpha: float) -> np.ndarray:
    return np.where(x > 0, x, x * x.dtype.type(alpha))


def slope(y: np.ndarray, *, alpha: float) -> np.ndarray:
    return np.where(y > 0, y.dtype.type(1), y.dtype.type(alpha))


register_activation(Activation(
    "leaky_relu", evaluate, slope, same_bits(evaluate), from_result=True, attrs={"alpha": REQUIRED},
    number=lambda *, alpha: alpha, told=lambda number: {"alpha": number}, require=require,
    cases=({"alpha": 0.1}, {"alpha": 0.0}), edges=(0.0, -0.0), tflite=leaky_relu_tflite, instructions=(10, 12),
))  # fmt: skip
