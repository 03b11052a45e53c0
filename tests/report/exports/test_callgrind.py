"""callgrind files: the grammar of the manual, and sums that are those of the tables."""

import re
import shutil
import subprocess
from dataclasses import replace

import pandas as pd
import pytest
from callgrind_files import parse
from hypothesis import given, settings
from synthetic_profile import PROGRAM, Called, programs, synthetic_profile

from workbench.record.profile_tables import TABLES, typed
from workbench.report.exports import callgrind

HOSTILE = [
    'quote" \' `', "std::map<int, std::vector<T>>::at(int const&)", "(anonymous namespace)::f", "(7)", "(7) seven",
    "calls=1 2", "line\nfn=(1) forged", "tab\there", "umlaut ä", " blank ", "",
]  # fmt: skip


def table(name, **columns):
    return typed(name, pd.DataFrame(columns).reindex(columns=TABLES[name]))


def self_costs(profile, columns):
    return {row.name: tuple(getattr(row, column) for column in columns) for row in profile.functions.itertuples()}


@settings(max_examples=15, deadline=None)
@given(roots=programs())
def test_sums_are_those_of_the_tables(roots):
    profile = synthetic_profile(roots)
    file = parse(callgrind(profile))
    assert file.own == self_costs(profile, ("instructions", "modelled_cycles"))
    assert file.calls == {
        (call.caller, call.callee): (call.calls, (call.instructions_inclusive, call.modelled_cycles_inclusive))
        for call in profile.calls.itertuples()
    }
    assert file.sites == {(call.caller, call.callee): (call.file, call.line) for call in profile.calls.itertuples()}
    assert file.lines == {
        (line.function, line.file, line.line): (line.instructions, line.modelled_cycles)
        for line in profile.lines.itertuples()
    }
    totals = [profile.meta["instructions"], profile.meta["modelled_cycles"]]
    assert file.header["summary"] == [" ".join(map(str, totals))]


def test_what_a_function_and_what_it_called_took_is_inclusive():
    profile = synthetic_profile()
    file = parse(callgrind(profile))
    for row in profile.functions.itertuples():
        below = sum(spent[0] for (caller, _), (_, spent) in file.calls.items() if caller == row.name)
        assert file.own[row.name][0] + below == row.instructions_inclusive


def test_without_cycles_and_lines_there_is_one_event_and_the_head_of_each_function():
    profile = synthetic_profile(timed=False, lines=False)
    file = parse(callgrind(profile))
    assert file.events == ["Ir"] and file.own == self_costs(profile, ("instructions",))
    assert {(place, line) for _, place, line in file.lines} == {("???", 0)}


def test_lines_that_account_for_less_leave_the_rest_to_the_head():
    profile = synthetic_profile((Called("main", 100),))
    less = replace(profile, lines=profile.lines[profile.lines.file == "src/main.c"])
    told = {line: spent for (_, _, line), spent in parse(callgrind(less)).lines.items()}
    assert told == {10: (20, 30), 11: (50, 75), 12: (30, 45)}


def test_lines_that_account_for_more_are_left_out():
    """Those of a function that others inlined: DWARF says its name there."""
    profile = synthetic_profile((Called("main", 100),))
    more = replace(profile, lines=pd.concat([profile.lines, profile.lines]))
    assert parse(callgrind(more)).lines == {("main", "src/main.c", 10): (100, 150)}


def test_recursion_is_a_call_of_itself():
    profile = synthetic_profile((Called("main", 10, 1, (Called("fib", 500, 3),)),))
    site = {"caller": ["main", "fib"], "callee": ["fib", "fib"], "caller_address": [8, 16], "calls": [1, 2],
            "instructions_inclusive": [500, 400], "modelled_cycles_inclusive": [750, 600]}  # fmt: skip
    file = parse(callgrind(replace(profile, calls=table("calls", **site))))
    assert file.calls == {("main", "fib"): (1, (500, 750)), ("fib", "fib"): (2, (400, 600))}
    assert file.own["fib"] == (500, 750)


def test_a_call_without_a_line_stands_at_the_head_and_one_of_another_file_there():
    profile = synthetic_profile((Called("main", 10, 1, (Called("f", 5), Called("g", 6))),))
    profile.calls["file"], profile.calls["line"] = ["", "inc/bits.h"], [None, 3]
    sites = parse(callgrind(profile)).sites
    assert sites == {("main", "f"): ("src/main.c", 10), ("main", "g"): ("inc/bits.h", 3)}


def test_functions_of_one_name_are_one():
    profile = synthetic_profile((Called("init", 10), Called("main", 5)))
    profile.functions["name"] = "init"
    file = parse(callgrind(replace(profile, lines=profile.lines.iloc[:0], calls=profile.calls.iloc[:0])))
    assert file.own == {"init": (15, 22)}


def test_a_callee_that_is_no_function_of_the_table_is_told_all_the_same():
    profile = synthetic_profile((Called("main", 10),))
    site = {"caller": ["main"], "callee": ["0x080001f0"], "caller_address": [8], "calls": [1],
            "instructions_inclusive": [7], "modelled_cycles_inclusive": [9]}  # fmt: skip
    file = parse(callgrind(replace(profile, calls=table("calls", **site))))
    assert file.calls == {("main", "0x080001f0"): (1, (7, 9))} and file.own["0x080001f0"] == (0, 0)


def test_no_name_is_taken_for_something_else():
    profile = synthetic_profile(tuple(Called(name, at + 1) for at, name in enumerate(HOSTILE)), firmware="a\nevents: x")
    text = callgrind(profile)
    file = parse(text)
    written = [re.sub("\n", r"\\n", re.sub("\t", r"\\t", name)).strip() or "???" for name in HOSTILE]
    assert list(file.own) == written and [cost[0] for cost in file.own.values()] == list(range(1, len(HOSTILE) + 1))
    assert file.events == ["Ir", "Cy"] and file.header["cmd"] == [r"a\nevents: x"]


def test_an_empty_profile_is_a_header():
    file = parse(callgrind(synthetic_profile(())))
    assert not file.own and not file.calls and file.header["summary"] == ["0 0"]


@pytest.mark.skipif(shutil.which("callgrind_annotate") is None, reason="no valgrind here")
@pytest.mark.parametrize("roots", [PROGRAM, (), tuple(Called(name) for name in HOSTILE)])
def test_valgrind_s_own_reader_takes_it(roots, tmp_path):
    (tmp_path / "callgrind.out").write_text(callgrind(synthetic_profile(roots, lines=False)))
    command = ["callgrind_annotate", "--inclusive=yes", "--threshold=100", "callgrind.out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    if roots is PROGRAM:
        assert re.search(r"^5,202 \(100.0%\) 7,802 \(100.0%\) +PROGRAM TOTALS", done.stdout, re.M)
        assert re.search(r"^5,125 .* 7,687 .*:main\b", done.stdout, re.M)
