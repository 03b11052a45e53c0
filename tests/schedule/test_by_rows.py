"""Results over the rows of an image that were read: no byte is lost, in a simulation of its own and emulated."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from graphs import LATER, feeds, int8net, same_bits, small_stem
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import forward_emulated

from workbench import boards, frontends, session
from workbench.errors import GraphError
from workbench.feeding import Training
from workbench.ir.build import Builder
from workbench.ir.graph import Graph
from workbench.ir.interpret import interpret
from workbench.ir.liveness import liveness
from workbench.ir.text import parse_graph, print_graph
from workbench.ir.types import BY_ROWS
from workbench.ir.verify import verify
from workbench.passes import Declined
from workbench.passes.in_place import work_in_place
from workbench.passes.pipeline import run_passes_with
from workbench.passes.regions import regions
from workbench.plan.memory import plan_memory
from workbench.schedule._samples import residual_of_int8
from workbench.schedule.by_rows import over_rows
from workbench.schedule.cascade import Cascade, cascade
from workbench.schedule.takeovers import over_image, runs_over
from workbench.study.check import check
from workbench.training import train

FORWARD = ("fold-constants", "bit-masks", "fuse-activation", "dead-code")


@st.composite
def bodies(draw):
    """A chain of convolutions of one image, some with the image or an inner value added."""
    build = Builder()
    x = y = build.input("x", (1, draw(st.integers(1, 4)), draw(st.integers(4, 12)), draw(st.integers(3, 7))))
    for depth in range(draw(st.integers(1, 4))):
        size, stride = draw(st.sampled_from([(1, 1), (3, 1), (3, 2), (5, 1), (2, 2), (1, 2)]))
        groups = y.shape[1] if draw(st.booleans()) else 1
        channels = y.shape[1] if groups > 1 else draw(st.integers(1, 5))
        if min(y.shape[2:]) < size:
            continue
        w = build.input(f"w{depth}", (channels, y.shape[1] // groups, size, size))
        z = build.conv2d(y, w, channels=channels, kernel_size=(size,) * 2, strides=(stride,) * 2, groups=groups,
                         padding=(size // 2,) * 4 if size % 2 else (0,) * 4)  # fmt: skip
        before = next((value for value in (y, x) if value.shape == z.shape), None)
        y = build.add(z, before) if before and draw(st.booleans()) else build.relu(z)
    return build.graph(y if y is not x else build.relu(x)).as_body()


def bytes_lost(plan: Cascade, image: str, result: str, shift: int = 0) -> int:
    """Bytes of `image` that are read after `result`, which begins `shift` bytes behind it, was written over them."""
    row, made = (plan.body.types[name].bytes // plan.body.types[name].shape[2] for name in (image, result))
    height, done, lost = plan.body.types[image].shape[2], [0] * len(plan.stages), 0
    written = np.zeros(plan.body.types[image].bytes + plan.body.types[result].bytes + shift, bool)
    for target in plan.targets:
        for index, stage in enumerate(plan.stages):
            for name, reach in stage.reads if target[index] > done[index] else ():
                if name == image:
                    begin, end = max(0, reach.first(done[index])), min(height, reach.end(target[index]))
                    lost += int(written[begin * row : end * row].sum())
                    if plan.home.get(stage.value) == result and stage.node.op not in {"add", "nn.relu", "qnn.add"}:
                        lost += max(0, min(end * row, shift + target[index] * made) - begin * row)  # read as it writes
            if plan.home.get(stage.value) == result:
                written[shift : shift + target[index] * made] = True
            done[index] = target[index]
    return lost


@settings(deadline=None, max_examples=200)
@given(body=bodies(), rows=st.integers(1, 4))
def test_no_byte_is_read_after_a_result_was_written_over_it(body, rows):
    (result,) = body.outputs
    plan = over_image(cascade(body, "rows", rows), "in0", result)
    if plan:
        assert bytes_lost(plan, "in0", result) == 0


def test_a_residual_sum_goes_over_the_image_that_it_adds_where_its_other_summand_lies_apart():
    """Else the projection's row would lie over the image's before the sum has read that."""
    build = Builder()
    body = build.graph(*residual_of_int8(build)).as_body()
    (result,) = body.outputs
    plan = cascade(body, "rows", 1)
    assert not runs_over(plan, "in0", result)
    assert bytes_lost(plan, "in0", result) > 0
    found = over_image(plan, "in0", result)
    assert found.apart == (0,)
    assert bytes_lost(found, "in0", result) == 0
    assert found.scratch == plan.scratch + found.bytes_of(result, 1)  # a row of the projection has a buffer of its own


def test_the_simulation_would_see_one_row_too_early():
    body = stem().nodes[0].body
    plan = cascade(body, "rows", 1)
    (result,) = body.outputs
    assert runs_over(plan, "in0", result)
    assert bytes_lost(plan, "in0", result) == 0
    assert bytes_lost(plan, "in0", result, shift=3 * 2 * 12) > 0


def stem(rows=1, height=12) -> Graph:
    """A region of two convolutions that halve an image, its result over it."""
    build = Builder()
    x = build.input("x", (1, 2, height, 12))
    y = build.conv2d(
        x, build.input("w", (3, 2, 3, 3)), channels=3, kernel_size=(3, 3), strides=(2, 2), padding=(1,) * 4
    )
    body = build.graph(build.conv2d(y, build.input("v", (2, 3, 1, 1)), channels=2, kernel_size=(1, 1))).as_body()
    outer = Builder()
    x = outer.input("x", (1, 2, height, 12), layout=BY_ROWS)
    operands = [x, outer.input("w", (3, 2, 3, 3)), outer.input("v", (2, 3, 1, 1))]
    return outer.graph(outer.op("region", *operands, over=("x",), body=body, step=rows, by_rows=(0,)))


def changed(graph: Graph, **how) -> Graph:
    (node,) = graph.nodes
    attrs = {**node.attrs, **{key: how.pop(key) for key in list(how) if key in node.attrs}}
    node = replace(node, attrs=attrs, **how)
    kinds = {name: graph.types[name].in_layout(BY_ROWS if attrs["by_rows"] else "") for name in node.results}
    return replace(graph, nodes=(node,), types={**graph.types, **kinds})


def test_verify_allows_what_the_cascade_allows_and_no_more():
    for rows in (1, 2, 3):
        verify(stem(rows))
    assert parse_graph(print_graph(stem())) == stem()
    with pytest.raises(GraphError, match="region cannot work in place on %x"):
        verify(changed(stem(), by_rows=()))  # channel by channel, its second channel would lie in the first half
    for graph, over in ((same_size(), "x"), (same_size(), "w")):
        with pytest.raises(GraphError, match=f"cannot work in place on %{over}|does not fit into"):
            verify(changed(graph, over=(over,)))


def same_size() -> Graph:
    """A 3x3 convolution: its first row would lie over the one that its second row reads."""
    build = Builder()
    kinds = {"x": (1, 2, 5, 5), "w": (2, 2, 3, 3)}
    x, w = (build.input(name, shape) for name, shape in kinds.items())
    body = build.graph(build.conv2d(x, w, channels=2, kernel_size=(3, 3), padding=(1,) * 4)).as_body()
    outer = Builder()
    x, w = outer.input("x", kinds["x"], layout=BY_ROWS), outer.input("w", kinds["w"])
    return outer.graph(outer.op("region", x, w, body=body, by_rows=(0,)))


def test_layouts_that_a_region_cannot_have_are_refused():
    graph = same_size()
    with pytest.raises(GraphError, match="%in1 is no image"):
        types = {**graph.types, "w": graph.types["w"].in_layout(BY_ROWS)}
        verify(replace(graph, types=types))
    with pytest.raises(GraphError, match="it has 1 results"):
        verify(changed(graph, by_rows=(1,)))
    with pytest.raises(GraphError, match=r"its body takes float32 .* NHWC"):
        verify(replace(graph, types={**graph.types, "x": graph.types["x"].in_layout("NHWC")}))


def test_storage_shrinks_behind_the_region():
    graph = stem()
    build = Builder(graph)
    y = build.value(graph.outputs[0])
    body = Builder()
    z = body.conv2d(body.input("y", y.shape), body.input("u", (1, 2, 1, 1)), channels=1, kernel_size=(1, 1))
    z = build.op("region", y, build.input("u", (1, 2, 1, 1)), body=body.graph(z).as_body())
    graph = verify(build.graph(z))
    (storage,) = [storage for storage in liveness(graph).arena if storage.values[0] == "x"]
    image, half = 2 * 12 * 12 * 4, 2 * 6 * 6 * 4
    assert storage.parts == ((0, half, 2), (half, image, 1))
    assert [storage.bytes_at(position) for position in range(3)] == [image, half, 0]
    memory = plan_memory(graph, graph.analysis.scratch)
    lying = {buffer.id: (buffer.offset, buffer.size, buffer.upper) for buffer in memory.plan.buffers}
    assert lying["x"] == (0, half, 2)
    assert lying["tail1.x"] == (half, image - half, 1)


def forward_of(seed: int) -> tuple[Graph, dict[str, np.ndarray]]:
    """The int8 network of graphs.int8net alone, and its weights."""
    step, weights = int8net(seed, batch=1, size=24)
    loss = next(index for index, node in enumerate(step.nodes) if node.op == "nn.softmax_cross_entropy")
    logits = step.nodes[loss].operands[0]
    inputs = tuple(name for name in step.inputs if name == "input0")
    forward = replace(step, inputs=inputs, outputs=(logits,)).with_nodes(step.nodes[:loss])
    made = {name for node in forward.nodes for name in (*node.operands, *node.results)}
    forward = replace(forward, state=(), types={name: kind for name, kind in forward.types.items() if name in made})
    graph, weights, _ = run_passes_with(forward, weights, FORWARD)
    return graph, weights


def taken(graph: Graph) -> list[str]:
    return [name for node in graph.nodes if node.body for name in node.overwrites]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6))
def test_int8_networks_keep_every_bit_and_need_less_where_a_result_goes_over_an_image(seed):
    before, weights = forward_of(seed)
    try:
        after = verify(regions(before, LATER))
    except Declined:
        return
    values = feeds(before, seed) | weights
    assert same_bits(interpret(after, values), interpret(before, values))
    assert parse_graph(print_graph(after)) == after
    for node in after.nodes:
        layouts = {after.types[name].layout for name in (*node.operands, *node.results)}
        assert layouts == {""} or node.body


SEEDS = (10, 35, 41)


@pytest.mark.parametrize("seed", SEEDS)
def test_int8_networks_emulated(seed, tmp_path):
    before, weights = forward_of(seed)
    after = regions(before, LATER)
    assert taken(after)
    with suppress(Declined):
        after = work_in_place(after)
    values = {name: value for name, value in feeds(before, seed).items() if name in before.inputs} | weights
    got = forward_emulated(after, values, tmp_path)
    assert np.array_equal(got, interpret(before, values)[before.outputs[0]])


def test_a_result_that_comes_too_early_is_seen(tmp_path, monkeypatch):
    """A region whose result may not lie over its image, told that it may: what it computes is wrong."""
    graph = same_size()
    rng = np.random.default_rng(0)
    values = {"x": rng.normal(size=(1, 2, 5, 5)).astype(np.float32), "w": rng.normal(size=(2, 2, 3, 3))}
    weights = {"w": values["w"].astype(np.float32)}
    graph = replace(graph, inputs=("x",), parameters=("w",))
    want = interpret(graph, {**values, **weights})[graph.outputs[0]]
    right = forward_emulated(graph, {**values, **weights}, tmp_path / "right")
    assert np.allclose(right, want, rtol=1e-5, atol=1e-5)
    wrong = forward_emulated(changed(graph, over=("x",)), {**values, **weights}, tmp_path / "wrong")
    assert not np.allclose(wrong, want, rtol=1e-2, atol=1e-2)


def test_a_training_step_that_overwrites_its_image(tmp_path):
    """The host writes the image row by row; nothing is read or written that the tables do not tell; weights agree."""
    weights = {}
    for schedule in ("vanilla", "optimized"):
        compiled = session.compile(small_stem(), "last-1", schedule)
        built = session.build(compiled, boards.get("nrf52840"), tmp_path / schedule)
        run, weights[schedule] = train(built, Training(steps=3, trace="memory", evaluate=False))
        assert not len(run.violations)
    assert "input0" in taken(compiled.graph)
    assert compiled.memory.plan.bytes < 1.1 * 3 * 24 * 24 * 4
    assert not check(built, Training()).findings
    assert "stored as NHCW" in (tmp_path / "optimized" / "model.h").read_text()
    parts = [row for row in built.project.buffers if row.role == "input"]
    assert sum(row.size for row in parts) == 3 * 24 * 24 * 4
    assert len(parts) > 1
    assert all(np.array_equal(weights["vanilla"][name], weights["optimized"][name]) for name in weights["vanilla"])


@pytest.mark.parametrize(
    ("name", "most"), [("mcunet-5fps", 53_520), ("mbv2-w0.35", 53_520), ("proxyless-w0.3", 53_520)]
)
def test_the_forward_of_published_networks_needs_little_more_than_its_image(name, most, shared_data):
    model = frontends.load(str(shared_data / "tiny-training" / f"{name}.json"))
    graph = run_passes_with(model.graph, model.weights, FORWARD)[0]
    after = verify(regions(graph, LATER))
    memory = plan_memory(after, after.analysis.scratch)
    assert memory.plan.bytes <= most
    assert liveness(after, after.analysis.scratch).peak == memory.plan.bytes


def two_results() -> Graph:
    """A region whose two results could each go over its image."""
    build = Builder()
    x, w, v, u = (build.input(name, shape) for name, shape in
                  (("x", (1, 2, 12, 12)), ("w", (3, 2, 3, 3)), ("v", (1, 3, 1, 1)), ("u", (2, 1, 1, 1))))  # fmt: skip
    y = build.conv2d(x, w, channels=3, kernel_size=(3, 3), strides=(2, 2), padding=(1,) * 4)
    small = build.conv2d(y, v, channels=1, kernel_size=(1, 1))
    body = build.graph(small, build.conv2d(small, u, channels=2, kernel_size=(1, 1))).as_body()
    assert all(runs_over(cascade(body, "rows", 1), body.inputs[0], result) for result in body.outputs)
    outer = Builder()
    operands = [
        outer.input(name, kind.shape) for name, kind in zip("xwvu", map(body.types.get, body.inputs), strict=True)
    ]
    return outer.graph(*outer.region(*operands, body=body))


def test_an_image_makes_room_for_one_result_the_largest():
    graph = two_results()
    after = verify(over_rows(graph, ("x", *graph.outputs)))
    assert after.nodes[0].over == ("", "x")
    with pytest.raises(GraphError, match="cannot work in place on %x"):
        verify(replace(after, nodes=(replace(after.nodes[0], over=("x", "x")),)))


def test_only_one_result_is_written_over_an_image():
    """Both of its size, and either alone could be: what works in place leaves the image to the one that has it."""
    build = Builder()
    x, w, v = build.input("x", (1, 2, 4, 4)), build.input("w", (2, 2, 1, 1)), build.input("v", (2, 2, 1, 1))
    y = build.relu(x)
    body = build.graph(*(build.conv2d(y, each, channels=2, kernel_size=(1, 1)) for each in (w, v))).as_body()
    outer = Builder()
    image = outer.relu(outer.input("image", (1, 2, 4, 4)))
    made = outer.region(image, outer.input("w", w.shape), outer.input("v", v.shape), body=body, step=4)
    graph = over_rows(outer.graph(*made), (image.name, *(one.name for one in made)))
    assert graph.nodes[1].over == (image.name, "")
    other = replace(graph.nodes[1], over=("", image.name))
    verify(replace(graph, nodes=(graph.nodes[0], other)))
    with suppress(Declined):
        graph = work_in_place(graph)
    assert verify(graph).nodes[1].over == (image.name, "")


def test_an_image_that_the_region_reads_as_two_stays():
    build = Builder()
    x, again, w = build.input("x", (1, 2, 12, 12)), build.input("again", (1, 2, 12, 12)), build.input("w", (2, 2, 3, 3))
    window = {"channels": 2, "kernel_size": (3, 3), "strides": (2, 2), "padding": (1,) * 4}
    half = build.relu(build.conv2d(x, w, **window))
    body = build.graph(build.relu(build.conv2d(build.add(half, build.conv2d(again, w, **window)), w, **window)), half)
    body = body.as_body()
    outer = Builder()
    image, weight = outer.input("x", (1, 2, 12, 12), layout=BY_ROWS), outer.input("w", (2, 2, 3, 3))
    names = {"x": image, "again": image, "w": weight}
    operands = [names[name] for name in ("x", "again", "w")]
    for over in ((), ("", "x")):
        graph = outer.graph(*outer.op("region", *operands, body=body, by_rows=(0, 1), over=over))
        if not over:
            verify(graph)
            outer.nodes.clear()
            continue
        with pytest.raises(GraphError, match="cannot work in place on %x"):
            verify(graph)


def test_two_images_that_shrink_lie_apart():
    """Both are there from the start on; the plan has been validated."""
    body, outer = stem().nodes[0].body, Builder()
    w, v = outer.input("w", (3, 2, 3, 3)), outer.input("v", (2, 3, 1, 1))
    images = [outer.input(name, (1, 2, 12, 12), layout=BY_ROWS) for name in "xy"]
    made = [outer.op("region", x, w, v, over=(x.name,), body=body, by_rows=(0,)) for x in images]
    graph = verify(outer.graph(*made, outer.relu(w)))
    assert len([storage for storage in liveness(graph).arena if len(storage.parts) == 2]) == 2
    plan = plan_memory(graph, graph.analysis.scratch).plan
    begin = {buffer.id: buffer.offset for buffer in plan.buffers}
    assert abs(begin["x"] - begin["y"]) >= 2 * 12 * 12 * 4
