"""An ablation's tables in bytes, and its waterfall: bars are arena bytes, what is saved stands beside them."""

import pytest
from matplotlib.patches import Rectangle
from pictures import assert_legible, boxes
from synthetic_run import synthetic_run

from workbench.report.ablation import Step, ablation_among, ablation_text
from workbench.report.lifecycle import lifecycle_figure
from workbench.report.side_by_side import comparison_text
from workbench.report.waterfall import finding, waterfall_figure

ARENA = "arena_planned"


def steps():
    """early-update saves, in-place does nothing, regions cost; with and without order-search it is the same."""
    vanilla, *others = (synthetic_run(schedule) for schedule in ("vanilla", "reordered", "reordered", "reordered"))
    others[2].meta["memory"][ARENA] += 64
    named = ("+ early-update", "+ in-place", "+ regions")
    return [Step("vanilla", vanilla), *(Step(*both) for both in zip(named, others, strict=True))]


def test_tables_against_golden(golden):
    last = steps()[-1].run
    golden(
        "report_ablation.txt", ablation_text([*steps(), Step("− in-place", last), Step("− regions", steps()[2].run)])
    )


def test_what_is_equal_is_explained_where_it_occurs():
    assert "±0 %: nothing is left for the pass to do" in ablation_text(steps())
    assert "±0 %" not in ablation_text(steps()[:2])
    assert "optimized without" not in ablation_text(steps())


def test_the_bars_of_the_waterfall_are_arena_bytes():
    axes = waterfall_figure(steps()).axes[0]
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    rows = sorted({round(bar.get_y(), 3) for bar in bars})
    arenas = [step.run.meta["memory"][ARENA] for step in steps()]
    for y, size, before in zip(rows, arenas, [arenas[0], *arenas], strict=False):
        ends = max(bar.get_x() + bar.get_width() for bar in bars if round(bar.get_y(), 3) == y)
        assert ends * 1024 == pytest.approx(max(size, before))


def test_its_title_is_the_finding():
    figure = waterfall_figure(steps())
    assert_legible(figure)
    texts = [text for text, _ in boxes(figure)]
    assert f"lenet: {finding(steps())}" in texts
    assert finding(steps()[:2]) == "arena 66.8 KB → 53.4 KB, −20 %; early-update saves most, 13.4 KB"
    assert finding(steps()[2:]) == "no pass saves arena: 53.4 KB"
    with pytest.raises(ValueError, match="at least one"):
        waterfall_figure([])


def saved_runs():
    """What an ablation leaves in its folder, in the order of the folders' names."""
    passes = ["dead-code", "early-update", "in-place"]
    changed = [["-early-update"], ["-dead-code"], ["+early-update", "+in-place"], ["+early-update"], []]
    runs = [synthetic_run("reordered" if "+early-update" in made else "vanilla") for made in changed]
    for run, made in zip(runs, changed, strict=True):
        off = [change[1:] for change in made if change[0] == "-"]
        run.meta.update({"schedule": "optimized" if off else "vanilla", "passes_changed": made, "steps": 1,
                     "passes": [name for name in passes if name not in off]})  # fmt: skip
    return runs


CHANGES = ["vanilla", "+ early-update", "+ in-place", "− dead-code", "− early-update"]


def test_saved_runs_of_an_ablation_are_told_as_one():
    steps = ablation_among(saved_runs())
    assert [step.change for step in steps] == CHANGES
    assert comparison_text(saved_runs()) == ablation_text(steps)
    gap = [run for run in saved_runs() if len(run.meta["passes_changed"]) != 1]  # an interrupt left out the first
    gap += saved_runs()[:1]
    assert [step.change for step in ablation_among(gap)][1] == "+ early-update + in-place"


def test_panels_of_an_ablation_are_titled_by_its_changes():
    texts = [text for text, _ in boxes(lifecycle_figure(saved_runs()))]
    assert [text for text in texts if text in CHANGES] == CHANGES
    assert any(text.endswith((" below the one before", "KB saved")) for text in texts)


def test_other_runs_are_no_ablation_and_tell_what_passes_differ():
    runs = saved_runs()
    runs[0].meta["policy"] = "last-2"
    assert ablation_among(runs) == [] == ablation_among(saved_runs()[4:])
    assert "−early-update" in comparison_text(runs)
    trained = saved_runs()
    trained[0].meta["steps"] = 50
    assert ablation_among(trained) == []
