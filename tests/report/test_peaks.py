"""Peaks of several networks: the table is the runs' SRAM, published figures stand behind, every bar is drawn."""

import pytest
from matplotlib.patches import Rectangle
from synthetic_run import synthetic_run

from workbench.cli import main
from workbench.report import tables
from workbench.report.peaks import finding, peaks, peaks_figure


def grid():
    """Two networks by turns, under two schedules."""
    runs = [synthetic_run(schedule, width=width) for schedule in ("vanilla", "reordered") for width in (16, 24)]
    for run, model in zip(runs, ("mcunet-5fps", "mine") * 2, strict=True):
        run.meta["model"] = model
    return runs


def test_rows_are_the_runs_by_network_and_published_ones_behind():
    runs, table = grid(), peaks(grid(), with_published=True)
    assert list(table.network) == ["mcunet-5fps"] * 5 + ["mine"] * 2
    assert list(table.method[:2]) == ["full vanilla", "full reordered"]
    assert list(table.bytes[:2]) == [tables.sram(runs[at])[0] for at in (0, 2)]
    assert list(table.method[2:5]) == ["full", "sparse", "sparse + reordered"]
    assert list(table.bytes[2:5]) == [3650 * 1024, 560 * 1024, 173 * 1024]
    assert set(table.how) == {"measured", "published"} and "published" not in set(peaks(runs).how)


def test_the_finding_compares_ours_alone():
    table = peaks(grid(), with_published=True)
    least, most = table.bytes[1], table.bytes[0]
    assert finding(table).startswith(f"the least beside the most: mcunet-5fps {most / least:.1f} times less · mine ")
    assert finding(peaks(grid()[:1])) == ""


def test_every_row_is_a_bar_as_long_as_its_bytes():
    table = peaks(grid(), with_published=True)
    axes = peaks_figure(grid(), with_published=True).axes[0]
    widths = [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
    assert widths == pytest.approx(list(table.bytes * max(widths) / table.bytes.max()))
    assert {"published: sparse + reordered", "full vanilla", "mine", "173 KB"} <= {t.get_text() for t in axes.texts}


def test_the_command_draws_several_folders(tmp_path, capsys):
    folders = [str(tmp_path / f"run{at}") for at in range(2)]
    for run, folder in zip(grid(), folders, strict=False):
        run.save(folder)
    path = tmp_path / "peaks.svg"
    assert main(["report", *folders, "--peaks", str(path), "--published"]) == 0
    assert "published: sparse" in path.read_text() and f"Wrote {path}" in capsys.readouterr().out
    assert main(["report", *folders, "--published"]) == 1
    assert "give --peaks FILE with it" in capsys.readouterr().err
    assert main(["report", *folders, "--peaks", "peaks.gif"]) == 1
    assert "such as --peaks peaks.png" in capsys.readouterr().err
