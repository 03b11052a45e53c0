"""Random int8 networks of the kinds that most people have train to the same bits, whatever runs by tiles and however
biases are stored: the firmware as the interpreter. benchmarks/random_int8.py emulates hundreds, in every schedule.
"""

from dataclasses import replace

import numpy as np
import pytest
from graphs import same_bits
from random_networks import RATES, WIDE_BIASES, drawn_int8, trained_alike

from workbench import boards, session
from workbench.artifacts import Compiled
from workbench.feeding import EMULATED, Training, first_steps
from workbench.ir import op as ops
from workbench.ir.deltas import joined
from workbench.ir.interpret import interpret
from workbench.ir.types import NUMPY
from workbench.passes.permute_channels import restored

STEPS = 2
SEEDS = {6: "residual", 7: "bottleneck", 37: "plain"}


def interpreted(compiled: Compiled, training: Training) -> dict[str, np.ndarray]:
    """The updated parameters behind the training, by the model's own names and order."""
    graph, every = compiled.graph, compiled.optimizer.accumulate
    gathering = graph.with_nodes(node for node in graph.nodes if ops.get(node.op).phase != "update")
    zeros = {name: np.zeros(graph.types[name].shape, NUMPY[graph.types[name].dtype]) for name in graph.state}
    kept = {name: compiled.weights[name] for name in graph.parameters} | zeros
    for number, step in enumerate(first_steps(compiled.model, training, every, training.steps)):
        for batch, (x, y) in enumerate(step.batches, 1):
            told = {"lr": np.float32(step.lr), "lr_bias": np.float32(step.lr_bias), "seed": step.seed, "step": number}
            feeds = kept | told | {"input0": x, "label0": y}
            got = interpret(graph if batch == every else gathering, {name: feeds[name] for name in graph.arguments})
            kept = {name: got[name] for name in graph.persistent}
    weights = restored(joined(graph, kept), compiled.orders)
    return {name: weights[name] for name in graph.parameters if graph.types[name].needs_grad}


@pytest.mark.parametrize("seed", SEEDS, ids=SEEDS.values())
def test_tiles_and_storages_leave_every_bit_as_it_is(seed):
    drawn = drawn_int8(seed)
    training = Training(steps=STEPS, trace="memory", engine=EMULATED, evaluate=False, lr=RATES[drawn.optimizer.qas])
    compiled = drawn.compiled()
    by_rows = [node.region_body.nodes for node in compiled.graph.nodes if node.body and node.attrs["axis"] == "rows"]
    assert any("sum" in {node.op for node in body} for body in by_rows), "its backward is no chain by rows: other seeds"
    run, weights = session.train(session.build(compiled, boards.get(drawn.board)), training)
    assert run.violations.empty
    assert run.meta["memory"]["arena_touched"] == run.meta["memory"]["arena_planned"]
    wide = replace(drawn, optimizer=replace(drawn.optimizer, bias_storage=WIDE_BIASES))
    for other in (replace(drawn, schedule="vanilla"), wide):
        expected = interpreted(other.compiled(), training)
        assert not same_bits(expected, {name: drawn.model.weights[name] for name in expected})
        assert same_bits(expected, {name: weights[name] for name in expected})


@pytest.mark.long
@pytest.mark.parametrize("seed", range(40, 46))
def test_all_schedules_emulated(seed):
    assert not trained_alike(drawn_int8(seed), STEPS)
