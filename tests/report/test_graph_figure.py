"""The picture of a graph: the tables it is drawn from, and that all of it is there."""

import re

import pytest

import workbench
from workbench.cli import main
from workbench.report.graph_figure import finding, graph_figure
from workbench.study.graph_tables import drawn


def tables(name="lenet", policy="full", **how):
    shown = workbench.show(name, stage="backward", policy=policy, **how)
    return drawn(name, shown.graph, shown.full)


def test_every_operator_and_buffer_is_drawn_with_its_bytes():
    graph = workbench.show("conv-relu", stage="backward").graph
    found = drawn("", graph)
    assert list(found.nodes.op) == [*(node.op for node in graph.nodes), "input0", "grad_output"]
    phases = ["forward"] * 3 + ["backward"] * 4 + ["input"] * 2
    assert list(found.nodes.phase) == phases
    assert {row.value: row.bytes for row in found.edges.itertuples()} == {
        value: graph.types[value].bytes for node in graph.nodes for value in node.operands
        if value not in graph.parameters}  # fmt: skip
    assert found.nodes.trained[0] == ("v0.weight 324\N{NO-BREAK SPACE}B",) and not any(found.nodes.frozen)


def test_what_is_saved_leads_behind_the_loss():
    """The input of conv-relu for the weight's gradient, its output for that of relu; not the gradient fed in."""
    found = tables("conv-relu")
    assert sorted(found.edges[found.saved].value) == ["2", "input0"]
    assert finding(found) == "operators: 3 forward, 4 backward · 18.4 KB saved for the backward"


def test_what_a_policy_drops_is_drawn_as_dropped():
    found = tables(policy="last-1", diff=True)
    gone = found.nodes[found.nodes.dropped]
    assert {"d.conv1.weight", "update.conv1.weight"} <= set(gone.label) and "d.fc2.weight" not in set(gone.label)
    assert set(found.edges[found.edges.dropped].target) <= set(gone.index)
    assert finding(found).endswith(f"{len(gone)} dropped by the policy")
    assert found.nodes.set_index("label").frozen["conv1"] == ("conv1.weight 288\N{NO-BREAK SPACE}B",)


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_the_picture_of_the_command(ending, tmp_path, capsys):
    path = tmp_path / f"graph{ending}"
    assert main(["show", "mlp", "--stage", "backward", "--policy", "last-1", "--diff", "--picture", str(path)]) == 0
    assert f"Wrote {path}" in capsys.readouterr().out and path.stat().st_size > 5000
    if ending == ".svg":  # text stays text
        assert {"matmul", "update.fc3.weight", "1.2 KB"} <= set(re.findall(r">([^<>\n]+)</text>", path.read_text()))


def test_no_box_lies_on_another():
    figure = graph_figure(tables("resnet", policy="last-2"))
    boxes = [patch.get_window_extent() for patch in figure.axes[0].patches if patch.get_zorder() == 3]
    assert len(boxes) > 40
    assert not any(one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[:at])


@pytest.mark.parametrize(("name", "words"), [
    ("graph.jpg", "graph.jpg is no .png, .svg, .pdf\n  help: such as --picture picture.png"),
    ("/proc/nowhere/graph.png", "cannot be made"),
])  # fmt: skip
def test_a_file_that_cannot_be_is_told(name, words, capsys):
    assert main(["show", "mlp", "--picture", name]) == 1
    assert words in capsys.readouterr().err
