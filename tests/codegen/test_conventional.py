"""The conventional baseline trains to the bits of straight-line C, and its heap does what its model says: an access in
another place would be a violation."""

from pathlib import Path

import numpy as np
import pytest

from workbench import frontends, session
from workbench.baseline import BASELINES, CONVENTIONAL
from workbench.boards import BOARDS
from workbench.codegen.conventional import kernel_functions, wrappers
from workbench.emulate.symbols import parse_elf
from workbench.errors import ModelError
from workbench.frontends.layers import Network
from workbench.plan.conventional import is_own
from workbench.plan.tape import tape_of
from workbench.policy import Optimizer

BOARD = BOARDS["nrf52840"]


def trained(model, schedule, optimizer=None, **options):
    optimizer = optimizer or Optimizer()
    return session.run(model, schedule=schedule, board=BOARD, trace="memory", steps=2, optimizer=optimizer, **options)


def same_bits(one, other):
    return all(
        np.array_equal(one.weights[name].view(np.uint8), other.weights[name].view(np.uint8)) for name in other.weights
    )


def dense():
    net = Network("dense", (2, 25))
    return net.model(net.dense(net.input, "fc", 3))


def test_every_operator_is_linked_in_and_lenet_has_the_bits_of_vanilla():
    run, vanilla = trained("lenet", CONVENTIONAL), trained("lenet", "vanilla")
    assert not len(run.violations) and same_bits(run, vanilla)
    memory = run.meta["memory"]
    assert memory["arena_touched"] == memory["arena_planned"] > vanilla.meta["memory"]["arena_planned"]
    assert memory["fragmentation"]["at_peak"] == memory["arena_planned"] - memory["arena_lower_bound"] > 0
    assert memory["stack_peak"] <= memory["stack_reserve"]
    names = {symbol.name for symbol in parse_elf(run.elf, Path("firmware.elf")).symbols}
    assert {f"run_{function}" for function in kernel_functions()} <= names
    flash = run.meta["flash"]
    assert flash["total"] == sum(size for part, size in flash.items() if part != "total")
    assert min(flash.values()) > 0
    assert flash["kernels"] > 3 * vanilla.meta["flash"]["kernels"]


@pytest.mark.parametrize("schedule", [name for name in BASELINES if name != CONVENTIONAL])
def test_each_step_of_the_ladder_has_the_same_bits(schedule):
    model = frontends.load("mlp")
    run, vanilla = trained(model, schedule), trained(model, "vanilla")
    assert not len(run.violations) and same_bits(run, vanilla)


@pytest.mark.parametrize(
    "model, policy, batch, optimizer",
    [
        ("lenet-int8", "full", 1, Optimizer()),
        ("lenet-int8", "conv2:0.5+fc2+largest", 1, Optimizer()),
        ("mlp", "last-1", 3, Optimizer(momentum=0.9, accumulate=2)),
        ("mlp-int8", "bias-only", 2, Optimizer(accumulate=2, clip=0.5)),
        (dense, "full", None, Optimizer()),
    ],
)
def test_odd_steps_too(model, policy, batch, optimizer):
    model = model() if callable(model) else model
    runs = [trained(model, name, optimizer, policy=policy, batch=batch) for name in (CONVENTIONAL, "vanilla")]
    assert not len(runs[0].violations) and same_bits(*runs)


def test_every_kernel_has_a_wrapper_that_passes_what_it_declares():
    functions = kernel_functions()
    text = wrappers(functions)
    assert {"conv2d_f32", "conv2d_s8", "sgd_s8", "concatenate_s8", "of_two_f32"} <= set(functions)
    assert not any("backward_weight_sgd" in name for name in functions)
    assert "concatenate_f32(*(const wb_concatenate *)call->record, (const float *const *)(call->at + 0), " in text
    assert text.count("wb_kernel run_") == len(functions)


def test_the_tape_holds_each_gradient_once_in_the_order_of_the_step():
    graph = session.compile(frontends.load("lenet"), "full", CONVENTIONAL).graph
    tape, count = tape_of(graph), len(graph.analysis.work)
    run = [at for owner in sorted(tape.gradients, reverse=True) for at in tape.gradients[owner]]
    assert [*run, *tape.updates] == list(range(tape.backward, count))
    assert all(graph.analysis.phases[at] == "update" for at in tape.updates)


def test_frozen_layers_have_no_record_on_the_tape():
    full, last = (session.compile(frontends.load("lenet"), policy, CONVENTIONAL) for policy in ("full", "last-1"))
    records = [sum(buffer.id.startswith("record.") for buffer in each.memory.plan.buffers) for each in (full, last)]
    assert records[0] > records[1] > 0
    assert any(map(is_own, full.memory.plan.buffers))


def test_regions_are_refused():
    with pytest.raises(ModelError, match="runs no operators by tiles"):
        session.compile(frontends.load("lenet"), "full", CONVENTIONAL, passes="regions")
