"""Titles, names and key of the comparison figure, and what a run is to it: its accuracy, whether its plan differs."""

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from workbench import units
from workbench.report import palette, roles, tables
from workbench.report.labels import shorten

KEYS = ("model", "policy", "schedule", "board", "batch")
ABOVE, BELOW, MARGIN = 150, 118, 24  # pixels for titles, for the axis and the keys, at the edges
LONGEST_NAME = 240  # pixels, at most for the name of a group of runs
LIMIT_IN_SIGHT = 1.5  # draw the limit if it is at most this many times the longest bar


def group_names(runs) -> list[str]:
    """What tells each run's group from the others; empty where there is one group only."""
    apart = [key for key in KEYS if key != "schedule" and len({str(run.meta.get(key)) for run in runs}) > 1]
    return [" ".join(str(run.meta.get(key)) for key in apart) for run in runs]


def names(labels, figure, runs, heights, right):
    """Left of the bars: the group's name once, the schedule of each run."""
    told = None
    for run, name, y in zip(runs, group_names(runs), heights, strict=True):
        if name != told:
            text = shorten(labels, name, 11.5, LONGEST_NAME, "bold")
            write(figure, MARGIN, y, text, 11.5, weight="bold", va="center_baseline")
        told = name
        write(figure, right - 12, y, str(run.meta["schedule"]), 10.5, ha="right", va="center_baseline")


def title(figure, runs, height):
    models = ", ".join(dict.fromkeys(str(run.meta["model"]) for run in runs))
    write(figure, MARGIN, height - 52, f"{models}: {_finding(runs)}", 15, weight="bold")
    words = []
    for key, form in (("policy", "update policy {}"), ("board", "{}"), ("batch", "batch {}")):
        if len({str(run.meta.get(key)) for run in runs}) == 1:
            words.append(form.format(runs[0].meta.get(key)))
    steps = {run.meta["steps"] for run in runs}
    words += [f"{count} step{'s' * (count != 1)}" for count in steps if len(steps) == 1]
    write(figure, MARGIN, height - 80, "  ·  ".join(words), 11, color=palette.QUIET)


def _finding(runs) -> str:
    """The smallest beside the largest, in bytes of the same measure."""
    if len(runs) == 1:
        return f"{units.kilobytes(tables.sram(runs[0])[0])} of SRAM"
    same = len({tables.sram(run)[1] for run in runs}) == 1
    sizes = [tables.sram(run)[0] if same else run.meta["memory"]["sram_planned"] for run in runs]
    return f"a training step needs {units.kilobytes(min(sizes))} to {units.kilobytes(max(sizes))} of SRAM"


def keys(figure, runs, height, noted):
    found = roles.in_order(role for run in runs for role in roles.parts_of(run, tables.sram(run)[1]))
    keys = [Patch(label=role, **look(role)) for role in found]
    if any(plan_differs(run, longest(runs)) for run in runs):
        keys.append(_mark("|", palette.INK, palette.INK, "planned"))
    if any(run.meta["memory"]["sram_limit"] <= LIMIT_IN_SIGHT * longest(runs) for run in runs):
        keys.append(Line2D([], [], color=palette.LIMIT, linestyle=(0, (5, 3)), linewidth=1.5, label="SRAM limit"))
    if any(accuracies(run) for run in runs):
        keys.append(_mark("o", "white", palette.QUIET, "accuracy before"))
        keys.append(_mark("o", palette.INK, palette.INK, "after"))
    y = (BELOW - 72 + (24 if noted else 0)) / height
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
    """Visibly so: by some pixels of the longest bar."""
    return abs(tables.sram(run)[0] - int(run.meta["memory"]["sram_planned"])) > longest / 250


def accuracies(run) -> tuple[float, float] | None:
    found = run.meta.get("accuracy") or {}
    both = found.get("before"), found.get("after")
    return None if None in both else both


def write(figure, x, y, text, points, *, va="baseline", **style):
    """Text at a pixel of the figure."""
    at = figure.transFigure.inverted().transform((x, y))
    figure.text(*at, text, fontsize=points, va=va, parse_math=False, **{"color": palette.INK, **style})


def _mark(marker, face, edge, label):
    return Line2D([], [], marker=marker, linestyle="", markersize=9, markerfacecolor=face, markeredgecolor=edge,
                  label=label)  # fmt: skip
