"""A network written by hand: every shape of layer, batch norm folded as it is loaded, trained as the built-in ones."""

import numpy as np
import pytest

from workbench import boards, session
from workbench.errors import GraphError, ModelError, ShapeError
from workbench.feeding import Training
from workbench.frontends.layers import Network
from workbench.frontends.loading import in_int8
from workbench.ir.interpret import interpret
from workbench.passes.apply_policy import apply_policy
from workbench.policy import parse_policy
from workbench.study.check import check


def odd_network():
    """Rectangular, dilated, grouped and strided convolutions, both poolings, a concatenation and a residual."""
    net = Network("odd", (2, 2, 9, 8), seed=3)
    x = net.relu(net.conv2d(net.input, "stem", 4, (3, 2), stride=(2, 1), padding=(1, 0, 1, 1)), "stem")
    a = net.conv2d(x, "dilated", 4, 3, padding=2, dilation=2, groups=2)
    x = net.add(a, x, "sum")
    wide = net.concatenate(x, net.relu6(net.conv2d(x, "side", 2, 1), "side"), label="wide")
    pooled = net.max_pool2d(wide, "overlapping", 3, stride=2, padding=1)
    pooled = net.avg_pool2d(pooled, "mean", (2, 1))
    return net, net.dense(net.flatten(pooled), "fc", 5)


def test_trained_on_the_emulated_core_it_equals_numpy(tmp_path):
    net, logits = odd_network()
    built = session.build(session.compile(net.model(logits), "full"), boards.get("stm32f746"), tmp_path)
    outcome = check(built, Training())
    assert {row.position for row in outcome.rows} == set(range(len(built.project.ops)))
    assert not outcome.findings and outcome.whole <= 1e-5


def attention():
    """Tokens, a normalization by the root of their squares, attention over themselves, and gates."""
    net, rng = Network("attention", (2, 6), seed=5), np.random.default_rng(1)
    x = net.embedding(net.input, "tokens", 9, 4, scale=0.5)
    size = net.mean(net.multiply(x, x, "squares"), "size", 2, keepdims=True)
    x = net.multiply(x, net.rsqrt(size, "size", epsilon=1e-5), "normed")
    scores = net.batch_matmul(x, net.silu(x, "keys"), "scores", transpose_b=True)
    mixed = net.batch_matmul(net.softmax(scores, "scores"), x, "mixed")
    gate = net.hard_sigmoid(net.clamp(mixed, "held", min=-2.0, max=1.0), "gate")
    x = net.divide(net.multiply(mixed, gate, "gated"), net.clamp(size, "least", min=0.1), "share")
    x = net.log_softmax(x, "shares")
    labels = rng.integers(0, 3, 24)
    return net.model(net.dense(net.flatten(x), "fc", 3), data=(rng.integers(0, 9, (24, 6)).astype(np.float32), labels))


def upsampled():
    """Transposed convolutions in groups, dilated, and both."""
    net = Network("upsampled", (2, 4, 3, 2), seed=6)
    x = net.conv2d_transpose(net.input, "grouped", 6, 3, stride=2, output_padding=1, groups=2)
    x = net.conv2d_transpose(net.relu(x, "grouped"), "dilated", 3, (2, 3), dilation=(3, 2), padding=1)
    x = net.conv2d_transpose(x, "depthwise", 3, 2, dilation=2, stride=(1, 2), groups=3)
    assert x.shape == (2, 3, 11, 17)
    return net.model(net.dense(net.global_avg_pool2d(x, "mean"), "fc", 5))


@pytest.mark.parametrize("network", [attention, upsampled])
@pytest.mark.parametrize("schedule", [pytest.param("vanilla", marks=pytest.mark.long), "optimized"])
def test_operators_of_other_frameworks_train_as_in_numpy(network, schedule, tmp_path):
    built = session.build(session.compile(network(), "full", schedule=schedule), boards.get("nrf52840"), tmp_path)
    outcome = check(built, Training())
    assert not outcome.findings and outcome.whole <= 1e-5


FUNCTIONS = ("silu", "hard_sigmoid", "softplus", "sqrt", "log", "abs", "rsqrt", "elu", "exp")


def of_functions():
    """Each behind a convolution that keeps to where the function is defined."""
    net = Network("functions", (1, 3, 10, 9), seed=7)
    x = net.input
    for name in FUNCTIONS:
        x = net.conv2d(x, name, 4, 3 if x is net.input else 1, padding=1 if x is net.input else 0)
        x = net.softplus(x, f"{name}.above") if name in ("sqrt", "log", "rsqrt") else x
        x = getattr(net, name)(x, name)
    x = net.clamp(net.divide(x, net.softplus(x, "least"), "share"), "share", max=2.0)
    return net, net.dense(net.global_avg_pool2d(x, "mean"), "fc", 5)


def test_functions_and_quotients_run_by_tiles(tmp_path):
    net, logits = of_functions()
    compiled = session.compile(net.model(logits), "last-1")
    inside = {inner.op for node in compiled.graph.nodes if node.body for inner in node.body.nodes}
    assert {"divide", "nn.clamp", *(f"nn.{name}" for name in FUNCTIONS)} <= inside
    outcome = check(session.build(compiled, boards.get("nrf52840"), tmp_path), Training())
    assert not outcome.findings and outcome.whole <= 1e-5


def test_functions_have_int8_tables(tmp_path):
    net = Network("tables", (1, 3, 6, 5), seed=7)
    x = net.input
    for name in FUNCTIONS:
        x = getattr(net, name)(net.conv2d(x, name, 4, 1), name)
    model = net.model(net.dense(net.global_avg_pool2d(x, "mean"), "fc", 5))
    samples = np.random.default_rng(0).normal(size=(16, 1, 3, 6, 5)).astype(np.float32)
    compiled = session.compile(in_int8(model, samples), "full")
    outcome = check(session.build(compiled, boards.get("nrf52840"), tmp_path), Training())
    assert not outcome.findings and outcome.whole == 0


@pytest.mark.parametrize(("channels", "groups"), [(3, 2), (4, 3)])
def test_a_transposed_convolution_in_groups_divides_its_channels(channels, groups):
    net = Network("uneven", (1, 4, 3, 3))
    with pytest.raises(ShapeError, match=f"{groups} groups do not divide 4 input and {channels} output channels"):
        net.conv2d_transpose(net.input, "up", channels, 3, groups=groups)


def test_batch_norm_is_folded_into_the_layer_before_it():
    rng = np.random.default_rng(4)
    statistics = {"gamma": rng.normal(size=4), "beta": rng.normal(size=4), "mean": rng.normal(size=4),
                  "var": rng.uniform(0.5, 2, 4)}  # fmt: skip
    x = rng.normal(size=(1, 2, 5, 5))

    def output(with_norm):
        net = Network("normed", (1, 2, 5, 5))
        y = net.conv2d(net.input, "conv", 4, 3)
        if with_norm:
            net.batch_norm("conv", **statistics)
        model = net.model(y)
        return interpret(model.graph, {"input0": x, **model.weights}, np.float64)[y.name]

    gamma, beta, mean, var = (a.reshape(1, -1, 1, 1) for a in statistics.values())
    want = gamma * (output(False) - mean) / np.sqrt(var + 1e-5) + beta
    assert np.linalg.norm(output(True) - want) <= 1e-6 * np.linalg.norm(want)


def test_a_layer_that_is_refused_leaves_nothing_behind():
    net = Network("tried", (1, 2, 5, 5))
    with pytest.raises(ShapeError):
        net.conv2d(net.input, "conv", 4, kernel=9)
    y = net.conv2d(net.input, "conv", 4, kernel=3)
    weight = net.weights["conv.weight"]
    with pytest.raises(GraphError, match="declared twice"):
        net.conv2d(net.input, "conv", 4, kernel=3)
    assert net.weights["conv.weight"] is weight
    assert net.model(y).graph.parameters == ("conv.weight", "conv.bias")
    assert set(net.weights) == {"conv.weight", "conv.bias"}


@pytest.mark.parametrize(
    "name", ["full", "all", "none", "head", "largest", "bias-only", "last-1", "biases-2", "-1", "0"]
)
def test_a_layer_may_be_called_as_a_term_of_policies(name):
    """A policy means it by a = before its name."""
    net = Network("named", (1, 8))
    x = net.dense(net.dense(net.input, name, 4), f"{name}.fc", 4)
    graph = apply_policy(net.model(x).graph, parse_policy(f"={name}"))
    assert [each for each in graph.parameters if graph.types[each].needs_grad] == [f"{name}.weight", f"{name}.bias"]


def test_slips_are_told():
    net = Network("slips", (1, 2, 5, 5))
    with pytest.raises(ModelError, match="there is no layer 'conv'"):
        net.batch_norm("conv", mean=[0], var=[1])
    with pytest.raises(ShapeError, match="strides are 2 whole numbers; got \\(1, 2, 3\\)"):
        net.conv2d(net.input, "conv", 4, 3, stride=(1, 2, 3))
    with pytest.raises(ShapeError, match=r"nn\.relu: operand 0 is float32; got int32"):
        net.build.relu(net.build.input("labels", (3,), "int32"))
