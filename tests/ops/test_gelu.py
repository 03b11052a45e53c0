"""GELU beyond the samples: its accuracy, its bits at thousands of values, and what it costs in memory."""

from math import erf, exp, pi, sqrt

import numpy as np
import pytest
from tiny_firmware import BOARD, TEMPLATES, compile_firmware

from workbench import boards, session
from workbench.emulate.machine import Machine
from workbench.feeding import Training
from workbench.frontends.layers import Network
from workbench.frontends.loading import in_int8
from workbench.ops import gelu
from workbench.ops._exp import exp as exp_as_in_c
from workbench.study.check import check

COUNT = 2000
SOURCE = f"""
#include "gelu_f32.h"
float x[{COUNT}], y[{COUNT}];
#define EACH(name, value) void name(void) {{ for (int i = 0; i < {COUNT}; ++i) y[i] = value; }}
EACH(run_exp, wb_exp_f32(x[i] < 0.0f ? x[i] : -x[i]))
EACH(run_none, wb_gelu_f32(0.0f, x[i]))
EACH(run_tanh, wb_gelu_f32(1.0f, x[i]))
EACH(run_slope_none, wb_gelu_slope_f32(0.0f, x[i]))
EACH(run_slope_tanh, wb_gelu_slope_f32(1.0f, x[i]))
void (*const all[])(void) = {{ run_exp, run_none, run_tanh, run_slope_none, run_slope_tanh }};
void wb_forward(void) {{}}
void wb_train_step(void) {{}}
"""
MEANING = {
    "run_exp": lambda x: exp_as_in_c(-np.abs(x)),
    **{f"run_{form}": lambda x, form=form: gelu.evaluate(x, approximate=form) for form in ("none", "tanh")},
    **{f"run_slope_{form}": lambda x, form=form: gelu.slope(x, approximate=form) for form in ("none", "tanh")},
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    elf = compile_firmware(tmp_path_factory.mktemp("gelu"), SOURCE, flags=(f"-I{TEMPLATES / 'kernels'}",))
    return Machine(elf, BOARD)


def values() -> np.ndarray:
    """Every magnitude, both signs, where the exponential begins to be 0, and what is no number."""
    rng = np.random.default_rng(0)
    edges = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-45, -1e-45, -87, np.nextafter(np.float32(-87), -100)]
    near_zero_tail = np.linspace(12.5, 14.5, 300)
    real = rng.normal(size=COUNT) * 10 ** rng.uniform(-3, 1.5, COUNT)
    real[: len(edges)] = edges
    real[100:400], real[400:700] = near_zero_tail, -near_zero_tail
    return real.astype(np.float32)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numpy: 1e30 squared
@pytest.mark.parametrize("name", MEANING)
def test_the_emulated_core_gives_the_bits_of_numpy(name, machine):
    x = values()
    machine.start()
    machine.write_array(machine.elf.address("x"), x)
    machine.call(name)
    got, want = machine.read_array(machine.elf.address("y"), np.float32, COUNT), MEANING[name](x)
    assert want.dtype == np.float32
    nan = np.isnan(want)
    assert np.array_equal(np.isnan(got), nan)
    different = got.view(np.int32)[~nan] != want.view(np.int32)[~nan]
    assert not different.any(), x[~nan][different]


def by_erf(x: float) -> tuple[float, float]:
    share = (1 + erf(x / sqrt(2))) / 2
    return x * share, share + x * exp(-x * x / 2) / sqrt(2 * pi)


def by_tanh(x: float) -> tuple[float, float]:
    u = sqrt(2 / pi) * (x + 0.044715 * x**3)
    share = (1 + np.tanh(u)) / 2
    return x * share, share + x * (1 - np.tanh(u) ** 2) / 2 * sqrt(2 / pi) * (1 + 3 * 0.044715 * x * x)


@pytest.mark.parametrize(("form", "real"), [("none", by_erf), ("tanh", by_tanh)])
@pytest.mark.parametrize("reach", [1e-3, 1, 5, 14])
def test_it_is_as_exact_as_float32_allows(form, real, reach):
    x = np.random.default_rng(1).uniform(-reach, reach, 4000).astype(np.float32)
    for evaluate, want in zip((gelu.evaluate, gelu.slope), np.array([real(float(v)) for v in x]).T, strict=True):
        got = evaluate(x, approximate=form)
        assert np.linalg.norm(got - want) <= 2e-7 * np.linalg.norm(want)


@pytest.mark.parametrize("form", gelu.FORMS.values())
def test_what_is_infinite_stays_so_or_is_nothing(form):
    got = gelu.evaluate(np.array([np.inf, -np.inf, -0.0, np.nan], np.float32), approximate=form)
    assert got[0] == np.inf and np.isnan(got[3])
    assert (got[1:3] == 0).all() and np.signbit(got[1:3]).all()
    assert gelu.slope(np.array([np.inf, -np.inf], np.float32), approximate=form).tolist() == [1, 0]


def block(name: str = "block"):
    """An inverted bottleneck as of ConvNeXt: its wide values are GELU's."""
    net = Network(name, (1, 4, 12, 12))
    x = net.gelu(net.conv2d(net.input, "expand", 24, 1), "expand")
    x = net.gelu(net.conv2d(x, "depthwise", 24, 3, padding=1, groups=24), "depthwise", approximate="tanh")
    x = net.conv2d(x, "project", 4, 1)
    return net.model(net.dense(net.flatten(net.global_avg_pool2d(x, "pool")), "fc", 3))


def nodes(policy: str, model=None) -> list:
    """All nodes of the step, those inside regions too, each with its region (itself outside of one)."""
    graph = session.compile(model or block(), policy, "optimized").graph
    return [(node, outer) for outer in graph.nodes for node in (outer.body.nodes if outer.body else (outer,))]


def test_without_a_gradient_the_wide_values_are_gone():
    found = [(node, outer) for node, outer in nodes("last-1") if node.op == "nn.gelu"]
    assert len(found) == 2
    for node, outer in found:
        assert (outer.op, outer.attrs["axis"], outer.attrs["step"]) == ("region", "rows", 1)
        assert node.results[0] not in outer.body.outputs and node.operands[0] not in outer.body.inputs


def test_with_one_x_is_kept():
    step = nodes("full")
    kept = {outer.operands[0] for node, outer in step if node.op == "nn.gelu" and outer is node}
    graph = session.compile(block(), "full", "optimized").graph
    assert len(kept) == 2 and all(len(graph.analysis.readers[x]) == 2 for x in kept)
    assert not any(node.over for node, _ in step if node.op == "nn.gelu")


def test_the_gradient_runs_by_rows_and_by_channels():
    axes = {outer.attrs["axis"] for policy in ("full", "bias-only") for node, outer in nodes(policy)
            if node.op == "nn.gelu_grad" and outer.op == "region"}  # fmt: skip
    assert axes == {"rows", "channels"}


def test_alone_it_runs_in_place_where_x_is_read_no_more():
    net = Network("dense", (1, 6))
    x = net.gelu(net.dense(net.input, "fc1", 5), "fc1")
    model = net.model(net.dense(x, "fc2", 3))
    over = {policy: [node.over for node, _ in nodes(policy, model) if node.op == "nn.gelu"] for policy in
            ("last-1", "full")}  # fmt: skip
    assert [len(each) for each in over["last-1"]] == [1] and over["full"] == [()]


@pytest.mark.parametrize("policy", ["full", "bias-only"])
def test_the_emulated_step_equals_numpy(policy, tmp_path):
    built = session.build(session.compile(block(), policy, "optimized"), boards.get("nrf52840"), tmp_path)
    assert not check(built, Training(lr=0.01)).findings


def test_in_int8_each_form_is_a_table_of_its_own(tmp_path):
    samples = np.random.default_rng(0).normal(size=(40, 4, 12, 12)).astype(np.float32)
    model = in_int8(block(), samples)
    tables = {node.attrs["number"]: node.attrs["function"] for node in model.graph.nodes if node.op == "qnn.table"}
    assert tables == {0.0: "gelu", 1.0: "gelu"}
    built = session.build(session.compile(model, "full", "optimized"), boards.get("nrf52840"), tmp_path)
    assert not check(built, Training(lr=0.01)).findings
