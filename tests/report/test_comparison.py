"""The comparison figure: legible in all the cases it must serve, its bars the runs' bytes, the same every time."""

import re
import struct

import pytest
from matplotlib.patches import Rectangle
from pictures import assert_legible, boxes
from synthetic_run import synthetic_run

from workbench.report import comparison_figure, save_figure
from workbench.report import comparison_words as words

SCHEDULES = ("vanilla", "reordered")
LONG = ("full", "bias-only+conv2:0.25+last-2:0.125+largest+head", "conv1+conv2+fc1:0.125+head",
        "+".join(f"features.block{at}.depthwise:0.25" for at in range(9)))  # fmt: skip


def grid(policies=("full", "bias-only"), layers=5, **options):
    return [
        synthetic_run(schedule, max(1, layers - at), policy=policy, **options)
        for at, policy in enumerate(policies)
        for schedule in SCHEDULES
    ]


def without_data():
    runs = grid()
    for run in runs:
        run.meta["accuracy"] = None
    return runs


def forgetful():
    """Accuracy that falls, and one at each end."""
    runs = grid()
    for run, (before, after) in zip(runs, ((0.9, 0.5), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0)), strict=True):
        run.meta["accuracy"] = {"before": before, "after": after}
    return runs


CASES = {
    "one": lambda: [synthetic_run()],
    "two schedules": lambda: [synthetic_run(), synthetic_run("reordered")],
    "two policies": grid,
    "many": lambda: grid([f"last-{at}" for at in range(1, 9)], 9),
    "does not fit": lambda: grid(sram_limit=90 * 1024),
    "limit behind the words": lambda: grid(sram_limit=100 * 1024),
    "untraced": lambda: grid(trace="off"),
    "some untraced": lambda: [*grid(), synthetic_run(policy="last-3", trace="ops")],
    "megabytes": lambda: grid(width=512),
    "long names": lambda: grid(("sparse-49kb-of-mobilenet-with-a-long-file-name.toml", "full")),
    "long names of one schedule": lambda: [synthetic_run("optimized", policy=name) for name in LONG],
    "without data": without_data,
    "forgetful": forgetful,
}


def told(runs, note="") -> list[str]:
    return [text for text, _ in boxes(comparison_figure(runs, note))]


@pytest.mark.parametrize("case", CASES)
def test_no_text_overlaps_another_or_is_cut(case):
    assert_legible(comparison_figure(CASES[case](), "missing: last-9 vanilla, interrupted"))


def test_bars_are_the_bytes_measured():
    runs = grid()
    axes = comparison_figure(runs).axes[0]
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    heights = sorted({round(bar.get_y(), 3) for bar in bars})
    for run, y in zip(runs, heights, strict=True):
        widths = [bar.get_width() * 1024 for bar in bars if round(bar.get_y(), 3) == y]
        parts = run.meta["memory"]["touched_by_role"].values()
        assert sorted(widths) == pytest.approx(sorted(size for size in parts if size))


def test_every_total_and_every_accuracy_is_told():
    texts = told(forgetful())
    assert sum(bool(re.fullmatch(r"[\d.]+ KB", text)) for text in texts) == 4
    assert [text for text in texts if re.fullmatch(r"[\d.]+ %", text)] == ["50.0 %", "100.0 %", "100.0 %", "0.0 %"]


def test_what_all_runs_begin_with_stands_above_their_accuracies():
    runs = grid()
    before = runs[0].meta["accuracy"]["before"]
    assert f"held-out, {100 * before:.1f} % before" in told(runs)
    runs[0].meta["accuracy"] = {"before": 0.9, "after": 0.95}
    assert "held-out accuracy (%)" in told(runs)


def test_an_adaptation_is_told_where_all_runs_share_it():
    runs = grid()
    assert words.taught(runs) == []
    for run in runs:
        run.meta.update(pretrained={"data": "digits"}, data="digits-rotated")
    assert words.taught(runs) == ["pre-trained on digits, adapted to digits-rotated"]
    assert any(
        "2874 steps  ·  pre-trained on digits, adapted to digits-rotated  ·  all fit" in text for text in told(runs)
    )
    runs[0].meta["data"] = "digits-noisy"
    assert words.taught(runs) == []


def test_the_title_is_the_finding_and_below_it_stands_what_fits():
    texts = told(grid())
    assert "lenet: bias-only reordered needs least SRAM, 68.7 KB; full vanilla most, 97.4 KB" in texts
    assert "nrf52840  ·  batch 1  ·  2874 steps  ·  all fit 256 KB" in texts
    assert words.fitting(grid(sram_limit=90 * 1024)) == "within 90 KB: full reordered, bias-only"
    assert words.fitting(grid(sram_limit=20 * 1024)) == "none fits 20 KB"
    assert words.finding([synthetic_run(), synthetic_run()]) == "each needs 97.4 KB of SRAM"


def test_the_axis_of_accuracies_ends_at_all_of_them():
    axes = comparison_figure(forgetful()).axes[-1]
    assert axes.get_xlim() == (0, 100)
    sizes = {line.get_markersize() for line in axes.lines if line.get_marker() == "o"}
    assert len(sizes) == 2  # one is seen around the other where both lie at the same place


def test_a_long_note_ends_in_an_ellipsis():
    figure = comparison_figure(grid(), "missing: " + ", ".join(f"last-{at} vanilla" for at in range(1, 30)))
    assert_legible(figure)
    assert any(text.startswith("missing:") and text.endswith("…") for text, _ in boxes(figure))


def test_what_was_not_measured_says_planned():
    texts = told(grid(trace="off"))
    assert any(text.startswith("SRAM planned (KB)") for text in texts)
    assert "97.8 KB planned" in texts
    mixed = told([synthetic_run(), synthetic_run("reordered", trace="ops")])
    assert {"97.4 KB", "84.3 KB planned"} <= set(mixed)


def test_the_limit_is_drawn_where_it_is_in_sight():
    assert "SRAM measured (KB) · limit 256 KB, off the scale" in told(grid())
    assert {"SRAM measured (KB) · limit 90 KB", "97.4 KB does not fit", "SRAM limit"} <= set(
        told(grid(sram_limit=90 * 1024))
    )


def test_panels_nobody_has_numbers_for_are_left_out():
    assert len(comparison_figure(grid()).axes) == 3
    assert len(comparison_figure(without_data()).axes) == 2
    assert len(comparison_figure(grid(trace="off")).axes) == 2


def test_what_is_missing_is_named():
    assert "missing: full vanilla" in told(grid(), "missing: full vanilla")


def test_svg_and_png_are_deterministic(tmp_path):
    for ending in ("svg", "png"):
        paths = [tmp_path / f"{name}.{ending}" for name in "ab"]
        for path in paths:
            save_figure(comparison_figure(grid()), path)
        assert paths[0].read_bytes() == paths[1].read_bytes()
    assert struct.unpack(">I", (tmp_path / "a.png").read_bytes()[16:20])[0] == 1600


def test_a_notebook_shows_it():
    assert comparison_figure(grid())._repr_png_().startswith(b"\x89PNG")


def test_no_run_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        comparison_figure([])


def test_long_names_stand_over_several_lines():
    assert {"bias-only+conv2:0.25+", "last-2:0.125+largest+", "head"} <= set(told([*grid(LONG[:2])]))
    texts = told(CASES["long names of one schedule"]())
    assert {"bias-only+conv2:0.25+last-2:0.125+", "largest+head", "conv1+conv2+fc1:0.125+head"} <= set(texts)
    assert any(
        text.startswith("features") and text.endswith("…") for text in texts
    )  # it has as many as it has room for


def test_a_schedule_that_all_share_is_told_once():
    texts = told([synthetic_run("reordered", policy=name) for name in LONG])
    assert "reordered" not in texts and any("·  batch" in text and "reordered  ·" in text for text in texts)
    assert told(grid()).count("reordered") == 2


def test_the_key_lists_what_can_be_seen():
    runs = grid()
    assert "label" not in told(runs)
    for run in runs:
        run.meta["memory"]["touched_by_role"]["label"] = 4000
    assert "label" in told(runs)


def test_the_title_says_what_little_memory_costs():
    title = next(text for text in told(forgetful()) if text.startswith("lenet: "))
    assert "needs least SRAM, 68.7 KB, for 0.0 %" in title and "learns most, 100.0 % in 78.5 KB" in title


def test_long_names_of_schedules_have_room():
    runs = [synthetic_run("vanilla"), synthetic_run("reordered")]
    runs[0].meta["schedule"] = "conventional-planned"
    assert_legible(comparison_figure(runs))
