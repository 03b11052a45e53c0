"""The plain tables behind every figure and page: they agree with the run's own numbers, traced or not."""

import dataclasses

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_run import synthetic_run

from workbench.record import Run
from workbench.record.run import BUFFERS, OPS
from workbench.report import tables
from workbench.report.text import buffers_text, ops_text

shapes = {"layers": st.integers(1, 9), "schedule": st.sampled_from(["vanilla", "reordered"])}
traces = st.sampled_from(["off", "ops", "memory"])


def lonely(*lives, **buffer):
    """A run with nothing but arena buffers of 100 bytes, side by side, with these lifetimes."""
    rows = [
        {"id": i, "name": f"b{i}", "role": "activation", "storage": "arena", "offset": 100 * i, "size": 100, **buffer}
        | {"lower": lower, "upper": upper}
        for i, (lower, upper) in enumerate(lives)
    ]
    arena = 100 * len(rows)
    memory = {"static": 40, "arena_planned": arena, "arena_lower_bound": arena, "stack_reserve": 8, "sram_limit": 1024}
    memory |= {"sram_planned": arena + 48, "fits": arena + 48 <= 1024}
    meta = {
        "model": "m",
        "policy": "full",
        "schedule": "vanilla",
        "board": "nrf52840",
        "trace": "off",
        "memory": memory,
    }
    return Run(meta, "", ops=pd.DataFrame(columns=OPS), buffers=pd.DataFrame(rows, columns=BUFFERS))


@settings(max_examples=25, deadline=None)
@given(trace=traces, **shapes)
def test_live_bytes_peak_is_the_lower_bound(layers, schedule, trace):
    run = synthetic_run(schedule, layers, trace=trace)
    assert tables.live_bytes(run).sum(axis=1).max() == run.meta["memory"]["arena_lower_bound"]
    worst = tables.worst_position(run)
    assert worst.bytes == run.meta["memory"]["arena_lower_bound"] == worst.buffers.bytes.sum()
    assert worst.buffers.bytes.is_monotonic_decreasing
    assert worst.symbol == run.ops.symbol[worst.position]


@settings(max_examples=25, deadline=None)
@given(trace=traces, **shapes)
def test_rectangles_never_overlap_and_reach_the_top_of_the_arena(layers, schedule, trace):
    run = synthetic_run(schedule, layers, trace=trace)
    table = tables.rectangles(run)
    assert len(table) == (run.buffers.storage == "arena").sum()
    assert table.y0.min() == tables.arena_base(run) == run.meta["memory"]["static"]
    assert table.y1.max() == tables.arena_base(run) + run.meta["memory"]["arena_planned"]
    boxes = list(table[["x0", "x1", "y0", "y1"]].itertuples(index=False))
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            assert a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0


@settings(max_examples=15, deadline=None)
@given(trace=traces, **shapes)
def test_observed_use_stays_within_the_planned_life(layers, schedule, trace):
    table = tables.rectangles(synthetic_run(schedule, layers, trace=trace))
    if trace != "memory":
        assert table[["used0", "used1", "touched"]].isna().all(axis=None)
    else:
        assert ((table.x0 <= table.used0) & (table.used0 < table.used1) & (table.used1 <= table.x1)).all()


def test_lifetimes_are_half_open():
    run = lonely((0, 2), (2, 5))
    assert tables.live_bytes(run).activation.tolist() == [100] * 5
    assert tables.position_count(run) == 5
    assert tables.worst_position(run).position == 0  # the first of equals
    assert list(tables.rectangles(run).columns[:7]) == ["id", "name", "role", "x0", "x1", "y0", "y1"]


def test_what_the_host_wrote_is_in_use_from_its_birth_and_what_nobody_read_for_one_position():
    host = tables.rectangles(lonely((3, 9), first_write=-1, last_read=5)).iloc[0]
    assert (host.used0, host.used1) == (3, 6)
    unread = tables.rectangles(lonely((3, 9), first_write=4, last_read=None)).iloc[0]
    assert (unread.used0, unread.used1) == (4, 5)
    unwritten = tables.rectangles(lonely((3, 9), first_write=None, last_read=5)).iloc[0]
    assert pd.isna(unwritten.used0) and pd.isna(unwritten.used1)


def test_a_role_nobody_has_named_gets_a_column_at_the_end():
    run = synthetic_run()
    run.buffers.loc[run.buffers.name == "dw1", "role"] = "histogram"
    assert list(tables.live_bytes(run).columns)[-1] == "histogram"


def test_a_run_without_arena_buffers_still_has_its_tables():
    run = lonely()
    assert tables.rectangles(run).empty
    assert tables.worst_position(run).bytes == 0
    assert tables.position_count(run) == 0


def test_the_arena_starts_at_its_address_where_that_is_known():
    run = synthetic_run()
    run.buffers["address"] += 24  # aligned up by the linker
    assert tables.arena_base(run) == run.meta["memory"]["static"] + 24
    run.meta["board"] = "somebody's own"
    assert tables.arena_base(run) == run.meta["memory"]["static"]


@settings(max_examples=15, deadline=None)
@given(**shapes)
def test_the_static_band_adds_up_to_static(layers, schedule):
    run = synthetic_run(schedule, layers)
    band = tables.static_band(run)
    assert band.bytes.sum() == band.y1.iloc[-1] == run.meta["memory"]["static"]
    assert band.role.tolist() == ["parameter", "other"]
    assert (band.y1 - band.y0 == band.bytes).all()


def test_phases_come_in_execution_order():
    run = synthetic_run("reordered")
    shuffled = dataclasses.replace(run, ops=run.ops.sample(frac=1, random_state=3))
    assert tables.phases(shuffled).equals(tables.phases(run))
    assert tables.phases(run).position.tolist() == list(range(len(run.ops)))
    assert set(tables.phases(run).phase) == set(tables.PHASES)


def test_memory_summary_keeps_planned_and_measured_apart():
    traced, blind = tables.memory_summary(synthetic_run()), tables.memory_summary(synthetic_run(trace="ops"))
    assert traced.loc[["static", "arena", "stack"]].sum().tolist() == traced.loc["sram"].tolist()
    assert blind.planned.equals(traced.planned)
    assert blind.measured.isna().to_dict() == {"static": False, "arena": True, "stack": False, "sram": True}


def test_comparison_has_a_row_a_run_and_changes_are_counted_from_it():
    vanilla, reordered = synthetic_run(), synthetic_run("reordered")
    table = tables.comparison([vanilla, reordered])
    assert table.schedule.tolist() == ["vanilla", "reordered"]
    assert table.sram_peak.tolist() == [run.meta["memory"]["sram_peak"] for run in (vanilla, reordered)]
    changes = tables.changes(vanilla, reordered)
    assert changes.saved["arena_planned"] == table.arena_planned[0] - table.arena_planned[1] > 0
    assert changes.saved_fraction["sram_peak"] == pytest.approx(1 - table.sram_peak[1] / table.sram_peak[0])
    assert changes.saved["static"] == 0


def several_kinds():
    """Two networks, two policies and another accumulation, mixed."""
    runs = [
        synthetic_run(), synthetic_run(), synthetic_run(policy="last-3"),
        synthetic_run("reordered"), synthetic_run("reordered", policy="last-3"), synthetic_run(),
    ]  # fmt: skip
    runs[0].meta.update(model="mlp")
    runs[5].meta.update(accumulate=4)
    return runs


def test_a_run_is_held_against_the_first_one_of_its_kind_only():
    runs = several_kinds()
    found = [tables.reference(runs, index) for index in range(len(runs))]
    assert [one and runs.index(one) for one in found[3:5]] == [1, 1] and runs.index(found[2]) == 1
    assert found[0] is found[1] is found[5] is None
    own = [tables.reference(runs, index, ("policy",)) for index in range(len(runs))]
    assert own[2] is None and own[4] is runs[2]
    assert tables.apart(runs) == ["model", "policy", "schedule", "accumulate"]
    table = tables.comparison(runs)
    assert table.saved_fraction.isna().tolist() == [True, True, False, False, False, True]
    assert table.saved_against[4] == "lenet full vanilla"
    assert table.saved_fraction[3] == tables.saving(runs[1], runs[3]).fraction > 0


def test_changes_leave_out_what_only_one_run_measured():
    changes = tables.changes(synthetic_run(), synthetic_run("reordered", trace="off"))
    assert {"arena_touched", "sram_peak", "instructions"}.isdisjoint(changes.index)
    assert "sram_planned" in changes.index


def test_saving_never_compares_a_plan_with_a_measurement():
    vanilla, reordered = synthetic_run(), synthetic_run("reordered")
    assert tables.saving(vanilla, reordered).measure == "measured"
    mixed = tables.saving(vanilla, synthetic_run("reordered", trace="ops"))
    assert (mixed.measure, mixed.before) == ("planned", vanilla.meta["memory"]["sram_planned"])
    assert tables.saving(vanilla, vanilla).fraction == 0


def test_saved_runs_give_the_same_tables(tmp_path):
    from workbench.record import load

    run = synthetic_run("reordered")
    run.save(tmp_path)
    again = load(tmp_path)
    for table in (tables.rectangles, tables.live_bytes, tables.static_band, tables.phases, tables.memory_summary):
        pd.testing.assert_frame_equal(table(run), table(again), check_dtype=False)


def test_a_region_is_called_by_its_layers_too():
    assert tables.called("op_003_conv2d", "conv2") == "op_003_conv2d"
    assert tables.called("op_001_region", "block2.conv1-block2.conv2") == "op_001_region block2.conv1-block2.conv2"
    long = "features.block14.depthwise-update.features.block14.pointwise1"
    shown = tables.called("op_058_region", long).removeprefix("op_058_region ")
    begin, end = shown.split("…")
    assert long.startswith(begin) and long.endswith(end) and 40 < len(shown) <= tables.LONGEST
    run = synthetic_run()
    worst = tables.worst_position(run).position
    run.ops.loc[run.ops.position == worst, ["symbol", "node"]] = f"op_{worst:03d}_region", "conv1-conv2"
    assert tables.worst_position(run).operator == f"op_{worst:03d}_region conv1-conv2"
    assert f"op_{worst:03d}_region conv1-conv2" in ops_text(run, 0)
    assert f"{worst} of {tables.position_count(run)}, op_{worst:03d}_region conv1-conv2" in buffers_text(run)


def test_passes_tell_runs_apart_only_where_nothing_else_does():
    runs = [synthetic_run("vanilla"), synthetic_run("reordered"), synthetic_run("reordered")]
    for run in runs[1:]:
        run.meta["passes_changed"] = ["-early-update"]
    assert tables.apart(runs) == ["schedule"]
    assert tables.shared(runs) == ["update policy full", "nrf52840", "batch 1"]
    assert tables.shared(runs[1:]) == ["update policy full", "reordered", "−early-update", "nrf52840", "batch 1"]
    runs[2].meta["passes_changed"] = ["-in-place"]
    assert tables.apart(runs) == ["schedule", "passes"]
    assert tables.words(runs[2], tables.apart(runs)) == "reordered −in-place"
