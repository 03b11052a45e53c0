"""Regions mean the same to the bit, never need more memory, and make every row once, in numpy and emulated."""

import re

import numpy as np
import pytest
from graphs import LATER, feeds, mlp, same_bits, seeds, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import boards, frontends, session
from workbench.autodiff import training_step
from workbench.emulate.device import Device
from workbench.emulate.machine import Machine
from workbench.errors import GraphError, WorkbenchError
from workbench.feeding import Training
from workbench.frontends.layers import Network
from workbench.ir.build import Builder
from workbench.ir.interpret import interpret
from workbench.ir.liveness import peak_bytes
from workbench.ir.text import parse_graph, print_graph
from workbench.ir.verify import verify
from workbench.ops.fused_update import FUSED
from workbench.passes import Declined
from workbench.passes.apply_policy import apply_policy
from workbench.passes.pipeline import run_passes, run_schedule
from workbench.passes.regions import regions
from workbench.policy import parse_policy
from workbench.report.view import Run
from workbench.schedule.cascade import cascade
from workbench.study.check import check
from workbench.training import train

APART = {name: pair for pair, (name, *_) in FUSED.items()}  # a region by channels updates as it computes
FIRST = ("bit-masks", "fuse-activation", "dead-code")


@st.composite
def chains(draw):
    """The training step of convolutions of all kinds, one after the other, some with their own input added."""
    net = Network("chain", (draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(5, 9)), 6))
    x = net.input
    for depth in range(draw(st.integers(2, 5))):
        name, kind = f"layer{depth}", draw(st.sampled_from(["1x1", "3x3", "depthwise", "strided", "block", "pool"]))
        clip = getattr(net, draw(st.sampled_from(["relu", "relu6", "gelu"])))
        width = draw(st.integers(1, 5))
        if kind == "pool" and min(x.shape[2:]) > 1:
            x = net.max_pool2d(x, name, 2)
        elif kind == "block":
            x = net.build.add(net.conv2d(clip(net.conv2d(x, name, width, 1), name), f"{name}b", x.shape[1], 1), x,
                              label=f"{name}.add")  # fmt: skip
        elif kind == "depthwise":
            x = clip(net.conv2d(x, name, x.shape[1], 3, padding=1, groups=x.shape[1]), name)
        else:
            size, stride = (1, 1) if kind == "1x1" else (3, 2 if kind == "strided" else 1)
            x = clip(net.conv2d(x, name, width, size, stride=stride, padding=size // 2), name)
    graph = net.build.graph(net.dense(net.flatten(x), "fc", 3))
    policy = draw(st.sampled_from(["bias-only", "last-1", "last-2", "full", "bias-only+layer1:0.5"]))
    try:
        return training_step(apply_policy(graph, parse_policy(policy)))
    except WorkbenchError:  # layer1 is a pooling
        return training_step(apply_policy(graph, parse_policy("bias-only")))


def regional(graph):
    try:
        return regions(graph, LATER)
    except Declined:
        return graph


@settings(deadline=None, max_examples=120)
@given(graph=chains(), seed=seeds)
def test_regions_keep_every_bit_and_never_need_more(graph, seed):
    before = shuffled(run_passes(graph, FIRST)[0], seed)
    after = verify(regional(before))
    values = feeds(before, seed)
    assert same_bits(interpret(after, values), interpret(before, values))
    assert peak_bytes(LATER.graph(after)) <= peak_bytes(LATER.graph(before))  # what counts, see Later
    assert parse_graph(print_graph(after)) == after
    inside = [inner for node in after.nodes if node.body for inner in node.body.nodes]
    there = [op for node in [*inside, *after.nodes] if not node.body for op in APART.get(node.op, (node.op,))]
    assert sorted(there) == sorted(node.op for node in before.nodes)


@settings(deadline=None, max_examples=60)
@given(graph=chains())
def test_every_row_is_made_once_and_is_there_when_it_is_read(graph):
    for node in regional(run_passes(graph, FIRST)[0]).nodes:
        for step in range(1, 4) if node.attrs.get("axis") == "rows" else ():
            plan = cascade(node.body, "rows", step)
            made, base = [0] * len(plan.stages), [0] * len(plan.stages)
            for target in plan.targets:
                for index, stage in enumerate(plan.stages):
                    assert target[index] >= made[index]
                    for name, reach in stage.reads:
                        maker = plan.makers.get(name)
                        if maker is None or target[index] == made[index]:
                            continue
                        needed = range(max(0, reach.first(made[index])), reach.end(target[index]))
                        assert needed.stop <= made[maker] or made[maker] == plan.stages[maker].extent
                        assert needed.start >= base[maker] or len(needed) == 0
                    if stage.value in plan.kept:
                        base[index] = max(base[index], target[index] - plan.kept[stage.value])
                    made[index] = target[index]
            assert made == [stage.extent for stage in plan.stages]


def test_rows_kept_of_a_block():
    """Expand keeps the three rows a window needs; depthwise one, over which nothing else is written."""
    build = Builder()
    x = build.input("x", (1, 2, 8, 8))
    wide = build.conv2d(x, build.input("w0", (4, 2, 1, 1)), channels=4, kernel_size=(1, 1))
    deep = build.conv2d(
        wide, build.input("w1", (4, 1, 3, 3)), channels=4, kernel_size=(3, 3), padding=(1,) * 4, groups=4
    )
    clipped = build.relu(deep)
    thin = build.conv2d(clipped, build.input("w2", (2, 4, 1, 1)), channels=2, kernel_size=(1, 1))
    plan = cascade(build.graph(build.add(thin, x)), "rows", 1)
    assert plan.kept == {wide.name: 3, clipped.name: 1}
    assert plan.scratch == 4 * 8 * 4 * (3 + 1)
    assert plan.targets[:2] == ([1, 0, 0, 0, 0], [2, 1, 1, 1, 1])  # a lead, then the first row
    assert not cascade(plan.body, "rows", 8).lead
    assert cascade(plan.body, "rows", 4).kept == {wide.name: 5, clipped.name: 4}  # 0 … 4, then 3 … 7


def test_what_cannot_work_by_rows_is_refused():
    build = Builder()
    x = build.input("x", (1, 2, 4, 4))
    y = build.relu(build.relu(x))
    body = build.graph(y).as_body()
    outer = Builder()
    whole = outer.region(outer.input("x", (1, 2, 4, 4)), body=body)
    assert whole.shape == (1, 2, 4, 4)
    with pytest.raises(GraphError, match="at least one of the rows"):
        verify(_changed(outer.graph(whole), step=0))
    for bad in (build.graph(build.batch_flatten(y)), build.graph(build.sum(x, axis=(0, 2, 3)), y)):
        with pytest.raises(WorkbenchError, match="region: "):
            outer.region(outer.value("x"), body=bad)


def _changed(graph, **attrs):
    (node,) = graph.nodes
    return graph.with_nodes([type(node)(node.op, node.operands, node.results, {**node.attrs, **attrs})])


def test_it_declines_where_nothing_is_gained():
    step = run_passes(mlp([4, 5, 3]), FIRST)[0]
    with pytest.raises(Declined, match="would lower the peak"):
        regions(step, LATER)


@pytest.mark.parametrize("policy", ["bias-only", "last-2", "bias-only+block3.expand:0.5"])
def test_the_large_values_of_mobilenet_are_gone(policy):
    graph = training_step(apply_policy(frontends.load("mobilenet").graph, parse_policy(policy)))
    after, record = run_schedule(graph, "optimized")
    (applied,) = [applied for applied in record if applied.name == "regions"]
    assert not applied.declined
    assert peak_bytes(after) < 0.51 * peak_bytes(run_schedule(graph, "reordered")[0])
    assert max(after.analysis.scratch.values()) > 0
    assert parse_graph(print_graph(after)) == after
    assert re.search(r"= region\(%.*\) \{\n        %", print_graph(after))


@pytest.mark.parametrize(
    ("name", "policy", "board"),
    [
        *(("lenet", "bias-only", "nrf52840"), ("lenet", "bias-only", "stm32f746"), ("lenet", "last-2", "nrf52840")),
        ("mobilenet", "bias-only+block3.expand:0.5", "stm32f746"),
        ("mobilenet", "last-2", "nrf52840"),
        pytest.param("mobilenet", "bias-only+block3.expand:0.5", "nrf52840", marks=pytest.mark.long),
        pytest.param("mobilenet", "last-2", "stm32f746", marks=pytest.mark.long),
    ],
)
def test_emulated_regions_equal_numpy_and_keep_the_weights_bits(name, policy, board, tmp_path):
    model = frontends.load(name)
    built = {
        passes: session.build(
            session.compile(model, policy, passes=passes), boards.get(board), tmp_path / f"is{passes}"
        )
        for passes in ("", "-regions")
    }
    assert any(node.body for node in built[""].compiled.graph.nodes)
    assert not check(built[""], Training()).findings
    weights = []
    for one in built.values():
        run, trained = train(one, Training(steps=4, trace="memory", evaluate=False))
        assert Run.of(run).violations.empty
        weights.append(trained)
    assert all(np.array_equal(weights[0][parameter], weights[1][parameter]) for parameter in weights[0])


def test_batches_of_images_emulated(tmp_path):
    model = frontends.load("lenet", 3)
    built = session.build(session.compile(model, "bias-only"), boards.get("nrf52840"), tmp_path)
    assert any(node.body for node in built.compiled.graph.nodes)
    assert not check(built, Training()).findings
    device = Device(Machine(built.image.elf, built.image.board), list(built.project.buffers), list(built.project.ops))
    assert device.ops


def halved_between_poolings(size, act=True):
    """A depthwise 3x3, a 1x1 and a strided 3x3 layer, then a pooling: of the 1x1, 3 rows are kept, at first 2 made."""
    net = Network("halved", (1, 4, size, size))
    x = net.conv2d(net.input, "depthwise", 4, 3, padding=1, groups=4)
    x = net.conv2d(net.relu6(x, "depthwise") if act else x, "expand", 6, 1)
    x = net.conv2d(net.relu6(x, "expand") if act else x, "strided", 8, 3, stride=2, padding=1)
    return net.model(net.dense(net.flatten(net.max_pool2d(x, "pool", 2)), "fc", 10))


def side_by_side():
    """Two layers of one image, added: their gradients' rows are read by sums alone."""
    net = Network("side by side", (1, 1, 9, 6))
    both = [net.relu(net.conv2d(net.input, f"conv{k}", 4, k, padding=k // 2), f"conv{k}") for k in (3, 1)]
    x = net.relu(net.conv2d(net.add(*both, "add"), "strided", 6, 3, stride=(2, 1), padding=1), "strided")
    return net.model(net.dense(net.flatten(x), "fc", 3))


@pytest.mark.parametrize(
    ("model", "policy"),
    [(halved_between_poolings(12, act=False), "last-1"), (halved_between_poolings(12), "last-1"),
     (side_by_side(), "bias-only")],
    ids=["linear", "clipped", "side-by-side"],
)  # fmt: skip
def test_nothing_unwritten_is_read(model, policy, tmp_path):
    built = session.build(session.compile(model, policy), boards.get("nrf52840"), tmp_path)
    assert any(node.body for node in built.compiled.graph.nodes)
    assert not check(built, Training()).findings
    run, _ = train(built, Training(steps=2, trace="memory", evaluate=False))
    assert Run.of(run).violations.empty


def test_gaps_are_where_the_first_step_leaves_some():
    build = Builder()
    x, w, p = (
        build.input(name, shape) for name, shape in (("x", (1, 2, 8, 4)), ("w", (3, 2, 1, 1)), ("p", (2, 3, 3, 3)))
    )
    y = build.conv2d(x, w, channels=3, kernel_size=(1, 1))
    body = build.graph(build.conv2d(y, p, channels=2, kernel_size=(3, 3), padding=(1,) * 4)).as_body()
    inner, result = (node.results[0] for node in body.nodes)
    assert cascade(body, "rows", 1).kept == {inner: 3}
    assert [cascade(body, "rows", 1).gaps(name) for name in (body.inputs[0], inner, result)] == [False, True, True]
    assert not cascade(body, "rows", 8).gaps(inner)
    assert not cascade(body, "rows", 8).gaps(result)


def test_what_waits_for_the_region_cannot_be_in_it():
    """The sum reads what is pooled of the first layer's result, and no pooling of means works row by row."""
    build = Builder()
    wide = build.conv2d(
        build.relu(build.input("x", (1, 2, 16, 8))), build.input("w", (8, 2, 1, 1)), channels=8, kernel_size=(1, 1)
    )
    pooled = build.avg_pool2d(wide, pool_size=(3, 3), strides=(1, 1), padding=(1,) * 4)
    thin = build.conv2d(build.add(wide, pooled), build.input("v", (1, 8, 1, 1)), channels=1, kernel_size=(1, 1))
    before = build.graph(thin)
    after = verify(regional(before))
    values = feeds(before, 1)
    assert same_bits(interpret(after, values), interpret(before, values))
