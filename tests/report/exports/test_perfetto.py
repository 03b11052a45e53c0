"""Perfetto files: slices nest, time does not run back, ids pair up, and sums are those of the tables."""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_profile import Called, programs, synthetic_profile
from synthetic_run import synthetic_run

from workbench.errors import WorkbenchError
from workbench.record.profile_tables import TABLES, typed
from workbench.report import tables
from workbench.report.exports import perfetto, perfetto_of_run

MHZ = 64  # of the made-up profiles and runs


@dataclass
class Slice:
    name: str
    begin: float
    args: dict
    depth: int
    end: float = 0
    below: list["Slice"] = field(default_factory=list)


@dataclass
class Read:
    """What Perfetto shows: slices from the roots down, counters, spans, notes."""

    roots: list[Slice] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)
    counters: dict[str, list[tuple[float, dict]]] = field(default_factory=lambda: defaultdict(list))
    spans: dict[str, tuple[str, float, float, dict]] = field(default_factory=dict)
    processes: dict[int, str] = field(default_factory=dict)
    notes: dict = field(default_factory=dict)


def read(text):
    """Raises AssertionError where slices cross, time runs back, or a span has no end."""
    file, result = json.loads(text), Read()
    open_: dict[int, list[Slice]] = defaultdict(list)
    begun: dict[tuple[str, str], dict] = {}
    last = 0.0
    for event in file["traceEvents"]:
        assert event["ts"] >= last and {"ph", "pid", "tid"} <= set(event)
        last, stack = event["ts"], open_[event["pid"]]
        match event["ph"]:
            case "M":
                if event["name"] == "process_name":
                    result.processes[event["pid"]] = event["args"]["name"]
            case "B":
                made = Slice(event["name"], last, event["args"], len(stack))
                (stack[-1].below if stack else result.roots).append(made)
                result.slices.append(made)
                stack.append(made)
            case "E":
                stack.pop().end = last
            case "C":
                assert all(isinstance(value, int) for value in event["args"].values())
                result.counters[event["name"]].append((last, event["args"]))
            case "b":
                key = (event["cat"], event["id"])
                assert key not in begun and event["id"] not in result.spans
                begun[key] = event
            case "e":
                start = begun.pop((event["cat"], event["id"]))
                assert start["name"] == event["name"]
                result.spans[event["id"]] = (event["name"], start["ts"], last, start["args"])
            case other:
                raise AssertionError(f"no kind of event we write: {other}")
    assert not begun and not any(open_.values())
    result.notes = file["otherData"]
    return result


def cycles(time):
    return round(time * MHZ)


@settings(max_examples=15, deadline=None)
@given(roots=programs())
def test_the_call_tree_is_laid_out_by_inclusive_cycles(roots):
    profile = synthetic_profile(roots)
    shown = read(perfetto(profile))
    tree = list(profile.tree.itertuples())
    assert [each.name for each in shown.slices] == [row.name for row in tree]
    parents = {id(each): above.args for above in shown.slices for each in above.below}
    at = {id(each): row for each, row in zip(shown.slices, tree, strict=True)}
    for each, row in zip(shown.slices, tree, strict=True):
        assert cycles(each.end - each.begin) == row.modelled_cycles_inclusive == each.args["modelled_cycles_inclusive"]
        assert (each.args["instructions"], each.args["calls"]) == (row.instructions, row.calls)
        assert all(at[id(below)].parent == row.id for below in each.below)
        assert (id(each) in parents) == (row.parent >= 0)
    assert sum(cycles(each.end - each.begin) for each in shown.roots) == profile.meta["modelled_cycles"]


def test_the_stack_s_depth_is_in_time():
    profile = synthetic_profile()
    shown = read(perfetto(profile))
    assert {
        name: [(cycles(at), value["bytes"]) for at, value in counted] for name, counted in shown.counters.items()
    } == {"stack main": [(row.modelled_cycles, row.depth) for row in profile.stack.itertuples()]}
    assert "not in time order" in shown.processes[1] and "in time" in shown.processes[2]
    assert "not in the order of time" in shown.notes["layout"] and shown.notes["time"] == "modelled cycles at 64 MHz"


def test_each_task_has_a_counter():
    profile = synthetic_profile()
    rows = {
        "stack": ["main", "idle", "main"],
        "instructions": [0, 5, 9],
        "modelled_cycles": [0, 8, 14],
        "depth": [8, 16, 0],
    }
    stack = typed("stack", pd.DataFrame(rows))
    assert list(stack.columns) == TABLES["stack"]
    assert set(read(perfetto(replace(profile, stack=stack))).counters) == {"stack main", "stack idle"}


@pytest.mark.parametrize(("options", "words"), [
    ({"timed": False}, "one of instructions is drawn as 1 µs"),
    ({"clock_hz": None}, "one of modelled cycles is drawn as 1 µs"),
    ({"clock_hz": 0}, "one of modelled cycles is drawn as 1 µs"),
])  # fmt: skip
def test_without_a_clock_or_cycles_it_says_what_a_microsecond_is(options, words):
    shown = read(perfetto(synthetic_profile((Called("main", 100, 1, (Called("f", 40),)),), **options)))
    assert shown.notes["time"] == words
    assert [each.end - each.begin for each in shown.slices] == ([140, 40] if "timed" in options else [210, 60])


def test_odd_profiles():
    assert read(perfetto(synthetic_profile(()))).slices == []
    assert [each.name for each in read(perfetto(synthetic_profile((Called("main", 0),)))).slices] == ["main"]
    names = ['a "quote"', "line\nbreak", "f<g<int>, h>::operator()", "ä"]
    shown = read(perfetto(synthetic_profile(tuple(Called(name) for name in names))))
    assert [each.name for each in shown.roots] == names


def clocked(run, **meta):
    return replace(run, meta=run.meta | {"linked_for": {"clock_hz": MHZ * 10**6}} | meta)


@settings(max_examples=12, deadline=None)
@given(layers=st.integers(1, 6), schedule=st.sampled_from(["vanilla", "reordered"]))
def test_a_run_s_operators_lie_within_layers_within_phases(layers, schedule):
    run = clocked(synthetic_run(schedule, layers))
    shown = read(perfetto_of_run(run))
    ops = [each for each in shown.slices if each.args["kind"] == "operator"]
    assert [(each.name, cycles(each.end - each.begin)) for each in ops] == list(
        zip(run.ops.symbol, run.ops.cycles, strict=True)
    )
    for kind, column in (("phase", "phase"), ("layer", "layer")):
        spent: Counter = Counter()
        for each in shown.slices:
            if each.args["kind"] == kind:
                spent[each.name] += cycles(each.end - each.begin)
        told = run.ops[run.ops[column] != ""].groupby(column).cycles.sum()
        assert spent == told.to_dict()
    assert {each.args["kind"] for each in shown.roots} == {"phase"}
    beneath = {kind: {each.args["kind"] for above in shown.slices if above.args["kind"] == kind for each in above.below}
               for kind in ("phase", "layer", "operator")}  # fmt: skip
    assert beneath["layer"] == {"operator"} and not beneath["operator"] and beneath["phase"] <= {"layer", "operator"}
    assert all(one.name != next_.name for one, next_ in zip(shown.roots, shown.roots[1:], strict=False))


def test_a_run_s_buffers_live_as_planned_and_its_bytes_are_counted():
    run = clocked(synthetic_run("reordered", 3))
    shown = read(perfetto_of_run(run))
    arena = tables.rectangles(run)
    ends = [0, *run.ops.cycles.cumsum()]
    assert {int(key): (name, cycles(begin), cycles(end)) for key, (name, begin, end, _) in shown.spans.items()} == {
        row.id: (row.name, ends[row.x0], ends[row.x1]) for row in arena.itertuples()
    }
    live = tables.live_bytes(run)
    counted = shown.counters["arena, live"]
    assert [value["bytes"] for _, value in counted] == [*live.sum(axis=1), 0]
    assert [cycles(at) for at, _ in counted] == ends
    for at, value in counted[:-1]:
        alive = [args["bytes"] for _, begin, end, args in shown.spans.values() if begin <= at < end]
        assert sum(alive) == value["bytes"]
    assert [value for _, value in shown.counters["arena, live by role"]][:-1] == live.to_dict("records")
    assert [value["bytes"] for _, value in shown.counters["stack, measured peak"]] == [1128, 1128]


def test_what_a_run_does_not_know_is_said_or_refused():
    run = synthetic_run("reordered", 3, trace="ops")
    shown = read(perfetto_of_run(run))
    assert shown.notes["time"] == "one of modelled cycles is drawn as 1 µs" and "layout" not in shown.notes
    assert "bytes_read" not in shown.slices[-1].args
    several = read(perfetto_of_run(clocked(run, accumulate=4)))
    assert several.notes["layout"] == "an operator's batches are drawn as one"
    no_stack = replace(run, meta=run.meta | {"memory": run.meta["memory"] | {"stack_peak": None}})
    assert "stack, reserved" in read(perfetto_of_run(no_stack)).counters
    with pytest.raises(WorkbenchError, match="its cycles were not counted"):
        perfetto_of_run(synthetic_run(trace="off"))
