"""Channels brought to the front: the network's function stays, the largest ones come first, and all is undone."""

import numpy as np
import pytest

from workbench import frontends
from workbench.errors import PolicyError
from workbench.ir.interpret import interpret
from workbench.passes.apply_policy import apply_policy
from workbench.passes.permute_channels import largest_first, permuted, restored
from workbench.policy import parse_policy

POLICIES = {
    "lenet": ("conv2:0.25", "fc1:0.5", "conv2:0.5+fc1:0.25+fc2:0.5"),
    "mlp": ("fc2:0.1+fc3:0.3",),
    "resnet": ("stage2.conv1:0.25+stage2.shortcut:0.5", "stage1.conv2:0.25+stage3.conv1:0.3+fc:0.5"),
    "mobilenet": ("block3.expand:0.25+block4.expand:0.5", "block2.depthwise:0.3+block2.project:0.5"),
}
CASES = [(name, policy) for name, policies in POLICIES.items() for policy in policies]


def marked(name, policy):
    model = frontends.load(name, batch=2)
    rng = np.random.default_rng(1)
    weights = {p: (w + 0.1 * rng.normal(size=w.shape)).astype(np.float32) for p, w in model.weights.items()}
    return apply_policy(model.graph, parse_policy(policy)), weights


@pytest.mark.parametrize(("name", "policy"), CASES)
def test_the_function_stays_and_the_largest_come_first(name, policy):
    graph, weights = marked(name, policy)
    orders = largest_first(graph, weights)
    moved = permuted(weights, orders)
    x = np.random.default_rng(2).normal(size=graph.types["input0"].shape)
    want, got = (interpret(graph, {"input0": x, **w}, np.float64)[graph.outputs[0]] for w in (weights, moved))
    assert np.linalg.norm(got - want) <= 1e-12 * np.linalg.norm(want)
    assert any(not np.array_equal(moved[p], weights[p]) for p in weights)
    back = restored(moved, orders)
    assert all(np.array_equal(back[p], weights[p]) for p in weights)


def test_a_part_is_of_the_largest_channels():
    graph, weights = marked("lenet", "conv2:0.25")
    moved = permuted(weights, largest_first(graph, weights))
    magnitude = np.abs(moved["conv2.weight"]).sum(axis=(0, 2, 3))
    assert magnitude[:2].min() >= magnitude[2:].max()


def test_one_order_serves_all_that_a_residual_ties():
    """stage1's input is added to its output: three layers read those channels, the stem and conv2 make them."""
    graph, weights = marked("resnet", "stage1.conv1:0.25+stage2.conv1:0.5")
    orders = largest_first(graph, weights)
    stem = orders["stem.weight"][0]
    for name, axis in (("stem.bias", 0), ("stage1.conv1.weight", 1), ("stage1.conv2.weight", 0),
                       ("stage2.conv1.weight", 1), ("stage2.shortcut.weight", 1)):  # fmt: skip
        assert np.array_equal(orders[name][axis], stem), name
    score = sum(np.abs(weights[n]).sum(axis=(0, 2, 3)) for n in ("stage1.conv1.weight", "stage2.conv1.weight"))
    assert np.all(np.diff(score[stem]) <= 0)
    assert "fc.weight" not in orders


def test_behind_a_flatten_channels_move_as_blocks():
    graph, weights = marked("lenet", "fc1:0.5")
    order = largest_first(graph, weights)["fc1.weight"][1].reshape(16, 4)
    assert np.array_equal(order % 4, np.tile(np.arange(4), (16, 1)))
    assert np.array_equal(order[:, 0] // 4, largest_first(graph, weights)["conv2.weight"][0])


@pytest.mark.parametrize(("name", "policy"), [("mlp", "fc1:0.5"), ("mobilenet", "block1.depthwise:0.5+fc1")])
def test_channels_whose_order_is_given_stay(name, policy):
    if name == "mlp":
        graph, weights = marked(name, policy)
        with pytest.raises(PolicyError, match=r"fc1\.weight: the order of its channels is given"):
            largest_first(graph, weights)
    else:
        with pytest.raises(PolicyError, match="'fc1' is neither"):
            marked(name, policy)
