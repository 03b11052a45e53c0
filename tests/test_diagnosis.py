"""What is seen of a network as samples run through it: dead channels, clipped results, the reach of its scores."""

import numpy as np
import pytest

import workbench
from workbench.autodiff import training_step
from workbench.diagnosis import MOST_MACS, free_ends, limits, observed, reach, worth
from workbench.frontends import load
from workbench.frontends.layers import Network
from workbench.frontends.loading import in_int8
from workbench.ir.interpret import interpret
from workbench.ir.types import TensorType
from workbench.objective import CLASSIFY, Objective
from workbench.passes.apply_policy import apply_policy
from workbench.policy import Optimizer, parse_policy
from workbench.report.learning.rates import Worth

SAMPLES = np.random.default_rng(0).uniform(0.2, 1, (40, 1, 6, 6)).astype(np.float32)


def convnet(batch=1, clip="relu"):
    net = Network("small", (batch, 1, 6, 6), seed=1)
    x = getattr(net, clip)(net.conv2d(net.input, "conv", 4, kernel=3, padding=1), "conv")
    x = net.max_pool2d(x, "pool", 2)
    return net.model(net.dense(net.flatten(x), "fc", 3))


def with_bias(model, layer, channels, value):
    weights = {name: values.copy() for name, values in model.weights.items()}
    weights[f"{layer}.bias"][channels] = value
    return weights


@pytest.mark.parametrize("batch", (1, 3))
def test_a_channel_that_no_sample_changes_is_dead(batch):
    model = convnet(batch)
    for channels in ([], [2], [0, 1, 3]):
        seen = observed(model, with_bias(model, "conv", channels, -1e4), SAMPLES)
        conv, fc = seen.layers
        assert (conv.name, conv.channels, conv.dead) == ("conv", 4, len(channels))
        assert (fc.name, fc.channels, fc.dead, fc.clipped) == ("fc", 3, 0, 0.0)
        assert seen.samples == 32 // batch * batch and seen.reach is None


def test_int8_channels_and_scores_at_the_end_of_their_range():
    model = in_int8(convnet(), SAMPLES)
    kind = model.graph.types[model.graph.inputs[0]]
    stored = np.clip(np.rint(SAMPLES / kind.scale) + kind.zero_point, -128, 127).astype(np.int8)
    before = observed(model, model.weights, stored)
    assert [layer.dead for layer in before.layers] == [0, 0] and max(each.clipped for each in before.layers) < 0.1
    high = observed(model, with_bias(model, "conv", [1], 2**24), stored)
    assert high.layers[0].dead == 1 and 0.25 <= high.layers[0].clipped < 0.35
    low = observed(model, with_bias(model, "conv", [1], -(2**24)), stored)
    assert low.layers[0].dead == 1 and low.layers[0].clipped < 0.1  # a ReLU's low end is its meaning
    scores = observed(model, with_bias(model, "fc", [0, 2], -(2**24)), stored)
    assert scores.layers[1].dead == 2 and scores.layers[1].clipped >= 2 / 3
    end = model.graph.types[model.graph.outputs[0]]
    assert before.reach == ((-128 - end.zero_point) * end.scale, (127 - end.zero_point) * end.scale)
    assert reach(TensorType((1, 3))) is None


def test_the_high_end_of_a_relu6_is_its_meaning():
    for clip, free in (("relu", [127]), ("relu6", [])):
        model = in_int8(convnet(clip=clip), 40 * SAMPLES)
        conv, fc = (node for node in model.graph.nodes if node.op == "qnn.conv2d")
        assert free_ends(conv) == free
        assert free_ends(fc) == [-128, 127]


def test_what_scores_can_reach_is_told_before_any_training():
    models = convnet(), convnet()
    for model, factor in zip(models, (0.1, 100), strict=True):
        model.weights["fc.weight"][:] *= factor
    narrow, wide = (in_int8(model, SAMPLES) for model in models)
    (note,) = limits(narrow, CLASSIFY)
    assert note.startswith("int8 scores reach from -") and "the loss cannot fall below" in note
    assert note in workbench.inspect(narrow, ())._repr_html_()
    assert limits(wide, CLASSIFY) == limits(convnet(), CLASSIFY) == limits(narrow, Objective("mse", "values")) == []


def test_few_samples_and_large_networks_are_not_looked_at():
    model = convnet()
    assert observed(model, model.weights, SAMPLES[:7]).layers == ()
    assert observed(model, model.weights, SAMPLES[:8]).samples == 8
    assert model.macs * 32 < MOST_MACS < 32 * load("mcunet-5fps").macs


def test_a_rate_without_qas_moves_as_much_as_its_worth_with_it():
    """One step of a layer whose filters have one scale: the same weights, at rates that stand to each other as told."""
    model = in_int8(convnet(), SAMPLES)
    scales = {name: np.full_like(values, values.mean()) for name, values in model.weights.items() if "scale" in name}
    weights = {**model.weights, **scales}
    marked = apply_policy(model.graph, parse_policy("fc"))
    updated = {name: marked.types[name].updated for name in ("fc.weight", "fc.bias")}
    told = worth(model.graph, weights, updated)
    after = {}
    for qas, divisor in ((True, (1, 1)), (False, (told.weights, told.biases))):
        step = training_step(marked, Optimizer(qas=qas, rounding="nearest"))
        rates = {"lr": np.float32(0.5 / divisor[0]), "lr_bias": np.float32(0.5 / divisor[1])}
        feeds = {**weights, **rates, "label0": np.int32([1]), "input0": np.full((1, 1, 6, 6), 90, np.int8)}
        after[qas] = interpret(step, {name: feeds[name] for name in step.arguments})
    for name in updated:
        np.testing.assert_array_equal(after[True][name], after[False][name])
        assert (after[True][name] != weights[name]).any()


def test_the_worth_of_what_is_updated_alone():
    model = in_int8(convnet(), SAMPLES)
    kinds = {name: model.graph.types[name] for name in model.graph.parameters}
    assert worth(model.graph, model.weights, {}) == Worth()
    of_bias = worth(model.graph, model.weights, {"fc.bias": kinds["fc.bias"]})
    assert of_bias.weights is None and of_bias.biases > 0
    whole = worth(model.graph, model.weights, {"conv.weight": kinds["conv.weight"]})
    s = model.weights["conv.weight_scale"].astype(np.float64)
    assert whole.weights == pytest.approx(np.median(np.repeat(s**2, 9)))
