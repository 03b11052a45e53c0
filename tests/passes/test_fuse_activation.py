"""A layer in one node means the same to the bit, interpreted and emulated, whatever the order of the graph."""

import numpy as np
import pytest
from graphs import convnet, feeds, mlp, same_bits, seeds, shuffled, training_graphs
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import parameters_after

from workbench.autodiff import differentiate
from workbench.ir.build import Builder
from workbench.ir.interpret import interpret
from workbench.ir.liveness import liveness
from workbench.ir.text import parse_graph, print_graph
from workbench.ir.verify import verify
from workbench.passes.bit_masks import save_bit_masks
from workbench.passes.fuse_activation import fuse_activation


@settings(deadline=None, max_examples=60)
@given(graph=training_graphs(), seed=seeds, masks=st.booleans())
def test_fusing_keeps_every_bit(graph, seed, masks):
    before = verify(shuffled(save_bit_masks(graph) if masks else graph, seed))
    after = verify(fuse_activation(before))
    values = feeds(before, seed)
    assert same_bits(interpret(after, values), interpret(before, values))
    assert not any(node.op == "nn.bias_add" for node in after.nodes)
    # a mask is born with its activation, where the convolution stood
    masks = sum(kind.bytes for kind in after.types.values() if kind.dtype == "bit")
    assert liveness(after).peak <= liveness(before).peak + masks
    assert fuse_activation(after) == after
    assert parse_graph(print_graph(after)) == after


def test_a_layer_has_its_first_label_and_its_last_results():
    after = fuse_activation(save_bit_masks(convnet(channels=(2, 3), clip="relu6")))
    layers = {node.label: node for node in after.nodes if node.op in {"nn.conv2d", "nn.dense"}}
    assert {label: (node.attrs["activation"], node.attrs["mask"]) for label, node in layers.items()} == {
        "conv0": ("relu6", False), "conv1": ("relu6", True), "fc": ("", False),
    }  # fmt: skip
    assert all(len(node.operands) == 3 for node in layers.values())
    assert [after.label(name) for name in layers["conv1"].results] == ["conv1", "conv1.mask"]
    assert "d.conv1.relu6" in {node.label for node in after.nodes}


def chain(*, bias_first=True, read_again="", output=""):
    """conv, bias_add, relu, relu6; the bias is made before the convolution or behind it, and one of their results has a
    second reader or is an output."""
    build = Builder()
    x, w = build.input("x", (1, 3, 4, 4)), build.parameter("w", (3, 3, 1, 1))
    b = build.sum(x, axis=(0, 2, 3)) if bias_first else None
    values = {"conv": build.conv2d(x, w, channels=3, kernel_size=(1, 1))}
    b = b or build.sum(x, axis=(0, 2, 3))
    values["bias"] = build.bias_add(values["conv"], b)
    values["relu"] = build.relu(values["bias"])
    outputs = [build.relu6(values["relu"])]
    outputs += [build.relu6(values[read_again])] if read_again else []
    outputs += [values[output]] if output else []
    return verify(build.graph(*outputs))


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({}, ["nn.conv2d", "nn.relu6"]),
        ({"read_again": "conv"}, ["nn.conv2d", "nn.bias_add", "nn.relu", "nn.relu6", "nn.relu6"]),
        ({"read_again": "bias"}, ["nn.conv2d", "nn.relu", "nn.relu6", "nn.relu6"]),
        ({"read_again": "relu"}, ["nn.conv2d", "nn.relu6", "nn.relu6"]),
        ({"output": "conv"}, ["nn.conv2d", "nn.bias_add", "nn.relu", "nn.relu6"]),
        ({"output": "bias"}, ["nn.conv2d", "nn.relu", "nn.relu6"]),
        ({"bias_first": False}, ["nn.conv2d", "sum", "nn.bias_add", "nn.relu", "nn.relu6"]),
    ],
)
def test_what_is_read_elsewhere_stays(options, left):
    before = chain(**options)
    after = verify(fuse_activation(before))
    assert [node.op for node in after.nodes if node.op != "sum" or not options.get("bias_first", True)] == left
    assert same_bits(interpret(after, feeds(before, 1)), interpret(before, feeds(before, 1)))


def test_a_layer_has_one_bias():
    build = Builder()
    y, b, c = build.input("x", (2, 4)), build.parameter("b", (3,)), build.parameter("c", (3,))
    y = build.bias_add(build.bias_add(build.dense(y, build.parameter("w", (3, 4))), b), c)
    assert [node.op for node in verify(fuse_activation(build.graph(y))).nodes] == ["nn.dense", "nn.bias_add"]


def test_an_activation_without_a_bias():
    build = Builder()
    x, w = build.input("x", (2, 4)), build.parameter("w", (3, 4))
    before = build.graph(build.relu(build.dense(x, w)))
    (node,) = fuse_activation(before).nodes
    assert (node.operands, node.attrs["activation"]) == (("x", "w"), "relu")


@settings(deadline=None, max_examples=20)
@given(seed=seeds, clip=st.sampled_from(["relu", "relu6"]))
def test_a_fused_layer_has_the_gradients_of_its_parts(seed, clip):
    build = Builder()
    x, w, b = build.input("x", (2, 2, 4, 4)), build.parameter("w", (3, 2, 3, 3)), build.parameter("b", (3,))
    y = build.bias_add(build.conv2d(x, w, channels=3, kernel_size=(3, 3)), b)
    apart = build.graph(getattr(build, clip)(y))
    whole = fuse_activation(apart)
    got = []
    for graph in (apart, whole):
        backward, names = differentiate(graph, ("x", "w", "b"))
        values = interpret(backward, feeds(backward, seed))
        got.append([values[names[name]] for name in ("x", "w", "b")])
    assert len(whole.nodes) == 1
    assert all(np.array_equal(one, other) for one, other in zip(*got, strict=True))


@pytest.mark.parametrize("clip", ["relu", pytest.param("relu6", marks=pytest.mark.long)])
def test_the_emulated_step_keeps_every_bit(clip, tmp_path):
    before = save_bit_masks(convnet(channels=(3, 4), size=7, batch=2, clip=clip))
    values = feeds(before, 3)
    apart = parameters_after(before, values, tmp_path / "apart")
    assert same_bits(parameters_after(fuse_activation(before), values, tmp_path / "whole"), apart)
    assert not same_bits(apart, {name: values[name].reshape(-1) for name in apart})


def test_the_emulated_step_of_dense_layers_keeps_every_bit(tmp_path):
    before = mlp([5, 9, 4], batch=3)
    values = feeds(before, 4)
    apart = parameters_after(before, values, tmp_path / "apart")
    assert same_bits(parameters_after(fuse_activation(before), values, tmp_path / "whole"), apart)
