"""What the losses of numbers share: the target, float32 or int8, beside a float32 prediction of the same shape.

An int8 target is dequantized as it is read, t = (q − zero_point) · scale: an int8 autoencoder's target is its input
where it lies, not a copy.
"""

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.types import TensorType
from workbench.ops._quantized import check

ATTRS = {"scale": 0.0, "zero_point": 0}  # of an int8 target; a float32 one has none
DTYPES = {1: ("float32", "int8")}


def check_target(name: str, x: TensorType, t: TensorType, scale: float, zero_point: int) -> None:
    """Raise ShapeError for a target of another shape, or an int8 one without scale and zero point."""
    if x.shape != t.shape or not x.elements:
        raise ShapeError(f"{name}: the target has the shape of the prediction, {x}; got {t}")
    if t.dtype == "int8":
        check(name, t, scale, zero_point)
    elif scale or zero_point:
        raise ShapeError(f"{name}: a scale and a zero point are an int8 target's; got {t}")


def real_target(t: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """The real numbers that a target stands for, computed as in C: an int8 one always in float32."""
    return (t.astype(np.float32) - np.float32(zero_point)) * np.float32(scale) if t.dtype == np.int8 else t
