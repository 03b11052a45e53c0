"""Parameters that elementwise operators read are trained as any other: scales, shifts, embeddings, scalars."""

import numpy as np
import pytest
from graphs import feeds, same_bits, seeds, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st
from trained_operands import NETWORKS, drawn, operand, scale_and_shift, whole_images

from workbench import boards, session
from workbench.autodiff import differentiate, parameter_roles, training_step
from workbench.errors import PolicyError
from workbench.feeding import Training
from workbench.frontends.layers import Network
from workbench.frontends.loading import in_int8
from workbench.ir.interpret import interpret
from workbench.passes.apply_policy import Layer, apply_policy, weighted_layers
from workbench.passes.permute_channels import permuted, restored
from workbench.passes.pipeline import SCHEDULES, run_schedule
from workbench.policy import Optimizer, parse_policy
from workbench.study.check import check

BOARD = boards.get("nrf52840")
OPTIMIZERS = ({}, {"momentum": 0.9}, {"clip": 0.5}, {"clip": 0.5, "weight_decay": 0.1},
              {"clip": 0.5, "momentum": 0.5, "weight_decay": 0.1, "accumulate": 2})  # fmt: skip


def step_of(model, policy="full", optimizer=None):
    return training_step(apply_policy(model.graph, parse_policy(policy)), Optimizer(**optimizer or {}))


@pytest.mark.parametrize(("operator", "name", "shape", "role"), [
    ("multiply", "norm.weight", (1, 3, 1, 1), "weight"), ("multiply", "norm.bias", (1, 3, 1, 1), "weight"),
    ("multiply", "gain", (1, 1, 1, 1), "weight"), ("add", "norm.bias", (1, 3, 4, 4), "bias"),
    ("add", "shift", (1, 3, 1, 1), "bias"), ("subtract", "shift", (1, 1, 1, 1), "bias"),
    ("maximum", "floor", (1, 3, 1, 1), "weight"), ("minimum", "ceiling.constant", (1, 1, 1, 1), "constant"),
    ("add", "shift.weight", (1, 3, 1, 1), "weight"), ("add", "positions", (1, 1, 4, 4), "weight"),
    ("add", "positions.constant", (1, 1, 4, 4), "constant"), ("multiply", "norm.constant", (1, 3, 1, 1), "constant"),
])  # fmt: skip
def test_the_role_of_an_operand(operator, name, shape, role):
    net = Network("net", (1, 3, 4, 4))
    x = getattr(net.build, operator)(net.input, operand(net, name, shape), label="it")
    graph = net.build.graph(net.dense(net.flatten(x), "fc", 2))
    assert parameter_roles(graph)[name] == role
    updated = {node.operands[0] for node in training_step(apply_policy(graph, parse_policy("full"))).nodes}
    assert (name in updated) == (role != "constant")


def test_a_norm_is_a_layer_and_its_shift_is_its_bias():
    layers = weighted_layers(scale_and_shift(1).graph)
    assert layers[1] == Layer("norm", ("norm.weight",), ("norm.bias",))
    assert [layer.name for layer in layers] == ["conv1", "norm", "conv2", "fc"]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_those_of_finite_differences(name, batch):
    model, rng = NETWORKS[name](batch), np.random.default_rng(1)
    backward, names = differentiate(model.graph, model.graph.parameters)
    values = {key: value.astype(np.float64) for key, value in {**feeds(backward, 3), **model.weights}.items()}
    got = interpret(backward, values, np.float64)
    (output,) = model.graph.outputs
    for parameter, gradient in names.items():
        way = rng.normal(size=values[parameter].shape)
        ends = []
        for sign in (1, -1):
            moved = {**values, parameter: values[parameter] + sign * 1e-6 * way}
            ends.append(interpret(model.graph, moved, np.float64)[output])
        want = ((ends[0] - ends[1]) / 2e-6 * values["grad_output"]).sum()
        assert np.isclose((got[gradient] * way).sum(), want, rtol=1e-4, atol=1e-6), parameter


@settings(deadline=None, max_examples=25)
@given(seed=seeds, order=seeds, optimizer=st.sampled_from(OPTIMIZERS))
def test_schedules_give_equal_bits(seed, order, optimizer):
    """From a random legal order too."""
    model, policy = drawn(seed)
    step = step_of(model, policy, optimizer)
    values = feeds(step, seed)
    want = interpret(step, values)
    for schedule in SCHEDULES:
        for each in (step, shuffled(step, order)):
            assert same_bits(interpret(run_schedule(each, schedule)[0], values), want), (schedule, policy)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_each_network_in_each_schedule(name, batch):
    for optimizer in OPTIMIZERS:
        step = step_of(NETWORKS[name](batch), "full", optimizer)
        values = feeds(step, 5)
        want = interpret(step, values)
        for schedule in SCHEDULES:
            assert same_bits(interpret(run_schedule(step, schedule)[0], values), want), (schedule, optimizer)


def test_two_parameters_of_one_gradient_are_clipped_once_each():
    """Both are added to one image: what scales the one's gradient leaves the other's alone."""
    model, how = whole_images(1), {"clip": 1e-3, "weight_decay": 0.1}
    step = step_of(model, "a+b.bias", how)
    values = feeds(step, 2) | {"lr": np.float32(0.5), "lr_bias": np.float32(0.5)}
    values |= {name: np.zeros_like(values[name]) for name in ("a", "b.bias")}  # so that nothing decays
    got = interpret(step, values)
    assert np.array_equal(got["a"], got["b.bias"])
    assert np.isclose(np.sqrt(2) * np.linalg.norm(got["a"]), 0.5e-3, rtol=1e-3)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("name", "batch"), [(name, batch) for batch, name in enumerate(NETWORKS, 1)])
def test_firmware_agrees_with_numpy(name, batch, schedule, tmp_path):
    """Operator by operator, and no access leaves its buffer."""
    model, optimizer = NETWORKS[name](1 + batch % 3), Optimizer(**OPTIMIZERS[batch % len(OPTIMIZERS)])
    built = session.build(session.compile(model, "full", schedule, optimizer), BOARD, tmp_path)
    assert not check(built, Training(lr=0.01)).findings


@pytest.mark.parametrize("seed", [2, 19])
def test_firmware_of_drawn_networks_agrees_with_numpy(seed, tmp_path):
    assert not check(session.build(session.compile(*drawn(seed)), BOARD, tmp_path), Training(lr=0.01)).findings


def test_a_part_of_such_a_parameter_is_refused():
    words = r"norm.weight: a part of it cannot be updated, only the whole\n  help: a fraction of 1 updates it"
    with pytest.raises(PolicyError, match=words):
        apply_policy(scale_and_shift(1).graph, parse_policy("norm:0.5"))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("schedule", ["vanilla", "optimized"])
def test_a_part_of_a_weight_for_each_element_is_trained(batch, schedule, tmp_path):
    """In two arrays, which the gradient that passes through it reads, too; the part changes as in a full update."""
    net = Network("masked", (batch, 3, 4, 5))
    x = net.relu(net.conv2d(net.input, "conv", 4, 3, padding=1), "conv")
    x = net.multiply(x, operand(net, "mask.weight", (1, 4, 4, 5)), "mask")
    model = net.model(net.dense(net.flatten(x), "fc", 3))
    compiled = session.compile(model, "conv+mask:0.25+fc", schedule)
    assert compiled.graph.types["mask.weight"].needs_grad == (1, 1)
    assert not check(session.build(compiled, BOARD, tmp_path), Training(lr=0.01)).findings
    part, full = step_of(model, "conv+mask:0.25+fc"), step_of(model)
    values = {**feeds(full, 1), **model.weights}
    some, whole = (interpret(graph, values)["mask.weight"] for graph in (part, full))
    assert np.array_equal(some[:, 1:], model.weights["mask.weight"][:, 1:])
    assert (some[:, :1] != model.weights["mask.weight"][:, :1]).any()
    assert np.allclose(some[:, :1], whole[:, :1], rtol=1e-6)


def test_the_largest_channels_of_a_layer_behind_a_norm():
    """The norm's channels move with those of the convolution before it, and are restored."""
    model = scale_and_shift(2)
    compiled = session.compile(model, "norm+conv2:0.5+largest")
    order = compiled.orders["norm.weight"][1]
    assert np.array_equal(order, compiled.orders["conv1.weight"][0])
    assert np.array_equal(order, compiled.orders["conv2.weight"][1])
    assert not np.array_equal(order, np.arange(4))
    moved = permuted(model.weights, compiled.orders)
    back = restored(moved, compiled.orders)
    assert all(np.array_equal(back[name], values) for name, values in model.weights.items())
    x = np.random.default_rng(0).normal(size=(2, 2, 6, 5)).astype(np.float32)
    (output,) = model.graph.outputs
    one, other = (interpret(model.graph, {**each, "input0": x})[output] for each in (model.weights, moved))
    assert np.allclose(one, other, atol=1e-5)


def test_int8_has_them_in_the_layers_before_them(tmp_path):
    model = in_int8(scale_and_shift(1))
    compiled = session.compile(model, "full")
    updated = {name for name in compiled.graph.parameters if compiled.graph.types[name].needs_grad}
    assert updated == {f"{layer}.{part}" for layer in ("conv1", "conv2", "fc") for part in ("weight", "bias")}
    assert not check(session.build(compiled, BOARD, tmp_path), Training(lr=0.01)).findings
    with pytest.raises(PolicyError, match="'norm' is neither a policy nor a layer of the network"):
        session.compile(model, "norm")


def test_int8_keeps_those_that_no_layer_is_before_and_says_so():
    net = Network("mine", input_shape=(1, 3), seed=0)
    scaled = net.build.multiply(net.input, net.build.parameter("norm.weight", (1, 3)))
    net.weights["norm.weight"] = np.ones((1, 3), np.float32)
    model = in_int8(net.model(net.dense(scaled, "fc", 3)), np.ones((4, 3), np.float32))
    for policy in ("norm", "norm.weight:0.5"):
        words = r"norm\.weight is a constant of this network, which no policy updates\n  help: its float32 netw"
        with pytest.raises(PolicyError, match=words):
            session.compile(model, policy)
