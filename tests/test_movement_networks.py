"""Networks that move data, as a whole: slices, pads, joins, resizing, transposed convolutions, means over any axes."""

from dataclasses import replace

import numpy as np
import pytest
from straight_through import gradients

from workbench import boards, session
from workbench.autodiff import differentiate, loss_nodes
from workbench.feeding import Training
from workbench.frontends.layers import Network
from workbench.frontends.loading import in_int8
from workbench.ir.build import Builder
from workbench.ir.interpret import interpret
from workbench.study.check import check


def unet(batch: int = 2):
    """Down, up by resizing and by a transposed convolution, joined; cut, padded, turned, averaged."""
    net = Network("unet", (batch, 2, 6, 8), seed=1)
    wide = net.relu(net.conv2d(net.input, "first", 4, 3, padding=1), "first")
    deep = net.relu(net.conv2d(net.max_pool2d(wide, "pool", 2), "deep", 6, 3, padding=1), "deep")
    up = net.relu(net.conv2d_transpose(deep, "up", 3, 3, stride=2, padding=(0, 0, 1, 1)), "up")
    joined = net.concatenate(wide, up, net.resize_nearest(deep, "resized", (6, 8)), label="joined")
    mixed = net.relu6(net.conv2d(joined, "mixed", 5, 1), "mixed")
    cut = net.slice(net.pad(mixed, "padded", (1, 0, 0, 2)), "cut", 3, 1, 10, step=2)
    turned = net.transpose(cut, "turned", (0, 2, 3, 1))
    rows = net.mean(turned, "rows", 1)
    return net.model(net.dense(net.flatten(rows), "fc", 4))


def sequence(batch: int = 2):
    """Steps of a sequence averaged, (N, T, C) -> (N, C); without a convolution."""
    net = Network("sequence", (batch, 9, 5), seed=2)
    x = net.dense(net.flatten(net.slice(net.input, "late", 1, 3, 9)), "hidden", 12)
    x = net.mean(net.reshape(net.relu(x, "hidden"), "steps", (4, 3)), "mean", 1)
    return net.model(net.dense(x, "fc", 3))


def with_loss(model):
    """The graph of its loss, and what feeds it: points at which nothing lies on a kink."""
    builder, rng = Builder(model.graph), np.random.default_rng(5)
    source = model.graph.types["input0"]
    labels = builder.input("label0", source.shape[:1], "int32")
    loss = builder.softmax_cross_entropy(logits_of(builder, model), labels)
    weights = {k: w + 0.1 * rng.normal(size=w.shape) if w.dtype == np.float32 and model.unquantized is None else w
               for k, w in model.weights.items()}  # fmt: skip
    x = rng.normal(size=source.shape) if source.dtype == "float32" else rng.integers(-128, 128, source.shape, np.int8)
    label = rng.integers(0, model.graph.types[model.graph.outputs[0]].shape[1], source.shape[0]).astype(np.int32)
    return builder.graph(loss), {"input0": x, "label0": label, **weights}


def logits_of(builder, model):
    y = builder.value(model.graph.outputs[0])
    return (
        y
        if y.type.dtype == "float32"
        else builder.op("qnn.dequantize", y, scale=y.type.scale, zero_point=y.type.zero_point)
    )


@pytest.mark.parametrize("make", [unet, sequence])
def test_gradients_of_floats_equal_finite_differences(make):
    model = make()
    graph, feeds = with_loss(model)
    parameters = list(model.weights)
    rng = np.random.default_rng(3)
    along = {name: rng.normal(size=feeds[name].shape) for name in parameters}

    def loss_at(step):
        moved = {name: feeds[name] + step * along[name] for name in parameters}
        return float(interpret(graph, feeds | moved, np.float64)[graph.outputs[0]])

    backward, names = differentiate(graph, parameters)
    got = interpret(backward, feeds, np.float64)
    by_rule = sum(float((got[names[name]] * along[name]).sum()) for name in parameters)
    h = 1e-6
    assert abs(by_rule - (loss_at(h) - loss_at(-h)) / (2 * h)) <= 1e-6 * max(1, abs(by_rule))


@pytest.mark.parametrize("make", [unet, sequence])
def test_gradients_of_int8_are_those_of_the_real_numbers(make):
    model = in_int8(make())
    graph, feeds = with_loss(model)
    wanted = [name for name in model.weights if not name.endswith("_scale")]
    backward, names = differentiate(graph, wanted)
    got, want = interpret(backward, feeds), gradients(graph, feeds)
    assert loss_nodes(graph)
    for name in wanted:
        assert np.linalg.norm(want[name]) > 0
        assert np.linalg.norm(got[names[name]] - want[name]) <= 1e-5 * np.linalg.norm(want[name]), name


@pytest.mark.parametrize("make", [unet, sequence])
def test_int8_computes_nearly_what_floats_do(make):
    model = replace(make(), drawn=None)  # as if it had been trained: without room to grow, which costs resolution
    small = in_int8(model)
    x = np.random.default_rng(0).random(model.graph.types["input0"].shape, np.float32)
    kind, output = small.graph.types["input0"], small.graph.types[small.graph.outputs[0]]
    q = np.clip(np.rint(x / kind.scale) + kind.zero_point, -128, 127).astype(np.int8)
    got = interpret(small.graph, {**small.weights, "input0": q})[small.graph.outputs[0]]
    want = interpret(model.graph, {**model.weights, "input0": x})[model.graph.outputs[0]]
    got = (got - np.float32(output.zero_point)) * np.float32(output.scale)
    assert np.linalg.norm(got - want) <= 0.05 * np.linalg.norm(want)


@pytest.mark.parametrize(("make", "int8"), [(unet, False), (unet, True), (sequence, True)])
def test_three_emulated_steps_are_those_of_numpy(make, int8, tmp_path):
    model, board = make(), boards.get("nrf52840")
    compiled = session.compile(in_int8(model) if int8 else model)
    outcome = check(session.build(compiled, board, tmp_path), Training())
    assert not outcome.findings
