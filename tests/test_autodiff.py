"""What autodiff appends: gradients that meet are summed, frozen parameters cost nothing, impossible wishes are told."""

import numpy as np
import pytest
from graphs import convnet, feeds, mlp

from workbench import frontends
from workbench.autodiff import differentiate, parameter_roles, training_step
from workbench.errors import GraphError, PolicyError
from workbench.ir.build import Builder
from workbench.ir.interpret import interpret
from workbench.passes.apply_policy import Layer, apply_policy, weighted_layers
from workbench.policy import parse_policy


def used_twice():
    """y = relu(x · w₁ᵀ) · w₂ᵀ + relu(x · w₁ᵀ): the gradient of the hidden layer comes from both."""
    build = Builder()
    x, w1, w2 = build.input("x", (3, 4)), build.parameter("w1", (5, 4)), build.parameter("w2", (5, 5))
    h = build.relu(build.dense(x, w1))
    return build.graph(build.add(build.dense(h, w2), h))


def test_gradients_that_meet_are_summed():
    graph = used_twice()
    backward, names = differentiate(graph, ("x", "w1"))
    values = feeds(backward, 4)
    got = interpret(backward, values, np.float64)
    x, w1, w2, dy = (values[name].astype(np.float64) for name in ("x", "w1", "w2", "grad_output"))
    h = x @ w1.T
    dh = (dy @ w2 + dy) * (h > 0)
    np.testing.assert_allclose(got[names["w1"]], dh.T @ x, rtol=1e-12)
    np.testing.assert_allclose(got[names["x"]], dh @ w1, rtol=1e-12)
    skip_only = (dy * (h > 0)).T @ x
    assert np.abs(got[names["w1"]] - skip_only).max() > 1e-3  # a dropped branch would be seen


def test_a_value_used_twice_by_one_node():
    build = Builder()
    x = build.input("x", (3,))
    graph, names = differentiate(build.graph(build.add(x, x)), ("x",))
    assert interpret(graph, {"x": np.ones(3), "grad_output": np.full(3, 2.0)})[names["x"]].tolist() == [4, 4, 4]


def test_a_frozen_layer_costs_no_node():
    def count(policy):
        return [node.op for node in mlp([4, 5, 6, 3], policy=policy).nodes]

    assert count("last-1").count("nn.matmul") == 1  # its weight gradient alone: no gradient flows further down
    assert count("bias-only").count("nn.matmul") == 2  # input gradients of the upper two layers
    assert count("full").count("nn.matmul") == 5
    assert "nn.conv2d_transpose" not in [node.op for node in convnet(policy="last-1").nodes]


def test_argmax_is_saved_only_where_a_gradient_passes():
    def pools(policy):
        return [len(node.results) for node in convnet(policy=policy).nodes if node.op == "nn.max_pool2d"]

    assert pools("full") == [2]
    assert pools("last-1") == [1]


def test_a_value_the_output_does_not_depend_on():
    build = Builder()
    x, other = build.input("x", (2,)), build.input("other", (2,))
    with pytest.raises(GraphError, match="does not depend on %other"):
        differentiate(build.graph(build.add(x, x)), (other.name,))


def test_the_gradient_of_a_value_in_between():
    build = Builder()
    x = build.input("x", (3,))
    h = build.relu(x)
    graph, names = differentiate(build.graph(build.relu(h)), (h.name, "x", "x"))
    got = interpret(graph, {"x": np.array([-1.0, 2, 3]), "grad_output": np.ones(3)})
    assert got[names["x"]].tolist() == [0, 1, 1]
    assert got[names[h.name]].tolist() == [0, 1, 1]
    assert list(names) == [h.name, "x"]


@pytest.mark.parametrize(
    ("name", "part", "words"),
    [("fc1.weight", (0, 8), "whole channels along axis 1, 1 elements each"), ("fc1.bias", (0, 8), "only the whole")],
)
def test_parts_that_no_rule_gives_are_refused(name, part, words):
    graph = frontends.load("mlp").graph.with_needs_grad({name: part})
    with pytest.raises(PolicyError, match=words):
        training_step(graph)


def test_an_operator_without_gradient_is_named():
    build = Builder()
    x = build.input("x", (2, 3))
    with pytest.raises(GraphError, match="sum has no gradient for its operand 0"):
        differentiate(build.graph(build.sum(x, axis=(0,))), ("x",))


@pytest.mark.parametrize(
    ("policy", "updated"),
    [
        ("full", {f"{layer}.{part}" for layer in ("conv1", "conv2", "fc1", "fc2") for part in ("weight", "bias")}),
        ("bias-only", {f"{layer}.bias" for layer in ("conv1", "conv2", "fc1", "fc2")}),
        ("last-1", {"fc2.weight", "fc2.bias"}),
        ("last-3", {f"{layer}.{part}" for layer in ("conv2", "fc1", "fc2") for part in ("weight", "bias")}),
    ],
)
def test_what_each_policy_updates(policy, updated):
    marked = apply_policy(frontends.load("lenet").graph, parse_policy(policy))
    assert {name for name in marked.parameters if marked.types[name].needs_grad} == updated
    step = training_step(marked)
    assert {name for node in step.nodes for name in node.overwrites} == updated
    rates = {node.operands[0]: node.operands[2] for node in step.nodes if node.op == "nn.sgd"}
    assert all((rate == "lr_bias") == name.endswith("bias") for name, rate in rates.items())


def test_policies_that_do_not_apply():
    graph = frontends.load("lenet").graph
    with pytest.raises(PolicyError, match="wants 5 weighted layers; the network has 4") as caught:
        apply_policy(graph, parse_policy("last-5"))
    assert "last-4" in str(caught.value)
    for name in ("last-0", "last-", "last--1", "biases-0", ""):
        with pytest.raises(PolicyError, match="no policy is called"):
            parse_policy(name)
    build = Builder()
    with pytest.raises(PolicyError, match="updates nothing"):
        apply_policy(build.graph(build.relu(build.input("x", (2, 2)))), parse_policy("full"))
    with pytest.raises(PolicyError, match="updates no parameter"):
        training_step(graph)


def test_layers_in_forward_order():
    graph = frontends.load("mlp").graph
    assert weighted_layers(graph) == [Layer(f"fc{i}", (f"fc{i}.weight",), (f"fc{i}.bias",)) for i in (1, 2, 3)]
    assert parameter_roles(graph)["fc2.bias"] == "bias"
