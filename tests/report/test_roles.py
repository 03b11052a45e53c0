"""SRAM by role: the parts add up, stand in one order, and what was not measured is not zero."""

from synthetic_run import synthetic_run

from workbench.report import roles


def test_parts_add_up_to_the_whole():
    runs = [synthetic_run(), synthetic_run("reordered")]
    for measure, total in (("planned", "sram_planned"), ("measured", "sram_peak")):
        table = roles.sram_by_role(runs, measure)
        assert table.sum(axis=1).tolist() == [run.meta["memory"][total] for run in runs]
        assert list(table.columns) == [role for role in roles.ORDER if role in table.columns]


def test_what_was_not_measured_is_missing():
    table = roles.sram_by_role([synthetic_run(), synthetic_run(trace="ops")], "measured")
    assert table.loc[0].notna().all() and table.loc[1].isna().all()
    assert roles.parts_of(synthetic_run(trace="ops"), "measured") == {}


def test_a_role_nobody_has_named_stands_last_in_the_arena():
    assert roles.in_order(["stack", "histogram", "gradient", "dead"]) == ["gradient", "dead", "histogram", "stack"]


def test_the_csv_has_every_measure_and_every_role():
    runs = [synthetic_run(), synthetic_run("reordered", trace="ops")]
    table = roles.comparison_csv(runs)
    assert table.schedule.tolist() == ["vanilla", "reordered"]
    assert table.planned_gradient[0] == runs[0].meta["memory"]["planned_by_role"]["gradient"]
    assert table.measured_gradient.isna().tolist() == [False, True]
