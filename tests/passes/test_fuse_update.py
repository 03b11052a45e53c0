"""A gradient fused with its update means the same to the bit, in numpy and emulated, and never needs more memory."""

import numpy as np
import pytest
from graphs import convnet, feeds, mlp, same_bits, seeds, shuffled, training_graphs, with_takeovers
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import boards, data, frontends, session
from workbench.autodiff import training_step
from workbench.emulate.device import Device
from workbench.emulate.machine import Machine
from workbench.ir.build import Builder
from workbench.ir.interpret import interpret
from workbench.ir.liveness import peak_bytes
from workbench.ir.verify import verify
from workbench.ops.fused_update import OPERANDS
from workbench.passes import Declined
from workbench.passes.apply_policy import apply_policy
from workbench.passes.early_update import early_update
from workbench.passes.fuse_update import fuse_update
from workbench.passes.pipeline import run_passes
from workbench.policy import PLAIN_SGD, Optimizer, parse_policy


def fused(graph):
    try:
        return fuse_update(graph)
    except Declined:
        return graph


@settings(deadline=None, max_examples=60)
@given(graph=training_graphs(), seed=seeds, passes=st.sampled_from([(), ("bit-masks",), ("bit-masks", "early-update")]))
def test_fuse_update_keeps_every_bit_and_never_needs_more(graph, seed, passes):
    before = with_takeovers(shuffled(run_passes(graph, passes)[0], seed), seed)
    after = verify(fused(before))
    values = feeds(before, seed)
    assert same_bits(interpret(after, values), interpret(before, values))
    assert peak_bytes(after) <= peak_bytes(before)
    assert fused(after) == after


@pytest.mark.parametrize("optimizer", [PLAIN_SGD, Optimizer(momentum=0.9), Optimizer(accumulate=2)], ids=str)
def test_no_gradient_of_a_weight_is_left(optimizer):
    for step in (mlp([9, 5, 3], optimizer=optimizer), convnet(optimizer=optimizer)):
        after = fuse_update(early_update(step))
        results = {node.results[0] for node in after.nodes if node.op in OPERANDS}
        read_by = {name: node.op for node in after.nodes for name in node.operands if name in results}
        assert "accumulate" not in read_by.values()
        assert not any(op.startswith("nn.sgd") for op in read_by.values())


def test_it_stands_behind_the_last_reader_of_the_old_weight():
    after = fuse_update(early_update(mlp([4, 5, 3])))
    order = [node.op for node in after.nodes]
    assert order.index("nn.matmul") < order.index("nn.matmul_sgd")  # dx = dy · w sees the old w
    assert after.nodes[order.index("nn.matmul_sgd")].label == "update.fc1.weight"


def test_a_gradient_that_is_read_elsewhere_stays():
    step = mlp([4, 3])
    gradient = next(node.results[0] for node in step.nodes if node.label == "d.fc0.weight")
    after = fuse_update(step.with_nodes(step.nodes, (*step.outputs, gradient)))
    assert {node.op for node in after.nodes} >= {"nn.matmul", "nn.sgd", "sum_sgd"}


def test_a_gradient_with_two_readers_stays():
    build = Builder()
    dy, x = build.input("dy", (1, 3)), build.input("x", (1, 2))
    dw = build.matmul(dy, x, transpose_a=True)
    build.sgd(build.parameter("w", (3, 2)), dw, build.input("lr"))
    with pytest.raises(Declined, match="other readers"):
        fuse_update(verify(build.graph(build.relu(dw))))


def test_what_it_is_made_of_must_still_be_there():
    """dy is written over before the last reader of the old w: there is no place for the fused node."""
    build = Builder()
    dy, x, w = build.input("dy", (1, 3)), build.input("x", (1, 2)), build.parameter("w", (3, 2))
    dw = build.matmul(dy, x, transpose_a=True)
    dx = build.matmul(build.op("nn.relu", dy, over=("dy",)), w)
    build.sgd(w, dw, build.input("lr"))
    graph = verify(build.graph(dx))
    with pytest.raises(Declined):
        fuse_update(graph)


def test_a_part_of_a_weight_is_updated_as_it_is_computed():
    forward = apply_policy(frontends.load("lenet").graph, parse_policy("conv2:0.5+fc1:0.25"))
    before = training_step(forward, Optimizer(momentum=0.5))
    after = verify(fuse_update(before))
    fused = {node.operands[0] for node in after.nodes if node.op.endswith("weight_sgd_momentum")}
    assert fused == {"conv2.weight"}
    values = feeds(before, 3)
    assert same_bits(interpret(after, values), interpret(before, values))


def test_a_part_that_nothing_marks_is_left_alone():
    build = Builder()
    dy, x = build.input("dy", (1, 3)), build.input("x", (1, 2))
    build.sgd(build.parameter("w", (3, 4)), build.matmul(dy, x, transpose_a=True), build.input("lr"))
    with pytest.raises(Declined, match="another shape"):
        fuse_update(verify(build.graph()))


def test_a_gradient_smaller_than_what_it_is_made_of_may_stay():
    """Before dx, a small dw frees a large x; the fused node would have to wait for dx, which reads the old w."""
    build = Builder()
    dy, x, w = build.input("dy", (1, 2, 8, 8)), build.input("x", (1, 2, 8, 8)), build.parameter("w", (2, 1, 3, 3))
    window = {"kernel_size": (3, 3), "padding": (1, 1, 1, 1), "groups": 2}
    dw = build.conv2d_backward_weight(dy, x, **window)
    dx = build.conv2d_transpose(dy, w, channels=2, **window)
    build.sgd(w, dw, build.input("lr"))
    graph = verify(build.graph(dx))
    assert peak_bytes(graph) == 512 + 512 + 72
    assert fuse_update(graph) == graph


def weights_after(name, schedule, optimizer, samples, folder):
    built = session.build(
        session.compile(frontends.load(name), "full", schedule, optimizer), boards.get("nrf52840"), folder
    )
    device = Device(Machine(built.image.elf, built.image.board), list(built.project.buffers), list(built.project.ops))
    device.set_rates(0.02, 0.01)
    for number, (x, y) in enumerate(samples, 1):
        (device.accumulate if number % optimizer.accumulate else device.train_step)(x, y)
    return built.compiled.graph, device.parameters()


ALL = Optimizer(momentum=0.9, weight_decay=0.01, accumulate=2)


@pytest.mark.parametrize(
    ("name", "optimizer"), [("lenet", PLAIN_SGD), ("lenet", ALL), pytest.param("resnet", ALL, marks=pytest.mark.long)]
)
def test_emulated_weights_of_optimized_equal_vanilla(name, optimizer, tmp_path):
    shape = frontends.load(name).graph.types["input0"].shape[1:]
    digits = data.load("digits").shaped(shape, 10)
    samples = [(digits.train_x[at : at + 1], digits.train_y[at : at + 1]) for at in range(4)]
    _, vanilla = weights_after(name, "vanilla", optimizer, samples, tmp_path / "vanilla")
    graph, optimized = weights_after(name, "optimized", optimizer, samples, tmp_path / "optimized")
    assert any(node.op.startswith("nn.conv2d_backward_weight_") for node in graph.nodes)
    assert vanilla.keys() == optimized.keys()
    for parameter, values in vanilla.items():
        assert np.array_equal(values, optimized[parameter]), parameter
