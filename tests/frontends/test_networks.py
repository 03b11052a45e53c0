"""The residual networks: small enough, differentiated through both branches, able to learn."""

import numpy as np
import pytest

from workbench import autodiff, data, frontends
from workbench.autodiff import differentiate, training_step
from workbench.ir.build import Builder
from workbench.ir.interpret import interpret
from workbench.passes.apply_policy import apply_policy
from workbench.policy import parse_policy

NETWORKS = ("resnet", "mobilenet")


def digits_for(model, seed):
    """One batch, on seeded random places of the training set."""
    digits = data.load("digits").shaped(model.graph.types["input0"].shape[1:], 10)
    chosen = np.random.default_rng(seed).permutation(len(digits.train_x))[: model.batch]
    return digits.train_x[chosen], digits.train_y[chosen]


def directional_derivatives(name, parameters):
    """(by autodiff, by central differences) of the loss along a random direction in `parameters`, in float64."""
    model = frontends.load(name, batch=2)
    builder = Builder(model.graph)
    labels = builder.input("label0", (2,), "int32")
    loss = builder.softmax_cross_entropy(builder.value(model.graph.outputs[0]), labels)
    graph = builder.graph(loss)
    rng = np.random.default_rng(5)
    x, y = digits_for(model, 1)
    # Blank pixels under zero biases sit on ReLU's kink: move off it.
    weights = {parameter: w + 0.1 * rng.normal(size=w.shape) for parameter, w in model.weights.items()}
    feeds = {"input0": x + 0.1 * rng.random(x.shape), "label0": y} | weights
    parameters = [parameter for parameter in weights if parameter.startswith(parameters)]
    along = {parameter: rng.normal(size=weights[parameter].shape) for parameter in parameters}

    def loss_at(step):
        moved = {parameter: weights[parameter] + step * along[parameter] for parameter in parameters}
        return float(interpret(graph, feeds | moved, np.float64)[loss.name])

    backward, names = differentiate(graph, parameters)
    got = interpret(backward, feeds, np.float64)
    by_rule = sum(float((got[names[parameter]] * along[parameter]).sum()) for parameter in parameters)
    h = 1e-6
    return by_rule, (loss_at(h) - loss_at(-h)) / (2 * h)


def agree(got, want):
    return abs(got - want) <= 1e-6 * max(abs(want), 1)


@pytest.mark.parametrize("parameters", ["", "stem"])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_equal_finite_differences(name, parameters):
    assert agree(*directional_derivatives(name, parameters))


@pytest.mark.parametrize("kept", [0, -1])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_residual_branch_that_is_dropped_does_not_go_unseen(name, kept, monkeypatch):
    assert agree(*directional_derivatives(name, "stem"))
    monkeypatch.setattr(autodiff, "_total", lambda builder, parts: parts[kept] if parts else None)
    assert not agree(*directional_derivatives(name, "stem"))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_small_and_every_parameter_has_a_gradient(name):
    model = frontends.load(name)
    assert model.parameter_count <= 12_000
    assert model.macs <= 300_000
    assert model.classifies
    x, y = digits_for(model, 2)
    marked = apply_policy(model.graph, parse_policy("full"))
    before = {"input0": x, "label0": y, "lr": np.float32(0.02), "lr_bias": np.float32(0.02)} | dict(model.weights)
    after = interpret(training_step(marked), before)
    assert all((after[parameter] != model.weights[parameter]).any() for parameter in model.graph.parameters)


@pytest.mark.parametrize("name", ["resnet", pytest.param("mobilenet", marks=pytest.mark.long)])
def test_networks_learn_a_batch(name):
    model = frontends.load(name, batch=16)
    x, y = digits_for(model, 3)
    step = training_step(apply_policy(model.graph, parse_policy("full")))
    values = {"input0": x, "label0": y, "lr": np.float32(0.05), "lr_bias": np.float32(0.05)} | dict(model.weights)
    losses = []
    for _ in range(120):
        got = interpret(step, values)
        losses.append(float(got[step.outputs[0]]))
        values |= {name: got[name] for name in step.parameters}
    assert losses[-1] < losses[0] / 4
