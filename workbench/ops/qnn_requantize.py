"""qnn.requantize: int8 to int8 of another scale, y = clip(y_zero_point + (x - x_zero_point) · x_scale / y_scale).

Its clip makes it an activation too: a ReLU is one whose lowest value is y_zero_point.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Kernel, each_alone
from workbench.ir.op import Arrays, Op, Sample, Types, channelwise, register
from workbench.ir.types import Ints, TensorType
from workbench.ops._parameters import Shape, shaped
from workbench.ops._quantized import ATTRS, FORMS, Factor, check, clipped, factor_of, multiplied, multiplier, result


@dataclass(frozen=True)
class Rescale:
    """wb_rescale."""

    shape: Shape
    zero_x: int
    factor: Factor


def infer(x: TensorType, *, x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int, clip: Ints, form: str,
          mask: bool) -> Types:  # fmt: skip
    check("qnn.requantize", x, x_scale, x_zero_point)
    return result("qnn.requantize", x.shape, y_scale, y_zero_point, clip, form, mask)


def evaluate(x: np.ndarray, *, x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int, clip: Ints,
             form: str, mask: bool) -> Arrays:  # fmt: skip
    scaled = multiplied(x.astype(np.int64) - x_zero_point, *multiplier(x_scale / y_scale, form), form)
    return clipped(scaled, y_zero_point, clip, mask)


def grad_x(build: Builder, dy: Value, x: Value, *, y: Values, **_: Any) -> Value:
    return build.apply_mask(dy, y[1])


def parameters(x: TensorType, *, x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int, clip: Ints,
               form: str, mask: bool) -> Rescale:  # fmt: skip
    factor = factor_of(*multiplier(x_scale / y_scale, form), form, y_zero_point, clip)
    return Rescale(shaped(x), x_zero_point, factor)


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = []
    for index, (x_scale, y_scale) in enumerate(((0.05, 0.02), (0.02, 0.05), (0.03, 0.03), (0.004, 2.0))):
        for form in FORMS:
            x = rng.integers(-128, 128, ((2, 3, 5, 5), (1, 40), (256,), (3, 7))[index], dtype=np.int8)
            x = np.arange(-128, 128).astype(np.int8) if index == 2 else x
            attrs = {"x_scale": x_scale, "x_zero_point": -7, "y_scale": y_scale, "y_zero_point": 11, "form": form}
            cases.append(Sample((x,), {**attrs, "clip": (11, 90) if index == 1 else (-128, 127), "mask": index != 2}))
    return cases


register(Op(
    name="qnn.requantize", infer=infer, evaluate=evaluate, grads=(grad_x,), samples=samples, ties=channelwise,
    attrs=ATTRS, training={"mask": True}, dtypes={0: ("int8",)},
    footprint=each_alone(0),
    kernel=Kernel("rescale_s8.h", "rescale_s8", record=Rescale, parameters=parameters, views=(0,), gives_view=True,
                  results=2, in_place=(0,)),
))  # fmt: skip
