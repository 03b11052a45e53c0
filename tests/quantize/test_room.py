"""A network that is quantized before it has been trained has room to grow; one that is trained is as calibrated."""

from dataclasses import replace

import numpy as np
import pytest

import workbench
from workbench import frontends
from workbench.data import Data
from workbench.frontends.layers import Network
from workbench.frontends.loading import in_int8
from workbench.quantize import room
from workbench.quantize.calibration import ranges_seen
from workbench.quantize.post_training import quantized

X = np.random.default_rng(0).random((12, 4), np.float32)


def small(activation: str = "relu", change=lambda net: None):
    """A model of two dense layers, its network changed before that was ready."""
    net = Network("small", (1, 4))
    x = getattr(net, activation)(net.dense(net.input, "fc1", 5), "fc1")
    y = net.dense(x, "fc2", 3)
    change(net)
    return net.model(y)


def reach(model) -> tuple[float, float]:
    """The range that the int8 output holds."""
    kind = model.graph.types[model.graph.outputs[0]]
    return tuple((q - kind.zero_point) * kind.scale for q in (-128, 127))


def as_calibrated(model):
    wide = model.with_batch(len(X))
    return quantized(wide.graph, wide.weights, X[None])[1]


def test_the_run_that_collapsed_learns():
    """Seed 0 stayed at 10.0 %, all logits clipped at +2; what a constant rate leaves to chance a cosine does not."""
    run = workbench.run("lenet-int8", epochs=1, seed=0, trace="off", engine="native")
    assert run.meta["accuracy"]["after"] > 0.8
    assert np.mean(run.meta["loss"][-100:]) < 0.7


@pytest.mark.parametrize("activation, largest", [("relu", room.GROWTH), ("relu6", None)])
def test_values_have_room_and_the_input_has_not(activation, largest):
    model = small(activation)
    wide = model.with_batch(len(X))
    weights = {name: 9 * values for name, values in wide.weights.items()}  # ReLU6 is full, so that it cannot grow
    seen = ranges_seen(wide.graph, weights, X[None])
    got = room.widened(wide.graph, seen, (-50.0, 1.0))
    assert got["input0"] == seen["input0"]
    hidden = next(node.results[0] for node in wide.graph.nodes if node.op == f"nn.{activation}")
    assert got[hidden] == (0.0, room.GROWTH * seen[hidden][1] if largest else 6.0)
    (output,) = wide.graph.outputs
    low, high = seen[output]
    assert low > -50 and high > 1 and got[output] == (-50.0, high)  # what it begins with passes a gradient too
    assert room.widened(wide.graph, seen, None)[output] == (room.GROWTH * low, room.GROWTH * high)


def test_filters_near_zero_can_grow():
    """A residual branch that starts at a tenth would otherwise stand at ±127 before it does anything."""
    net = Network("near zero", (1, 4))
    model = net.model(net.dense(net.input, "fc", 3, scale=0.01))
    s = in_int8(model, X).weights["fc.weight_scale"]
    np.testing.assert_allclose(127 * s, room.DEVIATIONS * np.sqrt(2 / 4), rtol=1e-6)


def given_anew(net):
    net.weights["fc1.weight"] = net.weights["fc1.weight"] * 2


def changed_in_place(net):
    net.weights["fc1.weight"] += 1


def bits(weights) -> dict[str, bytes]:
    return {name: values.tobytes() for name, values in weights.items()}


@pytest.mark.parametrize("change", [given_anew, changed_in_place])
def test_what_is_trained_is_quantized_as_calibrated(change):
    begun, trained = small(), small(change=change)
    assert begun.untrained and bits(in_int8(begun, X).weights) != bits(as_calibrated(begun))
    for model in (trained, replace(begun, weights=trained.weights)):
        assert not model.untrained
        assert bits(in_int8(model, X).weights) == bits(as_calibrated(model))


def test_the_output_holds_what_the_data_asks_for():
    y = np.linspace(-70, 40, 36, dtype=np.float32).reshape(12, 3)
    numbers = Data("numbers", X, y, X[:0], y[:0], target="values")
    labels = Data("labels", X, np.arange(12, dtype=np.int32) % 3, X[:0], np.empty(0, np.int32), 3)
    model = small()
    for samples, (low, high) in ((numbers, (-70, 40)), (labels, room.LOGITS), (X, room.LOGITS)):
        got = reach(in_int8(model, samples))
        step = (high - low) / 255
        assert got[0] <= low + step and got[1] >= high - step
        assert got[1] - got[0] < 1.1 * (high - low)


def test_pretrained_networks_keep_the_ranges_of_their_training():
    model = frontends.load("mlp-int8")
    trained = replace(
        model.unquantized, weights={name: 1 * values for name, values in model.unquantized.weights.items()}
    )
    assert trained.untrained  # the same values: nothing has been learned yet
    trained.weights["fc3.bias"][0] = 0.5
    low, high = reach(in_int8(trained))
    assert high - low < 6 < reach(model)[1]
