"""multiply-add: y = x · weight + bias, 10×10 each, element by element: the smallest network that has all four policies.

    full             weight and bias
    bias-only        the bias: x is not saved, and no gradient of the weight is made
    sparse-layer     the weight: no gradient of the bias
    sparse-tensor    the first half of the weight and the bias: half of x is saved

Its data is made: the true weight and bias, and noise of standard deviation NOISE, give y for random x.
"""

from dataclasses import replace

import numpy as np

from workbench.frontends.layers import Network
from workbench.frontends.model import Model
from workbench.policy import Part, UpdatePolicy

SIZE, SAMPLES, NOISE = 10, 500, 0.1
WEIGHT, BIAS = "multiply.weight", "add.bias"
POLICIES = {
    "sparse-layer": UpdatePolicy("sparse-layer", (Part(WEIGHT),), ()),
    "sparse-tensor": UpdatePolicy("sparse-tensor", (Part(WEIGHT, 0.5),), (BIAS,)),
}


def build(batch: int = 1, seed: int = 0) -> Model:
    net = Network("multiply-add", (batch, SIZE, SIZE), seed)
    shape = (1, SIZE, SIZE)
    net.weights |= {WEIGHT: np.ones(shape, np.float32), BIAS: np.zeros(shape, np.float32)}
    y = net.multiply(net.input, net.build.parameter(WEIGHT, shape), "multiply")
    y = net.add(y, net.build.parameter(BIAS, shape), "add")
    model = net.model(y, data(seed), "y = x · weight + bias, 10×10 each, to see what policies drop")
    return replace(model, policies=POLICIES)


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """x and y, float32 (SAMPLES, SIZE, SIZE)."""
    rng = np.random.default_rng(seed)
    weight, bias = rng.normal(size=(2, SIZE, SIZE))
    x = rng.normal(size=(SAMPLES, SIZE, SIZE))
    y = x * weight + bias + NOISE * rng.normal(size=x.shape)
    return x.astype(np.float32), y.astype(np.float32)
