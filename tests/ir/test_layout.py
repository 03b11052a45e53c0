"""Layouts: values are logical, storage is permuted, and crossing from one to the other is a node of its own."""

import numpy as np
import pytest

from workbench import boards, session
from workbench.errors import ShapeError
from workbench.feeding import Training
from workbench.frontends.layers import Network
from workbench.ir.build import Builder
from workbench.ir.text import parse_graph, print_graph
from workbench.ir.types import TensorType
from workbench.study.check import check


def image_network():
    """A convolution whose activations are clipped and added up as NHWC, between two explicit crossings."""
    net = Network("crossing", (2, 3, 5, 4))
    x = net.conv2d(net.input, "conv", 6, 3, padding=1)
    x = net.build.layout_transform(x, dst_layout="NHWC", label="to_nhwc")
    y = net.relu(x, "conv")
    x = net.build.layout_transform(net.add(x, y, "sum"), dst_layout="NCHW", label="to_nchw")
    return net.model(net.dense(net.flatten(x), "fc", 10), None, "")


def test_storage_order_and_back():
    kind = TensorType((2, 3, 4, 5), layout="NHWC")
    values = np.arange(kind.elements).reshape(kind.shape)
    assert kind.stored(values).tolist() == values.transpose(0, 2, 3, 1).reshape(-1).tolist()
    assert np.array_equal(kind.logical(kind.stored(values)), values)


def test_a_training_step_across_layouts_equals_numpy(tmp_path):
    compiled = session.compile(image_network(), "full", "vanilla")
    layouts = [compiled.graph.types[node.results[0]].layout for node in compiled.graph.nodes if "d." in node.label]
    assert "NHWC" in layouts  # the gradients of the clip and the sum come in their operands' layout
    masks = [kind.layout for kind in compiled.graph.types.values() if kind.dtype == "bit"]
    assert masks == ["NHWC"]
    outcome = check(session.build(compiled, boards.get("nrf52840"), tmp_path), Training())
    assert not outcome.findings and outcome.whole <= 1e-5


def test_text_keeps_crossings():
    graph = image_network().graph
    assert 'layout_transform(%1, dst_layout="NHWC")' in print_graph(graph)
    assert parse_graph(print_graph(graph)) == graph


def test_an_operator_of_row_major_storage_says_what_to_do():
    build = Builder()
    x = build.layout_transform(build.input("x", (1, 2, 3, 3)), dst_layout="NHWC")
    with pytest.raises(ShapeError, match=r"row-major storage; got float32 .* NHWC: see layout_transform"):
        build.batch_flatten(x)
    with pytest.raises(ShapeError, match="operands of one layout"):
        build.add(x, build.input("y", (1, 2, 3, 3)))


def test_unknown_layouts_are_refused():
    with pytest.raises(ShapeError, match="no layout of 2 axes is called 'NHWC'"):
        Builder().layout_transform(Builder().input("x", (2, 3)), dst_layout="NHWC")
