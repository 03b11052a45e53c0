"""Titles and keys of the lifecycle figure: the finding first, in words and bytes; what the worst position holds."""

from typing import Any

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from workbench import units
from workbench.report import palette, tables
from workbench.report.labels import Labels, shorten
from workbench.report.panels import Panel

Figure = tuple[str, float, dict[str, Any]]  # text, points, style
GAP = 16  # pixels between figures on a line
LISTED, LINE, LIST = 5, 18, 400  # lines of the worst position's buffers, pixels a line, across


def column_title(labels: Labels, axes, panel: Panel) -> None:
    """Three lines above a column: what tells its run apart, its SRAM and how that changed, the parts."""
    run, first, frame, dpi = panel.run, panel.reference, axes.bbox, axes.figure.dpi
    total, how = tables.sram(run)
    saved = None if first is None else tables.saving(first, run)
    if saved is not None and saved.measure == "planned":
        total, how = saved.after, "planned"
    line = dpi / 72
    x, y = frame.x0, frame.y1 + 12 * line
    _write(axes, x, y + 46 * line, shorten(labels, panel.title, 14, frame.width, "bold"), 14, weight="bold")
    for text, points, style in _figures(labels, total, how, saved, frame.width):
        _write(axes, x, y + 18 * line, text, points, **style)
        x += labels.measure(text, points, style.get("weight", "normal"))[0] + GAP
    _write(axes, frame.x0, y, shorten(labels, _parts(run, total, how), 10.5, frame.width), 10.5, color=palette.QUIET)


def _figures(labels: Labels, total: int, how: str, saved, width: float) -> list[Figure]:
    """The line of figures: SRAM, how it is known, and its change; the last ones are left out where there is no room."""
    number: Figure = (units.kilobytes(total), 20, {"weight": "bold"})
    change: list[Figure] = []
    if saved is not None:
        down, up = saved.after < saved.before, saved.after > saved.before
        colour = palette.SAVED if down else palette.LIMIT if up else palette.QUIET
        change = [(units.change(saved.before, saved.after), 20, {"weight": "bold", "color": colour})]
    known = lambda text: (text, 11.0, {"color": palette.QUIET})  # noqa: E731
    ways: tuple[list[Figure], ...] = (
        [number, known(f"SRAM {how}"), *change],
        [number, known(how), *change],
        [number, *change],
        [number],
    )
    for parts in ways:
        wide = sum(labels.measure(text, size, style.get("weight", "normal"))[0] + GAP for text, size, style in parts)
        if wide - GAP <= width:
            return parts
    return ways[-1]


def _parts(run, total, how) -> str:
    column = tables.memory_summary(run)[how]
    stack = "stack" if how == "measured" else "stack reserve"
    known = [(title, column[part]) for title, part in (("static", "static"), ("arena", "arena"), (stack, "stack"))]
    parts = " + ".join(f"{title} {_part(None if pd.isna(value) else int(value), total)}" for title, value in known)
    memory = run.meta["memory"]
    if memory["fits"]:
        return parts
    return f"{parts} · does not fit {units.size(memory['sram_limit'])}"


def _part(value: int | None, total: int) -> str:
    """A size in KB, but in bytes where it would print as '0.0'."""
    return units.kilobytes(value) if value and value < units.KB / 10 else units.bare(value, total)


def worst_buffers(labels: Labels, strip, run, axis: str) -> None:
    """Below the ticks of the strip: what the axis is, then the buffers of the worst position, largest first."""
    frame, worst = strip.bbox, tables.worst_position(run)
    y = frame.y0 - 40
    _write(strip, (frame.x0 + frame.x1) / 2, y, axis, 10.5, ha="center")
    y -= 30
    head = f"live at the worst position, {worst.position} ({worst.operator})"
    if labels.measure(head, 10.5, "bold")[0] > frame.width:
        head = f"worst position, {worst.position} ({worst.operator})"
    _write(strip, frame.x0, y, shorten(labels, head, 10.5, frame.width, "bold"), 10.5, weight="bold")
    y -= 4
    for name, role, size in tables.worst_parts(run, LISTED):
        y -= LINE
        if role:
            _square(strip, frame.x0, y, palette.role_colour(role))
        _write(strip, frame.x0 + LINE, y, shorten(labels, name, 10, min(frame.width, LIST) - 100), 10)
        _write(strip, frame.x0 + min(frame.width, LIST) - 4, y, units.kilobytes(size), 10, ha="right")


def _square(axes, x, y, colour) -> None:
    figure = axes.figure
    (x0, y0), (x1, y1) = figure.transFigure.inverted().transform([(x, y - 1), (x + 11, y + 10)])
    figure.add_artist(Rectangle((x0, y0), x1 - x0, y1 - y0, transform=figure.transFigure, facecolor=colour))


def figure_title(figure, runs) -> None:
    """One line over all columns: the network, and whatever all runs have in common."""
    alone = [] if tables.apart(runs) else ["schedule"]  # it titles the panel
    models = list(dict.fromkeys(str(run.meta["model"]) for run in runs))
    y = 1 - 36 / figure.bbox.height
    text = f"{', '.join(models)}: SRAM over one training step"
    figure.text(0.055, y, text, fontsize=15, weight="bold", color=palette.INK, va="center", parse_math=False)
    figure.text(
        0.985,
        y,
        "  ·  ".join(tables.shared(runs, alone)),
        fontsize=11,
        color=palette.QUIET,
        ha="right",
        va="center",
        parse_math=False,
    )


def legends(figure, runs, pixel: float, limit_drawn: bool) -> None:
    """One key for roles, one for phases, below everything; a role that is not listed needs a buffer of a `pixel`."""
    buffers = pd.concat([tables.rectangles(run) for run in runs])
    roles = set(buffers[buffers.bytes >= pixel].role)
    roles |= {role for run in runs for _, role, _ in tables.worst_parts(run, LISTED) if role}  # they have a swatch
    order = [r for r in tables.ROLES if r in roles] + sorted(roles - set(tables.ROLES))
    keys: list[Any] = [Patch(facecolor=palette.role_colour(role), label=role) for role in order]
    if any(((table.used0 > table.x0) | (table.used1 < table.x1)).any() for table in map(tables.rectangles, runs)):
        keys.append(Patch(facecolor=palette.pale(palette.ROLE["gradient"]), label="pale: planned, not in use"))
    keys.append(
        Patch(facecolor=palette.STATIC, edgecolor=palette.STATIC_HATCH, hatch="///", linewidth=0, label="static")
    )
    keys.append(Patch(facecolor="white", edgecolor=palette.INK, linewidth=1, label="worst position"))
    if limit_drawn:
        keys.append(Line2D([], [], color=palette.LIMIT, linestyle=(0, (5, 3)), linewidth=1.5, label="SRAM limit"))
    seen = {phase for run in runs for phase in tables.phases(run).phase}
    phases = [Patch(facecolor=palette.PHASE[p], label=p) for p in tables.PHASES if p in seen]
    style = {"frameon": False, "fontsize": 10.5, "labelcolor": palette.INK, "borderpad": 0, "borderaxespad": 0}
    style |= {"handlelength": 1.3, "handleheight": 0.9, "columnspacing": 1.7, "handletextpad": 0.5}
    for handles, pixels, title in ((keys, 47, "buffers"), (phases, 16, "phases")):
        y = pixels / figure.bbox.height
        if handles:
            figure.text(0.055, y, title, fontsize=10.5, weight="bold", color=palette.INK, va="center")
            figure.legend(handles=handles, loc="center left", bbox_to_anchor=(0.105, y), ncols=len(handles), **style)


def _write(axes, x, y, text, points, **style):
    write(axes.figure, x, y, text, points, **style)


def write(figure, x, y, text, points, **style) -> None:
    """Text at a pixel of the figure, on its baseline."""
    at = figure.transFigure.inverted().transform((x, y))
    figure.text(*at, text, fontsize=points, va="baseline", parse_math=False, **{"color": palette.INK, **style})
