"""Arithmetic of ONNX files: activations, sums and products with broadcast, reductions."""

from math import inf, prod
from typing import Any

import numpy as np

from workbench.errors import ModelError
from workbench.frontends.emitter import Operand, shape_of
from workbench.frontends.onnx.layers import added_bias
from workbench.frontends.onnx.shared import (
    Call,
    Imported,
    array_of,
    at_most,
    axes_of,
    axis_of,
    each_one,
    scalar_of,
    whole_numbers,
)
from workbench.frontends.weight import Weight
from workbench.ir.build import Value


def activation(name: str, **fixed: Any):
    def convert(call: Call, x) -> Operand:
        return call.of(name, each_one(x), label=call.label, **fixed)

    return convert


def leaky_relu(call: Call, x) -> Operand:
    return call.of("leaky_relu", each_one(x), alpha=call.number("alpha", 0.01), label=call.label)


def elu(call: Call, x) -> Operand:
    return call.of("elu", each_one(x), alpha=call.number("alpha", 1.0), label=call.label)


def celu(call: Call, x) -> Operand:
    """alpha · elu(x / alpha)."""
    alpha = call.number("alpha", 1.0)
    y = call.of("elu", _times(call, x, 1 / alpha), alpha=1.0, label=call.label)
    return _times(call, y, alpha)


def selu(call: Call, x) -> Operand:
    alpha, gamma = call.number("alpha", 1.67326319), call.number("gamma", 1.05070102)
    return _times(call, call.of("elu", each_one(x), alpha=alpha, label=call.label), gamma)


def gelu(call: Call, x) -> Operand:
    return call.of("gelu", each_one(x), approximate=call.option("approximate", "none"), label=call.label)


def swish(call: Call, x) -> Operand:
    if (alpha := call.number("alpha", 1.0)) == 1:
        return call.of("silu", each_one(x), label=call.label)
    gate = call.of("sigmoid", _times(call, x, alpha), label=f"{call.label}.gate")
    return call.emit.of_two("multiply", x, gate, call.label)


def mish(call: Call, x) -> Operand:
    soft = call.of("softplus", each_one(x), label=f"{call.label}.softplus")
    return call.emit.of_two("multiply", x, call.of("tanh", soft, label=f"{call.label}.tanh"), call.label)


def hard_sigmoid(call: Call, x) -> Operand:
    """clip(alpha · x + beta, 0, 1)."""
    alpha, beta = call.number("alpha", 0.2), call.number("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return call.of("hard_sigmoid", each_one(x), label=call.label)
    line = call.emit.of_two("add", _times(call, x, alpha), beta, f"{call.label}.line")
    return _clamped(call, line, 0.0, 1.0)


def clip(call: Call, x, low=None, high=None) -> Operand:
    low, high = scalar_of(low, "limits", -inf), scalar_of(high, "limits", inf)
    return _clamped(call, each_one(x), min(low, high), high)  # where they cross, the upper one counts


def _clamped(call: Call, x: Operand, low: float, high: float) -> Operand:
    if (low, high) == (-inf, inf):
        return x
    if low == 0 and high in (6, inf):
        return call.of("relu6" if high == 6 else "relu", x, label=call.label)
    return call.of("clamp", x, min=low, max=high, label=call.label)


def prelu(call: Call, x, slope) -> Operand:
    """relu(x) - slope · relu(-x)."""
    at_most(np.broadcast_shapes(shape_of(each_one(x)), shape_of(each_one(slope))))
    emit, label = call.emit, call.label
    positive = call.of("relu", each_one(x), label=f"{label}.positive")
    negative = call.of("relu", _times(call, x, -1.0), label=f"{label}.negative")
    return emit.of_two("subtract", positive, emit.of_two("multiply", negative, slope, f"{label}.slope"), label)


def softsign(call: Call, x) -> Operand:
    below = call.emit.of_two("add", call.of("abs", each_one(x), label=call.label), 1.0, f"{call.label}.below")
    return call.emit.of_two("divide", x, below, call.label)


def _times(call: Call, x: Operand | None, factor: float) -> Operand:
    return call.emit.of_two("multiply", each_one(x), factor, f"{call.label}.factor") if factor != 1 else each_one(x)


def negative(call: Call, x) -> Operand:
    return _times(call, x, -1.0)


def reciprocal(call: Call, x) -> Operand:
    return call.emit.of_two("divide", 1.0, each_one(x), call.label)


def add(call: Call, a, b) -> Operand:
    for x, bias in ((each_one(a), each_one(b)), (b, a)):
        y = added_bias(call, x, bias)
        if y is not None:
            return y
    return of_two("add")(call, a, b)


def of_two(name: str):
    def convert(call: Call, a, b) -> Operand:
        return call.emit.of_two(name, _real(each_one(a)), _real(each_one(b)), call.label)

    return convert


def _real(x: Operand) -> Operand:
    """Constants as real numbers; those of masks, −∞, as such that exp makes 0 all the same."""
    array = x.array if isinstance(x, Weight) else x
    if isinstance(array, np.ndarray) and np.isinf(array).any():
        return np.clip(array.astype(np.float32), -1e9, 1e9)
    return x.astype(np.float32) if isinstance(x, np.ndarray) else x


def of_several(call: Call, *operands) -> Operand:
    at_most(np.broadcast_shapes(*(shape_of(each_one(each)) for each in operands)))
    total = each_one(operands[0])
    for each in operands[1:]:
        total = call.emit.of_two("add", total, each_one(each), call.label)
    return total


def mean_of_several(call: Call, *operands) -> Operand:
    return _times(call, of_several(call, *operands), 1 / len(operands))


def largest_of_several(sign: float):
    """Of a number a clamp."""

    def convert(call: Call, *operands) -> Operand:
        best = each_one(operands[0])
        for each in operands[1:]:
            numbers = [x for x in (best, each) if not isinstance(x, Value) and prod(shape_of(x)) == 1]
            if numbers and any(
                isinstance(x, Value) and len(shape_of(x)) >= len(shape_of(numbers[0])) for x in (best, each)
            ):
                limit, x = scalar_of(numbers[0], "limits", 0.0), each if numbers[0] is best else best
                best = _clamped(call, x, *((limit, inf) if sign > 0 else (-inf, limit)))
            else:
                best = call.emit.of_two("maximum" if sign > 0 else "minimum", best, each_one(each), call.label)
        return best

    return convert


def power(call: Call, x, exponent) -> Operand:
    emit, label = call.emit, call.label
    exponents = array_of(exponent, "exponents").astype(np.float64)
    if exponents.size == 1 and prod(exponents.shape) <= 1 and (e := exponents.item()) in (0.5, -0.5, -1):
        if e == -1:
            return emit.of_two("divide", 1.0, x, label)
        return call.of("sqrt" if e > 0 else "rsqrt", each_one(x), label=label)
    if not ((exponents == np.rint(exponents)) & (exponents >= 0) & (exponents <= 16)).all():
        raise ModelError("is supported of exponents -1, -0.5, 0.5 and of whole ones up to 16")
    if exponents.size == 1:
        return _raised(call, each_one(x), int(exponents.item()), exponents.shape)
    rank = max(len(shape_of(x)), exponents.ndim)
    shape = at_most(np.broadcast_shapes(shape_of(x), exponents.shape))
    call.room.take(4 * prod(shape))
    exponents = exponents.reshape((1,) * (rank - exponents.ndim) + exponents.shape)
    x = emit.repeated(emit.reshape(x, (1,) * (rank - len(shape_of(x))) + shape_of(x), label), shape, label)
    total: Operand | None = None
    for e in sorted(set(exponents.reshape(-1).tolist())):  # one term for each exponent there is
        term = emit.of_two("multiply", _raised(call, x, int(e), ()), (exponents == e).astype(np.float32), label)
        total = term if total is None else emit.of_two("add", total, term, label)
    return each_one(total)


def _raised(call: Call, x: Operand, exponent: int, shape) -> Operand:
    """By squares."""
    emit, label = call.emit, call.label
    x = emit.reshape(x, (1,) * (len(shape) - len(shape_of(x))) + shape_of(x), label)
    if exponent == 0:
        return np.ones(shape_of(x), np.float32)
    result: Operand | None = None
    while exponent:
        if exponent & 1:
            result = x if result is None else emit.of_two("multiply", result, x, label)
        exponent >>= 1
        x = emit.of_two("multiply", x, x, label) if exponent else x
    return each_one(result)


def where(call: Call, condition, a, b) -> Operand:
    """Of a condition of constants."""
    mask = array_of(condition, "conditions").astype(bool)
    emit, label = call.emit, call.label
    first = emit.of_two("multiply", _real(each_one(a)), mask.astype(np.float32), f"{label}.first")
    second = emit.of_two("multiply", _real(each_one(b)), (~mask).astype(np.float32), f"{label}.second")
    return emit.of_two("add", first, second, label)


def _reduced(call: Call, x: Operand, axes: Operand | None) -> tuple[list[int], bool] | None:
    """Which axes, and whether they stay; None where nothing is to be done."""
    rank = len(shape_of(each_one(x)))
    given = whole_numbers(call.option("axes") if axes is None else axes, "axes") if (
        axes is not None or call.option("axes") is not None) else []  # fmt: skip
    if not given and call.whole("noop_with_empty_axes", 0):
        return None
    return sorted(axes_of(given, rank)) or list(range(rank)), bool(call.whole("keepdims", 1))


def reduce_mean(call: Call, x, axes=None) -> Operand:
    how = _reduced(call, x, axes)
    return x if how is None else call.emit.mean(x, how[0], call.label, how[1])


def reduce_sum(call: Call, x, axes=None) -> Operand:
    how = _reduced(call, x, axes)
    return x if how is None else _sum(call, x, *how)


def _sum(call: Call, x: Operand, axes: list[int], keep: bool) -> Operand:
    count = prod(shape_of(x)[axis] for axis in axes)
    return _times(call, call.emit.mean(x, axes, call.label, keep), float(count))


def reduce_by(before: str = "", behind: str = ""):
    """A function of each element, the sum, a function of that."""

    def convert(call: Call, x, axes=None) -> Operand:
        how, emit, label = _reduced(call, x, axes), call.emit, call.label
        if before == "square":
            x = emit.of_two("multiply", x, x, f"{label}.square")
        elif before:
            x = call.of(before, x, label=f"{label}.each")
        y = x if how is None else _sum(call, x, *how)
        return call.of(behind, y, label=f"{label}.of_sum") if behind else y

    return convert


def reduce_max(sign: float):
    def convert(call: Call, x, axes=None) -> Operand:
        how, emit, label = _reduced(call, x, axes), call.emit, call.label
        if how is None:
            return x
        shape = shape_of(x)
        stays = [at for at in range(len(shape)) if at not in how[0]]
        seen = emit.transpose(x if sign > 0 else _times(call, x, -1.0), [*stays, *how[0]], label)
        seen = emit.reshape(seen, (1, 1, prod(shape[at] for at in stays), prod(shape[at] for at in how[0])), label)
        y = emit.pool("max", seen, size=(1, shape_of(seen)[3]), strides=(1, 1), pads=[(0, 0)] * 2, label=label)
        y = emit.reshape(
            y, [1 if at in how[0] else size for at, size in enumerate(shape) if how[1] or at in stays], label
        )
        return y if sign > 0 else _times(call, y, -1.0)

    return convert


def softmax(log: bool):
    def convert(call: Call, x) -> Operand:
        axis = axis_of(call.whole("axis", -1), len(shape_of(each_one(x))))
        return call.emit.softmax(x, axis, call.label, log)

    return convert


ALONE, BOTH = "of any shape", "with broadcast"
OVER = "over any axes"
OPERATORS = {
    "Abs": Imported(activation("abs"), ALONE),
    "Add": Imported(add, f"{BOTH}; behind a product a bias"),
    "Celu": Imported(celu, ALONE),
    "Clip": Imported(clip, "between constants"),
    "Div": Imported(of_two("divide"), BOTH),
    "Elu": Imported(elu, ALONE),
    "Exp": Imported(activation("exp"), ALONE),
    "Gelu": Imported(gelu, "exact and by tanh"),
    "HardSigmoid": Imported(hard_sigmoid, "any alpha and beta"),
    "HardSwish": Imported(activation("hard_swish"), ALONE),
    "LeakyRelu": Imported(leaky_relu, ALONE),
    "Log": Imported(activation("log"), ALONE),
    "LogSoftmax": Imported(softmax(True), "along any axis; at the end left to the loss"),
    "Max": Imported(largest_of_several(1), BOTH),
    "Mean": Imported(mean_of_several, BOTH),
    "Min": Imported(largest_of_several(-1), BOTH),
    "Mish": Imported(mish, ALONE),
    "Mul": Imported(of_two("multiply"), BOTH),
    "Neg": Imported(negative, ALONE),
    "PRelu": Imported(prelu, BOTH),
    "Pow": Imported(power, "constant exponents: -1, -0.5, 0.5 and whole ones up to 16"),
    "Reciprocal": Imported(reciprocal, ALONE),
    "ReduceL1": Imported(reduce_by("abs"), OVER),
    "ReduceL2": Imported(reduce_by("square", "sqrt"), OVER),
    "ReduceLogSum": Imported(reduce_by("", "log"), OVER),
    "ReduceLogSumExp": Imported(reduce_by("exp", "log"), OVER),
    "ReduceMax": Imported(reduce_max(1), OVER),
    "ReduceMean": Imported(reduce_mean, OVER),
    "ReduceMin": Imported(reduce_max(-1), OVER),
    "ReduceSum": Imported(reduce_sum, OVER),
    "ReduceSumSquare": Imported(reduce_by("square"), OVER),
    "Relu": Imported(activation("relu"), ALONE),
    "Selu": Imported(selu, ALONE),
    "Sigmoid": Imported(activation("sigmoid"), "at the end left to the loss"),
    "Softmax": Imported(softmax(False), "along any axis; at the end left to the loss"),
    "Softplus": Imported(activation("softplus"), ALONE),
    "Softsign": Imported(softsign, ALONE),
    "Sqrt": Imported(activation("sqrt"), ALONE),
    "Sub": Imported(of_two("subtract"), BOTH),
    "Sum": Imported(of_several, BOTH),
    "Swish": Imported(swish, "any alpha"),
    "Tanh": Imported(activation("tanh"), ALONE),
    "Where": Imported(where, "of a constant condition"),
}
