"""Fused multiply-adds: rounded once as C's fmaf, chosen by core, the same in all schedules and engines."""

import ctypes
import ctypes.util
from dataclasses import replace

import numpy as np
import pytest
from samples import evaluate, one_graph, packed, read, side_by_side

from workbench import boards, frontends, session
from workbench.codegen import generate
from workbench.emulate.machine import Machine
from workbench.errors import ShapeError
from workbench.feeding import NATIVE, Training
from workbench.ir.op import Sample, get
from workbench.ir.types import TensorType
from workbench.ops._multiply_add import FMA, multiply_add
from workbench.passes.arithmetic import with_fused_multiply_adds
from workbench.toolchain import build
from workbench.training import train

M4, M7 = boards.get("nrf52840"), boards.get("stm32f746")


@pytest.mark.parametrize("kind", ["anything", "cancelling", "tiny", "no numbers"])
def test_numpy_rounds_once_as_c_does(kind):
    rng = np.random.default_rng(3)
    a, b, c = (rng.normal(size=4000) * 10.0 ** rng.integers(-19, 19, 4000) for _ in range(3))
    if kind == "cancelling":
        c = -a.astype(np.float32) * b.astype(np.float32).astype(float) * (1 + 2.0 ** -rng.integers(1, 60, 4000))
    if kind == "tiny":
        a, b, c = a * 1e-20, b * 1e-20, c * 1e-25
    with np.errstate(all="ignore"):
        a, b, c = (each.astype(np.float32) for each in (a, b, c))
        if kind == "no numbers":
            for each, value in ((a, np.nan), (b, np.inf), (c, -np.inf)):
                each[rng.integers(0, 4000, 900)] = value
        got = multiply_add(a, b, c)
    fmaf = ctypes.CDLL(ctypes.util.find_library("m")).fmaf
    fmaf.restype, fmaf.argtypes = ctypes.c_float, [ctypes.c_float] * 3
    want = np.array([fmaf(*map(float, each)) for each in zip(a, b, c, strict=True)], np.float32)
    np.testing.assert_array_equal(got, want)
    with np.errstate(all="ignore"):
        assert np.mean(got != a * b + c) > 0.01


def test_a_kind_of_sum_that_there_is_not():
    x, w = TensorType((1, 2, 3, 3)), TensorType((2, 2, 1, 1))
    with pytest.raises(ShapeError, match="sum is"):
        get("nn.conv2d").inferred(x, w, channels=2, kernel_size=(1, 1), sum="exact")


def pointwise_cases():
    """Samples of 1x1 windows whose sums are fused; channels, filters and pixels that fill no tile among them."""
    rng, window, cases = np.random.default_rng(5), {"kernel_size": (1, 1), "sum": FMA}, []
    for channels, filters, size in ((5, 7, (3, 5)), (8, 4, (4, 4)), (33, 3, (1, 2)), (1, 9, (5, 1)), (70, 6, (2, 4))):
        x, dy = rng.normal(size=(1, channels, *size)), rng.normal(size=(1, filters, *size))
        w = rng.normal(size=(filters, channels, 1, 1))
        integers = rng.integers(-127, 128, w.shape, np.int8)
        samples = {
            "nn.conv2d": Sample((x, w), {**window, "channels": filters}),
            "nn.conv2d_transpose": Sample((dy, w, x), {**window, "channels": channels}),
            "qnn.conv2d_transpose": Sample((dy, integers), {**window, "channels": channels}),
            "nn.conv2d_backward_weight": Sample((dy, x), window),
        }
        for name, sample in samples.items():
            attrs = get(name).complete(sample.attrs)
            cases.append((f"{name}-{channels}", get(name), replace(sample, attrs=attrs)))
    return cases


def test_tiles_of_fused_sums_equal_numpy_to_the_bit(tmp_path):
    cases = pointwise_cases()
    graph, feeds, results = one_graph(cases)
    project = generate(graph, side_by_side(graph), feeds, M7)
    rows = {value: row for row in project.buffers for value in row.values}
    machine = Machine(build(project, M7, tmp_path, 0).elf, M7)
    machine.start()
    arena = machine.elf.address("wb_arena")
    for name in graph.inputs:
        machine.write_array(arena + rows[name].offset, packed(feeds[name]))
    machine.call("wb_train_step")
    for case, op, sample in cases:
        (made,), (want,) = results[case], evaluate(op, sample)
        got = read(machine, arena + rows[made.name].offset, made.type)
        np.testing.assert_array_equal(got, want.reshape(-1), case)


def losses_and_weights(network, board, schedule, **how):
    built = session.build(session.compile(frontends.load(network), "full", schedule), board)
    run, weights = train(built, Training(steps=3, evaluate=False, **how))
    return run, [*run.meta["loss"], *(weights[name].tobytes() for name in sorted(weights))]


@pytest.mark.parametrize("name", ["lenet", pytest.param("resnet", marks=pytest.mark.long)])
def test_the_core_chooses_and_all_schedules_and_engines_agree(name):
    runs = {s: losses_and_weights(name, M7, s) for s in ("vanilla", "reordered", "optimized")}
    (first, same), *others = runs.values()
    assert all(found == same for _, found in others)
    assert losses_and_weights(name, M7, "optimized", engine=NATIVE)[1] == same
    assert first.meta["arithmetic"] == "fused multiply-add"
    other, separate = losses_and_weights(name, M4, "optimized")
    assert other.meta["arithmetic"] == "multiply, then add"
    assert separate[-1] != same[-1]
    np.testing.assert_allclose(separate[:3], same[:3], rtol=1e-5)


def test_operators_inside_regions_fuse_too():
    graph = with_fused_multiply_adds(session.compile(frontends.load("mobilenet"), "bias-only").graph)
    inside = [node for region in graph.nodes if region.body for node in region.body.nodes]
    assert inside
    sums = [node.attrs["sum"] for node in (*graph.nodes, *inside) if "sum" in node.attrs]
    assert sums
    assert set(sums) == {FMA}
