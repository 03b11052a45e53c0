"""F0, B0, U0: the steps of each layer, in the order in which a schedule runs them."""

import pandas as pd
import pytest
from pictures import boxes
from synthetic_run import synthetic_run

import workbench
from workbench.report.lifecycle import lifecycle_figure
from workbench.report.steps import _shortened, steps, steps_text


@pytest.fixture(scope="module")
def runs():
    return [workbench.run("mlp", schedule=schedule, steps=1, trace="off") for schedule in ("vanilla", "reordered")]


def test_the_conventional_and_the_reordered_order(runs):
    names = [list(steps(run).name) for run in runs]
    assert names[0] == ["F0", "F1", "F2", "B2", "B1", "B0", "U0", "U1", "U2"]
    assert list(dict.fromkeys(names[1])) == ["F0", "F1", "F2", "B2", "U2", "B1", "U1", "B0", "U0"]
    heads, *lines = steps_text(runs).splitlines()
    assert heads.startswith("F forward") and lines[0] == "vanilla    F0 F1 F2 B2 B1 B0 U0 U1 U2"


def test_each_step_is_its_operators(runs):
    for run in runs:
        for row in steps(run).itertuples():
            inside = run.ops[(row.begin <= run.ops.position) & (run.ops.position < row.end)]
            assert set(inside.layer) == {row.layer} and set(inside.phase.str[0].str.upper()) == {row.name[0]}
        assert dict(steps(run)[["name", "layer"]].itertuples(index=False))["B1"] == "fc2"


def test_a_region_has_the_numbers_of_its_layers():
    run = synthetic_run()
    run = type(run)(**{**vars(run), "ops": pd.DataFrame({
        "position": range(5), "phase": ["forward", "forward", "loss", "backward", "update"],
        "layer": ["a+b+c", "d", "", "a+c", "b+c+d"]})})  # fmt: skip
    assert list(steps(run).name) == ["F0–2", "F3", "B0,2", "U1–3"]


def test_many_are_told_by_their_ends():
    names = [f"F{at}" for at in range(30)] + [f"B{at}" for at in range(29, -1, -1)] + ["U3", "U7", "U8"]
    assert _shortened(names) == ["F0…F29", "B29…B0", "U3", "U7 U8"]


def test_they_stand_on_the_strip_where_there_is_room():
    told = [text for text, _ in boxes(lifecycle_figure([synthetic_run(layers=2)]))]
    assert {"F0", "B0", "U0"} <= set(told)
    assert not {"F0", "B0", "U0"} & {text for text, _ in boxes(lifecycle_figure([synthetic_run(layers=90)]))}
