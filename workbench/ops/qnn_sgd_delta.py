"""qnn.sgd_delta: qnn.sgd on an int32 bias that is kept as a delta, written into what it changed by (see ir/deltas).

    w = b + delta;  w ← qnn.sgd(w, dw, …);  delta = w - b, saturated

So the bits of w are those of an int32 bias as long as no change reaches its limit.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import ShapeError
from workbench.ir import op as ops
from workbench.ir.deltas import change_of, stored_of
from workbench.ir.kernel import Kernel
from workbench.ir.op import Op, Sample, register
from workbench.ir.ranges import Range, same_bits
from workbench.ir.types import Ints, TensorType
from workbench.ops import qnn_sgd
from workbench.ops._deltas import places, require_delta, sample_of


def infer(delta: TensorType, dw: TensorType, b: TensorType, s: TensorType, lr: TensorType,
          seed: TensorType | None = None, step: TensorType | None = None, *, wide: Ints,
          **attrs: Any) -> TensorType:  # fmt: skip
    require_delta("qnn.sgd_delta", b, delta, wide)
    if b.rank != 1 or dw.shape != b.shape:
        raise ShapeError(f"qnn.sgd_delta: b is one a channel, and dw too; got {b} and {dw}")
    qnn_sgd.infer(b, dw, s, lr, seed, step, **attrs)
    return TensorType(delta.shape, delta.dtype)


def evaluate(delta: np.ndarray, dw: np.ndarray, b: np.ndarray, s: np.ndarray, lr: np.ndarray,
             seed: np.ndarray | None = None, step: np.ndarray | None = None, *, wide: Ints,
             **attrs: Any) -> np.ndarray:  # fmt: skip
    w = (b + change_of(delta, wide)).astype(np.int32)
    return stored_of(qnn_sgd.evaluate(w, dw, s, lr, seed, step, **attrs).astype(np.int64) - b, wide)


def within(delta: Range, *operands: Range, wide: Ints, **attrs: Any) -> tuple[Range, ...]:
    """Each half lies between its ends, unless the high one may be another: then the low one may be any."""
    ((low, high),) = same_bits(evaluate)(delta, *operands, wide=wide, **attrs)
    if low is high:
        return (Range(low, high),)
    halves = slice(len(low) - len(wide), None)
    apart = np.asarray(wide, int)[low[halves] != high[halves]]
    low[apart], high[apart] = -(2**15), 2**15 - 1
    return (Range(low, high),)


@dataclass(frozen=True)
class DeltaRule:
    """wb_delta_rule. `wide`: see _deltas.places."""

    bias: qnn_sgd.IntegerRule
    wide: str


@dataclass(frozen=True)
class DeltaSgd:
    """wb_delta_sgd."""

    channels: int
    rule: DeltaRule


def parameters(delta: TensorType, dw: TensorType, b: TensorType, *rest: TensorType, wide: Ints,
               **attrs: Any) -> DeltaSgd:  # fmt: skip
    rule = qnn_sgd.parameters(b, dw, *rest, **attrs).rule
    return DeltaSgd(b.elements, DeltaRule(rule, places(b.elements, wide)))


def samples(rng: np.random.Generator) -> list[Sample]:
    """The samples of biases, without and with wide channels, and one that saturates."""
    cases = []
    for case in qnn_sgd.samples(rng):
        b, *operands = case.operands
        if b.ndim == 1:
            for wide in ((), (2, b.size - 1)):
                cases.append(of_bias(rng, Sample((b, *operands), case.attrs), wide))
    *_, (delta, dw, *rest) = (case.operands for case in cases)
    cases.append(Sample((delta, dw * 1e5, *rest), cases[-1].attrs))
    return cases


def of_bias(rng: np.random.Generator, case: Sample, wide: Ints) -> Sample:
    """A sample of qnn.sgd on a bias, which is kept as a delta."""
    b, dw, *rest = case.operands
    return Sample((sample_of(rng, b.size, wide), dw, b, *rest), {**case.attrs, "wide": wide})


register(Op(
    name="qnn.sgd_delta", infer=infer, evaluate=evaluate, within=within, samples=samples, takes=(0,), phase="update",
    attrs={**ops.get("qnn.sgd").attrs, "wide": ()},
    dtypes={0: ("int16",), 2: ("int32",), 5: ("int32",), 6: ("int32",)},
    kernel=Kernel("sgd_s8.h", "sgd_delta_s32", record=DeltaSgd, parameters=parameters, operands=7),
    instructions=(0, 52),
))  # fmt: skip
