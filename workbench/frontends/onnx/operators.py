"""The operators of ONNX as nodes: OPERATORS, the table of them. What is of constants alone: see constants.py."""

from workbench.errors import ModelError
from workbench.frontends.onnx import arithmetic, layers, movement, pooling, recurrent
from workbench.frontends.onnx.quantized import DQ, Q
from workbench.frontends.onnx.shared import Imported


def _between_int8(*_: object) -> None:
    raise ModelError("is read with the operators beside it (see quantized.py)")


INT8 = {
    DQ: Imported(_between_int8, "int8 and uint8 with one scale; weights with one for each filter"),
    Q: Imported(_between_int8, "to int8 and uint8 with one scale; what stands between is computed in int8"),
}
OPERATORS = dict(
    sorted(
        (
            INT8
            | arithmetic.OPERATORS
            | layers.OPERATORS
            | movement.OPERATORS
            | pooling.OPERATORS
            | recurrent.OPERATORS
        ).items()
    )
)
KEEP = movement.KEEP  # of a weight they make the same weight, seen otherwise
ENDS = {"Softmax": "softmax", "LogSoftmax": "log-softmax", "Sigmoid": "sigmoid"}
