"""Titles, names and key of the comparison figure, and what it shows of a run."""

import re
from itertools import groupby
from math import hypot
from operator import itemgetter

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from workbench import units
from workbench.report import losses, palette, roles, seeds, tables
from workbench.report.labels import shorten

ABOVE, BELOW, MARGIN = 150, 118, 24  # pixels for titles, for the axis and the keys, at the edges
LONGEST_NAME, SCHEDULE = 240, 110  # pixels, at most for a line of the name of a group of runs, for a schedule
ROW, BREAK, LINE = 46, 16, 18  # pixels a run, between groups of runs, a line of a name
HAIR = 800  # a part smaller than one of so many of the longest bar is not seen
PLAINER = {"dead": "arena not in use", "scalar": "scalars and runtime"}  # words for roles
CLOSE, CLOSE_LOSS = 0.02, 0.05  # accuracies that differ by less are told as alike; losses, by this part
A_SEED = palette.pale(palette.INK, 0.45)  # the point of one of several seeds
LIMIT_IN_SIGHT = 1.5  # draw the limit if it is at most this many times the longest bar


def group_names(runs) -> list[str]:
    """What tells each run's group from the others; empty where there is one group only."""
    apart = [name for name in tables.apart(runs) if name != "schedule"]
    return [tables.words(run, apart) for run in runs]


def name_lines(labels, name: str, width: float, most: int) -> list[str]:
    """`name` on at most `most` lines, broken after a + or a blank; a part too long for its line ends in an ellipsis."""
    lines = [""]
    for part in re.split(r"(?<=[+ ])", name):
        whole = labels.measure((lines[-1] + part).rstrip(), 11.5, "bold")[0] <= width
        lines = [*lines[:-1], lines[-1] + part] if whole or not lines[-1] else [*lines, part]
    kept = [*lines[: most - 1], "".join(lines[most - 1 :])]
    return [shorten(labels, line.rstrip(), 11.5, width, "bold") for line in kept if line]


def names_width(labels, runs) -> float:
    """Pixels left of the bars: the widest line of a group's name, and the schedules where they differ."""
    told = [line for name in group_names(runs) for line in name_lines(labels, name, _room(runs), 9)]
    widest = max((labels.measure(line, 11.5, "bold")[0] for line in told), default=0)
    if "schedule" not in tables.apart(runs):
        return widest + 16
    return widest + max(SCHEDULE, *(labels.measure(str(run.meta["schedule"]), 10.5)[0] + 24 for run in runs))


def names(labels, figure, runs, heights, right):
    """Left of the bars: the group's name once, over several lines where it is long, the schedule of each run."""
    scheduled = "schedule" in tables.apart(runs)
    for name, group in groupby(zip(group_names(runs), runs, heights, strict=True), key=itemgetter(0)):
        rows = list(group)
        lines = name_lines(labels, name, _room(runs), (len(rows) * ROW + BREAK) // LINE)
        above = (len(lines) - 1) * LINE / 2 if len(rows) == 1 else 0
        for at, line in enumerate(lines):
            write(figure, MARGIN, rows[0][2] + above - at * LINE, line, 11.5, weight="bold", va="center_baseline")
        for _, run, y in rows if scheduled else ():
            write(figure, right - 12, y, str(run.meta["schedule"]), 10.5, ha="right", va="center_baseline")


def _room(runs) -> float:
    """Pixels for a line of a name: a column of schedules that is not there leaves its own."""
    return LONGEST_NAME + (0 if "schedule" in tables.apart(runs) else SCHEDULE - 16)


def title(labels, figure, runs, height):
    models = ", ".join(dict.fromkeys(str(run.meta["model"]) for run in runs))
    text = shorten(labels, f"{models}: {finding(runs)}", 15, figure.bbox.width - 2 * MARGIN, "bold")
    write(figure, MARGIN, height - 52, text, 15, weight="bold")
    words = tables.shared(runs)
    steps = {run.meta["steps"] for run in runs}
    words += [f"{count} step{'s' * (count != 1)}" for count in steps if len(steps) == 1]
    if several(runs):
        counts = units.ranges(sorted({seeds.count(run) for run in runs}))
        words.append(f"held-out of {counts} seeds: mean ± standard deviation, a grey point each")
    words += taught(runs)
    text = shorten(labels, "  ·  ".join([*words, fitting(runs)]), 11, figure.bbox.width - 2 * MARGIN)
    write(figure, MARGIN, height - 80, text, 11, color=palette.QUIET)


def taught(runs) -> list[str]:
    """What all runs were pre-trained on, and adapted to."""
    found = {((run.meta.get("pretrained") or {}).get("data"), tables.data_name(run.meta)) for run in runs}
    return [f"pre-trained on {before}, adapted to {after}" for before, after in found if before and len(found) == 1]


def finding(runs) -> str:
    """The run that needs least SRAM and the one that needs most, by the same measure; or the one that learned most,
    where little SRAM costs accuracy (or loss), by more than seeds are apart."""
    if len(runs) == 1:
        return f"{units.kilobytes(tables.sram(runs[0])[0])} of SRAM"
    same = len({tables.sram(run)[1] for run in runs}) == 1
    size = lambda run: tables.sram(run)[0] if same else int(run.meta["memory"]["sram_planned"])  # noqa: E731
    apart = tables.apart(runs) or ["schedule"]
    least, most = min(runs, key=size), max(runs, key=size)
    if size(least) == size(most):
        return f"each needs {units.kilobytes(size(least))} of SRAM"
    told = [(tables.words(run, apart), units.kilobytes(size(run))) for run in (least, most)]
    learned = [(run, figures[1]) for run in runs if (figures := held_out(run, runs))]
    if len(learned) == len(runs):
        sign = -1 if form(runs) is units.percent else 1
        best, _ = min(learned, key=lambda each: (sign * each[1], size(each[0])))
        if _apart(least, best, runs):
            small, able = (tables.words(run, apart) for run in (least, best))
            a_loss = "" if form(runs) is units.percent else "a held-out loss of "
            few = f"{small} needs least SRAM, {units.kilobytes(size(least))}"
            return (f"{few}, for {a_loss}{seeds.after_words(least)}; "
                    f"{able} learns most, {seeds.after_words(best)} in {units.kilobytes(size(best))}")  # fmt: skip
    return f"{told[0][0]} needs least SRAM, {told[0][1]}; {told[1][0]} most, {told[1][1]}"


def _apart(run, other, runs) -> bool:
    """Whether two runs learned differently: by more than what texts call alike, and more than the spread of seeds."""
    figures = held_out(run, runs), held_out(other, runs)
    if figures[0] is None or figures[1] is None:
        return False
    one, two = figures[0][1], figures[1][1]
    close = CLOSE if form(runs) is units.percent else CLOSE_LOSS * max(one, two)
    return abs(one - two) >= max(close, hypot(*(spread_of(each, runs) or 0 for each in (run, other))))


def fitting(runs) -> str:
    """The runs that fit the SRAM; a policy stands for its runs where all of them fit."""
    limits = {int(run.meta["memory"]["sram_limit"]) for run in runs}
    limit = units.size(limits.pop()) if len(limits) == 1 else "its board"
    fit = [run for run in runs if run.meta["memory"]["fits"]]
    if len(fit) in (0, len(runs)):
        return (
            f"{'all fit' if fit else 'none fits'} {limit}" if len(runs) > 1 else f"{'fits' if fit else 'over'} {limit}"
        )
    apart, names = tables.apart(runs), []
    group = [name for name in apart if name != "schedule"]
    for run in fit:
        alike = [other for other in runs if tables.words(other, group) == tables.words(run, group)]
        whole = bool(group) and all(other.meta["memory"]["fits"] for other in alike)
        names.append(tables.words(run, group if whole else apart))
    return f"within {limit}: {', '.join(dict.fromkeys(names))}"


def keys(figure, runs, height, noted):
    found = seen((roles.parts_of(run, tables.sram(run)[1]) for run in runs), longest(runs))
    keys = [Patch(label=PLAINER.get(role, role), **look(role)) for role in found]
    if any(plan_differs(run, longest(runs)) for run in runs):
        keys.append(_mark("|", palette.INK, palette.INK, "planned"))
    if any(run.meta["memory"]["sram_limit"] <= LIMIT_IN_SIGHT * longest(runs) for run in runs):
        keys.append(Line2D([], [], color=palette.LIMIT, linestyle=(0, (5, 3)), linewidth=1.5, label="SRAM limit"))
    if any(held_out(run, runs) for run in runs):
        what = "accuracy" if form(runs) is units.percent else "held-out loss"
        keys.append(_mark("o", "white", palette.QUIET, f"{what} before"))
        keys.append(_mark("o", palette.INK, palette.INK, "after", 5.5))
    legend(figure, keys, (BELOW - 72 + (24 if noted else 0)) / height)


def seen(bars, longest: int) -> list[str]:
    """The roles that some bar (bytes by role) has enough of to be seen."""
    return roles.in_order(role for parts in bars for role, size in parts.items() if size >= longest / HAIR)


def legend(figure, keys, y):
    """A line of keys at the height `y`, a fraction of the figure's."""
    figure.legend(handles=keys, loc="center left", bbox_to_anchor=(MARGIN / figure.bbox.width, y), ncols=len(keys),
                  frameon=False, fontsize=10.5, labelcolor=palette.INK, borderpad=0, borderaxespad=0,
                  handlelength=1.3, handleheight=0.9, columnspacing=1.7, handletextpad=0.5)  # fmt: skip


def look(role) -> dict:
    """How a role is filled; arena bytes that no live buffer uses are hatched."""
    look = {"facecolor": palette.role_colour(role), "edgecolor": "white", "linewidth": 0.8}
    return look | ({"hatch": "////", "edgecolor": palette.STATIC_HATCH} if role == "dead" else {})


def longest(runs) -> int:
    return max(max(tables.sram(run)[0], int(run.meta["memory"]["sram_planned"])) for run in runs)


def plan_differs(run, longest) -> bool:
    """Whether the plan differs visibly: by some pixels of the longest bar."""
    return abs(tables.sram(run)[0] - int(run.meta["memory"]["sram_planned"])) > longest / 250


def held_out_head(runs) -> str:
    """The column's heading, with the accuracy (or loss) before training where all runs share it."""
    found = {each[0] for run in runs if (each := held_out(run, runs))}
    functions = {run.meta.get("loss_function") or "loss" for run in runs}
    loss = "" if form(runs) is units.percent else f" {functions.pop() if len(functions) == 1 else 'loss'}"
    if len(found) == 1:
        return f"held-out{loss}, {form(runs)(found.pop())} before"
    return f"held-out{loss or ' accuracy (%)'}"


def held_out(run, runs) -> tuple[float, float] | None:
    """Before and after, by the measure of all these runs: accuracy, or the loss where none of them tells classes."""
    if form(runs) is units.percent:
        return accuracies(run)
    before, after, _ = losses.held_out(run.meta)
    return None if before is None or after is None else (before, after)


def spread_of(run, runs) -> float | None:
    """How far its seeds are apart after the training, by the measure of all these runs."""
    return seeds.spread(run, "accuracy" if form(runs) is units.percent else "held_out_loss")


def several(runs) -> bool:
    """Whether some run stands for several seeds."""
    return any(seeds.count(run) > 1 for run in runs)


def form(runs):
    """How held-out figures of these runs are written."""
    return units.percent if any(accuracies(run) for run in runs) else units.loss


def accuracies(run) -> tuple[float, float] | None:
    found = run.meta.get("accuracy") or {}
    before, after = found.get("before"), found.get("after")
    return None if before is None or after is None else (before, after)


def write(figure, x, y, text, points, *, va="baseline", **style):
    """Text at a pixel of the figure."""
    at = figure.transFigure.inverted().transform((x, y))
    figure.text(*at, text, fontsize=points, va=va, parse_math=False, **{"color": palette.INK, **style})


def _mark(marker, face, edge, label, size=9):
    return Line2D([], [], marker=marker, linestyle="", markersize=size, markerfacecolor=face, markeredgecolor=edge,
                  label=label)  # fmt: skip
