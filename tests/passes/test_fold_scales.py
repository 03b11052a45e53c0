"""fold-scales: what is frozen behind a layer goes into it; the meaning stays, and what is trained stays apart."""

import numpy as np
import pytest

from workbench.ir.build import Builder
from workbench.ir.interpret import interpret
from workbench.passes import Declined
from workbench.passes.fold_scales import fold_scales

SHAPES = {"conv": (1, 3, 5, 4), "depthwise": (1, 3, 5, 4), "grouped": (1, 4, 5, 4), "transposed": (1, 3, 5, 4),
          "grouped transposed": (1, 4, 5, 4), "dense": (2, 3)}  # fmt: skip


def layer(build, kind, rng):
    """A layer of this kind, the shape of a number a channel behind it, and the layer's weight."""
    x = build.input("x", SHAPES[kind])
    groups = {"depthwise": 3, "grouped": 2, "grouped transposed": 2}.get(kind, 1)
    if kind == "dense":
        y = build.dense(x, build.parameter("w", (6, 3)))
    elif "transposed" in kind:
        w = build.parameter("w", (x.shape[1], 6 // groups, 2, 3))
        y = build.conv2d_transpose(x, w, channels=6, kernel_size=(2, 3), strides=(2, 1), groups=groups)
    else:
        w = build.parameter("w", (6, x.shape[1] // groups, 2, 3))
        y = build.conv2d(x, w, channels=6, kernel_size=(2, 3), strides=(2, 1), groups=groups, padding=(1, 0, 0, 1))
    return y, (1, 6, *[1] * (y.rank - 2)), rng.normal(size=build.types["w"].shape)


def normed(kind="conv", trained=()):
    """((w * x − mean) · var · gamma + beta) ^ relu, as a batch norm is imported; graph and weights."""
    build, rng = Builder(), np.random.default_rng(0)
    y, along, w = layer(build, kind, rng)
    y = build.bias_add(y, build.parameter("bn.mean.constant", (6,)), label="bn.mean")
    y = build.multiply(y, build.parameter("bn.var.constant", along))
    y = build.multiply(y, build.parameter("bn.weight", along))
    y = build.relu(build.bias_add(y, build.parameter("bn.bias", (6,))))
    weights = {name: rng.normal(size=build.types[name].shape).astype(np.float32) for name in build.parameters}
    weights["w"] = w.astype(np.float32)
    return build.graph(y).with_needs_grad(dict.fromkeys(trained, True)), weights


def ops_of(graph):
    return [node.op.removeprefix("nn.") for node in graph.nodes]


def result(graph, weights):
    x = np.random.default_rng(7).normal(size=graph.types["x"].shape).astype(np.float32)
    return interpret(graph, {"x": x} | weights)[graph.outputs[0]]


def folded(graph, weights, folds):
    """The folded graph, of the same meaning, and its parameters; None where it must decline, and does."""
    if not folds:
        with pytest.raises(Declined):
            fold_scales(graph, weights)
        return None
    after, values = fold_scales(graph, weights)
    np.testing.assert_allclose(result(after, values), result(graph, weights), rtol=2e-5, atol=2e-5)
    return after, values


@pytest.mark.parametrize("kind", [kind for kind in SHAPES if kind != "grouped transposed"])
def test_a_frozen_norm_is_the_layer_and_its_bias(kind):
    graph, weights = normed(kind)
    after, values = fold_scales(graph, weights)
    assert len(after.nodes) == 3 and ops_of(after)[1:] == ["bias_add", "relu"]
    assert after.parameters == ("w.folded", "bn.bias.folded") and set(values) == set(after.parameters)
    np.testing.assert_allclose(result(after, values), result(graph, weights), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("trained, left", [
    (("bn.bias",), ["conv2d", "add", "bias_add", "relu"]),
    (("bn.weight", "bn.bias"), ["conv2d", "bias_add", "multiply", "bias_add", "relu"]),
    (("bn.weight",), ["conv2d", "bias_add", "multiply", "bias_add", "relu"]),
])  # fmt: skip
def test_what_is_trained_stays_apart(trained, left):
    graph, weights = normed(trained=trained)
    after, values = fold_scales(graph, weights)
    assert ops_of(after) == left and {*trained, "w.folded"} < set(after.parameters)
    assert all(after.types[name].needs_grad and np.array_equal(values[name], weights[name]) for name in trained)
    np.testing.assert_allclose(result(after, values), result(graph, weights), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("trained", [("w",), ("w", "bn.weight", "bn.bias"), ("w", "bn.bias")])
def test_a_trained_weight_takes_no_scale(trained):
    with pytest.raises(Declined):
        fold_scales(*normed(trained=trained))


def test_a_weight_takes_shifts_alone_where_no_scale_has_a_place_in_it():
    graph, weights = normed("grouped transposed")
    with pytest.raises(Declined):  # one shift is a bias already, and the scale behind it stays
        fold_scales(graph, weights)


def test_two_shifts_become_one_of_a_weight_that_is_trained():
    build = Builder()
    y = build.dense(build.input("x", (2, 3)), build.parameter("w", (3, 3)))
    y = build.bias_add(y, build.parameter("b", (3,)))
    y = build.multiply(build.add(y, build.parameter("m", (1, 3))), build.parameter("s", (1, 3)))
    graph = build.graph(y).with_needs_grad({"w": True})
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=build.types[name].shape).astype(np.float32) for name in build.parameters}
    after, values = fold_scales(graph, weights)
    assert ops_of(after) == ["dense", "bias_add", "multiply"] and after.parameters == ("w", "s", "b.folded")
    np.testing.assert_allclose(result(after, values), result(graph, weights), rtol=2e-5, atol=2e-5)


def shared(scales):
    """A dense layer used once for each of these scales, the names of parameters; graph and weights."""
    build, rng = Builder(), np.random.default_rng(0)
    y, w = build.input("x", (2, 3)), build.parameter("w", (3, 3))
    stored = {name: build.parameter(name, (1, 3)) for name in sorted({*scales} - {""})}
    for name in scales:
        y = build.dense(y, w)
        y = build.relu(build.multiply(y, stored[name]) if name else y)
    return build.graph(y), {
        name: rng.normal(size=build.types[name].shape).astype(np.float32) for name in build.parameters
    }


@pytest.mark.parametrize("scales, folds", [("aa", True), ("aaa", True), ("ab", False), (("a", ""), False)])
def test_a_weight_that_several_layers_share_stays_one(scales, folds):
    graph, weights = shared(scales)
    if found := folded(graph, weights, folds):
        after, values = found
        assert ops_of(after) == ["dense", "relu"] * len(scales) and set(values) == {"w.folded"}


def test_a_result_that_is_an_output_stays():
    build = Builder()
    y = build.dense(build.input("x", (2, 3)), build.parameter("w", (3, 3)))
    graph = build.graph(y, build.multiply(y, build.parameter("a", (1, 3))))
    with pytest.raises(Declined):
        fold_scales(graph, {"w": np.ones((3, 3), np.float32), "a": np.full((1, 3), 2, np.float32)})


def test_a_shift_beside_which_one_is_nothing_is_a_shift_all_the_same():
    graph, weights = chain(lambda build, y: build.multiply(build.add(y, build.parameter("m", (1, 3))),
                                                           build.parameter("s", (1, 3))))  # fmt: skip
    weights["m"][...] = -1e17
    values = fold_scales(graph, weights)[1]
    np.testing.assert_allclose(values["w.folded"], weights["w"] * weights["s"].reshape(3, 1), rtol=1e-6)


def chain(step):
    """A dense layer of 3 outputs, and what `step` makes of it and of a parameter; graph and weights."""
    build, rng = Builder(), np.random.default_rng(0)
    y = build.dense(build.input("x", (2, 3)), build.parameter("w", (3, 3)))
    graph = build.graph(step(build, y))
    return graph, {name: rng.normal(size=build.types[name].shape).astype(np.float32) for name in build.parameters}


@pytest.mark.parametrize("step, folds", [
    (lambda build, y: build.add(y, build.parameter("a", (1, 3))), True),
    (lambda build, y: build.subtract(build.parameter("a", (1, 1)), y), True),
    (lambda build, y: build.divide(y, build.parameter("a", (1, 3))), True),
    (lambda build, y: build.divide(build.parameter("a", (1, 3)), y), False),
    (lambda build, y: build.add(y, build.parameter("a", (2, 3))), False),  # another number for each sample
    (lambda build, y: build.multiply(y, y), False),
    (lambda build, y: build.maximum(y, build.parameter("a", (1, 3))), False),
    (lambda build, y: build.multiply(build.multiply(y, build.parameter("a", (1, 3))), y), False),  # y is read twice
])  # fmt: skip
def test_only_a_scale_or_a_shift_of_what_nobody_else_reads_folds(step, folds):
    graph, weights = chain(step)
    if found := folded(graph, weights, folds):
        assert ops_of(found[0]) in (["dense", "bias_add"], ["dense"])


def test_a_scale_that_is_no_number_stays():
    graph, weights = chain(lambda build, y: build.divide(y, build.parameter("a", (1, 3))))
    weights["a"][0, 1] = 0
    with pytest.raises(Declined):
        fold_scales(graph, weights)


def test_a_weight_that_would_be_no_number_stays():
    graph, weights = chain(lambda build, y: build.multiply(y, build.parameter("a", (1, 3))))
    weights["a"][...], weights["w"][...] = 1e30, 1e20
    with pytest.raises(Declined):
        fold_scales(graph, weights)
