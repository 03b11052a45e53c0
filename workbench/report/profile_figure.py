"""A profile in one figure: above who called whom, each as wide as the cycles it took; below how deep the stacks were.

| main                                  | Reset_Handler |
| in_ram          | printf   | getchar  |
|                 | vfprintf |
"""

import pandas as pd

from workbench import units
from workbench.record.profile import Profile
from workbench.report import palette
from workbench.report.figure import DPI, WIDTH, Picture
from workbench.report.short_names import short_name

LEVELS = 14  # of the tree, at most
THINNEST = 0.002  # of the width: thinner boxes are left out
LOWEST, HEADROOM = 16, 1.2  # of the stack's axis: bytes at its top, at least; what is left above the deepest
LETTER = 0.0062  # of the width, for one letter
BESIDE = 4  # stacks named in a row
SHORTEST = 8  # letters of a name that is cut: fewer tell nothing


def profile_figure(profile: Profile) -> Picture:
    """The call tree as boxes, and the depth of each stack over modelled cycles."""
    idle, exceptions = (int(profile.meta.get(name) or 0) for name in ("idle_cycles", "exception_cycles"))
    part = f", {profile.meta['part']}" if profile.meta.get("part") else ""
    return calls_figure(profile.meta["firmware"] + part, profile.tree, profile.stack, idle + exceptions, idle)


def calls_figure(title: str, tree: pd.DataFrame, stack: pd.DataFrame, beside: int = 0, idle: int = 0) -> Picture:
    """`profile_figure` of these tables, a profile's or a run's; `beside`: cycles that no function took, of which `idle`
    were waited."""
    whole = int(tree.modelled_cycles.sum())
    boxes = list(_boxes(tree, max(1, whole)))
    levels = 1 + max((level for level, *_ in boxes), default=0)
    figure = Picture(figsize=(WIDTH, 3.6 + 0.34 * levels), dpi=DPI)
    above, below = figure.subplots(2, 1, height_ratios=[0.34 * levels + 0.4, 2.2])
    for level, left, width, row, share in boxes:
        colour = palette.SERIES[hash_of(row.name) % len(palette.SERIES)]
        above.add_patch(_box(left, level, width, colour))
        text = f"{row.name} {units.percent(share)}"
        room = int(width / LETTER)
        if room >= min(len(row.name), SHORTEST):
            text = text if len(text) <= room else short_name(row.name, room)
            above.text(left + width / 2, level + 0.5, text, ha="center", va="center", fontsize=9, color=palette.INK,
                       clip_on=True, parse_math=False)  # fmt: skip
    above.set(xlim=(0, 1), ylim=(levels, 0), yticks=[], xticks=[0, 0.25, 0.5, 0.75, 1])
    above.set_xticklabels(["0", "25 %", "50 %", "75 %", f"{units.quantity(whole)} cycles"])
    above.set_title(f"{title}: who called whom, by modelled cycles", loc="left", fontsize=12,
                    color=palette.INK, parse_math=False)  # fmt: skip
    _stacks(below, stack, whole + beside, idle)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return figure


def _boxes(tree: pd.DataFrame, whole: int):
    """(level, left, width, row, share) of each context that is wide enough."""
    places: dict[int, tuple[int, float]] = {-1: (-1, 0.0)}
    order = tree.sort_values(["modelled_cycles_inclusive"], ascending=False, kind="stable")
    below: dict[int, list] = {}
    for row in order.itertuples(index=False):
        below.setdefault(row.parent, []).append(row)
    waiting = [-1]
    while waiting:
        parent = waiting.pop()
        level, left = places[parent]
        for row in below.get(parent, []):
            share = row.modelled_cycles_inclusive / whole
            if share >= THINNEST and level + 1 < LEVELS:
                places[row.id] = level + 1, left
                yield level + 1, left, share, row, share
                waiting.append(row.id)
            left += share


def hash_of(name: str) -> int:
    """The same for the same name, in every process."""
    return sum((at + 1) * ord(letter) for at, letter in enumerate(name))


def _box(left: float, level: int, width: float, colour):
    from matplotlib.patches import Rectangle

    return Rectangle((left, level + 0.04), width, 0.92, facecolor=colour, edgecolor="white", linewidth=0.8)


def _stacks(axes, stack: pd.DataFrame, cycles: int, idle: int) -> None:
    end = max([cycles, *stack.modelled_cycles.dropna().astype(int).tolist()])
    scale, unit = units.count_axis(end)
    for at, (name, rows) in enumerate(stack.groupby("stack", sort=False)):
        x = [*rows.modelled_cycles.astype(float), float(end)]
        y = [*rows.depth.astype(float), float(rows.depth.iloc[-1])]
        axes.step([each / scale for each in x], y, where="post", color=palette.SERIES[at % len(palette.SERIES)],
                  linewidth=1.4, label=f"{name}: {units.size(int(rows.depth.max()))}")  # fmt: skip
    top = max(LOWEST, HEADROOM * (int(stack.depth.max()) if len(stack) else 0))
    waited = f", of which {units.quantity(idle)} were waited" if idle else ""
    axes.set(xlim=(0, max(end, 1) / scale), ylim=(0, top), ylabel="stack in use, bytes",
             xlabel=f"modelled cycles{f' ({unit})' if unit else ''}{waited}")  # fmt: skip
    axes.set_title("how deep the stack was, and at most", loc="left", fontsize=12, color=palette.INK)
    if len(stack):  # above the axes, where it hides no line
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=BESIDE, fontsize=9.5, frameon=False,
                    borderaxespad=0.2)  # fmt: skip
