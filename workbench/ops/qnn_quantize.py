"""qnn.quantize and qnn.dequantize: real numbers to int8 and back, real = (q - zero_point) · scale.

Rounding passes gradients straight through; what was clipped passes none. Form `rounded`: x · (1 / scale) to nearest,
ties to even. `tflite`: x / scale, halves away from zero (lite/kernels/internal/reference/quantize.h). Int8 has no NaN:
one counts as 0, so it becomes the zero point.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel, each_alone
from workbench.ir.op import REQUIRED, Arrays, Op, Sample, Types, channelwise, register
from workbench.ir.types import TensorType
from workbench.ops._parameters import Shape, shaped
from workbench.ops._quantized import FORMS, check, clipped, result


@dataclass(frozen=True)
class Quantize:
    """wb_quantize: one of the forms reads the scale, the other what is divided by it."""

    shape: Shape
    form: str
    scale: float
    per_scale: float
    zero: int


@dataclass(frozen=True)
class Dequantize:
    """wb_dequantize."""

    shape: Shape
    scale: float
    zero: int


def infer(x: TensorType, *, scale: float, zero_point: int, form: str, mask: bool) -> Types:
    return result("quantize", x.shape, scale, zero_point, (-128, 127), form, mask)


def evaluate(x: np.ndarray, *, scale: float, zero_point: int, form: str = "rounded", mask: bool = False) -> Arrays:
    x = np.where(np.isnan(x), x.dtype.type(0), x)
    if form == "rounded":
        return clipped(np.rint(x * x.dtype.type(1 / scale)), zero_point, (-128, 127), mask)
    steps = x / x.dtype.type(scale)
    whole = np.trunc(steps)
    away = np.copysign(np.abs(steps - whole) >= 0.5, steps)
    return clipped(whole + away, zero_point, (-128, 127), mask)


def grad_x(build: Builder, dy: Value, x: Value, *, y: Values, **_: Any) -> Value:
    return build.apply_mask(dy, y[1])


def samples(rng: np.random.Generator) -> list[Sample]:
    edges = np.array([[0.0, -0.0, 0.01, 0.03, -0.01, 2.5, -2.6, 1e6, -1e6, 2.54, 2.56]])
    return [
        Sample((edges,), {"scale": 0.02, "zero_point": 0, "mask": True}),
        Sample((rng.normal(size=(2, 3, 5, 3)),), {"scale": 0.01, "zero_point": -7, "mask": True}),
        Sample((rng.normal(size=(1, 33)),), {"scale": 0.03, "zero_point": 100}),
        Sample((edges,), {"scale": 0.02, "zero_point": 0, "form": "tflite", "mask": True}),
        Sample((np.arange(-9, 9) / 16 + 1e-9,), {"scale": 0.125, "zero_point": -7, "form": "tflite"}),
        Sample((np.array([0.49999997, -0.49999997, 0.5, -0.5, 1.5, -2.5]),), {"scale": 1.0, "form": "tflite"}),
    ]


def parameters(x: TensorType, *, scale: float, zero_point: int, form: str, mask: bool) -> Quantize:
    return Quantize(shaped(x), FORMS[form], scale, 1 / scale, zero_point)


def infer_back(x: TensorType, *, scale: float, zero_point: int) -> TensorType:
    check("dequantize", x, scale, zero_point)
    return TensorType(x.shape)


def evaluate_back(x: np.ndarray, *, scale: float, zero_point: int) -> np.ndarray:
    return (x.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)


def parameters_back(x: TensorType, *, scale: float, zero_point: int) -> Dequantize:
    return Dequantize(shaped(x), scale, zero_point)


def samples_back(rng: np.random.Generator) -> list[Sample]:
    return [
        Sample((rng.integers(-128, 128, shape, dtype=np.int8),), {"scale": 0.03, "zero_point": zero})
        for shape, zero in (((1, 10), -5), ((2, 3, 3, 3), 127))
    ]


register(Op(
    name="qnn.quantize", infer=infer, evaluate=evaluate, grads=(grad_x,), samples=samples, ties=channelwise,
    attrs={"scale": REQUIRED, "zero_point": 0, "form": "rounded", "mask": False}, training={"mask": True},
    footprint=each_alone(0),
    kernel=Kernel("quantize_s8.h", "quantize_s8", record=Quantize, parameters=parameters, views=(0,), gives_view=True,
                  results=2),
))  # fmt: skip
register(Op(
    name="qnn.dequantize", infer=infer_back, evaluate=evaluate_back, samples=samples_back, ties=channelwise,
    grads=(lambda build, dy, x, **_: dy,), attrs={"scale": REQUIRED, "zero_point": 0}, dtypes={0: ("int8",)},
    footprint=each_alone(0),
    kernel=Kernel("quantize_s8.h", "dequantize_s8", record=Dequantize, parameters=parameters_back, views=(0,),
                  gives_view=True),
    instructions=(0, 7.1),
))  # fmt: skip
