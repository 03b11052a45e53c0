"""int8 networks on the emulated core: trained as the interpreter trains them, to the bit, whatever runs when."""

from dataclasses import replace

import numpy as np
import pytest

from workbench import boards, data, frontends, session
from workbench.autodiff import training_step
from workbench.feeding import Training
from workbench.ir import op as ops
from workbench.ir.deltas import joined
from workbench.ir.interpret import interpret
from workbench.ir.types import NUMPY, quantized
from workbench.passes.apply_policy import apply_policy
from workbench.passes.permute_channels import restored
from workbench.passes.pipeline import SCHEDULES
from workbench.policy import Optimizer, parse_policy
from workbench.study.check import check
from workbench.training import device_of, read_weights

BOARD = boards.get("nrf52840")
RATE, RATE_BIAS, SEED = np.float32(5e-3), np.float32(2e-3), 11


def batches(model, count):
    digits = data.load("digits").shaped(model.graph.types["input0"].shape[1:], 10)
    order = data.batches(len(digits.train_x), model.batch, 1)
    kind = model.graph.types["input0"]
    return [(quantized(digits.train_x[chosen], kind), digits.train_y[chosen])
            for _, (_, chosen) in zip(range(count), order, strict=False)]  # fmt: skip


def interpreted(graph, weights, samples, accumulate=1, after=lambda kept: kept):
    """Losses and parameters after these batches; `after` each step it may change them."""
    part = graph.with_nodes(node for node in graph.nodes if ops.get(node.op).phase != "update")
    kept = {name: weights[name] for name in graph.parameters}
    kept |= {name: np.zeros(graph.types[name].shape, NUMPY[graph.types[name].dtype]) for name in graph.state}
    losses = []
    for number, (x, y) in enumerate(samples):
        last = (number + 1) % accumulate == 0
        feeds = {"input0": x, "label0": y, "lr": RATE, "lr_bias": RATE_BIAS, "seed": SEED, "step": number // accumulate}
        got = interpret(graph if last else part, {name: (feeds | kept)[name] for name in graph.arguments})
        losses.append(float(got[graph.outputs[0]]))
        kept = {name: got[name] for name in graph.persistent}
        kept = after(kept) if last else kept
    whole = joined(graph, kept)
    return losses, {name: whole[name] for name in graph.parameters}


def emulated(compiled, samples, folder):
    """The same of the firmware."""
    device = device_of(session.build(compiled, BOARD, folder))
    device.set_rates(RATE, RATE_BIAS)
    device.set_seed(SEED)
    every = compiled.optimizer.accumulate
    losses = [(device.accumulate if number % every else device.train_step)(*batch)
              for number, batch in enumerate(samples, 1)]  # fmt: skip
    graph = compiled.graph
    return losses, read_weights(device, graph)


CASES = {
    "lenet": ("lenet-int8", 1, "full", Optimizer(), "optimized"),
    "lenet accumulated": ("lenet-int8", 4, "conv2:0.5+head+largest", Optimizer(0, 0.01, 2, "nearest"), "vanilla"),
    "resnet": ("resnet-int8", 4, "full", Optimizer(qas=False, weight_decay=0.1), "optimized"),
    "resnet truncated": (
        "resnet-int8",
        1,
        "stage2.conv1:0.5+bias-only",
        Optimizer(rounding="truncate", accumulate=2),
        "reordered",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_emulated_training_equals_the_interpreter(case, tmp_path):
    name, batch, policy, optimizer, schedule = CASES[case]
    model = frontends.load(name, batch)
    samples = batches(model, 20 * optimizer.accumulate)
    compiled = session.compile(model, policy, schedule, optimizer)
    losses, weights = emulated(compiled, samples, tmp_path)
    want_losses, want = interpreted(compiled.graph, compiled.weights, samples, optimizer.accumulate)
    assert np.allclose(losses, want_losses, rtol=1e-5)
    assert all(np.array_equal(weights[name], want[name]) for name in want)
    changed = [name for name in want if not np.array_equal(want[name], compiled.weights[name])]
    assert len(changed) >= 2


POLICIES = {
    "lenet-int8": ("full", "bias-only", "conv2:0.5+head", "conv2:0.5+head+largest"),
    "resnet-int8": ("full", "stage2.conv1:0.5+stage2.shortcut:0.25+largest"),
    "mobilenet-int8": ("full", "bias-only+block3.expand:0.25+block2.depthwise:0.5"),
}


@pytest.mark.parametrize(("name", "policy"), [(name, policy) for name, all_ in POLICIES.items() for policy in all_])
def test_the_three_schedules_train_the_same_weights(name, policy):
    model = frontends.load(name)
    samples = batches(model, 3)
    results = []
    for schedule in SCHEDULES:
        compiled = session.compile(model, policy, schedule)
        losses, weights = interpreted(compiled.graph, compiled.weights, samples)
        updated = {name: weights[name] for name in weights if compiled.graph.types[name].needs_grad}
        results.append((losses, updated))
    assert all(not np.array_equal(results[0][1][name], model.weights[name]) for name in list(results[0][1])[-2:])
    for losses, weights in results[1:]:
        assert losses == results[0][0]
        assert weights.keys() == results[0][1].keys()
        assert all(np.array_equal(weights[name], results[0][1][name]) for name in weights)


def by_hand(model, channels, samples):
    """conv2 of lenet with just these of its input channels updated, in the model's own order: whatever else moved is
    put back after each step.
    """
    policy = parse_policy("conv2")
    step = training_step(apply_policy(model.graph, policy))
    others = np.setdiff1d(np.arange(8), channels)

    def put_back(kept):
        kept["conv2.weight"][:, others] = model.weights["conv2.weight"][:, others]
        return kept

    return interpreted(step, model.weights, samples, after=put_back)


def largest_channels(model):
    real = model.weights["conv2.weight"] * model.weights["conv2.weight_scale"].reshape(-1, 1, 1, 1)
    return np.argsort(-np.abs(real).sum(axis=(0, 2, 3)), kind="stable")[:4]


def test_the_largest_channels_learn_what_they_would_where_they_stood(monkeypatch):
    model = frontends.load("lenet-int8", batch=2)
    # scales so uneven that the integers alone would choose other channels
    scales = np.geomspace(1e-4, 1e-2, 16).astype(np.float32)[np.random.default_rng(0).permutation(16)]
    model = replace(model, weights={**model.weights, "conv2.weight_scale": scales})
    integers = np.argsort(-np.abs(model.weights["conv2.weight"].astype(int)).sum(axis=(0, 2, 3)))[:4]
    assert set(integers) != set(largest_channels(model))
    samples = batches(model, 5)
    losses, want = by_hand(model, largest_channels(model), samples)
    assert (want["conv2.weight"] != model.weights["conv2.weight"]).any()

    def trained():
        compiled = session.compile(model, "conv2:0.5+largest", "vanilla")
        losses, weights = interpreted(compiled.graph, compiled.weights, samples)
        return losses, restored(weights, compiled.orders)

    got_losses, got = trained()
    assert got_losses == losses
    assert all(np.array_equal(got[name], want[name]) for name in got if name in want)
    unordered = lambda forward, optimizer, *_: training_step(forward, optimizer)  # noqa: E731
    monkeypatch.setattr(session, "training_step", unordered)
    assert (trained()[1]["conv2.weight"] != want["conv2.weight"]).any()


def test_check_finds_every_operator_right(tmp_path):
    built = session.build(session.compile(frontends.load("lenet-int8")), BOARD, tmp_path)
    outcome = check(built, Training(lr=0.005))
    assert not outcome.findings
    assert {row.position for row in outcome.rows} == set(range(len(built.project.ops)))


def test_rates_change_without_compiling_again(tmp_path):
    """Of weights and of biases, each by itself, on one firmware."""
    model = frontends.load("lenet-int8")
    built = session.build(session.compile(model), BOARD, tmp_path)
    device, graph, samples = device_of(built), built.compiled.graph, batches(model, 1)[0]
    moved = {}
    for rates in ((0.0, 0.0), (0.02, 0.0), (0.0, 0.02)):
        before = _halves(device, graph)
        device.set_rates(*rates)
        device.train_step(*samples)
        moved[rates] = tuple(
            not np.array_equal(old, new) for old, new in zip(before, _halves(device, graph), strict=True)
        )
    assert list(moved.values()) == [(False, False), (True, False), (False, True)]


def _halves(device, graph):
    """All int8 weights, and all int32 biases."""
    weights = read_weights(device, graph)
    return [np.concatenate([values.reshape(-1) for values in weights.values() if values.dtype == dtype])
            for dtype in (np.int8, np.int32)]  # fmt: skip
