"""Gradients of whole int8 networks against real numbers, and what the passes make of their training steps."""

import numpy as np
import pytest
from graphs import feeds, int8net, same_bits, seeds, shuffled
from hypothesis import example, given, settings
from straight_through import forward_values, gradients

from workbench import autodiff, frontends
from workbench.autodiff import loss_nodes, training_step
from workbench.ir.graph import Graph
from workbench.ir.interpret import interpret
from workbench.passes.apply_policy import apply_policy
from workbench.passes.early_update import early_update
from workbench.passes.pipeline import SCHEDULES, run_passes_with
from workbench.policy import Optimizer

EVERYTHING = range(40)


def fed(step: Graph, weights, seed: int) -> dict[str, np.ndarray]:
    return feeds(step, seed) | weights | {"seed": np.int32(seed % 1000), "step": np.int32(2)}


def gradients_of(step: Graph, values) -> dict[str, np.ndarray]:
    """Parameter -> the gradient that its update reads."""
    seen = forward_values(step, values)
    return {node.operands[0]: seen[node.operands[1]] for node in step.nodes if node.op == "qnn.sgd"}


def worst(step: Graph, values) -> float:
    """How far the worst gradient of a training step is from the reference's, of its norm.

    Terms of a sum can cancel, of a bias all but one in 10,000 (seed 691): what is left has float32's error of those.
    A gradient below a thousandth of the largest is measured against that.
    """
    loss = loss_nodes(step)[0]
    forward = step.with_nodes(step.nodes[: step.nodes.index(loss) + 1])
    got, want = gradients_of(step, values), gradients(forward, values)
    assert got
    far, largest = 0.0, max(np.linalg.norm(gradient) for gradient in want.values())
    for name, gradient in got.items():
        whole = want[name]
        part = whole[tuple(map(slice, gradient.shape))]
        far = max(far, np.linalg.norm(gradient - part) / max(np.linalg.norm(part), 1e-3 * largest, 1e-9))
    return far


def wrong(seed: int) -> float:
    """The same of a random network's step."""
    step, weights = int8net(seed)
    return worst(step, fed(step, weights, seed))


@settings(max_examples=60, deadline=None)
@example(seed=691)
@given(seed=seeds)
def test_gradients_of_int8_networks_are_those_of_the_real_numbers(seed):
    assert wrong(seed) <= 1e-5


@pytest.mark.parametrize("kept", [0, -1])
def test_a_residual_branch_that_is_dropped_is_seen(kept, monkeypatch):
    """The reference overwrites what meets at a residual."""
    monkeypatch.setattr(autodiff, "_total", lambda builder, parts: parts[kept] if parts else None)
    assert sum(wrong(seed) > 1e-2 for seed in EVERYTHING) >= 3


def test_gradients_of_a_published_network_with_its_real_weights(shared_data):
    """MCUNet, every parameter: residuals, depthwise filters up to 7×7, dead channels."""
    model = frontends.load(str(shared_data / "tiny-training" / "mcunet-5fps.json"))
    step = training_step(apply_policy(model.graph, model.policy("full")))
    values = fed(step, dict(model.weights), 1)
    assert len(gradients_of(step, values)) == 2 * 43
    assert worst(step, values) <= 1e-5


def test_random_networks_have_what_they_should_have():
    steps = [int8net(seed)[0] for seed in EVERYTHING]
    convs = [node.attrs | {"in": step.types[node.operands[0]].shape[1]} for step in steps for node in step.nodes
             if node.op == "qnn.conv2d"]  # fmt: skip
    assert {conv["strides"] for conv in convs} == {(1, 1), (2, 2)}
    assert {conv["groups"] for conv in convs} > {1, 2, 3}
    parts = [isinstance(step.types[name].needs_grad, tuple) for step in steps for name in step.parameters]
    assert any(parts)
    adds = [node.attrs for step in steps for node in step.nodes if node.op == "qnn.add"]
    assert all(len({add["a_scale"], add["b_scale"], add["y_scale"]}) == 3 for add in adds)


optimizers = (
    Optimizer(),
    Optimizer(accumulate=2, weight_decay=0.01),
    Optimizer(rounding="nearest"),
    Optimizer(qas=False),
)


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_every_order_and_every_schedule_gives_the_same_bits(seed):
    step, weights = int8net(seed, optimizers[seed % len(optimizers)])
    values = fed(step, weights, seed) | {"lr": np.float32(1e-3), "lr_bias": np.float32(1e-3)}
    want = interpret(step, values)
    assert same_bits(interpret(shuffled(step, seed), values), want)
    assert same_bits(interpret(early_update(shuffled(step, seed)), values), want)
    for names in SCHEDULES.values():
        after, constants, _ = run_passes_with(step, weights, names)
        got = interpret(after, values | constants)
        updated = [name for name in step.parameters if step.types[name].needs_grad]
        assert all(np.array_equal(got[name], want[name]) for name in (*updated, *step.outputs))
