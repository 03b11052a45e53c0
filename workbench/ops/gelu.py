"""nn.gelu: y = x · F(x) (Hendrycks and Gimpel 2016), and its gradient dy · (F(x) + x · F′(x)).

F is the normal distribution, or with approximate="tanh" ½(1 + tanh u) = 1 / (1 + exp(-2u)), where u is
√(2/π)(x + 0.044715x³). It is computed from its tail F(-|x|), operation by operation as kernels/gelu_f32.h does, which
tells why: the bits are equal.
"""

from math import erfc, sqrt

import numpy as np

from workbench.errors import ShapeError
from workbench.ops._exp import exp
from workbench.ops._pointwise import Activation, register_activation, turning

FORMS = {0.0: "none", 1.0: "tanh"}  # as C knows them
ERFCC = (0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196,
         1.00002368, -1.26551223)  # fmt: skip
LOWEST = -0.75179154, -0.75246143  # where y is least, in each of the forms
STEEPEST = 1.41421356, 1.41850398  # where its slope is greatest, and at minus that least


def require(*, approximate: str) -> None:
    if approximate not in FORMS.values():
        raise ShapeError(f"gelu: approximate is {' or '.join(FORMS.values())}; got {approximate!r}")


def _normal_tail(x: np.ndarray) -> np.ndarray:
    """½ erfc(|x| / √2); in float32 the approximation that C computes."""
    if x.dtype != np.float32:
        return 0.5 * np.vectorize(erfc, otypes=[np.float64])(np.abs(x) / sqrt(2))
    real = np.float32
    t = real(1) / (real(1) + np.abs(x) * real(0.353553391))
    p = real(ERFCC[0])
    for c in ERFCC[1:]:
        p = p * t + real(c)
    return real(0.5) * t * exp(p - real(0.5) * x * x)


def _tanh_tail(x: np.ndarray) -> np.ndarray:
    real = x.dtype.type
    e = exp(-np.abs(x * (real(1.59576912) + real(0.0713548163) * x * x)))
    return e / (real(1) + e)


def evaluate(x: np.ndarray, *, approximate: str) -> np.ndarray:
    real = x.dtype.type
    tail = _tanh_tail(x) if approximate == "tanh" else _normal_tail(x)
    part = np.where(tail == 0, real(-1), x) * tail
    return np.where(x > 0, x - part, part)


def slope(x: np.ndarray, *, approximate: str) -> np.ndarray:
    real = x.dtype.type
    if approximate == "tanh":
        tail = _tanh_tail(x)
        of = np.where(tail == 0, real(0), x)
        density = tail * (real(1) - tail) * (real(1.59576912) + real(0.214064449) * of * of)
    else:
        tail = _normal_tail(x)
        density = exp(real(-0.5) * x * x) * real(0.398942280)
    return np.where(x > 0, real(1) - tail, tail) + np.where(density == 0, real(0), x) * density


register_activation(Activation(
    "gelu", evaluate, slope, turning(evaluate, *LOWEST, roundings=lambda x: 1 + x * x),
    steep=(*STEEPEST, *(-x for x in STEEPEST)), uneven=2e-6, attrs={"approximate": "none"},
    number=lambda *, approximate: float(approximate == "tanh"), require=require,
    told=lambda number: {"approximate": FORMS.get(number, str(number))},
    cases=({"approximate": "none"}, {"approximate": "tanh"}),
    edges=(0.0, -0.0, 12.9, 13.3, -12.9, -13.3, 40.0, -40.0, 1e-30, -1e-30, -0.75, -1.41, 1.41),
    instructions=(94, 144),  # 63 and 77 by tanh
))  # fmt: skip
