"""qnn.sgd: w ← w - u, rounded and saturated: plain SGD on int8 weights (to ±127) and int32 biases (to ±2³⁰).

`dw` is the gradient with respect to the stored integer, `s` the scales of the filters (axis 0 of w), `unit` · s what
one step of the integer is worth in real numbers. Quantization-aware scaling ("On-Device Training Under 256KB Memory",
Lin et al. 2022, section 3.1) divides by its square, so that the real weight moves as SGD in real numbers would move it:

    u = lr · scale · dw / (unit · s)² + lr · weight_decay · w            without `qas`: not divided

rounding   stochastic   ⌊w - u + r⌋, r uniform in [0, 1): a hash of seed, step, parameter and element, so that it does
                        not depend on what runs when
           nearest      ⌊w - u + ½⌋                       truncate     towards zero, as a conversion in C does

A gradient that is NaN moves nothing: an integer has no such value, and none of its values would be less wrong.

Elements are counted as in the model's own order: where channels were moved at compile time (passes/permute_channels),
`filters` and `channels` tell where each of axes 0 and 1 stood, so that it does not matter that they were.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench import options
from workbench.errors import ShapeError
from workbench.ir.kernel import Kernel
from workbench.ir.op import Op, Sample, register
from workbench.ir.types import Ints, TensorType
from workbench.ops._tables import in_flash
from workbench.ops.sgd import _is_part, _updated

ROUNDINGS = {name: f"WB_{name.upper()}" for name in options.ROUNDINGS}  # the second: in kernels/sgd_s8.h
BIAS_LIMIT = 2**30  # leaves room for the sums that a bias is added to (see quantize/safe_channels)
LIMIT = np.float32(2.0**30)  # of u


def infer(w: TensorType, dw: TensorType, s: TensorType, lr: TensorType, seed: TensorType | None = None,
          step: TensorType | None = None, *, unit: float, parameter: int, rounding: str, qas: bool, scale: float,
          weight_decay: float, filters: Ints, channels: Ints) -> TensorType:  # fmt: skip
    if any(each.rank for each in (lr, seed, step) if each) or w.rank != dw.rank or not _is_part(dw.shape, w.shape):
        raise ShapeError(f"qnn.sgd: dw has w's shape, or fewer channels along one axis; lr, seed and step are scalars; "
                         f"got {w}, {dw}, {lr}, {seed} and {step}")  # fmt: skip
    if (rounding == "stochastic") != (step is not None):
        raise ShapeError("qnn.sgd: takes seed and step where it rounds stochastically, and only there")
    if s.shape != w.shape[:1] or rounding not in ROUNDINGS:
        raise ShapeError(f"qnn.sgd: s is one a filter, rounding one of {', '.join(ROUNDINGS)}; got {s}, {rounding!r}")
    for axis, order in enumerate((filters, channels)):
        if order and sorted(order) != list(range(w.shape[axis])):
            raise ShapeError(f"qnn.sgd: an order tells where each of axis {axis} of {w} stood, each once; got {order}")
    return TensorType(w.shape, w.dtype)


def uniform(seed: int, step: int, parameter: int, element: np.ndarray) -> np.ndarray:
    """float32 in [0, 1), 24 bits, of each element: the finalizer "lowbias32" (Wellons 2018) over a keyed counter."""
    key = _mixed(_mixed(np.uint64(seed & 0xFFFFFFFF) ^ np.uint64(0x9E3779B9)) + np.uint64(step & 0xFFFFFFFF))
    key = _mixed(key + np.uint64(parameter))
    return (_mixed(key + element.astype(np.uint64)) >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)


def _mixed(x: Any) -> Any:
    x = x & np.uint64(0xFFFFFFFF)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ x >> np.uint64(shift)) * np.uint64(factor) & np.uint64(0xFFFFFFFF)
    return x ^ x >> np.uint64(16)


def evaluate(w: np.ndarray, dw: np.ndarray, s: np.ndarray, lr: np.ndarray, seed: np.ndarray | None = None,
             step: np.ndarray | None = None, *, unit: float, parameter: int, rounding: str, qas: bool, scale: float,
             weight_decay: float, filters: Ints, channels: Ints) -> np.ndarray:  # fmt: skip
    part = w[tuple(map(slice, dw.shape))]
    f = np.float32
    worth = (f(unit) * s.astype(f)) ** 2 if qas else np.ones_like(s, f)
    rate = (f(lr) * f(scale) / worth)[: dw.shape[0]].reshape(-1, *[1] * (dw.ndim - 1))
    u = rate * dw.astype(f)
    if weight_decay:
        u = u + f(lr) * f(weight_decay) * part.astype(f)
    move = np.where(np.isnan(u), f(0), -np.clip(u, -LIMIT, LIMIT))
    whole = part.astype(np.int64)
    if rounding == "truncate":
        down = whole + np.floor(move).astype(np.int64)
        new = np.where(down >= 0, down, whole + np.ceil(move).astype(np.int64))
    else:
        element = _own_elements(w.shape, filters, channels)[tuple(map(slice, dw.shape))]
        r: np.ndarray | np.float32 = f(0.5)
        if seed is not None and step is not None:  # given where it rounds stochastically, and only there
            r = uniform(int(seed), int(step), parameter, element)
        new = whole + np.floor(move + r).astype(np.int64)
    limit = 127 if w.dtype == np.int8 else BIAS_LIMIT
    return _updated(w, dw, np.clip(new, -limit, limit).astype(w.dtype))


def _own_elements(shape: Ints, filters: Ints, channels: Ints) -> np.ndarray:
    """For each element its index in the model's own order."""
    element = np.arange(np.prod(shape)).reshape(shape)
    element = element[list(filters)] if filters else element
    return element[:, list(channels)] if channels else element


@dataclass(frozen=True)
class IntegerRule:
    """wb_integer_rule: what becomes of each element. In the model's own order filters are `apart` elements from one to
    the next, channels `taps`, and stood where the tables `filters` and `channels` tell."""

    apart: int
    taps: int
    parameter: int
    rounding: str
    qas: int
    unit: float
    scale: float
    weight_decay: float
    filters: str
    channels: str


@dataclass(frozen=True)
class IntegerSgd:
    """wb_integer_sgd: `rows` filters of `count` elements change, and how."""

    rows: int
    count: int
    rule: IntegerRule


def parameters(w: TensorType, dw: TensorType, *_: TensorType, rounding: str, qas: bool, filters: Ints, channels: Ints,
               **attrs: Any) -> IntegerSgd:  # fmt: skip
    rows, apart = dw.shape[0], w.elements // w.shape[0]
    rule = IntegerRule(
        apart=apart, taps=apart // (w.shape[1] if w.rank > 1 else 1),
        rounding=ROUNDINGS[rounding], qas=int(qas),
        filters=in_flash(filters[:rows]), channels=in_flash(channels), **attrs,
    )  # fmt: skip
    return IntegerSgd(rows, dw.elements // rows, rule)


def samples(rng: np.random.Generator) -> list[Sample]:
    cases = []
    for index, (whole, part) in enumerate(
        (((4, 3, 3, 3), (4, 3, 3, 3)), ((5, 6, 2, 1), (5, 6, 2, 1)), ((6, 1, 3, 3), (4, 1, 3, 3)), ((9,), (9,)))
    ):
        for rounding in ROUNDINGS:
            int8 = len(whole) > 1
            w = rng.integers(-127, 128, whole).astype(np.int8) if int8 else rng.integers(-9999, 9999, whole, np.int32)
            dw = rng.normal(size=part) * (0.02 if index else 2)
            rate, counters = np.asarray(0.3), (np.asarray(7 + index, np.int32), np.asarray(3, np.int32))
            attrs: dict[str, Any] = {
                "parameter": index,
                "rounding": rounding,
                "qas": index != 2,
                "unit": 1.0 if int8 else 0.02,
            }
            attrs |= {"scale": 0.5, "weight_decay": 0.01} if index == 1 else {}
            attrs |= {"filters": tuple(rng.permutation(whole[0]).tolist())} if index in (1, 2, 3) else {}
            attrs |= {"channels": tuple(rng.permutation(whole[1]).tolist())} if index < 2 else {}
            scalars = (rate, *counters) if rounding == "stochastic" else (rate,)
            cases.append(Sample((w, dw, rng.uniform(0.05, 0.2, whole[0]), *scalars), attrs))
    return cases


register(Op(
    name="qnn.sgd", infer=infer, evaluate=evaluate, samples=samples, takes=(0,), phase="update",
    attrs={"unit": 1.0, "parameter": 0, "rounding": "stochastic", "qas": True, "scale": 1.0, "weight_decay": 0.0,
           "filters": (), "channels": ()},
    dtypes={0: ("int8", "int32"), 4: ("int32",), 5: ("int32",)},
    kernel=Kernel("sgd_s8.h", {"int8": "sgd_s8", "int32": "sgd_s32"}, record=IntegerSgd, parameters=parameters,
                  operands=6),
    instructions=(0, 46),
))  # fmt: skip
