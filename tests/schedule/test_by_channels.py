"""Regions by channels: the same bits as the whole, whatever is updated inside, and refused where that would differ."""

import re
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from graphs import LATER, feeds, int8net, same_bits, seeds, shuffled
from hypothesis import given, settings
from samples import parameters_after

from workbench import boards, frontends, session
from workbench.errors import GraphError, WorkbenchError
from workbench.feeding import Training
from workbench.frontends.layers import Network
from workbench.ir.build import Builder
from workbench.ir.graph import Graph
from workbench.ir.interpret import interpret
from workbench.ir.text import parse_graph, print_graph
from workbench.ir.verify import verify
from workbench.passes import Declined
from workbench.passes.in_place import work_in_place
from workbench.passes.pipeline import run_passes_with
from workbench.passes.regions import regions
from workbench.policy import PLAIN_SGD, Optimizer
from workbench.quantize.post_training import quantized
from workbench.schedule import search
from workbench.schedule.cascade import cascade
from workbench.training import train

FIRST = ("fold-constants", "bit-masks", "fuse-activation", "fuse-add", "dead-code", "early-update")
HITS = (4, 75, 42)  # networks of int8net with a region by channels, weights updated in part among them


def by_channels(graph):
    return [node for node in graph.nodes if node.attrs.get("axis") == "channels"]


def step(seed, optimizer=PLAIN_SGD):
    graph, weights = int8net(seed, optimizer, batch=1)
    return run_passes_with(graph, weights, FIRST)[:2]


@pytest.fixture(autouse=True)
def for_any_gain(monkeypatch):
    monkeypatch.setattr(search, "STACK", 0)


@settings(deadline=None, max_examples=30)
@given(seed=seeds)
def test_they_keep_every_bit(seed):
    before, _ = step(seed)
    before = shuffled(before, seed)
    try:
        after = verify(regions(before, LATER))
    except Declined:
        return
    values = feeds(before, seed)
    assert same_bits(interpret(after, values), interpret(before, values))
    assert parse_graph(print_graph(after)) == after


@pytest.mark.parametrize(
    ("seed", "optimizer"),
    [pytest.param(seed, optimizer, id=f"{seed}-{name}",
                  marks=[] if (seed, name) in ((HITS[0], "accumulated"), (HITS[2], "plain")) else pytest.mark.long)
     for seed in HITS for name, optimizer in (("plain", Optimizer()), ("accumulated", Optimizer(accumulate=2)))],
)  # fmt: skip
def test_emulated_they_leave_the_bits_of_whole_tensors(seed, optimizer, tmp_path):
    before, weights = step(seed, optimizer)
    after = work_in_place(regions(before, LATER))
    assert by_channels(after)
    values = feeds(before, seed) | weights
    whole, sliced = (parameters_after(graph, values, tmp_path / name) for name, graph in (("a", before), ("b", after)))
    assert whole.keys() == sliced.keys()
    assert all(np.array_equal(whole[name], sliced[name]) for name in whole)


def test_a_backward_block_of_mobilenet():
    """Updates inside, the sum over the residual's other gradient, a few channels at a time, one storage for the sum."""
    compiled = session.compile(frontends.load("mobilenet-int8"), "full")
    (block,) = [node for node in by_channels(compiled.graph) if "block3" in node.label]
    inside = [node.op for node in block.body.nodes]
    assert inside.count("qnn.conv2d_backward_weight_sgd") == inside.count("qnn.sum_sgd_delta") == 2
    assert {"block3.depthwise.weight", "block3.expand.bias.delta"} <= set(block.over)
    plan = cascade(block.body, "channels", block.attrs["step"])
    assert plan.extent == 48 and plan.inner <= 1024
    onto = [node.operands[2] for node in block.body.nodes if len(node.operands) == 3 and "transpose" in node.op]
    if onto:
        assert block.operands[block.body.inputs.index(onto[0])] in block.over


def test_what_is_updated_must_be_taken_over():
    graph = regions(step(HITS[0])[0], LATER)
    region = next(node for node in by_channels(graph) if any(node.over))
    nodes = [replace(node, over=()) if node is region else node for node in graph.nodes]
    with pytest.raises(GraphError, match="must take over %"):
        verify(replace(graph, nodes=tuple(nodes)))


class Block:
    """dy through a projection w, a clip and a depthwise filter, as one body."""

    def __init__(self, batch=1):
        self.build = Builder()
        self.dy, self.w = self.build.input("dy", (batch, 4, 5, 5)), self.build.input("w", (4, 6, 1, 1), "int8")
        self.mask, self.s = self.build.input("m", (batch, 6, 5, 5), "bit"), self.build.input("s", (6,))
        self.wide = self.build.op("qnn.conv2d_transpose", self.dy, self.w, channels=6, kernel_size=(1, 1))
        self.g = self.build.op("qnn.through_clip", self.wide, self.mask, self.s)

    def refused(self, *outputs, step=1):
        body = self.build.graph(*outputs).as_body()
        outer = Builder()
        operands = [
            outer.input(name, kind.shape, kind.dtype) for name, kind in body.types.items() if name in body.inputs
        ]
        with pytest.raises(WorkbenchError) as caught:
            outer.region(*operands, body=body, axis="channels", step=step)
        return caught.value.message


def test_what_cannot_work_by_channels_is_refused():
    block = Block()
    total = block.build.sum(block.g, axis=(0, 2, 3))
    assert "divide 6" in block.refused(total, step=4)
    assert "nothing else is" in block.refused(total, block.g)
    block = Block(batch=2)
    assert "one image" in block.refused(block.build.sum(block.g, axis=(0, 2, 3)))
    block = Block()
    wide = {"channels": 6, "kernel_size": (3, 3), "padding": (1,) * 4}
    through = block.build.op("qnn.conv2d_transpose", block.g, block.build.input("v", (6, 6, 3, 3), "int8"), **wide)
    assert "works on all channels at once" in block.refused(through)  # a sum of windows: not in the same order
    block = Block()
    total = block.build.sum(block.g, axis=(0, 2, 3))
    again = block.build.op("qnn.through_clip", block.g, block.mask, total)
    assert "qnn.through_clip would need all of" in block.refused(block.build.sum(again, axis=(0, 2, 3)), total)


def test_a_projection_must_not_change_before_the_last_channel():
    block = Block()
    rates = [block.build.input("lr"), block.build.input("seed", (), "int32"), block.build.input("step", (), "int32")]
    attrs = {"kernel_size": (1, 1), "x_scale": 0.1, "parameter": 0}
    x = block.build.input("x", (1, 1, 5, 5), "int8")
    scales = block.build.input("t", (4,))
    update = "qnn.conv2d_backward_weight_sgd"
    v = block.build.input("v", (6, 1, 1, 1), "int8")
    fine = block.build.op(update, v, block.g, x, block.s, *rates, **attrs)
    assert cascade(block.build.graph(fine), "channels", 2).extent == 6
    bad = block.build.op(
        update, block.w, block.dy, block.build.input("y", (1, 6, 5, 5), "int8"), scales, *rates, **attrs
    )
    assert "must not change before the last of the channels" in block.refused(fine, bad)


def test_the_text_tells_how_many_channels():
    text = print_graph(regions(step(HITS[1])[0], LATER))
    assert re.search(r"region\(.*axis=.channels., step=[1-9]", text)


def test_a_filter_that_all_channels_read_must_not_change_inside():
    build = Builder()
    dy, w = build.input("dy", (1, 6, 5, 5)), build.input("w", (6, 6, 1, 1), "int8")
    wide = build.op("qnn.conv2d_transpose", dy, w, channels=6, kernel_size=(1, 1))
    x, s = build.input("x", (1, 6, 5, 5), "int8"), build.input("s", (6,))
    rates = [build.input("lr"), build.input("seed", (), "int32"), build.input("step", (), "int32")]
    attrs = {"kernel_size": (1, 1), "x_scale": 0.1, "parameter": 0}
    update = build.op("qnn.conv2d_backward_weight_sgd", w, wide, x, s, *rates, **attrs)
    refused = cascade(build.graph(update).as_body(), "channels", 1)
    assert "must not change before the last of the channels" in refused.reason


def residual(onto="dy") -> Graph:
    """A block's gradient by channels, its sum begun at what all channels read (`dy`), or at a gradient beside it."""
    body = Builder()
    dy, w, v = (
        body.input(name, shape) for name, shape in (("dy", (1, 4, 5, 3)), ("w", (4, 6, 1, 1)), ("v", (6, 4, 1, 1)))
    )
    begin = dy if onto == "dy" else body.input("c", dy.shape)
    wide = body.apply_mask(
        body.conv2d_transpose(dy, w, channels=6, kernel_size=(1, 1)), body.input("m", (1, 6, 5, 3), "bit")
    )
    inner = body.graph(body.conv2d_transpose(wide, v, begin, channels=4, kernel_size=(1, 1)))
    outer = Builder()
    operands = {name: outer.input(name, inner.types[name].shape, inner.types[name].dtype) for name in inner.inputs}
    operands |= {"dy": outer.relu(operands["dy"])} | ({"c": outer.relu6(operands["c"])} if "c" in operands else {})
    if onto == "view":
        operands["c"] = outer.reshape(operands["dy"], newshape=(1, 4, 5, 3))
    made = outer.region(*(operands[name] for name in inner.inputs), body=inner.as_body(), axis="channels", step=2)
    return outer.graph(made, operands["c"]) if onto == "c, read again" else outer.graph(made)


def over(graph: Graph) -> str:
    """The operand (by the body's name) that the region's sum goes over in the end."""
    with suppress(Declined):
        graph = verify(work_in_place(graph))
    (region,) = by_channels(graph)
    return next(
        (inner for name, inner in zip(region.operands, ("dy", "w", "v", "c"), strict=False) if name in region.over), ""
    )


def test_a_sum_goes_over_the_gradient_at_which_it_begins_if_nobody_else_reads_that():
    assert over(residual("c")) != ""
    for onto in ("dy", "view", "c, read again"):
        assert over(residual(onto)) == ""


def block_of_floats():
    """A stem, and a block whose own input is added: the project's gradient is the sum's, at which dx begins."""
    net = Network("block", (1, 2, 9, 8))
    x = net.relu(net.conv2d(net.input, "stem", 5, 3, padding=1), "stem")
    y = net.relu6(net.conv2d(x, "expand", 15, 1), "expand")
    y = net.relu6(net.conv2d(y, "depthwise", 15, 3, padding=1, groups=15), "depthwise")
    x = net.add(net.conv2d(y, "project", 5, 1), x, "add")
    return net.model(net.dense(net.global_avg_pool2d(x, "pool"), "fc", 3))


def block_of_int8():
    model = block_of_floats()
    samples = np.random.default_rng(0).normal(size=(4, 1, 2, 9, 8)).astype(np.float32)
    graph, weights = quantized(model.graph, model.weights, samples)
    return replace(model, graph=graph, weights=weights)


PARTS = "stem+expand:0.4+depthwise:0.6+project:0.6"


@pytest.mark.parametrize(("block", "policy"), [
    (block_of_floats, "full"), (block_of_int8, PARTS),
    *(pytest.param(*cell, marks=pytest.mark.long) for cell in ((block_of_floats, PARTS), (block_of_int8, "full"))),
])  # fmt: skip
def test_a_block_keeps_its_weights_bits(block, policy, tmp_path):
    """Weights in two arrays, the part that is updated apart; a sum that must not go over what all channels read."""
    weights = []
    for schedule in ("vanilla", "optimized"):
        compiled = session.compile(block(), policy, schedule)
        built = session.build(compiled, boards.get("nrf52840"), tmp_path / schedule)
        run, trained = train(built, Training(steps=2, trace="memory", evaluate=False))
        assert not len(run.violations)
        weights.append(trained)
    (region,) = by_channels(compiled.graph)
    roles = [len(node.operands) for node in region.body.nodes if node.op.endswith(".conv2d_transpose")]
    assert roles == [2, 2, 3]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
