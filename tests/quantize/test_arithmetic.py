"""A network of gates, differences and smooth activations: quantized, compiled, and held against numpy node by node."""

import numpy as np
import pytest

from workbench import boards, session
from workbench.feeding import Training
from workbench.frontends.layers import Network
from workbench.frontends.loading import in_int8
from workbench.ir.interpret import interpret
from workbench.study.check import check

BOARD = boards.get("nrf52840")


def gated(batch: int = 2):
    """Squeeze and excite with a residual; a constant for each channel."""
    net = Network("gated", (batch, 2, 6, 6))
    x = net.hard_swish(net.conv2d(net.input, "conv", 3, 3, padding=1), "conv")
    y = net.leaky_relu(net.conv2d(x, "depthwise", 3, 3, padding=1, groups=3), "depthwise", alpha=0.1)
    gate = net.sigmoid(net.dense(net.global_avg_pool2d(y, "pool"), "excite", 3), "excite")
    y = net.subtract(net.multiply(gate, y, "gate"), x, "subtract")
    net.weights["constant"] = np.array([-0.5, 1.0, 2.0], np.float32).reshape(1, 3, 1, 1)
    constant = net.build.parameter("constant", (1, 3, 1, 1))
    y = net.add(net.multiply(y, constant, "scale"), constant, "shift")
    return net.model(net.dense(net.flatten(net.max_pool2d(y, "max", 2)), "out", 4))


def test_int8_is_near_the_real_network():
    model, rng = gated(), np.random.default_rng(0)
    samples = rng.normal(size=(40, 2, 6, 6)).astype(np.float32)
    small = in_int8(model, samples)
    (source,), (output,) = small.graph.inputs, small.graph.outputs
    kind, result = small.graph.types[source], small.graph.types[output]
    stored = np.clip(np.rint(samples[:2] / kind.scale) + kind.zero_point, -128, 127).astype(np.int8)
    got = interpret(small.graph, {**small.weights, source: stored})[output]
    want = interpret(model.graph, {**model.weights, source: samples[:2]})[model.graph.outputs[0]]
    real = (got.astype(np.float64) - result.zero_point) * result.scale
    assert np.linalg.norm(real - want) < 0.1 * np.linalg.norm(want)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_every_operator_agrees_with_numpy_while_it_trains(dtype, tmp_path):
    model = gated() if dtype == "float32" else in_int8(gated())
    compiled = session.compile(model)
    assert {"lookup_grad", "sum_to"} <= {node.op.split(".")[-1] for node in compiled.graph.nodes} or dtype == "float32"
    assert not check(session.build(compiled, BOARD, tmp_path), Training(lr=0.01)).findings
