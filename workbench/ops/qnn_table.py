"""qnn.table: an int8 activation as a table of its 256 results, and qnn.slopes: its derivative at each of them.

An int8 function of one element is 256 numbers: computed at compile time (fold-constants), they are all that the
firmware needs (qnn.lookup), whatever the function. Form `rounded`: f of the real number, rounded. `tflite`: as
TensorFlow Lite Micro computes it, to the bit (see _int8_functions). Slopes belong to the real numbers and are 0 where
the result was clipped; rounding passes them straight through.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.kernel import Kernel
from workbench.ir.op import REQUIRED, Op, Sample, register
from workbench.ir.types import TensorType
from workbench.ops._pointwise import FUNCTIONS
from workbench.ops._quantized import check, result

QUANTIZATION = {"x_scale": REQUIRED, "x_zero_point": 0, "y_scale": REQUIRED, "y_zero_point": 0}
ALL = np.arange(-128, 128)


def infer(
    *, function: str, number: float, x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int, form: str
) -> TensorType:
    if function not in FUNCTIONS:
        raise ShapeError(f"qnn.table: function {function!r} is not one of {', '.join(FUNCTIONS)}")
    f = FUNCTIONS[function]
    f.require(**f.told(number))
    if form == "tflite" and f.tflite is None:
        raise ShapeError(f"qnn.table: TensorFlow Lite Micro has no int8 {function}")
    check("qnn.table", TensorType(()), x_scale, x_zero_point)
    result("qnn.table", (), y_scale, y_zero_point, (-128, 127), form, False)
    return TensorType((256,), "int8", scale=float(y_scale), zero_point=y_zero_point)


def _rounded(function: str, number: float, x_scale: float, x_zero_point: int, y_scale: float,
             y_zero_point: int) -> np.ndarray:  # fmt: skip
    """f of each of the 256 inputs in steps of the result's scale, rounded and not yet clipped."""
    real = (ALL - x_zero_point) * x_scale
    return np.rint(FUNCTIONS[function].of(real, number) / y_scale) + y_zero_point


def evaluate(
    *, function: str, number: float, x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int, form: str
) -> np.ndarray:
    of_both = x_scale, x_zero_point, y_scale, y_zero_point
    tflite = FUNCTIONS[function].tflite
    if form == "tflite" and tflite:
        values = tflite(ALL - x_zero_point, number, x_scale, y_scale, y_zero_point)
    else:
        values = _rounded(function, number, *of_both)
    return np.clip(values, -128, 127).astype(np.int8)


def infer_slopes(**attrs: Any) -> TensorType:
    infer(**attrs)
    return TensorType((256,))


def evaluate_slopes(
    *, function: str, number: float, x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int, form: str
) -> np.ndarray:
    unclipped = _rounded(function, number, x_scale, x_zero_point, y_scale, y_zero_point)
    slopes = FUNCTIONS[function].slope_of((ALL - x_zero_point) * x_scale, number)
    return np.where((unclipped >= -128) & (unclipped <= 127), slopes, 0).astype(np.float32)


OF_X = (0.05, -3), (0.3, 20), (0.02, 100)  # scales and zero points


def samples(rng: np.random.Generator) -> list[Sample]:
    """Each function in each form; some of the results are clipped, unless all of them have a place."""
    cases = []
    for name, f in FUNCTIONS.items():
        for (x_scale, x_zero_point), case in zip(OF_X, [*f.cases, f.cases[0]], strict=False):
            of_x = {"x_scale": x_scale, "x_zero_point": x_zero_point}
            y_scale, y_zero_point = f.bounded or (0.41 * x_scale, -100)
            of_y = {"y_scale": y_scale, "y_zero_point": y_zero_point}
            how = {"function": name, "number": float(f.number(**case)), **of_x, **of_y}
            cases += [Sample((), how | {"form": form}) for form in ("rounded", *["tflite"] * (f.tflite is not None))]
    return cases


def array(c_type: str, values: Iterable[str]) -> str:
    return f"(const {c_type}[]){{ {', '.join(values)} }}"


@dataclass(frozen=True)
class Table:
    """wb_table, wb_slopes: an array in C."""

    values: str


def parameters(**attrs: Any) -> Table:
    return Table(array("int", map(str, evaluate(**attrs))))


def parameters_of_slopes(**attrs: Any) -> Table:
    return Table(array("double", map(repr, evaluate_slopes(**attrs).tolist())))


ATTRS = {"function": REQUIRED, "number": 0.0, **QUANTIZATION, "form": "rounded"}
register(Op(
    name="qnn.table", infer=infer, evaluate=evaluate, samples=samples, attrs=ATTRS, ties=lambda **_: ({},),
    kernel=Kernel("lookup_s8.h", "table_s8", record=Table, parameters=parameters),
))  # fmt: skip
register(Op(
    name="qnn.slopes", infer=infer_slopes, evaluate=evaluate_slopes, samples=samples, attrs=ATTRS,
    kernel=Kernel("lookup_s8.h", "slopes_s8", record=Table, parameters=parameters_of_slopes),
))  # fmt: skip
