"""The operators of ONNX as nodes: OPERATORS, the table of them. What is of constants alone: see constants.py."""

from workbench.frontends.onnx import arithmetic, layers, movement, pooling

OPERATORS = dict(sorted((arithmetic.OPERATORS | layers.OPERATORS | movement.OPERATORS | pooling.OPERATORS).items()))
KEEP = movement.KEEP  # of a weight they make the same weight, seen otherwise
ENDS = {"Softmax": "softmax", "LogSoftmax": "log-softmax", "Sigmoid": "sigmoid"}
