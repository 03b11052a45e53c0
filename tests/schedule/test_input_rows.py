"""The image handed over row by row: the same weights to the bit, less memory; and what cannot have it so."""

import numpy as np
import pytest
from graphs import LATER, small_stem
from samples import read

from workbench import boards, frontends, session
from workbench.codegen import generate
from workbench.emulate.machine import Machine
from workbench.errors import FirmwareFault, ModelError
from workbench.feeding import Training
from workbench.frontends.layers import Network
from workbench.ir.build import Builder
from workbench.ir.interpret import interpret
from workbench.ir.text import parse_graph, print_graph
from workbench.ir.types import STREAM
from workbench.ir.verify import verify
from workbench.passes.input_rows import input_rows
from workbench.passes.pipeline import run_passes_with
from workbench.passes.regions import regions
from workbench.plan.memory import plan_memory
from workbench.report.text import run_text
from workbench.report.view import Run
from workbench.schedule._samples import stem_of_int8
from workbench.study.check import check
from workbench.toolchain import build
from workbench.training import device_of, train


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The same network with its image as a whole and by rows."""
    folder = tmp_path_factory.mktemp("rows")
    return {
        passes: session.build(
            session.compile(small_stem(), "last-1", passes=passes), boards.get("nrf52840"), folder / f"is{passes}"
        )
        for passes in ("", "input-rows")
    }


def test_the_weights_are_the_same_to_the_bit_and_the_image_lies_nowhere(built):
    weights, runs = {}, {}
    for passes, one in built.items():
        run, weights[passes] = train(one, Training(steps=3, trace="ops", evaluate=False))
        runs[passes] = Run.of(run)
    assert all(np.array_equal(weights[""][name], weights["input-rows"][name]) for name in weights[""])
    assert [run.meta["input"] for run in runs.values()] == ["whole", "rows"]
    assert "the image by rows" in run_text(runs["input-rows"])
    assert not any(row.role == "input" for row in built["input-rows"].project.buffers)
    image = 3 * 24 * 24 * 4
    whole, rows = (one.compiled.memory.plan.bytes for one in built.values())
    assert rows < 0.6 * image < image <= whole
    assert runs["input-rows"].meta["instructions_per_step"] > runs[""].meta["instructions_per_step"]  # they are copied


def test_every_node_agrees_with_numpy_and_held_out_images_come_in_order(built):
    assert not check(built["input-rows"], Training()).findings
    x = np.random.default_rng(0).random((5, 3, 24, 24), np.float32)
    guesses = []
    for one in built.values():
        device = device_of(one)
        guesses.append(np.concatenate([device.forward(image[None]) for image in x]))
        assert np.array_equal(device.outputs(x), guesses[-1])
    assert np.array_equal(*guesses)


def test_an_image_that_ends_too_early_is_a_fault(built):
    device = device_of(built["input-rows"])
    device.machine.feed_image(bytes(3 * 24 * 23 * 4))
    with pytest.raises(FirmwareFault, match="0x5f000000"):
        device.machine.call("wb_forward")


@pytest.mark.parametrize("rows", [1, 3])
def test_rows_that_are_no_whole_words(rows, tmp_path):
    """Images of int8, ten bytes a row: the last two come one by one."""
    inner, rng = Builder(), np.random.default_rng(1)
    x = inner.input("image", (1, 3, 11, 10), "int8", layout=STREAM)
    stage = inner.op("read_rows", x)
    (made,) = stem_of_int8(_Reading(inner, stage))
    body = inner.graph(made).as_body()
    outer = Builder()
    names = inner.graph(made).inputs
    operands = [
        outer.input(name, t.shape, t.dtype, layout=t.layout)
        for name, t in zip(names, map(inner.types.get, names), strict=True)
    ]
    graph = verify(outer.graph(outer.region(*operands, body=body, step=rows)))
    assert parse_graph(print_graph(graph)) == graph
    values = {name: rng.integers(-127, 128, graph.types[name].shape).astype(graph.types[name].dtype) for name in names}
    values |= {name: np.stack([np.full(v.shape[1], 2**23), np.zeros(v.shape[1])]).astype(np.int32)
               for name, v in values.items() if name.startswith("m")}  # fmt: skip
    board, memory = boards.get("nrf52840"), plan_memory(graph, graph.analysis.scratch)
    project = generate(graph, memory, values, board)
    machine = Machine(build(project, board, tmp_path, memory.plan.bytes).elf, board)
    machine.start()
    place = {value: machine.elf.address(row.symbol) + row.offset for row in project.buffers for value in row.values}
    for name in names[1:]:
        machine.write_array(place[name], values[name])
    machine.feed_image(graph.types["image"].stored(values["image"]).tobytes())
    machine.call("wb_train_step")
    (output,) = graph.outputs
    assert np.array_equal(
        read(machine, place[output], graph.types[output]), interpret(graph, values)[output].reshape(-1)
    )


class _Reading:
    """A builder whose input `x` is there already."""

    def __init__(self, build, x):
        self.build, self.x = build, x

    def input(self, name, *how):
        return self.x if name == "x" else self.build.input(name, *how)

    def op(self, *operands, **attrs):
        return self.build.op(*operands, **attrs)


def dense_only():
    net = Network("dense", (1, 8))
    return net.model(net.dense(net.input, "fc", 3), None, "")


@pytest.mark.parametrize(
    ("model", "how", "reason"),
    [
        (small_stem, {"policy": "full"}, r"update.conv1.weight \(.*\) reads all of it at once"),
        (small_stem, {"policy": "last-1", "schedule": "reordered"}, "schedule reordered: .* no region begins at it"),
        (small_stem, {"policy": "last-1", "passes": "-regions"}, "no region begins at it"),
        (dense_only, {"policy": "full"}, "batches of one; input0 is float32"),
        (lambda: frontends.load("lenet", 2), {"policy": "last-1"}, "batches of one; input0 is float32"),
    ],
)
def test_what_cannot_come_by_rows_is_told_why(model, how, reason):
    passes = ",".join(filter(None, (how.pop("passes", ""), "input-rows")))
    with pytest.raises(ModelError, match=reason):
        session.compile(model(), passes=passes, **how)


@pytest.mark.parametrize(
    ("name", "most"), [("mcunet-5fps", 38_912), ("mbv2-w0.35", 28_800), ("proxyless-w0.3", 38_912)]
)
def test_the_forward_of_published_networks_needs_less_than_its_image(name, most, shared_data):
    model = frontends.load(str(shared_data / "tiny-training" / f"{name}.json"))
    graph = input_rows(run_passes_with(model.graph, model.weights, ("fold-constants", "dead-code"))[0])
    after = verify(regions(graph, LATER))
    assert plan_memory(after, after.analysis.scratch).plan.bytes <= most


@pytest.mark.parametrize(
    ("name", "passes", "most"),
    [("mcunet-5fps", "", 53_520), ("mcunet-5fps", "input-rows", 38_308), ("proxyless-w0.3", "", 53_520)],
)
def test_the_training_step_of_a_published_network_needs_its_peak_and_a_word_at_most(name, passes, most, shared_data):
    model = frontends.load(str(shared_data / "tiny-training" / f"{name}.json"))
    memory = session.compile(model, "sparse-49kb", passes=passes).memory
    assert memory.liveness.peak <= memory.plan.bytes <= min(most, memory.liveness.peak + 4)
