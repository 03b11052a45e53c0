"""The lifecycle figure: no text overlaps another or leaves the figure, in any of the cases it must serve."""

import struct

import pytest
from pictures import assert_legible, boxes
from synthetic_run import synthetic_run

from workbench.report import lifecycle_figure, save_figure
from workbench.report.labels import name_candidates

TWO = ("vanilla", "reordered")


def both(layers=5, **options):
    return [synthetic_run(schedule, layers, **options) for schedule in TWO]


def long_names():
    run = synthetic_run()
    run.buffers["name"] = "features.block3.$conv$_2." + run.buffers.name.astype(str)
    run.meta.update(model="mobilenet_v2-w0.35", policy="sparse-49kb-of-mobilenet-with-a-long-file-name.toml")
    return [run, synthetic_run("reordered"), synthetic_run("reordered", 4, policy="last-3")]


CASES = {
    "smallest": lambda: [synthetic_run(layers=1)],
    "one": lambda: [synthetic_run(layers=3)],
    "two": both,
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


@pytest.fixture(params=CASES)
def figure(request):
    return lifecycle_figure(CASES[request.param]())


def test_no_text_overlaps_another_or_is_cut(figure):
    assert len(boxes(figure)) > 10
    assert_legible(figure)


@pytest.mark.parametrize("kilobytes", [94, 95, 96, 97, 98, 99, 100, 104])
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


def test_svg_and_png_are_deterministic(tmp_path):
    for ending in ("svg", "png"):
        paths = [tmp_path / f"{name}.{ending}" for name in "ab"]
        for path in paths:
            save_figure(lifecycle_figure(both(3)), path)
        assert paths[0].read_bytes() == paths[1].read_bytes()
    assert b"<dc:date>" not in (tmp_path / "a.svg").read_bytes()
    assert struct.unpack(">I", (tmp_path / "a.png").read_bytes()[16:20])[0] == 1600


def test_no_run_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        lifecycle_figure([])


def test_names_get_shorter_and_never_mislead():
    ways = name_candidates("features.conv1.weight", "6.0 KB")
    assert ways[:2] == ["features.conv1.weight  6.0 KB", "features.conv1.weight"]
    assert all("features.conv1.weight".startswith(way.rstrip("…")) for way in ways[1:])
    assert sorted(ways, key=len, reverse=True) == ways
    assert name_candidates("dw1") == ["dw1"]
    assert name_candidates("features.block3.dw1", shared=16)[:2] == ["features.block3.dw1", "…dw1"]


def test_a_saving_is_named_even_where_the_first_run_has_a_long_name():
    assert "13.4 KB saved" in told(long_names())


def test_a_small_stack_beside_megabytes_keeps_its_unit():
    assert any("stack 1.1 KB" in text for text in told(both(width=512)))
