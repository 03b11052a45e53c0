"""Gradients of weights and biases by rows: the bits of the whole, whatever the tiles, the batch and the network."""

import numpy as np

from workbench import boards, frontends, session
from workbench.autodiff import training_step
from workbench.feeding import Training
from workbench.frontends.layers import Network
from workbench.ir.build import Builder
from workbench.ir.kernel import Refusal
from workbench.ir.verify import verify
from workbench.passes.apply_policy import apply_policy
from workbench.passes.pipeline import run_passes
from workbench.policy import parse_policy
from workbench.report.view import Run
from workbench.schedule.cascade import cascade
from workbench.schedule.segments import Segments
from workbench.training import train


def behind_a_clip(inside: bool, kernel: int, driver: bool) -> tuple[str, ...]:
    """A convolution's three gradients behind a clip, its x whole or made by rows inside: the stages, or the refusal."""
    build = Builder()
    g = build.relu_grad(build.input("dy", (1, 4, 8, 6)), build.input("y", (1, 4, 8, 6)))
    x = build.input("x", (1, 3, 8, 6))
    x = build.relu(x) if inside else x
    window = {"kernel_size": (kernel,) * 2, "padding": (kernel // 2,) * 4}
    dw = build.conv2d_backward_weight(g, x, **window)
    outputs = [dw, build.sum(g, axis=(0, 2, 3))]
    w = build.input("w", (4, 3, kernel, kernel))
    outputs += [] if driver else [build.conv2d_transpose(g, w, channels=3, **window)]
    body = build.graph(*outputs)
    if driver:  # the weight gradient last
        body = body.with_nodes(sorted(body.nodes, key=lambda node: node.op == "nn.conv2d_backward_weight"))
    plan = cascade(body, "rows", 1)
    return (
        (plan.reason,) if isinstance(plan, Refusal) else tuple(stage.node.op for stage in plan.stages if stage.follows)
    )


def test_rows_of_x_are_whole_or_there_when_they_are_read():
    """A weight gradient that follows cannot wait for rows of x that are made inside; one that drives has them made."""
    follows = ("nn.conv2d_backward_weight", "sum")
    assert behind_a_clip(inside=False, kernel=3, driver=False) == follows
    assert behind_a_clip(inside=False, kernel=3, driver=True) == ("sum",)
    assert behind_a_clip(inside=True, kernel=3, driver=True) == ("sum",)
    (reason,) = behind_a_clip(inside=True, kernel=3, driver=False)
    assert "would need all of" in reason


def segments_of(net: Network, x, policy: str = "full") -> Segments:
    graph = training_step(apply_policy(net.build.graph(net.dense(net.flatten(x), "fc", 3)), parse_policy(policy)))
    graph = run_passes(graph, ("bit-masks", "fuse-activation", "fuse-add", "dead-code", "early-update"))[0]
    return Segments(graph, graph, 24, 1 << 30, frozenset())


def test_a_region_ends_with_the_last_image_that_it_makes():
    """However many sums follow in the order, and whether they read that image or not."""
    net = Network("two", (1, 2, 8, 8))
    x = net.relu(net.conv2d(net.input, "one", 4, 3, padding=1), "one")
    found = segments_of(net, net.relu(net.conv2d(x, "two", 4, 3, padding=1), "two"))
    ends = set()
    for begin in range(found.count):
        for segment in found.beginning_at(begin):
            if segment.axis == "rows":
                body = verify(segment.body[0])
                inside = [found.graph.nodes[index].op for index in segment.members]
                ends.add((inside[-1], body.nodes[-1].op))
    assert ("nn.conv2d_backward_weight", "nn.conv2d_transpose") in ends
    assert ("sum", "sum") in ends  # which reads the last image


def test_a_training_step_of_all_weights_keeps_the_bits_of_a_batch(tmp_path):
    """Two images: what multiplies a sum does so once, behind the second. Weights learned whole are learned by rows."""
    model, weights = frontends.load("lenet-int8", 2), []
    for schedule in ("vanilla", "optimized"):
        compiled = session.compile(model, "full", schedule)
        built = session.build(compiled, boards.get("nrf52840"), tmp_path / schedule)
        run, trained = train(built, Training(steps=2, trace="memory", evaluate=False))
        assert Run.of(run).violations.empty
        weights.append(trained)
    by_rows = [node for node in compiled.graph.nodes if node.attrs.get("axis") == "rows"]
    assert {"sum", "qnn.conv2d_backward_weight"} <= {inner.op for node in by_rows for inner in node.body.nodes}
    assert all(np.array_equal(weights[0][parameter], weights[1][parameter]) for parameter in weights[0])
