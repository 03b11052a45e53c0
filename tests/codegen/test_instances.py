"""Kernel instances: one C function for each set of literals, in the project, in the ELF, and in what is counted."""

import re
import subprocess
from collections import Counter

import numpy as np
import pytest

from workbench import boards, frontends, session
from workbench.codegen import Project
from workbench.emulate.device import Device
from workbench.emulate.machine import Machine
from workbench.emulate.symbols import load_elf
from workbench.frontends import Model
from workbench.frontends.layers import Network
from workbench.kernels.call import WIDTH
from workbench.trace.tracer import Tracer

BOARD = boards.get("nrf52840")


def alike() -> Model:
    """conv1 is as conv2 is, and fc1 as fc2; fc3 has fewer outputs, and no relu."""
    net = Network("alike", (1, 4, 4, 4))
    x = net.input
    for name in ("conv1", "conv2"):
        x = net.relu(net.conv2d(x, name, 4, 3, padding=1), name)
    x = net.flatten(x)
    for name in ("fc1", "fc2"):
        x = net.relu(net.dense(x, name, 64), name)
    return net.model(net.dense(x, "fc3", 10))


def by_rows(batch: int) -> Model:
    """Wide enough in the middle for a region, whose convolutions differ."""
    net = Network("rows", (batch, 1, 12, 12))
    x = net.relu(net.conv2d(net.input, "conv1", 6, 3, padding=1), "conv1")
    x = net.relu(net.conv2d(x, "conv2", 2, 3, stride=2, padding=1), "conv2")
    return net.model(net.dense(net.global_avg_pool2d(x, "pool"), "fc", 3))


def project(model: Model, policy="full", schedule="optimized") -> Project:
    compiled = session.compile(model, policy, schedule)
    return session.generate(compiled.graph, compiled.memory, compiled.weights, BOARD)


def text_of(project: Project, files: str) -> str:
    return "\n".join(text for name, text in project.files.items() if re.fullmatch(rf"{files}_\d+\.c", name))


def function(text: str, name: str) -> str:
    """The C of a function, its lines in one."""
    found = re.search(rf"^(?:WB_INSTANCE )?void {name}\(.*?^}}", text, re.M | re.S)
    return " ".join(found[0].split())


def calls(project: Project) -> dict[str, list[str]]:
    """Node -> the instances that its operator calls."""
    text = text_of(project, "ops")
    return {op.node: re.findall(r"\bk_\w+(?=\()", function(text, op.symbol)) for op in project.ops}


def instances(project: Project) -> list[str]:
    return re.findall(r"^WB_INSTANCE void (k_\w+)\(", text_of(project, "instances"), re.M)


def test_equal_layers_share_their_instances():
    made = project(alike(), schedule="vanilla")
    called = calls(made)
    for one, other in (("conv1", "conv2"), ("fc1", "fc2")):
        for node in ("{}", "d.{}.bias", "d.{}.weight", "update.{}.bias", "update.{}.weight"):
            assert called[node.format(one)] == called[node.format(other)] != [], node
    assert called["fc2"] != called["fc3"] and called["update.fc2.weight"] != called["update.fc3.weight"]
    times = Counter(name for names in called.values() for name in names)
    assert sorted(instances(made)) == sorted(times) and len(times) < times.total() == len(made.ops)


def test_each_is_declared_as_it_is_defined():
    """In lines that fit."""
    made = project(frontends.load("mobilenet-int8"))
    defined, declared = text_of(made, "instances"), " ".join(made.files["instances.h"].split())
    names = instances(made)
    assert "instances_1.c" in made.files and len(names) == len(set(names)) == declared.count("void k_")
    for name in names:
        assert function(defined, name).removeprefix("WB_INSTANCE ").partition(" {")[0] + ";" in declared
    for line in (*defined.splitlines(), *made.files["instances.h"].splitlines()):
        assert len(line) <= WIDTH + len("    ")


@pytest.mark.parametrize("whole_program", [False, True], ids=["as it is built", "with -flto"])
def test_gcc_makes_one_function_of_each_and_no_other(whole_program, tmp_path):
    """Not one a caller, with its addresses as literals, nor a part of the caller, wherever the compiler sees both."""
    made = project(alike())
    made.save(tmp_path)
    compiler = f"CC=arm-none-eabi-gcc{' -flto' * whole_program}"
    subprocess.run(["make", "-s", "-j1", compiler], cwd=tmp_path, check=True)
    functions = [each.name for each in load_elf(tmp_path / "firmware.elf").symbols if each.kind == "function"]
    assert sorted(name for name in functions if name.startswith("k_")) == sorted(instances(made))
    assert not [name for name in functions if re.search(r"\.(constprop|part|isra)", name)]


def test_what_an_instance_runs_counts_for_the_operator_that_called_it(tmp_path):
    built = session.build(session.compile(alike(), "full", "vanilla"), BOARD, tmp_path)
    device = Device(Machine(built.image.elf, BOARD), list(built.project.buffers), list(built.project.ops))
    tracer = Tracer(device.machine, device.buffers, device.ops, "ops")
    tracer.attach()
    device.train_step(np.ones(64, np.float32), np.array([3], np.int32))
    profile = tracer.op_profile().set_index("position").instructions
    counted = {op.node: profile[op.position] for op in built.project.ops}
    assert min(counted.values()) > 12
    assert 0 <= tracer.totals().instructions - sum(counted.values()) < 10 * len(counted)  # the calls of operators
    weights = {"conv1": 4 * 4 * 9, "conv2": 4 * 4 * 9, "fc1": 64 * 64, "fc2": 64 * 64, "fc3": 64 * 10}
    for layer, count in weights.items():
        assert counted[layer] > count and counted[f"update.{layer}.weight"] > count
    assert counted["update.fc1.weight"] == pytest.approx(counted["update.fc2.weight"], abs=4)


@pytest.mark.parametrize("batch", [1, 2])
def test_rows_and_images_of_a_region_are_passed(batch):
    made = project(by_rows(batch), "last-1")
    region = function(text_of(made, "ops"), "op_000_region")
    conv2 = function(text_of(made, "instances"), "k_conv2d_f32_1")
    image, its = ("n, ", "int image, ") if batch > 1 else ("", "")
    assert f"k_conv2d_f32_0({image}made0, end0, x0, p_conv1_weight, p_conv1_bias, v0, first0);" in region
    assert f"k_conv2d_f32_1({image}made1, end1, v0, first0, made0, p_conv2_weight, p_conv2_bias, v1, first1);" in region
    assert f"({its}int row, int row_end, const float *x, int x_row, int x_row_end, " in conv2
    assert (".image = image, .image_end = image + 1" in conv2) == (batch > 1)
    assert (
        ".row = row, .row_end = row_end }, (wb_view_f32){ (float *)x, 0, 36, 12, 0, 6, x_row, x_row_end, 1 }" in conv2
    )


def test_channels_of_a_region_are_passed():
    """How many, is literal."""
    made = project(frontends.load("lenet"), "bias-only")
    text = text_of(made, "ops")
    (region,) = [each for op in made.ops if "int first = 0" in (each := function(text, op.symbol))]
    (step,) = re.findall(r"first \+= (\d+)", region)
    names = re.findall(r"(k_\w+)\(first, ", region)
    assert len(names) == len(re.findall(r"\bk_\w+\(", region)) > 2
    for name in names:
        assert f".channel = channel, .channel_end = channel + {step}" in function(text_of(made, "instances"), name)
