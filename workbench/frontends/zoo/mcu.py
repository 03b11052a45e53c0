"""mcunet-5fps, mbv2-w0.35, proxyless-w0.3: the int8 networks of "On-Device Training Under 256KB Memory".

Lin et al. 2022: 128×128 images, a stem of stride 2, inverted bottlenecks, a global pool, a classifier. Topology and
sparse policies are the published ones; the weights are synthetic (He-normal, calibrated and quantized as any float
network here), so that memory and instructions need no download. Real weights: frontends/mcu_json.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np

from workbench.frontends.layers import Network
from workbench.frontends.model import Model
from workbench.ir.build import Value
from workbench.policy import Part, UpdatePolicy
from workbench.quantize.post_training import quantized

CLASSES = 10
STEM, SIZE, CALIBRATION = 16, 128, 2  # channels of the first convolution, rows and columns, images to calibrate with

BLOCKS = {  # expansion (1: none), kernel of the depthwise convolution, its stride, output channels
    "mcunet-5fps": ((1, 3, 1, 8), (4, 3, 2, 16), (3, 3, 1, 16), (3, 7, 2, 24), (5, 3, 1, 24), (5, 3, 2, 40),
                    (4, 7, 1, 40), (4, 5, 1, 48), (3, 3, 1, 48), (4, 3, 1, 48), (5, 7, 2, 96), (4, 5, 1, 96),
                    (4, 5, 1, 96), (6, 3, 1, 160)),
    "mbv2-w0.35": ((1, 3, 1, 8), (6, 3, 2, 8), (6, 3, 1, 8), (6, 3, 2, 16), (6, 3, 1, 16), (6, 3, 1, 16), (6, 3, 2, 24),
                   (6, 3, 1, 24), (6, 3, 1, 24), (6, 3, 1, 24), (6, 3, 1, 32), (6, 3, 1, 32), (6, 3, 1, 32),
                   (6, 3, 2, 56), (6, 3, 1, 56), (6, 3, 1, 56), (6, 3, 1, 112)),
    "proxyless-w0.3": ((1, 3, 1, 8), (3, 5, 2, 16), (3, 3, 1, 16), (3, 7, 2, 16), (3, 3, 1, 16), (3, 5, 1, 16),
                       (3, 5, 1, 16), (6, 7, 2, 24), (3, 5, 1, 24), (3, 5, 1, 24), (3, 5, 1, 24), (6, 5, 1, 32),
                       (3, 5, 1, 32), (3, 5, 1, 32), (3, 5, 1, 32), (6, 7, 2, 64), (6, 7, 1, 64), (3, 7, 1, 64),
                       (3, 7, 1, 64), (6, 7, 1, 96)),
}  # fmt: skip

Sparse = tuple[int, Mapping[int, float]]  # biases of the last n convolutions; convolution -> fraction of input channels
POLICIES: dict[str, dict[str, Sparse]] = {
    "mcunet-5fps": {
        "49kb": (20, {24: 0.25, 27: 0.5, 30: 0.5}),
        "74kb": (21, {21: 1, 24: 1, 27: 0.5, 30: 1}),
        "99kb": (22, {21: 1, 24: 1, 27: 1, 30: 1, 36: 0.125, 39: 0.25}),
        "124kb": (24, {21: 0.25, 24: 1, 27: 1, 30: 1, 33: 0.5, 39: 0.5}),
        "148kb": (23, {21: 1, 24: 1, 27: 1, 30: 1, 36: 1, 39: 0.5}),
    },
    "mbv2-w0.35": {
        "49kb": (16, {36: 1, 39: 1, 41: 0.25, 42: 0.125, 45: 0.125, 48: 0.125, 49: 0.125}),
        "73kb": (20, {32: 0.125, 33: 0.5, 36: 0.5, 39: 1, 41: 0.25, 42: 0.125, 45: 0.125, 48: 1}),
        "99kb": (25, {27: 1, 30: 1, 33: 1, 36: 1, 39: 1, 42: 0.125, 45: 0.5, 48: 1}),
        "123kb": (31, {27: 1, 30: 1, 33: 1, 36: 1, 39: 1, 42: 0.5, 45: 1, 48: 1}),
        "138kb": (34, {27: 1, 30: 1, 33: 1, 36: 1, 39: 1, 42: 1, 45: 1, 48: 1}),
    },
    "proxyless-w0.3": {
        "49kb": (21, {39: 0.25, 42: 1, 45: 1, 51: 0.125, 54: 0.25, 57: 0.25}),
        "74kb": (28, {33: 0.5, 36: 0.25, 39: 1, 42: 1, 45: 1, 51: 0.5, 54: 0.25, 57: 0.5}),
        "98kb": (25, {36: 1, 39: 0.5, 42: 1, 45: 1, 48: 0.25, 51: 0.5, 54: 1, 57: 1}),
        "120kb": (32, {36: 1, 39: 1, 42: 1, 45: 1, 48: 0.5, 51: 1, 54: 1, 57: 1}),
        "148kb": (45, {36: 1, 39: 1, 42: 1, 45: 1, 48: 1, 51: 1, 54: 1, 57: 1}),
    },
}


def build(name: str, batch: int = 1, seed: int = 0, classes: int = CLASSES) -> Model:
    """The network called `name`, with synthetic weights of this seed."""
    graph, weights = _quantized(name, batch, seed, classes)
    about = f"{len(BLOCKS[name])} int8 inverted bottlenecks, {SIZE}×{SIZE} images, synthetic weights"
    return Model(name, graph, dict(weights), None, about, policies=sparse_policies(POLICIES[name]))


@cache
def _quantized(name: str, batch: int, seed: int, classes: int):
    net = float_network(name, seed, classes)
    images = np.random.default_rng(seed).uniform(-1, 1, (CALIBRATION, 1, 3, SIZE, SIZE)).astype(np.float32)
    model = net.with_batch(1)
    graph, weights = quantized(model.graph, model.weights, images)
    return Model(name, graph, weights, None, "").with_batch(batch).graph, weights


def float_network(name: str, seed: int = 0, classes: int = CLASSES) -> Model:
    """The same network in float32, one image at a time."""
    net = Network(name, (1, 3, SIZE, SIZE), seed)
    x = net.relu6(net.conv2d(net.input, "first_conv", STEM, 3, stride=2, padding=1), "first_conv")
    for number, (expansion, kernel, stride, channels) in enumerate(BLOCKS[name], 1):
        x = _block(net, x, f"block{number}", expansion, kernel, stride, channels)
    return net.model(net.dense(net.global_avg_pool2d(x, "pool"), "classifier", classes))


def _block(net: Network, x: Value, label: str, expansion: int, kernel: int, stride: int, channels: int) -> Value:
    y, inner = x, expansion * x.shape[1]
    if expansion > 1:
        y = net.relu6(net.conv2d(y, f"{label}.pointwise1", inner, 1), f"{label}.pointwise1")
    y = net.conv2d(y, f"{label}.depthwise", inner, kernel, stride=stride, padding=kernel // 2, groups=inner)
    y = net.conv2d(net.relu6(y, f"{label}.depthwise"), f"{label}.pointwise2", channels, 1)
    return net.add(y, x, f"{label}.residual") if stride == 1 and x.shape[1] == channels else y


def sparse_policies(told: Mapping[str, Sparse]) -> dict[str, UpdatePolicy]:
    """Published policies by name, sparse-49kb and so on; the classifier is always trained, weight and bias."""
    return {
        f"sparse-{name}": UpdatePolicy(
            f"sparse-{name}",
            (*(Part(str(conv), fraction) for conv, fraction in weights.items() if fraction), Part("head")),
            (f"last-{biases + 1}",),
        )
        for name, (biases, weights) in told.items()
    }
