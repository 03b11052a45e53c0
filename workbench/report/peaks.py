"""Peak SRAM of several networks in one figure: a bar a run, those of a network together, published figures beside them.

mcunet-5fps   full vanilla          [==============================] 3.2 MB
              sparse-49kb vanilla   [=====] 560 KB
              sparse-49kb optimized [==] 173 KB
              published: full       [//////////////////////////////////] 3650 KB
"""

from collections.abc import Sequence

import pandas as pd

from workbench import units
from workbench.record import Run
from workbench.report import palette, tables
from workbench.report.figure import DPI, WIDTH, Picture
from workbench.report.labels import Labels
from workbench.report.published import PEAK, published

POINTS = 20  # of 1600 pixels: 9 on a page seven inches wide
ROW, BREAK, ABOVE, BELOW, MARGIN = 46, 34, 130, 90, 30  # pixels: a bar, between networks, around the bars
BAR = 0.68  # of a row
COLUMNS = ["network", "method", "bytes", "how"]
BY_SCHEDULE = {"vanilla": "gradient", "reordered": "activation", "optimized": "scratch"}  # whose colour


def peaks(runs: Sequence[Run], with_published: bool = False) -> pd.DataFrame:
    """A row a run, then those published of its network: network, method, bytes, and how they are known: measured,
    planned, or published. Published KB are taken for 1024 bytes."""
    rows = [(str(run.meta["model"]), _method(run), *tables.sram(run)) for run in runs]
    networks = list(dict.fromkeys(network for network, *_ in rows))
    if with_published:
        figures = published()
        theirs = figures[(figures.what == PEAK) & figures.network.isin(networks)]
        rows += [(row.network, row.method, int(row.value * units.KB), "published") for row in theirs.itertuples()]
    rows.sort(key=lambda row: networks.index(row[0]))  # stable: theirs stand behind ours
    return pd.DataFrame(rows, columns=COLUMNS)


def finding(table: pd.DataFrame) -> str:
    """How many times less the least of our rows of a network takes than the most."""
    ours = table[table.how != "published"].groupby("network", sort=False).bytes
    times = (ours.max() / ours.min()).items()
    told = [f"{network} {ratio:.1f} times less" for network, ratio in times if ratio > 1]
    return f"the least beside the most: {' · '.join(told)}" if told else ""


def peaks_figure(runs: Sequence[Run], with_published: bool = False) -> Picture:
    """The figure of at least one run."""
    table = peaks(runs, with_published)
    groups = [rows for _, rows in table.groupby("network", sort=False)]
    height = ABOVE + BELOW + len(table) * ROW + len(groups) * (ROW + BREAK)
    figure = Picture(figsize=(WIDTH, height / DPI), dpi=DPI, facecolor="white")
    labels = Labels(figure)
    name = {at: f"published: {row.method}" if row.how == "published" else row.method for at, row in table.iterrows()}
    left = MARGIN + 14 + max(labels.measure(text, POINTS)[0] for text in name.values())
    total = {at: _told(row) for at, row in table.iterrows()}
    right = MARGIN + 14 + max(labels.measure(text, POINTS, "bold")[0] for text in total.values())
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH * DPI), ylim=(height, 0))
    axes.axis("off")
    scale = (WIDTH * DPI - left - right) / table.bytes.max()
    style = {"fontsize": POINTS, "color": palette.INK, "va": "center", "parse_math": False}
    axes.text(MARGIN, 46, "Peak SRAM of a training step", **{**style, "fontsize": POINTS + 5}, weight="bold")
    axes.text(MARGIN, 94, finding(table), **{**style, "fontsize": POINTS - 3}, wrap=True)
    y = float(ABOVE)
    for rows in groups:
        axes.text(MARGIN, y + ROW / 2, rows.network.iloc[0], weight="bold", **style)
        y += ROW
        for at, row in rows.iterrows():
            axes.text(left - 14, y + ROW / 2, name[at], ha="right", **style)
            axes.barh(y + ROW / 2, row.bytes * scale, ROW * BAR, left, **_look(row))
            axes.text(left + row.bytes * scale + 12, y + ROW / 2, total[at], weight="bold", **style)
            y += ROW
        y += BREAK
    notes = ["ours: static + arena + stack, measured unless it says planned"]
    notes += ["published: Lin et al. 2022"] * ("published" in set(table.how))
    axes.text(MARGIN, height - 44, " · ".join(notes), **{**style, "fontsize": POINTS - 4, "color": palette.QUIET})
    return figure


def _method(run: Run) -> str:
    """'full vanilla'; 'bias-only optimized by rows' where the image comes by rows, and other passes as they are."""
    passes = str(tables.key(run, "passes") or "").replace("+input-rows", "by rows").replace("input-rows", "by rows")
    return " ".join(filter(None, [run.meta["policy"], run.meta["schedule"], passes]))


def _told(row) -> str:
    """Bytes in words: published ones as they were published, in KB."""
    if row.how == "published":
        return f"{row.bytes / units.KB:g} KB"
    return f"{units.kilobytes(row.bytes)}{' planned' * (row.how == 'planned')}"


def _look(row) -> dict[str, object]:
    if row.how == "published":
        return {"facecolor": palette.STATIC, "edgecolor": palette.QUIET, "hatch": "//", "linewidth": 0.8}
    role = next((role for schedule, role in BY_SCHEDULE.items() if f" {schedule}" in row.method), "parameter")
    return {"facecolor": palette.role_colour(role)}
