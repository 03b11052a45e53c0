"""qnn.requantization: the multipliers (row 0) and shifts (row 1) of a quantized layer, one a filter, from its scales.

factor = x_scale · s / y_scale, in double precision; see _quantized for the two forms. Scales are frozen, so it is
folded at compile time (fold-constants) and only its table is in the firmware.
"""

from dataclasses import dataclass

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.kernel import Kernel
from workbench.ir.op import REQUIRED, Op, Sample, register
from workbench.ir.types import TensorType
from workbench.ops._quantized import FORMS, multiplier


@dataclass(frozen=True)
class Requantization:
    """wb_requantization: the scales in double precision, as C."""

    filters: int
    form: str
    x_scale: str
    y_scale: str


def parameters(s: TensorType, *, x_scale: float, y_scale: float, form: str) -> Requantization:
    return Requantization(s.shape[0], FORMS[form], repr(x_scale), repr(y_scale))


def infer(s: TensorType, *, x_scale: float, y_scale: float, form: str) -> TensorType:
    if s.rank != 1 or not x_scale > 0 or not y_scale > 0 or form not in FORMS:
        raise ShapeError(f"requantization: scales are one a filter and positive, form one of {', '.join(FORMS)}; "
                         f"got {s}, {x_scale}, {y_scale}, {form!r}")  # fmt: skip
    return TensorType((2, *s.shape), "int32")


def evaluate(s: np.ndarray, *, x_scale: float, y_scale: float, form: str) -> np.ndarray:
    factors = np.float64(x_scale) * s.astype(np.float32).astype(np.float64) / np.float64(y_scale)
    return np.array([multiplier(factor, form) for factor in factors], np.int32).reshape(-1, 2).T.copy()


def samples(rng: np.random.Generator) -> list[Sample]:
    spread = 2.0 ** rng.uniform(-30, 3, 40)
    edges = np.array([0.5, 1.0, 1 - 2.0**-24, 0.25, 2.0**-31, 2.0**-40, 0.1, 0.5 - 2.0**-25])
    return [
        Sample((scales,), {"x_scale": x, "y_scale": y, "form": form})
        for form in FORMS
        for scales, x, y in ((spread, 0.013, 0.4), (edges, 1.0, 1.0), *[(edges, 2.0**29, 0.5)] * (form == "rounded"))
    ]


register(Op(
    name="qnn.requantization", infer=infer, evaluate=evaluate, samples=samples,
    attrs={"x_scale": REQUIRED, "y_scale": REQUIRED, "form": "rounded"}, parameters={0: "scale"},
    ties=lambda s, **_: ({0: "out"}, {1: "out"}),
    kernel=Kernel("requantization_s8.h", "requantization_s8", record=Requantization, parameters=parameters),
    instructions=(0, 0),  # its operands are constants: done when it is compiled
))  # fmt: skip
