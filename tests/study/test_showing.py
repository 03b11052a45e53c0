"""workbench.show: a network's graph at a stage, and the headings of its backward."""

import pytest

import workbench
from workbench import frontends
from workbench.errors import WorkbenchError
from workbench.ir.text import parse_graph
from workbench.study.showing import headings


def heads(text: str) -> list[str]:
    return [line.strip()[2:] for line in text.splitlines() if line.strip().startswith("# ")]


def test_the_backward_of_one_layer_under_headings():
    shown = workbench.show("conv-relu", stage="backward")
    gradients = ["grad_bias of v0", "grad_input of v0", "grad_weight of v0"]
    assert heads(shown.text) == ["forward", "backward", *gradients]
    assert parse_graph(shown.text) == shown.graph


@pytest.mark.parametrize("name", ["lenet", "resnet-int8"])
def test_every_updated_parameter_has_a_heading(name):
    """Phases in their order, and of each layer the gradients that the policy wants."""
    shown = workbench.show(name, stage="backward", policy="last-2")
    told = heads(shown.text)
    assert [each for each in told if " " not in each] == ["forward", "loss", "backward", "update"]
    updated = [name for name in shown.graph.parameters if shown.graph.types[name].needs_grad]
    wanted = sorted(f"grad_{parameter.rpartition('.')[2]} of {parameter.rpartition('.')[0]}" for parameter in updated)
    assert sorted(each for each in told if each.startswith(("grad_weight", "grad_bias"))) == wanted
    assert f"grad_input of {updated[-1].rpartition('.')[0]}" in told
    assert parse_graph(shown.text) == shown.graph


def test_a_gradient_stands_under_its_own_heading():
    shown = workbench.show("lenet", stage="backward")
    label = {node.results[0]: node.label for node in shown.graph.nodes}
    first = {label[name]: heading for name, heading in headings(shown.graph).items()}
    assert first["d.conv2.weight"] == "grad_weight of conv2"
    assert first["d.conv1.relu"] == "through pool1"  # and what goes into conv2 is d.pool1
    assert first["d.pool1"] == "grad_input of conv2"


def test_other_stages_have_none_and_a_difference_marks_what_is_dropped():
    assert all(not heads(workbench.show("mlp", stage=stage).text) for stage in ("forward", "optimized"))
    dropped = heads(workbench.show("mlp", stage="backward", policy="last-1", diff=True).text)
    assert dropped and all(each.startswith("%") for each in dropped)


def test_a_folded_constant_is_there_before_and_gone_behind():
    one, other = (workbench.show("lenet-int8", stage="optimized", passes=passes) for passes in ("-fold-constants", ""))
    ops = [[node.op for node in shown.graph.nodes] for shown in (one, other)]
    assert ["qnn.requantization" in each for each in ops] == [True, False]


def test_what_is_no_stage_and_no_difference_is_told():
    with pytest.raises(WorkbenchError, match="no stage is called 'bakward'\n  help: did you mean backward"):
        workbench.show(frontends.load("mlp"), stage="bakward")
    with pytest.raises(WorkbenchError, match="--diff compares training graphs"):
        workbench.show("mlp", diff=True)
