"""The lifecycle figure: no text overlaps another or leaves the figure, in any of the cases it must serve."""

import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import assert_legible, boxes
from synthetic_run import synthetic_run

from workbench import units
from workbench.errors import WorkbenchError
from workbench.report import blocks, lifecycle_figure, panels, save_figure, tables
from workbench.report.axis import axis
from workbench.report.figure import ENDINGS, Picture
from workbench.report.labels import Labels, Names

TWO = ("vanilla", "reordered")


def both(layers=5, **options):
    return [synthetic_run(schedule, layers, **options) for schedule in TWO]


def long_names():
    run = synthetic_run()
    run.buffers["name"] = "features.block3.$conv$_2." + run.buffers.name.astype(str)
    run.meta.update(policy="sparse-49kb-of-mobilenet-with-a-long-file-name.toml")
    return [run, synthetic_run("reordered"), synthetic_run("reordered", 4, policy="last-3")]


def unlike():
    runs = both()
    runs[1].meta.update(model="mobilenet_v2-w0.35", batch=64, accumulate=16)
    return runs


def thin(**options):
    """The second keeps little: its arena is a few pixels of what the first needs."""
    runs = [synthetic_run("vanilla", 9, width=32, **options)]
    return [*runs, synthetic_run("reordered", 1, policy="last-1", width=1, **options)]


CASES = {
    "thin": thin,
    "thin beside a limit": lambda: thin(sram_limit=150 * 1024),
    "thin below a low limit": lambda: thin(sram_limit=40 * 1024),
    "thin, much static": lambda: [synthetic_run("reordered", 1, width=9)],
    "smallest": lambda: [synthetic_run(layers=1)],
    "one": lambda: [synthetic_run(layers=3)],
    "two": both,
    "four": lambda: [*both(), *both(4, policy="last-3")],
    "six": lambda: [*both(), *both(4, policy="last-3"), *both(3, policy="bias-only")],
    "seven": lambda: [synthetic_run("reordered", at, policy=f"last-{at}") for at in range(1, 8)],
    "unlike": unlike,
    "three": lambda: [*both(), synthetic_run("reordered", 4, policy="last-3")],
    "long": lambda: both(40),
    "does not fit": lambda: both(width=24, sram_limit=96 * 1024),
    "limit at the line": lambda: both(sram_limit=98 * 1024),
    "limit just below": lambda: both(sram_limit=95 * 1024),
    "limit just above": lambda: both(sram_limit=104 * 1024),
    "limit in sight": lambda: both(sram_limit=128 * 1024),
    "untraced": lambda: both(trace="off"),
    "megabytes": lambda: both(width=512),
    "long names": long_names,
}


IN_TIME = {"two": "cycles", "long": "cycles", "thin beside a limit": "instructions", "seven": "instructions"}
FURTHER = ("thin", "four", "six", "three", "limit just above")  # larger or smaller ones of the kind are there
FIGURES = [
    pytest.param((case, x), marks=pytest.mark.long if case in FURTHER else [], id=f"{case} by {x}")
    for case, x in (*((case, "operators") for case in CASES), *IN_TIME.items())
]


@pytest.fixture(params=FIGURES)
def figure(request):
    case, x = request.param
    return lifecycle_figure(CASES[case](), x)


def test_no_text_overlaps_another_or_is_cut(figure):
    assert len(boxes(figure)) > 10
    assert_legible(figure)


@pytest.mark.parametrize("kilobytes", [94, 96, 98, 100, 104])
def test_no_line_runs_through_the_words_that_name_it(kilobytes):
    figure = lifecycle_figure([synthetic_run(sram_limit=kilobytes * 1024)])
    axes = figure.axes[0]
    heights = [axes.transData.transform((0, line.get_ydata()[0]))[1] for line in axes.lines]
    named = [(text, box) for text, box in boxes(figure) if text.startswith(("static + arena", "limit"))]
    assert len(named) == 2 and len(heights) == 3
    for text, box in named:
        assert not any(box.y0 < height < box.y1 for height in heights), text


def told(runs) -> list[str]:
    return [text for text, _ in boxes(lifecycle_figure(runs))]


def test_the_finding_stands_in_the_title():
    texts = told(both())
    assert {"vanilla", "reordered", "97.4 KB", "83.9 KB", "−14 %", "13.4 KB below vanilla"} <= set(texts)
    assert texts.count("SRAM measured") == 2


def test_unlike_runs_are_told_apart_and_save_nothing():
    texts = told(unlike())
    assert {"lenet vanilla batch 1 accumulate 1", "mobilenet_v2-w0.35 reordered batch 64 accumulate 16"} <= set(texts)
    assert not any("below" in text or "saved" in text or "%" in text for text in texts)


@pytest.mark.parametrize("positions", [1, 7, 39, 480, 1003, 1290, 12345])
@pytest.mark.parametrize("width", [180, 240, 480, 730])
def test_ticks_have_room_and_the_last_one_ends_within_its_panel(positions, width):
    labels = Labels(Picture(dpi=100))
    ticks = panels.ticks(labels, width, positions)
    spans = [(at / positions * width, labels.measure(str(at), 10)[0] / 2) for at in ticks]
    assert ticks[0] == 0 and spans[-1][0] + spans[-1][1] <= width
    assert all(x + half + 4 < other - its for (x, half), (other, its) in pairwise(spans))


def test_schedules_of_a_policy_share_a_row():
    figure = lifecycle_figure(CASES["six"]())
    above = [axes.bbox for axes in figure.axes[0::3]]
    assert len({round(box.x0) for box in above}) == 2 and len({round(box.y0) for box in above}) == 3
    assert panels.columns(CASES["seven"]()) == 3 and panels.columns(CASES["seven"]()[:4]) == 2


def test_untraced_runs_say_planned():
    texts = told(both(trace="off"))
    assert texts.count("SRAM planned") == 2
    assert not any("measured" in text or "pale" in text for text in texts)


def test_a_traced_run_beside_an_untraced_one_is_compared_by_plan():
    texts = told([synthetic_run(), synthetic_run("reordered", trace="off")])
    assert {"SRAM measured", "SRAM planned", "−14 %"} <= set(texts)


def test_the_real_limit_is_drawn_where_it_does_not_fit():
    assert told(both(width=24, sram_limit=96 * 1024)).count("limit 96 KB: does not fit") == 2
    assert told(both()).count("limit 256 KB, off the scale") == 2
    assert "SRAM limit" in told(both(sram_limit=128 * 1024)) and "SRAM limit" not in told(both())


def test_columns_share_both_axes():
    figure = lifecycle_figure([*both(), synthetic_run("reordered", 4)])
    above = figure.axes[0::3]
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    assert len({axes.get_ylim() for axes in above}) == 1
    assert len({axes.get_ylim() for axes in figure.axes[1::3]}) == 1


def test_files_are_deterministic(tmp_path):
    for name in "ab":
        figure = lifecycle_figure(both(3))
        for ending in ENDINGS:
            save_figure(figure, tmp_path / f"{name}{ending}")
    for ending in ENDINGS:
        assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()
    assert b"<dc:date>" not in (tmp_path / "a.svg").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF-")
    assert struct.unpack(">I", (tmp_path / "a.png").read_bytes()[16:20])[0] == 1600


@pytest.mark.parametrize("counts", ["instructions", "cycles"])
def test_time_is_the_axis_where_it_is_asked_for(counts):
    """An operator is as wide as what it takes; all columns share the axis, so that steps can be compared."""
    runs = [synthetic_run("vanilla", 5), synthetic_run("reordered", 3)]
    found = axis(runs, counts)
    for run in runs:
        edges = found.edges(run)
        assert np.diff(edges) * found.unit == pytest.approx(run.ops[counts].astype(float))
        assert edges[-1] <= found.end
    figure = lifecycle_figure(runs, counts)
    assert {axes.get_xlim() for axes in figure.axes} == {(0, found.end)}
    placed = blocks.placed(runs[1], found.edges(runs[1]))
    life = tables.rectangles(runs[1]).iloc[0]
    assert placed.x1[0] - placed.x0[0] == pytest.approx(runs[1].ops[counts][life.x0 : life.x1].sum() / found.unit)
    assert any(text.startswith(("instructions since", "modelled cycles since")) for text, _ in boxes(figure))


def test_no_axis_without_counts():
    with pytest.raises(WorkbenchError, match=r"its cycles were not counted\n  help: run it again with --trace ops"):
        lifecycle_figure(both(trace="off"), "cycles")
    with pytest.raises(WorkbenchError, match="no axis counts 'cycle'\n  help: did you mean cycles"):
        lifecycle_figure(both(), "cycle")


def test_a_buffer_too_small_for_its_name_has_a_number_in_every_column():
    """The key tells each number that is drawn, and no other; a name in a rectangle needs none there."""
    runs = [*both(8), synthetic_run("vanilla", 8, policy="last-3")]
    figure = lifecycle_figure(runs)
    drawn = [{text.get_text() for text in axes.texts if text.get_text().isdecimal()} for axes in figure.axes[0::3]]
    key = [text.get_text() for text in figure.texts]
    start = key.index("buffers by number") + 1
    entries = dict(zip(key[start::2], key[start + 1 :: 2], strict=False))
    entries = {number: told for number, told in entries.items() if number.isdecimal()}
    assert set.union(*drawn) == set(entries) and len(entries) >= 8
    assert drawn[0] == drawn[2] != drawn[1]
    sizes = {row.name: row.bytes for run in runs for row in tables.rectangles(run).itertuples()}
    for told in entries.values():
        name, _, size = told.partition("  ")
        assert units.kilobytes(sizes[name]) == size


def test_no_run_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        lifecycle_figure([])


def test_names_get_shorter_and_mean_one_buffer_only():
    names = ["d.conv1.weight", "d.conv1.bias_add", "d.conv2.weight", "logits"]
    short = [
        "d.conv1.weight", "…conv1.weight", "d.conv1.weig…", "d.conv1.wei…", "d.conv1.we…", "d.conv1.w…", "…1.weight",
    ]  # fmt: skip
    assert Names(names).ways("d.conv1.weight") == short
    with_bytes = [f"{way}{gap}6.0 KB" for way in short for gap in ("  ", "\n")]
    assert Names(names).ways("d.conv1.weight", "6.0 KB") == with_bytes
    assert Names(names).ways("d.conv1.bias_add")[1:4] == ["…conv1.bias_add", "d.conv1.bias_a…", "d.conv1.bias…"]
    assert Names(["dw1"]).ways("dw1") == ["dw1"]
    assert Names(["head.weight", "tail.weight"]).ways("head.weight")[1:] == ["head.weig…", "head.wei…", "head.we…"] + [
        "head.w…"
    ]  # fewer than six letters name nothing


@given(st.lists(st.text("ab1._", min_size=1, max_size=9), min_size=2, max_size=9, unique=True))
def test_no_short_name_could_be_another_buffer_s(names):
    ways = {name: Names(names).ways(name) for name in names}
    for name, short in ways.items():
        assert short[0] == name and sorted(short[1:], key=len, reverse=True) == short[1:]
        for way in short[1:]:
            fits = [n for n in names if (n.endswith(way[1:]) if way[0] == "…" else n.startswith(way[:-1]))]
            assert fits == [name]


def test_a_saving_is_named_even_where_the_first_run_has_a_long_name():
    assert "13.4 KB below" in told(long_names())


def test_a_small_stack_beside_megabytes_keeps_its_unit():
    assert any("stack 1.1 KB" in text for text in told(both(width=512)))


def test_a_thin_arena_is_drawn_again_where_it_has_room():
    figure = lifecycle_figure(thin())
    assert_legible(figure)
    wide, slim = (axes.child_axes for axes in figure.axes[0::3])
    assert wide == [] and len(slim) == 1
    run, (low, high) = thin()[1], slim[0].get_ylim()
    assert (high - low) * 1024 == pytest.approx(run.meta["memory"]["arena_planned"])
    assert slim[0].get_xlim() == figure.axes[0].get_xlim()
    assert len(slim[0].get_yticks()) > 1  # true addresses of its own
    assert slim[0].bbox.width < 0.9 * figure.axes[3].bbox.width  # a box of its own, not a part of the panel
    text = next(text for text, _ in boxes(figure) if text.startswith("magnified "))
    pixels = figure.axes[3].transData.transform([(0, low), (0, high)])[:, 1]
    assert float(text.split()[1].rstrip("×")) == pytest.approx(slim[0].bbox.height / (pixels[1] - pixels[0]), abs=0.05)


def test_an_arena_that_can_be_read_is_drawn_once():
    assert not any(axes.child_axes for axes in lifecycle_figure(both()).axes)


def test_the_worst_position_s_buffers_are_listed_with_their_bytes():
    run = synthetic_run("vanilla", 40)
    worst = tables.worst_position(run)
    parts = tables.worst_parts(run, 5)
    assert len(parts) == 5 and sum(size for *_, size in parts) == worst.bytes
    assert parts[0] == tuple(worst.buffers.iloc[0]) and parts[-1][:2] == (f"{len(worst.buffers) - 4} more", "")
    assert tables.worst_parts(run, 100) == list(worst.buffers.itertuples(index=False, name=None))
    assert {parts[0][0], f"live at the worst position, {worst.position} ({worst.symbol})"} <= set(told([run]))


def test_every_label_in_a_rectangle_has_its_bytes():
    figure = lifecycle_figure(both(3))
    names = set(synthetic_run(layers=3).buffers.name)
    inside = [text.get_text() for axes in figure.axes[0::3] for text in axes.texts]
    labels = [text for text in inside if text.split()[0] in names]
    assert len(labels) > 5 and all(text.endswith(("KB", "B")) for text in labels)


def test_a_stack_of_a_few_bytes_is_told_in_bytes():
    run = synthetic_run()
    run.meta["memory"]["stack_peak"] = 40
    assert any(text.endswith("+ stack 40 B") for text in told([run]))


def test_the_key_lists_what_can_be_seen():
    runs = both()
    assert "label" in set(runs[0].buffers.role)  # of 4 bytes
    listed = {role for run in runs for _, role, _ in tables.worst_parts(run, 5)}
    assert ("label" in told(runs)) == ("label" in listed) and listed - {""} <= set(told(runs))
    assert {"gradient", "activation"} <= set(told(runs))


@pytest.mark.parametrize("less", [64, 1024, 4096, 16384])
def test_no_line_runs_through_what_is_said_of_a_narrow_gain(less):
    runs = [synthetic_run("reordered"), synthetic_run("reordered")]
    runs[0].meta["schedule"] = "vanilla"
    runs[0].meta["memory"]["arena_planned"] += less
    figure = lifecycle_figure(runs)
    assert_legible(figure)
    axes = figure.axes[3]
    heights = [axes.transData.transform((0, line.get_ydata()[0]))[1] for line in axes.lines]
    said = [(text, box) for text, box in boxes(figure) if " below" in text or text.startswith("static + arena")]
    assert sum(" below vanilla" in text for text, _ in said) == 1
    for text, box in said:
        inside = [height for height in heights if box.y0 < height < box.y1]
        assert box.x0 < axes.bbox.x0 or not inside, text
