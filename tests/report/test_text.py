"""What a person reads, whole texts against golden files: measured, planned only, and what does not fit."""

import dataclasses
import re

import pandas as pd
import pytest
from synthetic_run import synthetic_run

from workbench.record import load
from workbench.record.run import VIOLATIONS
from workbench.report import text


def test_a_measured_run(golden):
    golden("report_run_measured.txt", text.run_text(synthetic_run("reordered")))


def test_a_run_that_traced_nothing_and_does_not_fit(golden):
    golden("report_run_planned.txt", text.run_text(synthetic_run(trace="off", sram_limit=64 * 1024)))


def test_broken_promises_are_told():
    run = synthetic_run()
    rows = [("undeclared-read", 3, 4), ("outside", 7, 1), ("undeclared-read", 9, 1000)]
    violations = pd.DataFrame(rows, columns=["kind", "position", "count"]).reindex(columns=VIOLATIONS)
    lines = text.run_text(dataclasses.replace(run, violations=violations)).splitlines()
    assert lines[-1] == "trace     1,005 accesses the plan did not promise: 1 outside, 1,004 undeclared-read"


def test_a_run_without_data_and_without_extras_leaves_them_out():
    run = synthetic_run(trace="off")
    for key in ("macs", "parameters", "parameters_updated"):
        del run.meta[key]
    run.meta.update(accuracy=None, loss=[], steps=1, board="my-board", seconds={})
    lines = text.run_text(run).splitlines()
    assert lines[0] == "lenet · full vanilla · my-board, cortex-m4, 256 KB SRAM"
    assert lines[3] == "train     1 step"
    assert "None" not in "\n".join(lines) and "nan" not in "\n".join(lines)


def test_schedules_beside_each_other(golden):
    golden("report_compare_schedules.txt", text.comparison_text([synthetic_run(), synthetic_run("reordered")]))


def test_policies_beside_each_other_of_which_one_was_not_traced_and_does_not_fit(golden):
    runs = [
        synthetic_run("reordered", 6),
        synthetic_run("reordered", 4, policy="last-3", trace="ops", sram_limit=65536),
    ]
    golden("report_compare_policies.txt", text.comparison_text(runs))


def test_savings_say_against_what():
    vanilla, reordered = synthetic_run(), synthetic_run("reordered")
    both = [vanilla, reordered, synthetic_run(policy="last-3"), synthetic_run("reordered", policy="last-3")]
    told = text.comparison_text(both)
    assert "\nchange: SRAM against full vanilla; by order: against the same policy's first row\n" in told
    cells = [line.split() for line in told.splitlines() if line.startswith(("full", "last-3"))]
    assert cells[0][4:6] == ["–", "–"]
    assert "\nchange: SRAM against vanilla\n" in text.comparison_text([vanilla, reordered])


def test_unlike_runs_save_nothing():
    runs = [synthetic_run(), synthetic_run()]
    runs[1].meta.update(model="mlp", accumulate=4)
    told = text.comparison_text(runs)
    assert "change" not in told
    assert re.search(r"^mlp +4 ", told, re.M)
    told = text.comparison_text([*runs, synthetic_run("reordered"), runs[1]])
    assert "\nchange: SRAM against the first row of the same model, accumulate\n" in told


def test_nothing_traced_says_so():
    told = text.comparison_text([synthetic_run(trace="off")])
    assert "measured" not in told
    assert "all but the stack is planned" in told


def test_heaviest_operators(golden):
    golden("report_ops.txt", text.ops_text(synthetic_run("reordered"), top=6))
    untraced = text.ops_text(synthetic_run(trace="ops"))
    assert "written" not in untraced and "`--trace memory`" in untraced
    everything = text.ops_text(synthetic_run("reordered"), top=0)
    assert "100.0 % of the" in everything
    assert "not counted (trace level off)" in text.ops_text(synthetic_run(trace="off"))


def test_largest_buffers(golden):
    golden("report_buffers.txt", text.buffers_text(synthetic_run("reordered"), top=8))
    assert "in use" not in text.buffers_text(synthetic_run(trace="ops"))


@pytest.mark.parametrize("trace", ["off", "ops", "memory"])
def test_a_saved_run_reads_the_same(tmp_path, trace):
    run = synthetic_run("reordered", trace=trace)
    run.save(tmp_path)
    again = load(tmp_path)
    for tell in (text.run_text, text.ops_text, text.buffers_text, lambda r: text.comparison_text([r, r])):
        assert tell(again) == tell(run)


def test_lines_stay_within_a_wide_terminal():
    runs = [synthetic_run(policy="bias-only+head"), synthetic_run("reordered", policy="sparse-100kb")]
    for told in (
        text.comparison_text(runs),
        text.run_text(runs[0]),
        text.ops_text(runs[0]),
        text.buffers_text(runs[0]),
    ):
        assert max(map(len, told.splitlines())) <= 140
