"""Whole training steps of random networks form no pointer outside its array; each operator by itself: tests/ops."""

import pytest
from checked_pointers import pointers_outside
from graphs import feeds, int8net, mixednet

from workbench import boards, frontends, session
from workbench.codegen import generate
from workbench.passes.pipeline import SCHEDULES, run_passes_with
from workbench.plan.memory import plan_memory

BOARD = boards.get("virtual-m4")
SEEDS = (5, 10, 21)  # weights updated in part, of grouped convolutions too; of 21 the images are a single row


def outside(step, weights, schedule: str, folder) -> list[str]:
    graph, constants, _ = run_passes_with(step, weights, SCHEDULES[schedule])
    return outside_of(graph, feeds(graph, 0) | constants, plan_memory(graph, graph.analysis.scratch), folder)


def outside_of(graph, values, memory, folder) -> list[str]:
    project = generate(graph, memory, values, BOARD)
    row = {value: row for row in project.buffers for value in row.values}

    def run(machine):
        machine.start()
        for name in graph.inputs:
            machine.write_array(machine.elf.address(row[name].symbol) + row[name].offset, values[name])
        machine.call("wb_train_step")

    return pointers_outside(project, BOARD, folder, run)


@pytest.mark.parametrize("schedule", ["vanilla", "optimized"])
@pytest.mark.parametrize("seed", [*SEEDS, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(40, 80))])
def test_no_training_step_forms_a_pointer_outside_its_array(seed, schedule, tmp_path):
    step, weights = int8net(seed)
    assert outside(step, weights, schedule, tmp_path) == []
    step = mixednet(seed)
    assert outside(step, feeds(step, seed), schedule, tmp_path / "float32") == []


@pytest.mark.parametrize(
    ("name", "policy", "axis"), [("lenet", "bias-only", "rows"), ("mobilenet-int8", "full", "channels")]
)
def test_no_region_of_a_network_forms_one(name, policy, axis, tmp_path):
    compiled = session.compile(frontends.load(name), policy)
    assert axis in [node.attrs["axis"] for node in compiled.graph.nodes if node.body]
    values = feeds(compiled.graph, 0) | dict(compiled.weights)
    assert outside_of(compiled.graph, values, compiled.memory, tmp_path) == []
