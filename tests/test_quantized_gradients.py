"""Gradients of whole int8 networks against real numbers, and what the passes make of their training steps."""

import numpy as np
import pytest
from graphs import feeds, int8net, mixednet, same_bits, seeds, shuffled
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


def gradients_of(step: Graph, values) -> dict[str, tuple[np.ndarray, float]]:
    """Parameter -> the gradient that its update reads, and of a sum the norm of its terms' magnitudes (else 0)."""
    seen = forward_values(step, values)
    found = {}
    for name, gradient in (node.operands[:2] for node in step.nodes if node.op == "qnn.sgd"):
        made = step.analysis.producer(gradient)
        terms = 0.0
        if made.op == "sum":
            magnitudes = np.abs(seen[made.operands[0]].astype(np.float64)).sum(axis=made.attrs["axis"])
            terms = float(np.linalg.norm(magnitudes * made.attrs["times"]))
        found[name] = seen[gradient], terms
    return found


def worst(step: Graph, values) -> float:
    """How far the worst gradient of a training step is from the reference's, of its norm.

    A bias's terms can cancel, all but one in a thousand (seed 691: what is wrong is 4e-8 of the terms, less than
    float32 tells of them). So a sum is measured against a tenth of its terms where that is more.
    """
    loss = loss_nodes(step)[0]
    forward = step.with_nodes(step.nodes[: step.nodes.index(loss) + 1])
    got, want = gradients_of(step, values), gradients(forward, values)
    assert got
    far = 0.0
    for name, (gradient, terms) in got.items():
        whole = want[name]
        part = whole[tuple(map(slice, gradient.shape))]
        scale = max(np.linalg.norm(part), 1e-6 * np.linalg.norm(whole), 0.1 * terms, 1e-9)
        far = max(far, np.linalg.norm(gradient - part) / scale)
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
    assert {conv["strides"] for conv in convs} > {(1, 1), (2, 2)}
    assert {conv["groups"] for conv in convs} > {1, 2, 3}
    parts = [isinstance(step.types[name].needs_grad, tuple) for step in steps for name in step.parameters]
    assert any(parts)
    adds = [node.attrs for step in steps for node in step.nodes if node.op == "qnn.add"]
    assert all(len({add["a_scale"], add["b_scale"], add["y_scale"]}) == 3 for add in adds)


@pytest.mark.parametrize("network", [mixednet, lambda seed: int8net(seed)[0]], ids=["float32", "int8"])
def test_random_networks_have_degenerate_shapes(network):
    """One row, column, pixel, channel, class; a kernel as large as its image, a stride beyond it, uneven padding."""
    steps = [network(seed) for seed in EVERYTHING]
    convs = [(step.types[node.operands[0]].shape, node.attrs) for step in steps for node in step.nodes
             if node.op in ("nn.conv2d", "qnn.conv2d") and node.label != "fc"]  # fmt: skip
    sizes = [shape[2:] for shape, _ in convs]
    assert (1, 1) in sizes and any(h == 1 < w for h, w in sizes) and any(w == 1 < h for h, w in sizes)
    assert any(shape[1] == 1 for shape, _ in convs)
    assert any(conv["kernel_size"] == shape[2:] != (1, 1) for shape, conv in convs)
    assert any(conv["strides"][0] > conv["kernel_size"][0] for _, conv in convs)
    assert any(conv["padding"][:2] != conv["padding"][2:] for _, conv in convs)
    assert any(step.types[node.operands[0]].shape[1] == 1 for step in steps for node in loss_nodes(step))


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
