"""--clip: gradients held to a global norm, as torch.nn.utils.clip_grad_norm_ does it; real gradients for int8."""

from itertools import islice

import numpy as np
import pytest
from seeded_faults import dense, int8, pooled, rows

from workbench import boards, frontends, session
from workbench.autodiff import training_step, units
from workbench.errors import PolicyError
from workbench.feeding import Training, samples_of, steps_of
from workbench.ir import op as ops
from workbench.ir.build import Builder
from workbench.ir.graph import Graph
from workbench.ir.interpret import interpret
from workbench.ir.liveness import peak_bytes
from workbench.ir.text import parse_graph, print_graph
from workbench.ops.fused_squares import GRADIENTS, squared_name
from workbench.passes.apply_policy import apply_policy
from workbench.passes.pipeline import SCHEDULES, chosen_passes, run_passes_with
from workbench.policy import Optimizer, parse_policy
from workbench.study.check import check
from workbench.training import train

LIMIT, RATE = 0.5, np.float32(0.1)
OPTIMIZERS = {
    "plain": {},
    "accumulated": {"accumulate": 3},
    "momentum": {"momentum": 0.9},
    "all": {"momentum": 0.5, "weight_decay": 0.01, "accumulate": 2},
}
UNCLIPPED, CLIPPED = Optimizer(), Optimizer(clip=LIMIT)


def graph_of(model, optimizer=UNCLIPPED, policy="full") -> Graph:
    return training_step(apply_policy(model.graph, parse_policy(policy)), optimizer)


def batches_of(model, accumulate, steps=2):
    options = Training(seed=3)
    found = steps_of(samples_of(model, options, accumulate), model.batch, accumulate, options)
    return [step.batches for step in islice(found, steps)]


def called(graph, kept, batch, rate=RATE, step=0, observe=None):
    """What persists after one call, and its outputs."""
    feeds = {"input0": batch[0], "label0": batch[1], "lr": rate, "lr_bias": rate, "seed": 5, "step": step, **kept}
    return interpret(graph, {name: feeds[name] for name in graph.arguments}, observe=observe)


def trained(graph, weights, batches, rate=RATE):
    """All that persists after these steps, by the interpreter."""
    gather = graph.with_nodes(node for node in graph.nodes if ops.get(node.op).phase != "update")
    kept = {name: np.zeros(graph.types[name].shape, np.float32) for name in graph.state} | dict(weights)
    for number, step in enumerate(batches):
        for index, batch in enumerate(step, 1):
            got = called(graph if index == len(step) else gather, kept, batch, rate, number)
            kept = {name: got[name] for name in graph.persistent}
    return kept


def gradients(model, weights, batch):
    """Parameter -> the gradient with respect to what is stored."""
    graph, found = graph_of(model), {}
    name_of = {node.label: node.results[0] for node in graph.nodes}
    wanted = {name_of[f"d.{name}"]: name for name in graph.parameters if f"d.{name}" in name_of}

    def observe(node, results):
        if node.results[0] in wanted:
            found[wanted[node.results[0]]] = results[0].astype(np.float64)

    called(graph, weights, batch, observe=observe)
    return found


def norm(gradients) -> float:
    return float(np.sqrt(sum((gradient**2).sum() for gradient in gradients.values())))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("network", [dense, pooled])
def test_clipped_steps_are_those_of_sgd_with_clipped_gradients(network, optimizer):
    model, how = network(), OPTIMIZERS[optimizer]
    every = how.get("accumulate", 1)
    batches = batches_of(model, every)
    weights = {name: values.astype(np.float64) for name, values in model.weights.items()}
    speed, norms = dict.fromkeys(weights, 0.0), []
    for step in batches:
        stored = {name: values.astype(np.float32) for name, values in weights.items()}
        each = [gradients(model, stored, batch) for batch in step]
        mean = {name: sum(one[name] for one in each) / every for name in weights}
        norms.append(norm(mean))
        factor = min(1.0, LIMIT / (norms[-1] + 1e-6))
        for name, values in weights.items():
            decayed = factor * mean[name] + how.get("weight_decay", 0.0) * values
            speed[name] = how.get("momentum", 0.0) * speed[name] + decayed
        weights = {name: values - 0.1 * speed[name] for name, values in weights.items()}
    assert max(norms) > LIMIT  # else there is nothing to see
    got = trained(graph_of(model, Optimizer(clip=LIMIT, **how)), model.weights, batches)
    for name, values in weights.items():
        moved = np.linalg.norm(values - model.weights[name])
        assert np.linalg.norm(got[name] - values) <= 1e-5 * moved, name


def test_a_norm_below_the_limit_changes_no_bit():
    model = pooled()
    batches = batches_of(model, 1)
    free, held = (trained(graph_of(model, how), model.weights, batches) for how in (UNCLIPPED, Optimizer(clip=1e6)))
    assert all(np.array_equal(free[name], held[name]) for name in model.graph.parameters)


@pytest.mark.parametrize("qas", [True, False])
def test_the_norm_of_int8_parameters_is_that_of_the_real_gradients(qas):
    """The limit only scales the rate there: so a step is that of a smaller one."""
    model = int8()
    ((batch,),) = batches_of(model, 1, steps=1)
    builder, real = Builder(graph_of(model)), {}
    for name, gradient in gradients(model, model.weights, batch).items():
        scales, unit = units(builder, name)
        worth = unit * model.weights[scales.name].astype(np.float64)
        real[name] = gradient / worth.reshape(-1, *[1] * (gradient.ndim - 1))
    limit = norm(real) / 8
    rate = np.float32(0.4 if qas else 40000)
    free, held = (Optimizer(rounding="nearest", qas=qas, clip=clip) for clip in (None, limit))
    eighth = trained(graph_of(model, free), model.weights, [[batch]], rate / 8)
    clipped = trained(graph_of(model, held), model.weights, [[batch]], rate)
    moved = sum(np.count_nonzero(eighth[name] != model.weights[name]) for name in real)
    slips = sum(np.count_nonzero(eighth[name] != clipped[name]) for name in real)
    assert moved > 20 and slips <= 1  # a rounding that falls the other way


@pytest.mark.parametrize("optimizer", ["plain", "accumulated", "all"])
@pytest.mark.parametrize("network", [dense, pooled, rows, int8])
def test_all_schedules_clip_alike_to_the_bit(network, optimizer):
    model, how = network(), OPTIMIZERS[optimizer]
    how = {key: value for key, value in how.items() if key != "momentum" or network is not int8}
    step = graph_of(model, Optimizer(clip=LIMIT, **how))
    assert parse_graph(print_graph(step)) == step
    batches, ends = batches_of(model, how.get("accumulate", 1)), {}
    for schedule in SCHEDULES:
        graph, weights, _ = run_passes_with(step, model.weights, chosen_passes(schedule))
        ends[schedule] = trained(graph, {name: weights[name] for name in graph.parameters}, batches)
    for end in ends.values():
        assert all(np.array_equal(end[name], ends["vanilla"][name]) for name in end)


@pytest.mark.parametrize("network", ["mlp", "lenet-int8"])
def test_a_gradient_that_costs_most_is_computed_twice_and_never_kept(network):
    """Its squares are summed up as it is computed, and so it is applied: the peak is far from that of all gradients."""
    model = frontends.load(network)
    step = graph_of(model, CLIPPED)
    small, weights, _ = run_passes_with(step, model.weights, chosen_passes("optimized"))
    whole = run_passes_with(step, model.weights, chosen_passes("optimized", "-fuse-update"))[0]
    fused = {squared_name(gradient) for gradient in GRADIENTS}
    assert sum(node.op in fused for node in small.nodes) >= 2 and not any(node.op in fused for node in whole.nodes)
    assert peak_bytes(small) < peak_bytes(whole) / 3
    batches = batches_of(model, 1)
    kept = {name: weights[name] for name in small.parameters}
    ends = [trained(graph, kept, batches) for graph in (small, whole)]
    assert all(np.array_equal(ends[0][name], ends[1][name]) for name in kept)
    free = run_passes_with(graph_of(model), model.weights, chosen_passes("optimized"))[0]
    assert not any("squares" in node.op for node in free.nodes)


def test_a_part_of_a_weight_is_clipped_as_a_part():
    model = frontends.load("mlp")
    batches = batches_of(model, 1)
    whole, part = (trained(graph_of(model, CLIPPED, policy), model.weights, batches) for policy in ("fc2", "fc2:0.25"))
    assert np.array_equal(part["fc2.weight"][:, 16:], model.weights["fc2.weight"][:, 16:])
    assert not np.array_equal(part["fc2.weight"][:, :16], whole["fc2.weight"][:, :16])  # a smaller norm: longer steps


@pytest.mark.parametrize(("network", "how"), [(pooled, {"accumulate": 2}), (int8, {}), (dense, {"momentum": 0.9})])
def test_the_emulated_c_agrees_and_touches_what_the_plan_promises(network, how):
    model, optimizer = network(), Optimizer(clip=0.05, **how)
    built = session.build(session.compile(model, "full", "optimized", optimizer), boards.get("nrf52840"))
    outcome = check(built, Training())
    assert outcome.agrees, outcome.findings
    run, _ = train(built, Training(steps=3, trace="memory"))
    assert len(run.violations) == 0 and run.meta["clip"] == 0.05


@pytest.mark.parametrize("clip", [0, -1.0, float("nan"), float("inf"), "1", 1e-60, True])
def test_what_is_no_norm_is_refused(clip):
    with pytest.raises(PolicyError, match=r"not a norm of gradients(: a number above 0| that float32 can hold)"):
        Optimizer(clip=clip)
