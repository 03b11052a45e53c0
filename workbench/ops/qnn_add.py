"""qnn.add: y = clip(y_zero_point + ((a - a_zero_point) · a_scale + (b - b_zero_point) · b_scale) / y_scale), as int8.

Form `rounded` gives both factors the same shift and as many bits as an int32 sum of the two has room for; `tflite`
scales as TensorFlow Lite's reference does (lite/kernels/internal/reference/integer_ops/add.h). Gradients are those of
the real sum: both operands get dy, where it was not clipped.
"""

from math import frexp

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.op import REQUIRED, Kernel, Op, Rows, Sample, channelwise, register
from workbench.ops._quantized import FORMS, check, clipped, multiplied, multiplier, result

ROOM = 22  # bits of a multiplier: twice 255 times that fits into an int32,
SHIFT = 23  # with half a unit besides: 2^(SHIFT - 1)
TFLITE_SHIFT = 20


def infer(a, b, *, a_scale, a_zero_point, b_scale, b_zero_point, y_scale, y_zero_point, clip, form, mask):
    check("qnn.add", a, a_scale, a_zero_point)
    check("qnn.add", b, b_scale, b_zero_point)
    if a.shape != b.shape:
        raise ShapeError(f"qnn.add: operands are of one shape; got {a} and {b}")
    return result("qnn.add", a.shape, y_scale, y_zero_point, clip, form, mask)


def factors(a_scale, b_scale, y_scale) -> tuple[int, int, int]:
    """Multipliers of a and b, and the shift: factor = multiplier / 2^shift."""
    shift = min(ROOM - frexp(max(a_scale, b_scale) / y_scale)[1], SHIFT)
    if shift < 1:
        raise ShapeError(f"qnn.add: y_scale {y_scale} is too small beside {a_scale} and {b_scale}")
    return round(a_scale / y_scale * 2**shift), round(b_scale / y_scale * 2**shift), shift


def tflite_factors(a_scale, b_scale, y_scale) -> list[int]:
    """Multiplier and shift of a, of b, and of the sum."""
    twice = 2 * max(a_scale, b_scale)
    factors = (a_scale / twice, b_scale / twice, twice / (2**TFLITE_SHIFT * y_scale))
    return [number for factor in factors for number in multiplier(factor, "tflite")]


def evaluate(a, b, *, a_scale, a_zero_point, b_scale, b_zero_point, y_scale, y_zero_point, clip, form, mask):
    a, b = a.astype(np.int64) - a_zero_point, b.astype(np.int64) - b_zero_point
    if form == "rounded":
        of_a, of_b, shift = factors(a_scale, b_scale, y_scale)
        total = (a * of_a + b * of_b + (1 << shift - 1)) >> shift
    else:
        numbers = tflite_factors(a_scale, b_scale, y_scale)
        scaled = [multiplied(each << TFLITE_SHIFT, *numbers[2 * i : 2 * i + 2], form) for i, each in enumerate((a, b))]
        total = multiplied(sum(scaled), *numbers[4:], form)
    return clipped(total, y_zero_point, clip, mask)


def grad(build, dy, a, b, *, y, **_):
    return build.shared("nn.apply_mask", dy, y[1])


def literals(a, b, *, a_scale, a_zero_point, b_scale, b_zero_point, y_scale, y_zero_point, clip, form, mask):
    numbers = factors(a_scale, b_scale, y_scale) if form == "rounded" else tflite_factors(a_scale, b_scale, y_scale)
    return [a.elements, a_zero_point, b_zero_point, y_zero_point, *clip, *numbers]


def function(a, b, *, form, **_):
    return "add_s8" if form == "rounded" else "add_tflite_s8"


def literals_rows(a, b, **attrs):
    return [*a.shape[1:], *literals(a, b, **attrs)[1:]]


def function_rows(a, b, **attrs):
    return function(a, b, **attrs).replace("_s8", "_rows_s8")


def samples(rng):
    cases = []
    for index, (shape, scales) in enumerate(
        (((1, 3, 5, 5), (0.02, 0.03, 0.04)), ((2, 35), (0.05, 0.05, 0.03)), ((1, 64), (0.001, 0.4, 0.3)),
         ((1, 2, 4, 4), (0.04, 0.5, 0.02)))
    ):  # fmt: skip
        for form in FORMS:
            a, b = (rng.integers(-128, 128, shape, dtype=np.int8) for _ in range(2))
            attrs = dict(zip(("a_scale", "b_scale", "y_scale"), scales, strict=True))
            attrs |= {"a_zero_point": -3, "b_zero_point": 100, "y_zero_point": 5, "form": form, "mask": index != 1}
            cases.append(Sample((a, b), {**attrs, "clip": (-20, 127) if index == 2 else (-128, 127)}))
    for scale in (0.2499, 0.06249, 1e-3):  # the largest sum that there is, and its negative
        for zero, end in ((-128, 127), (127, -128)):
            x = np.full((1, 5), end, np.int8)
            attrs = {"a_scale": scale, "b_scale": scale, "a_zero_point": zero, "b_zero_point": zero}
            cases.append(Sample((x, x), {**attrs, "y_scale": 1.0}))
    return cases


register(Op(
    name="qnn.add", infer=infer, evaluate=evaluate, grads=(grad, grad), samples=samples, ties=channelwise,
    attrs={"a_scale": REQUIRED, "a_zero_point": 0, "b_scale": REQUIRED, "b_zero_point": 0,
           "y_scale": REQUIRED, "y_zero_point": 0, "clip": (-128, 127), "form": "rounded", "mask": False},
    training={"mask": True}, dtypes={0: ("int8",), 1: ("int8",)},
    kernel=Kernel("add_s8.h", function, literals, results=2, in_place=(0, 1)),
    rows=Rows("add_rows_s8.h", function_rows, literals_rows, images=(0, 1), results=2),
))  # fmt: skip
