"""Arithmetic of .tflite files: sums, differences and products with broadcast; activations that stand alone, of int8 as
tables; and the log-softmax at the end.

A shape with fewer axes than the other is read from the right, as the file has it (NHWC): (C,) is (1, 1, 1, C), which
the network has as (1, C, 1, 1). What the file stores as an operand becomes a parameter that is never updated.
"""

from math import prod
from typing import Any

from workbench.errors import ModelError
from workbench.frontends.tflite.file import Operator
from workbench.frontends.tflite.shared import Imported, activated, int8_range, logits, require_int32
from workbench.frontends.tflite.values import Held, Values
from workbench.frontends.weight import Weight
from workbench.ir.build import Value
from workbench.quantize import emit
from workbench.quantize.quantization import Quantization


def add(values: Values, op: Operator) -> Held:
    return _of_two(values, op, "add")


def sub(values: Values, op: Operator) -> Held:
    return _of_two(values, op, "subtract")


def mul(values: Values, op: Operator) -> Held:
    return _of_two(values, op, "multiply")


def _of_two(values: Values, op: Operator, name: str) -> Held:
    label, build = values.label(op, name), values.build
    a, b, image = _operands(values, op, label)
    if a.type.dtype != "int8":
        return Held(activated(values, op, build.op(name, a, b, label=label), label), image)
    of_y = values.result_quantization(op)
    of_a, of_b = (
        values.quantization(f"{values.network.where(op)}: operand {index}", values.tensor(op, index))
        for index in range(2)
    )
    if name == "multiply":
        require_int32(values, op, 2**16, of_a.scale * of_b.scale / of_y.scale)
    else:
        require_int32(values, op, 2**28, max(of_a.scale, of_b.scale) / of_y.scale / 2**19)
    y = emit.of_two(build, name, (a, b), (of_a, of_b), of_y, clip=int8_range(values, op, of_y), form=values.form,
                    label=label)  # fmt: skip
    return Held(y, image)


def _operands(values: Values, op: Operator, label: str) -> tuple[Value, Value, tuple[int, int, int] | None]:
    """Both operands with as many axes, and the image that both are flattened from, if they are."""
    stored = [values.stored_operand(op, index) for index in range(2)]
    if all(each is not None for each in stored):
        raise ModelError(f"{values.network.where(op)}: both operands are constants, which is not supported")
    held = [values.operand(op, index) for index, each in enumerate(stored) if each is None]
    image = held[0].image if len({each.image for each in held}) == 1 else None
    rank = max(len(values.tensor(op, index).shape) for index in range(2))
    operands = []
    for index, each in enumerate(stored):
        shape = values.tensor(op, index).shape
        shape = (1,) * (rank - len(shape)) + shape
        if each is not None:
            weight = Weight("", each).reshaped(shape)
            operands.append(_parameter(values, op, index, weight, image, label))
            continue
        x = held.pop(0)
        x = x if image else Held(values.in_order(x))
        operands.append(values.reshaped(x, shape, f"{label}.axes").value if len(shape) > x.value.rank else x.value)
    a, b = operands
    return a, b, image


def _parameter(values: Values, op: Operator, index: int, weight: Weight, image, label: str) -> Value:
    """A stored operand as the network has the other one: NCHW, or flattened from that."""
    shape = weight.shape
    if len(shape) > 1 and shape[0] > 1:
        raise ModelError(f"{values.network.where(op)}: a constant that differs in a batch is not supported")
    if len(shape) == 4:
        weight = weight.transposed((0, 3, 1, 2))
    elif image and weight.array.size > 1:
        if weight.array.size != prod(image):
            raise ModelError(f"{values.network.where(op)}: a constant of {shape} does not fit the other operand")
        weight = weight.reshaped(image).transposed((2, 0, 1)).reshaped(shape)
    made_of = values.stored(op, index), weight.shape, image or ()
    home = values.home(op, index, weight)
    return values.parameter(op, f"{label}.constant", weight.array, *made_of, home=home)


def logistic(values: Values, op: Operator) -> Held:
    return _activation(values, op, "sigmoid")


def tanh(values: Values, op: Operator) -> Held:
    return _activation(values, op, "tanh")


def hard_swish(values: Values, op: Operator) -> Held:
    return _activation(values, op, "hard_swish")


def leaky_relu(values: Values, op: Operator) -> Held:
    return _activation(values, op, "leaky_relu", alpha=values.option(op, "alpha"))


def _activation(values: Values, op: Operator, function: str, **attrs: Any) -> Held:
    x, label, build = values.operand(op), values.label(op, function), values.build
    if x.value.type.dtype != "int8":
        return Held(getattr(build, function)(x.value, label=label, **attrs), x.image)
    y = emit.looked_up(build, function, x.value, values.result_quantization(op), number=attrs.get("alpha", 0.0),
                       form=values.form, label=label)  # fmt: skip
    return Held(y, x.image)


def log_softmax(values: Values, op: Operator) -> Held:
    x, label, build = logits(values, op), values.label(op, "log_softmax"), values.build
    if x.type.dtype != "int8":
        return Held(build.log_softmax(x, label=label))
    if values.result_quantization(op) != Quantization(16 / 256, 127):
        raise ModelError(f"{values.network.where(op)}: an int8 log-softmax gives scale 1/16 and zero point 127")
    return Held(emit.log_softmax(build, x, label=label))


OF_TWO = "of data by data or constants, with broadcast; activation fused"
OPERATORS = {
    "ADD": Imported(add, OF_TWO),
    "HARD_SWISH": Imported(hard_swish, "alone; int8 to another scale too"),
    "LEAKY_RELU": Imported(leaky_relu, "alone; int8 to another scale too"),
    "LOGISTIC": Imported(logistic, "alone"),
    "LOG_SOFTMAX": Imported(log_softmax, "at the end: training computes its loss from the logits"),
    "MUL": Imported(mul, OF_TWO),
    "SUB": Imported(sub, OF_TWO),
    "TANH": Imported(tanh, "alone"),
}
