"""What is told of a network before it is compiled is what compiling, building and counting find."""

import pytest
import small_mcu

from workbench import boards, frontends, session
from workbench.frontends.layers import Network
from workbench.ir import op as ops
from workbench.study.inspection import estimate, trained_layers, usual_policies
from workbench.study.instructions import estimated_instructions


def residual(batch=1):
    net = Network("residual", (batch, 1, 6, 6))
    x = net.relu(net.conv2d(net.input, "stem", 4, 3, padding=1), "stem")
    y = net.conv2d(x, "conv2", 4, 3, padding=1)
    return net.model(net.dense(net.flatten(net.add(x, y, "sum")), "fc", 3))


@pytest.fixture(scope="module")
def int8(tmp_path_factory):
    return frontends.load(small_mcu.write(tmp_path_factory.mktemp("int8")), classes=5)


@pytest.mark.parametrize("policy", ["full", "bias-only", "last-1", "conv2:0.25"])
@pytest.mark.parametrize("name", ["float32", "int8", "residual"])
def test_the_layers_add_up_to_the_whole(name, policy, int8):
    model = {"float32": frontends.load("lenet"), "int8": int8, "residual": residual()}[name]
    policy = policy.replace("conv2", "b1.project") if name == "int8" else policy
    layers, whole = trained_layers(model, policy), estimate(model, policy).cost
    assert sum(each.layer.macs for each in layers) == model.macs == whole.forward_macs
    assert sum(each.backward_macs for each in layers) == whole.backward_macs
    assert sum(each.updated for each in layers) == whole.updated
    assert sum(each.layer.elements for each in layers) == model.parameter_count


def test_backward_macs_of_each_layer():
    """By hand: the gradient of a weight takes as many as the layer; so does that of its input, but for the first."""
    macs = {each.layer.name: each.backward_macs for each in trained_layers(residual(batch=2))}
    assert macs == {"stem": 2 * 36 * 36, "conv2": 2 * 2 * 36 * 4 * 36, "sum": 0, "flatten": 0, "fc": 2 * 2 * 144 * 3}


def test_what_can_be_trained_leaves_out_scales(int8):
    layers = {each.layer.name: each for each in trained_layers(int8, "b1.project")}
    project, expand = layers["b1.project"], layers["b1.expand"]
    assert (project.layer.elements, project.trainable, project.updated) == (32 + 4 + 4, 36, 36)
    assert (expand.trainable, expand.updated) == (32 + 8, 0)


@pytest.mark.parametrize(("name", "policy"), [("mlp", "full"), ("lenet", "last-2")])
def test_the_estimate_holds(name, policy):
    """Of SRAM but for the stack it is exact to alignment; instructions are as near as their file says."""
    found = estimate(frontends.load(name), policy)
    run = session.run(name, policy=policy, steps=1, trace="ops", evaluate=False)
    memory = run.meta["memory"]
    assert found.cost.arena_bytes == memory["arena_planned"]
    assert 0 <= memory["static"] - found.cost.static_bytes <= 8
    assert memory["stack_reserve"] <= found.cost.sram_bytes - found.cost.arena_bytes - found.cost.static_bytes
    assert 0.56 <= found.instructions / run.ops.instructions.sum() <= 1.27


def test_instructions_of_an_operator_that_was_measured():
    net = Network("dense", (1, 64))
    graph = net.model(net.dense(net.input, "fc", 10)).graph
    per_mac, per_element = ops.get("nn.dense").instructions
    assert estimated_instructions(graph) == round(640 * per_mac + 10 * per_element + 10 * 7)  # bias_add: none


def test_what_fits_where():
    model, tight = frontends.load("mlp"), boards.get("nrf52840").with_sram(16 * 1024)
    assert estimate(model, "full").boards == {"nrf52840": True, "stm32f746": True}
    assert estimate(model, "full", on=[boards.get("stm32f746"), tight]).boards == {"stm32f746": True, "nrf52840": False}
    assert estimate(model, "last-1", on=[tight]).boards == {"nrf52840": True}


def test_a_big_network_is_planned_without_regions_unless_it_is_asked_for():
    model = frontends.load("mcunet-5fps")
    quick = estimate(model, "last-1", quick=True)
    assert quick.at_most and quick.boards == {"nrf52840": True, "stm32f746": True}
    small = [boards.get("nrf52840").with_sram(96 * 1024)]
    assert estimate(model, "last-1", quick=True, on=small).boards == {"nrf52840": None}  # it may: 52 KB with regions
    tiny = [boards.get("nrf52840").with_sram(1024)]
    assert estimate(model, "last-1", quick=True, on=tiny).boards == {"nrf52840": False}  # what is saved is more


def test_the_usual_policies():
    assert usual_policies(frontends.load("mlp")) == ("full", "bias-only", "last-1", "last-2")
    assert usual_policies(residual()) == ("full", "bias-only", "last-1", "last-2")
    assert usual_policies(frontends.load("mcunet-5fps"))[:3] == ("full", "bias-only", "sparse-49kb")


def test_a_network_without_parameters_or_scores():
    net = Network("pool", (1, 1, 4, 4))
    (only,) = trained_layers(net.model(net.max_pool2d(net.input, "pool", 2)))
    assert (only.trainable, only.backward_macs) == (0, None)
