"""Layers for writing a network by hand: each declares its parameters, draws their values and appends its nodes.

Weights are He-normal (He et al. 2015): standard deviation √(2 / fan-in), times `scale`; biases start at 0. Parameters
of a layer called `conv1` are `conv1.weight` and `conv1.bias`.
"""

from math import prod, sqrt

import numpy as np

from workbench.frontends.model import Model
from workbench.ir.build import Builder, Value
from workbench.ir.verify import verify


class Network:
    """Grows a Model. Every method takes and gives a value; `label` names the nodes for people."""

    def __init__(self, name: str, input_shape, seed: int = 0):
        self.name = name
        self.build = Builder()
        self.weights: dict[str, np.ndarray] = {}
        self.rng = np.random.default_rng(seed)
        self.input = self.build.input("input0", input_shape)

    def conv2d(
        self, x: Value, label: str, channels: int, kernel: int, *, stride=1, padding=0, groups=1, scale=1.0
    ) -> Value:
        w = self._weight(label, (channels, x.shape[1] // groups, kernel, kernel), scale)
        y = self.build.conv2d(x, w, channels=channels, kernel_size=(kernel, kernel), strides=(stride, stride),
                              padding=(padding,) * 4, groups=groups, label=label)  # fmt: skip
        return self._bias(y, label)

    def dense(self, x: Value, label: str, outputs: int, *, scale=1.0) -> Value:
        return self._bias(self.build.dense(x, self._weight(label, (outputs, x.shape[1]), scale), label=label), label)

    def relu(self, x: Value, label: str) -> Value:
        return self.build.relu(x, label=f"{label}.relu")

    def relu6(self, x: Value, label: str) -> Value:
        return self.build.relu6(x, label=f"{label}.relu6")

    def add(self, a: Value, b: Value, label: str) -> Value:
        return self.build.add(a, b, label=label)

    def max_pool2d(self, x: Value, label: str, size: int) -> Value:
        return self.build.max_pool2d(x, pool_size=(size, size), strides=(size, size), label=label)

    def global_avg_pool2d(self, x: Value, label: str) -> Value:
        """(N, C, H, W) -> (N, C)."""
        return self.flatten(self.build.global_avg_pool2d(x, label=label))

    def flatten(self, x: Value) -> Value:
        return self.build.batch_flatten(x, label="flatten")

    def model(self, output: Value, data: str | None, about: str) -> Model:
        return Model(self.name, verify(self.build.graph(output)), self.weights, data, about)

    def _weight(self, label: str, shape, scale: float = 1.0) -> Value:
        deviation = scale * sqrt(2 / prod(shape[1:]))
        self.weights[f"{label}.weight"] = self.rng.normal(scale=deviation, size=shape).astype(np.float32)
        return self.build.parameter(f"{label}.weight", shape)

    def _bias(self, y: Value, label: str) -> Value:
        self.weights[f"{label}.bias"] = np.zeros(y.shape[1], np.float32)
        return self.build.bias_add(y, self.build.parameter(f"{label}.bias", y.shape[1:2]), label=f"{label}.bias_add")
