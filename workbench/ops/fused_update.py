"""A gradient and its update as one node: w ← update(w, gradient(…)). The gradient is never stored.

    dw = nn.conv2d_backward_weight(dy, x); nn.sgd(w, dw, lr)    is    nn.conv2d_backward_weight_sgd(w, dy, x, lr)

For each of PAIRS the gradient's operands and attributes replace dw among those of the update. It means what the two
mean, one after the other.
"""

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from workbench.ir.kernel import Kernel, Literals, Slice
from workbench.ir.op import Arrays, Attrs, Op, Sample, Samples, Types, get, register
from workbench.ir.ranges import Range
from workbench.ir.types import Ints, TensorType
from workbench.ops import accumulate, conv2d_backward_weight, matmul, qnn_conv2d_backward_weight, qnn_sgd, sgd  # noqa: F401  registered before this
from workbench.ops import sum as _sum  # noqa: F401

T = TypeVar("T")
# of the gradient: operands, attributes; of the update without it: what is written, the other operands, attributes
Parts = tuple[tuple[T, ...], dict[str, Any], tuple[T, ...], tuple[T, ...], dict[str, Any]]

GRADIENTS = {"nn.conv2d_backward_weight": 2, "nn.matmul": 2, "sum": 1, "qnn.conv2d_backward_weight": 2}  # -> operands
UPDATES = {"nn.sgd": 1, "nn.sgd_momentum": 1, "accumulate": 1, "qnn.sgd": 2}  # -> literals that tell dw's size
# An update writes to its operand 0; operand 1 is the gradient.
REAL, QUANTIZED = ("nn.sgd", "nn.sgd_momentum", "accumulate"), ("qnn.sgd",)
PAIRS = [(gradient, update) for gradient in ("nn.conv2d_backward_weight", "nn.matmul", "sum") for update in REAL]
PAIRS += [("qnn.conv2d_backward_weight", "qnn.sgd"), ("qnn.conv2d_backward_weight", "accumulate"), ("sum", "qnn.sgd")]


def fused_name(gradient: str, update: str) -> str:
    """The name of the operator that does both; "" where there is none."""
    if (gradient, update) not in PAIRS:
        return ""
    name = f"{gradient}_{update.rpartition('.')[2]}"
    return f"qnn.{name}" if update in QUANTIZED and not name.startswith("qnn.") else name


def fuse(gradient: Op, update: Op) -> Op:
    """The operator that computes the `gradient` and applies it as `update` does."""
    count, of_gradient, of_update = GRADIENTS[gradient.name], gradient.needed_kernel, update.needed_kernel
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

    def literals(*types: TensorType, **attrs: Any) -> Literals:
        operands, inner, written, rest, outer = parts(types, attrs)
        dw = gradient.infer(*operands, **inner)
        numbers = of_update.literals(*written, dw, *rest, **outer)[UPDATES[update.name] :]
        return [*of_gradient.literals(*operands, **inner), *numbers]

    def scratch(*types: TensorType, **attrs: Any) -> int:
        operands, inner, *_ = parts(types, attrs)
        return of_gradient.scratch(*operands, **inner)

    def slices(sliced: Ints, *types: TensorType, **attrs: Any) -> Slice | None:
        """As the gradient's; w, its momentum and its scales are passed from the tile's first channel on too."""
        operands, inner, written, rest, outer = parts(types, attrs)
        tile = 0 not in sliced and gradient.slices(tuple(index - 1 for index in sliced), *operands, **inner)
        if not tile or tile.gives != "part":
            return None
        dw, row = gradient.infer(*operands, **inner), tile.advance[-1]
        numbers = [*of_update.literals(*written, dw, *rest, **outer)[UPDATES[update.name] :]]
        further = dict.fromkeys((index + count - 1 for index in takes[1:]), row)
        if update.name in QUANTIZED:  # its elements are hashed by their place in all of the weight
            numbers, further = ["first", *numbers[1:]], {1 + count: 1}
        return replace(
            tile, header=kernel.header, function=function, literals=(*tile.literals, *numbers),
            operands=kernel.operands,
            advance={0: row} | {index + 1: by for index, by in tile.advance.items() if index >= 0} | further,
        )  # fmt: skip

    name, (stem, kind) = (
        fused_name(gradient.name, update.name),
        of_gradient.header.removesuffix(".h").rsplit("_", 1),
    )
    kind = "s8" if update.name in QUANTIZED else kind
    function = f"{stem}_{update.name.rpartition('.')[2]}_{kind}"
    kernel = Kernel(
        f"{stem}_update_{kind}.h", function, literals, scratch,
        operands=of_update.operands and of_update.operands + count - 1,
    )  # fmt: skip
    return Op(
        name=name, infer=infer, evaluate=evaluate, within=within, samples=samples_of(gradient, update), macs=macs,
        attrs={**gradient.attrs, **update.attrs}, phase=update.phase,
        takes=tuple(index and index + count - 1 for index in takes),
        dtypes={0: of_w.get(0, ("float32",))}
        | {index + 1: allowed for index, allowed in of_operands.items()}
        | {index + count - 1: allowed for index, allowed in of_w.items() if index > 1},
        kernel=kernel, slices=slices,
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
                cases.append(_of_integers(rng, number, case, dw))
                continue
            state = [np.asarray(rng.normal(size=dw.shape)) for _ in takes]
            rate = [np.asarray(rng.uniform(size=()))] if update.phase == "update" else []
            attrs = {**case.attrs, **choices[number % len(choices)]}
            cases.append(Sample((state[0], *case.operands, *state[1:], *rate), attrs))
        return cases

    return samples


def _of_integers(rng: np.random.Generator, number: int, case: Sample, dw: np.ndarray) -> Sample:
    """int32 biases (one axis) or int8 weights, each rounding in turn."""
    w = rng.integers(-9999, 9999, dw.shape, np.int32) if dw.ndim == 1 else rng.integers(-127, 128, dw.shape, np.int8)
    rounding = tuple(qnn_sgd.ROUNDINGS)[number % 3]
    counters = [np.asarray(7, np.int32), np.asarray(number, np.int32)] if rounding == "stochastic" else []
    scales = np.asarray(rng.uniform(0.1, 0.4, dw.shape[0]))
    attrs = {**case.attrs, "rounding": rounding, "unit": 0.5, "parameter": number, "qas": number % 2 == 0}
    attrs |= {"filters": tuple(rng.permutation(dw.shape[0]).tolist())} if number % 2 else {}
    attrs |= {"channels": tuple(rng.permutation(dw.shape[1]).tolist())} if number % 2 == 0 and dw.ndim > 1 else {}
    return Sample((w, *case.operands, scales, np.asarray(0.01), *counters), attrs)


for _gradient, _update in PAIRS:
    register(fuse(get(_gradient), get(_update)))
