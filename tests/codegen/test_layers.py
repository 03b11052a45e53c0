"""The plan tables tell the layer of each operator, and shape and dtype of each buffer."""

from math import prod

import pytest
from graphs import convnet, int8net, mixednet
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import session
from workbench.autodiff import loss_nodes
from workbench.codegen.layers import layers_of
from workbench.codegen.layout import lay_out
from workbench.frontends import INT8
from workbench.ir.types import BITS
from workbench.passes.apply_policy import weighted_layers
from workbench.passes.pipeline import SCHEDULES, run_schedule
from workbench.plan.memory import plan_memory
from workbench.policy import Optimizer

LENET = {
    "conv1": "conv1 d.conv1.bias_add d.conv1.bias d.conv1.weight update.conv1.weight update.conv1.bias",
    "pool1": "pool1 d.conv1.relu",
    "conv2": "conv2 d.conv2.bias_add d.conv2.bias d.pool1 d.conv2.weight update.conv2.weight update.conv2.bias",
    "pool2": "pool2 d.conv2.relu",
    "fc1": "fc1 d.fc1.bias_add d.fc1.bias d.flatten d.fc1.weight update.fc1.weight update.fc1.bias",
    "fc2": "fc2 d.fc2.bias d.fc1.relu d.fc2.weight update.fc2.weight update.fc2.bias",
    "": "loss d.fc2.bias_add",
}


def laid_out(graph, schedule):
    graph = run_schedule(graph, schedule)[0]
    return graph, lay_out(graph, plan_memory(graph, graph.analysis.scratch))


def by_layer(rows) -> dict[str, str]:
    return {layer: " ".join(row.node for row in rows if row.layer == layer) for layer in {row.layer for row in rows}}


def test_each_operator_of_lenet_works_for_its_layer():
    compiled = session.compile("lenet", "full", "vanilla")
    assert by_layer(lay_out(compiled.graph, compiled.memory).ops) == LENET


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("clip", [None, 1.0])
def test_every_schedule_tells_the_same_layers(schedule, clip):
    graph = convnet((2, 3), shared_input=True, optimizer=Optimizer(momentum=0.9, clip=clip, accumulate=2))
    nodes, regions = {}, 0
    for row in laid_out(graph, schedule)[1].ops:
        if "region" in row.symbol:
            regions += 1
        else:
            nodes[row.node] = row.layer
    without = [name for name, layer in nodes.items() if not layer]
    assert set(without) <= {"loss", "d.fc.bias_add", "clip"} and "loss" in without
    assert regions == 0 or schedule == "optimized"
    told = {"conv0": "conv0", "add1": "add1", "pool": "pool", "update.side0.bias": "side0", "d.add0": "conv1"}
    assert {name: nodes[name] for name in told if name in nodes} == {k: told[k] for k in told if k in nodes}


@pytest.mark.parametrize("name", [f"{name}{form}" for name in ("conv-relu", "lenet", "mlp", "mobilenet", "resnet")
                                  for form in ("", INT8)])  # fmt: skip
def test_every_gradient_and_update_of_the_small_networks_has_a_layer_of_the_model(name):
    """But for the loss's own gradient."""
    for policy in ("full", "bias-only"):
        compiled = session.compile(name, policy, "vanilla")
        graph, known = compiled.graph, compiled.graph.analysis
        rows = list(zip(known.work, known.phases, layers_of(graph, known.root), strict=True))
        of_model = {layer for _, phase, layer in rows if phase == "forward" and layer}
        assert of_model >= {layer.name for layer in weighted_layers(compiled.model.graph)}
        without = [node for node, phase, layer in rows if phase in {"backward", "update"} and layer not in of_model]
        assert len(without) == 1 and loss_nodes(graph)[0].operands[0] in without[0].operands


def test_a_region_has_the_layers_of_its_operators():
    rows = laid_out(convnet((2, 3), size=12, policy="last-1"), "optimized")[1].ops
    assert [row.layer for row in rows if "region" in row.symbol] == ["conv0+conv1+pool"]
    rows = laid_out(convnet((2, 3), size=12), "optimized")[1].ops
    assert [row.layer for row in rows if "region" in row.symbol] == ["conv1+pool", "pool+conv1+conv0"]


@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 10**6), schedule=st.sampled_from(sorted(SCHEDULES)), integers=st.booleans())
def test_shapes_fill_their_buffers(seed, schedule, integers):
    graph, layout = laid_out(int8net(seed)[0] if integers else mixednet(seed), schedule)
    split = {row.parameter for row in layout.rest.values()}
    for row in layout.buffers:
        if row.role == "scratch" or row.name.startswith("tail of "):
            assert (row.shape, row.dtype) == ((), "")
            continue
        kind = graph.types[row.values[0] if row.values else row.parameter]
        assert row.dtype == kind.dtype and (row.shape == kind.shape or row.parameter in split)
        if len(row.values) < 2 or row.storage != "arena":
            assert row.size - 4 < prod(row.shape) * BITS[row.dtype] / 8 <= row.size
    told = {layer for row in layout.ops for layer in row.layer.split("+")}
    assert told >= {name.removesuffix(".weight") for name in graph.parameters if name.endswith(".weight")}
