"""A gradient and its update as one node: w ← update(w, gradient(…)). The gradient is never stored.

    dw = nn.conv2d_backward_weight(dy, x); nn.sgd(w, dw, lr)    is    nn.conv2d_backward_weight_sgd(w, dy, x, lr)

For each of FUSED the gradient's operands and attributes replace dw among those of the update. It means what the two
mean, one after the other.
"""

from dataclasses import make_dataclass, replace
from typing import Any, TypeVar, get_type_hints

import numpy as np

from workbench.ir.kernel import Footprint, Kernel, Refusal, Tile
from workbench.ir.op import Arrays, Attrs, Op, Sample, Samples, Types, get, register
from workbench.ir.ranges import Range
from workbench.ir.types import TensorType
from workbench.ops import (  # noqa: F401  registered before this
    accumulate,
    conv2d_backward_weight,
    matmul,
    qnn_conv2d_backward_weight,
    qnn_sgd,
    qnn_sgd_delta,
    sgd,
)
from workbench.ops import sum as _sum  # noqa: F401

T = TypeVar("T")
# of the gradient: operands, attributes; of the update without it: what is written, the other operands, attributes
Parts = tuple[tuple[T, ...], dict[str, Any], tuple[T, ...], tuple[T, ...], dict[str, Any]]

OPERANDS = {"nn.conv2d_backward_weight": 2, "nn.matmul": 2, "sum": 1, "qnn.conv2d_backward_weight": 2}  # of a gradient
# An update writes to its operand 0; operand 1 is the gradient.
QUANTIZED = ("qnn.sgd", "qnn.sgd_delta")
FUSED = {  # gradient, update -> operator, header and function of its kernel
    ("nn.conv2d_backward_weight", "nn.sgd"):
        ("nn.conv2d_backward_weight_sgd", "conv2d_backward_weight_update_f32.h", "conv2d_backward_weight_sgd_f32"),
    ("nn.conv2d_backward_weight", "nn.sgd_momentum"):
        ("nn.conv2d_backward_weight_sgd_momentum", "conv2d_backward_weight_update_f32.h",
         "conv2d_backward_weight_sgd_momentum_f32"),
    ("nn.conv2d_backward_weight", "accumulate"):
        ("nn.conv2d_backward_weight_accumulate", "conv2d_backward_weight_update_f32.h",
         "conv2d_backward_weight_accumulate_f32"),
    ("nn.matmul", "nn.sgd"): ("nn.matmul_sgd", "matmul_update_f32.h", "matmul_sgd_f32"),
    ("nn.matmul", "nn.sgd_momentum"): ("nn.matmul_sgd_momentum", "matmul_update_f32.h", "matmul_sgd_momentum_f32"),
    ("nn.matmul", "accumulate"): ("nn.matmul_accumulate", "matmul_update_f32.h", "matmul_accumulate_f32"),
    ("sum", "nn.sgd"): ("sum_sgd", "sum_update_f32.h", "sum_sgd_f32"),
    ("sum", "nn.sgd_momentum"): ("sum_sgd_momentum", "sum_update_f32.h", "sum_sgd_momentum_f32"),
    ("sum", "accumulate"): ("sum_accumulate", "sum_update_f32.h", "sum_accumulate_f32"),
    ("qnn.conv2d_backward_weight", "qnn.sgd"):
        ("qnn.conv2d_backward_weight_sgd", "conv2d_backward_weight_update_s8.h", "conv2d_backward_weight_sgd_s8"),
    ("qnn.conv2d_backward_weight", "accumulate"):
        ("qnn.conv2d_backward_weight_accumulate", "conv2d_backward_weight_update_s8.h",
         "conv2d_backward_weight_accumulate_s8"),
    ("sum", "qnn.sgd"): ("qnn.sum_sgd", "sum_update_s8.h", "sum_sgd_s8"),
    ("sum", "qnn.sgd_delta"): ("qnn.sum_sgd_delta", "sum_update_s8.h", "sum_sgd_delta_s8"),
}  # fmt: skip


def fused_name(gradient: str, update: str) -> str:
    """The name of the operator that does both; "" where there is none."""
    name, *_ = FUSED.get((gradient, update), ("",))
    return name


def fuse(gradient: Op, update: Op, name: str, header: str, function: str) -> Op:
    """The operator `name` that computes the `gradient` and applies it as `update` does."""
    count, of_gradient, of_update = OPERANDS[gradient.name], gradient.needed_kernel, update.needed_kernel
    rule = get_type_hints(of_update.record).get("rule")  # of each element; what adds up batches has none
    both = [("gradient", of_gradient.record), ("rule", rule)]
    record: Any = make_dataclass("Update", both, frozen=True) if rule else of_gradient.record
    of_operands, of_w = gradient.dtypes or {}, update.dtypes or {}
    takes = tuple(index for index in update.taken({}) if index is not None)

    def parts(operands: tuple[T, ...], attrs: Attrs) -> Parts[T]:
        """Operands and attributes of the gradient, and of the update without it."""
        inner = {key: value for key, value in attrs.items() if key in gradient.attrs}
        outer = {key: value for key, value in attrs.items() if key in update.attrs}
        return operands[1 : 1 + count], inner, operands[:1], operands[1 + count :], outer

    def infer(*types: TensorType, **attrs: Any) -> Types:
        operands, inner, written, rest, outer = parts(types, attrs)
        return update.infer(*written, gradient.infer(*operands, **inner), *rest, **outer)

    def evaluate(*arrays: np.ndarray, **attrs: Any) -> Arrays:
        operands, inner, written, rest, outer = parts(arrays, attrs)
        return update.evaluate(*written, gradient.evaluate(*operands, **inner), *rest, **outer)

    def within(*ranges: Range, **attrs: Any) -> tuple[Range, ...]:
        operands, inner, written, rest, outer = parts(ranges, attrs)
        return update.ranges(*written, *gradient.ranges(*operands, **inner), *rest, **outer)

    def macs(*types: TensorType, **attrs: Any) -> int:
        operands, inner, *_ = parts(types, attrs)
        return gradient.macs(*operands, **inner)

    def parameters(*types: TensorType, **attrs: Any) -> Any:
        operands, inner, written, rest, outer = parts(types, attrs)
        own, dw = of_gradient.parameters(*operands, **inner), gradient.infer(*operands, **inner)
        return record(own, of_update.parameters(*written, dw, *rest, **outer).rule) if rule else own

    def scratch(*types: TensorType, **attrs: Any) -> int:
        operands, inner, *_ = parts(types, attrs)
        return of_gradient.scratch(*operands, **inner)

    def footprint(tile: Tile, *types: TensorType, **attrs: Any) -> Footprint | Refusal:
        """As the gradient's, where its tiles are parts of dw: each is applied to the same part of w."""
        operands, inner, *_ = parts(types, attrs)
        needs = gradient.footprint(replace(tile, of=tuple(index - 1 for index in tile.of)), *operands, **inner)
        if isinstance(needs, Refusal):
            return needs
        if needs.gives != "part":
            return Refusal("updates when its gradient is complete")
        return replace(needs, reads={index + 1: reach for index, reach in needs.reads.items()})

    kernel = Kernel(
        header, function, record=record, parameters=parameters, scratch=scratch,
        operands=of_update.operands and of_update.operands + count - 1,
        views=tuple(index + 1 for index in of_gradient.views),
    )  # fmt: skip
    return Op(
        name=name, infer=infer, evaluate=evaluate, within=within, samples=samples_of(gradient, update), macs=macs,
        attrs={**gradient.attrs, **update.attrs}, phase=update.phase,
        takes=tuple(index and index + count - 1 for index in takes),
        dtypes={0: of_w.get(0, ("float32",))}
        | {index + 1: allowed for index, allowed in of_operands.items()}
        | {index + count - 1: allowed for index, allowed in of_w.items() if index > 1},
        kernel=kernel, footprint=footprint,
    )  # fmt: skip


def samples_of(gradient: Op, update: Op) -> Samples:
    """The gradient's samples, with the update's attributes in turn."""

    def samples(rng: np.random.Generator) -> list[Sample]:
        choices = [dict(case.attrs) for case in update.samples(rng)][1:] or [{}]
        takes = update.taken({})
        cases = []
        every = gradient.samples(rng)
        for number, case in enumerate(every[::2] if len(every) > 8 else every):  # each is tested as a gradient too
            (dw,) = gradient.evaluated(*case.operands, **gradient.complete(case.attrs))
            if update.name in QUANTIZED:
                cases.append(_of_integers(rng, number, case, dw, QUANTIZED.index(update.name) == 1))
                continue
            state = [np.asarray(rng.normal(size=dw.shape)) for _ in takes]
            rate = [np.asarray(rng.uniform(size=()))] if update.phase == "update" else []
            attrs = {**case.attrs, **choices[number % len(choices)]}
            cases.append(Sample((state[0], *case.operands, *state[1:], *rate), attrs))
        return cases

    return samples


def _of_integers(rng: np.random.Generator, number: int, case: Sample, dw: np.ndarray, delta: bool) -> Sample:
    """int32 biases (one axis), as a `delta` maybe, or int8 weights, each rounding in turn."""
    w = rng.integers(-9999, 9999, dw.shape, np.int32) if dw.ndim == 1 else rng.integers(-127, 128, dw.shape, np.int8)
    rounding = tuple(qnn_sgd.ROUNDINGS)[number % 3]
    counters = [np.asarray(7, np.int32), np.asarray(number, np.int32)] if rounding == "stochastic" else []
    scales = np.asarray(rng.uniform(0.1, 0.4, dw.shape[0]))
    attrs = {**case.attrs, "rounding": rounding, "unit": 0.5, "parameter": number, "qas": number % 2 == 0}
    attrs |= {"filters": tuple(rng.permutation(dw.shape[0]).tolist())} if number % 2 else {}
    attrs |= {"channels": tuple(rng.permutation(dw.shape[1]).tolist())} if number % 2 == 0 and dw.ndim > 1 else {}
    rates = scales, np.asarray(0.01), *counters
    if not delta:
        return Sample((w, *case.operands, *rates), attrs)
    wide = (w.size - 1,) if number % 2 else ()
    state, *_ = qnn_sgd_delta.of_bias(rng, Sample((w, dw)), wide).operands
    return Sample((state, *case.operands, w, *rates), {**attrs, "wide": wide})


for (_gradient, _update), _fused in FUSED.items():
    register(fuse(get(_gradient), get(_update), *_fused))
