"""Budgets: what a limit is, which figures are held against each other, and what is not compared."""

from dataclasses import replace
from fractions import Fraction

import pytest
from synthetic_profile import synthetic_profile
from synthetic_run import synthetic_run

from workbench.errors import RecordError, WorkbenchError
from workbench.report.budget import BYTES, FIGURES, Limit, budget, parse_limit
from workbench.report.budget_text import as_object, markdown, verdict_text

KB = 1024


def run(memory=None, **meta):
    """A made-up run whose metadata differ."""
    made = synthetic_run("reordered", 3)
    return replace(made, meta=made.meta | meta | {"memory": made.meta["memory"] | (memory or {})})


def limits(**texts):
    return {figure: parse_limit(text, figure) for figure, text in texts.items()}


def verdicts(outcome):
    return {row.figure: row.verdict for row in outcome.rows}


@pytest.mark.parametrize(
    ("text", "figure", "limit"),
    [
        ("96K", "sram", Limit(Fraction(96 * KB))),
        ("96 KB", "flash", Limit(Fraction(96 * KB))),
        ("1.5M", "flash", Limit(Fraction(3 * KB * KB, 2))),
        ("1.5M", "cycles", Limit(Fraction(1_500_000))),
        ("120k", "instructions", Limit(Fraction(120_000))),
        ("120000", "instructions", Limit(Fraction(120_000))),
        ("0", "stack", Limit(Fraction(0))),
        ("+2%", "sram", Limit(Fraction(2), growth=True, percent=True)),
        ("+0.5 %", "cycles", Limit(Fraction(1, 2), growth=True, percent=True)),
        ("+0", "flash", Limit(Fraction(0), growth=True)),
        ("+1K", "sram", Limit(Fraction(KB), growth=True)),
        ("+1K", "cycles", Limit(Fraction(1000), growth=True)),
    ],
)
def test_a_limit_is_absolute_or_a_growth(text, figure, limit):
    assert parse_limit(text, figure) == limit


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize(
    "text",
    ["", "-1", "-2%", "+-1", "−1", "lots", "2%", "+", "%", "1e6", "inf", "nan", "1_000", "1,000", "0x10", "1KK", "+2%K",
     "٣", "9" * 400, "1.", ".5", "1G"],
)  # fmt: skip
def test_anything_else_is_refused_with_what_could_be_written(text, figure):
    with pytest.raises(WorkbenchError) as error:
        parse_limit(text, figure)
    assert f"--max-{figure}" in error.value.message and error.value.hint


@pytest.mark.parametrize("figure", [figure for figure in FIGURES if figure not in BYTES])
def test_instructions_are_no_bytes(figure):
    with pytest.raises(WorkbenchError, match="'2KB' is not a limit"):
        parse_limit("2KB", figure)


def test_growth_is_counted_exactly():
    two_percent = parse_limit("+2%", "sram")
    assert [two_percent.at(size) for size in (0, 49, 50, 10_000)] == [0, 49, 51, 10_200]
    assert parse_limit("+0.1%", "cycles").at(10**15) == 10**15 + 10**12
    assert parse_limit("+3", "cycles").at(100.5) == 103


def test_without_limits_nothing_may_grow():
    same = budget([run()], [run()], {})
    assert same.kept and verdicts(same) == dict.fromkeys(FIGURES, "ok") and not same.notes
    grown = budget([run(flash={"total": 18_843})], [run()], {})
    assert not grown.kept and verdicts(grown) == dict.fromkeys(FIGURES, "ok") | {"flash": "over"}
    assert verdict_text(grown) == "over budget, 1 of 5 figures: flash by 1 bytes"
    assert budget([run(flash={"total": 18_841})], [run()], {}).kept


def test_with_limits_those_alone_count():
    grown = run(flash={"total": 20_000}, instructions_per_step=10**9)
    outcome = budget([grown], [run()], limits(flash="+10%"))
    assert outcome.kept and verdicts(outcome) == dict.fromkeys(FIGURES, "no limit") | {"flash": "ok"}
    assert not budget([grown], [run()], limits(flash="+6%")).kept
    assert not budget([grown], [run()], limits(flash="19.5K")).kept
    assert budget([grown], [], limits(flash="20K")).kept


def test_sram_is_measured_where_both_are_else_planned():
    def measured(now, baseline):
        return budget([now], [baseline], {}).rows[0].measure

    traced, planned = run(), run({"sram_peak": None})
    assert (measured(traced, traced), measured(traced, planned)) == ("sram_peak", "sram_planned")
    assert (measured(planned, traced), measured(planned, planned)) == ("sram_planned", "sram_planned")
    more = run({"sram_peak": None, "sram_planned": run().meta["memory"]["sram_planned"] + 8})
    assert verdict_text(budget([more], [traced], limits(sram="+0"))).endswith("SRAM planned by 8 bytes")


def test_cycles_of_different_timing_models_are_not_compared():
    other = run(timing_model="cortex-m4, 2024", modelled_cycles_per_step=10**9)
    by_default = budget([other], [run()], {})
    assert by_default.kept and verdicts(by_default)["cycles"] == "not comparable"
    assert [row.change for row in by_default.rows if row.figure == "cycles"] == [None]
    assert by_default.notes == [
        "cycles of different timing models are not compared: cortex-m4, zero wait states, cortex-m4, 2024"
    ]
    asked = budget([other], [run()], limits(cycles="+2%"))
    assert (
        not asked.kept and verdict_text(asked) == "over budget, 1 of 5 figures: cycles modelled a step not comparable"
    )
    assert not budget([other], [run()], limits(cycles="1M")).kept
    assert budget([other], [run()], limits(cycles="1000M")).kept


def test_what_else_differs_is_said():
    other = run(board="stm32f746", model="mlp", passes_changed=["-in-place"])
    assert budget([other], [run()], {}).notes == [
        "model: lenet in the baseline, mlp now",
        "passes: none in the baseline, −in-place now",
        "board: nrf52840 in the baseline, stm32f746 now",
    ]


def test_a_figure_that_is_not_known_is_no_figure():
    blind = run(instructions_per_step=None, modelled_cycles_per_step=None, timing_model=None, trace="off", flash=None)
    for now, baseline, where in ((blind, run(), "now"), (run(), blind, "in the baseline")):
        outcome = budget([now], [baseline], {})
        assert outcome.kept and list(verdicts(outcome)) == ["sram", "stack"]
        unknown = [f"{figure}: not known {where}, so not compared" for figure in ("flash", "instructions", "cycles")]
        assert outcome.notes == unknown
    assert budget([run()], [blind], limits(instructions="1000M")).kept, "an absolute limit needs no baseline"


@pytest.mark.parametrize(
    ("now", "baseline", "words"),
    [
        ("off", "ops", "lenet full reordered has no instructions: its trace level was off"),
        ("ops", "off", "the baseline, lenet full reordered, has no instructions: its trace level was off"),
    ],
)
def test_a_limit_on_a_figure_that_is_not_known_is_refused(now, baseline, words):
    runs = {"ops": run(), "off": run(instructions_per_step=None, trace="off")}
    with pytest.raises(RecordError, match=words) as error:
        budget([runs[now]], [runs[baseline]], limits(instructions="+1%"))
    assert error.value.hint == "run it again with --trace ops, or leave out --max-instructions"


def test_there_must_be_something_to_hold_it_against():
    with pytest.raises(WorkbenchError, match="nothing to hold it against"):
        budget([run()], [], {})
    with pytest.raises(WorkbenchError, match="--max-flash is a growth, and there is no baseline"):
        budget([run()], [], limits(sram="96K", flash="+1%"))


def test_runs_of_two_comparisons_find_each_other():
    full, last = run(), run(policy="last-1")
    outcome = budget([full, run(policy="last-1", flash={"total": 20_000})], [last, full], {})
    assert [row.subject for row in outcome.rows if row.fails] == ["lenet last-1 reordered seed 0"]
    assert markdown(outcome).splitlines()[2].startswith("| lenet full reordered seed 0 | SRAM measured, bytes | ")
    with pytest.raises(RecordError, match="the baseline has no run lenet last-1 reordered seed 0"):
        budget([full, last], [full], {})
    with pytest.raises(RecordError, match="the folder has no run lenet last-1 reordered seed 0"):
        budget([full], [full, last], {})
    with pytest.raises(RecordError, match="the folder has two runs lenet full reordered seed 0"):
        budget([full, full], [full], {})
    assert len(budget([full, last], [], limits(flash="20K")).rows) == 10


def test_a_profile_is_held_against_a_profile():
    profile = synthetic_profile()
    slower = synthetic_profile(instructions=profile.meta["instructions"] + 1, ended="limit", exit_code=None)
    outcome = budget([slower], [profile], {})
    assert verdicts(outcome) == dict.fromkeys(FIGURES, "ok") | {"instructions": "over"}
    assert outcome.apart == ["ended: exit in the baseline, limit now", "exit code: 0 in the baseline, none now"]
    crashed = synthetic_profile(instructions=1, ended="fault", exit_code=None)
    assert not budget([crashed], [profile], {}).kept
    part = budget([synthetic_profile(part="calls of crc32")], [profile], {})
    assert part.apart == ["part: none in the baseline, calls of crc32 now"] and not part.kept
    assert verdict_text(part) == "not comparable: part: none in the baseline, calls of crc32 now"
    assert {row.figure: row.measure for row in outcome.rows}["sram"] == "sram_static"
    untimed = synthetic_profile(timed=False)
    assert "cycles: not known now, so not compared" in budget([untimed], [profile], {}).notes
    with pytest.raises(RecordError, match=r"toy\.elf has no cycles\n  help: leave out --max-cycles"):
        budget([untimed], [profile], limits(cycles="1M"))
    with pytest.raises(RecordError, match="a run is held against a profile"):
        budget([run()], [profile], {})


def test_the_table_and_the_object():
    outcome = budget([run(model="a|b", flash={"total": 19_100})], [run()], limits(flash="+1%"))
    assert markdown(outcome).splitlines()[3] == "| flash, bytes | 18,842 | 19,100 | +258 (+1.4 %) | 19,030 | **over** |"
    assert len({line.count("|") for line in markdown(outcome).splitlines()[:7]}) == 1
    told = as_object(outcome)
    assert told["kept"] is False and [row["figure"] for row in told["rows"] if row["fails"]] == ["flash"]
    assert told["rows"][1]["change"] == 258 and told["rows"][1]["limit"] == 19_030
