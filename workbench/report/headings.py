"""Titles and keys of the lifecycle figure: the finding first, in words and bytes."""

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from workbench import units
from workbench.report import palette, tables
from workbench.report.labels import Labels, shorten


def short_title(run, other=None) -> str:
    """What tells a run from `other`: its schedule, or what else differs ('last-3 vanilla')."""
    different = [] if other is None else [k for k in ("model", "policy", "board") if run.meta[k] != other.meta[k]]
    words = [str(run.meta[key]) for key in different]
    if other is None or run.meta["schedule"] != other.meta["schedule"] or not words:
        words.append(str(run.meta["schedule"]))
    return " ".join(words)


def column_title(labels: Labels, axes, runs, index: int) -> None:
    """Three lines above a column: which run, its SRAM and the saving against the first, the parts."""
    run, frame, dpi = runs[index], axes.bbox, axes.figure.dpi
    other = next((o for o in runs if o is not run and short_title(run, o) != run.meta["schedule"]), None)
    words = short_title(run, other)
    if other is not None and str(run.meta["schedule"]) not in words.split():
        words += f" {run.meta['schedule']}"
    total, how = tables.sram(run)
    line = dpi / 72
    y = frame.y1 + 12 * line
    saved = tables.saving(runs[0], run) if index else None
    if saved is not None and saved.measure == "planned":
        total, how = saved.after, "planned"
    x = frame.x0
    _write(axes, x, y + 46 * line, shorten(labels, words, 14, frame.width, "bold"), 14, weight="bold")
    number = f"{units.kilobytes(total)}"
    _write(axes, x, y + 18 * line, number, 20, weight="bold")
    x += labels.measure(number, 20, "bold")[0] + 8
    tail = f"SRAM {how}"
    _write(axes, x, y + 18 * line, tail, 11, color=palette.QUIET)
    if saved is not None:
        x += labels.measure(tail, 11)[0] + 18
        colour = (
            palette.SAVED
            if saved.after < saved.before
            else palette.LIMIT
            if saved.after > saved.before
            else palette.QUIET
        )
        _write(axes, x, y + 18 * line, units.change(saved.before, saved.after), 20, weight="bold", color=colour)
    _write(axes, frame.x0, y, shorten(labels, _parts(run, total, how), 10.5, frame.width), 10.5, color=palette.QUIET)


def _parts(run, total, how) -> str:
    column = tables.memory_summary(run)[how]
    stack = "stack" if how == "measured" else "stack reserve"
    known = [(title, column[part]) for title, part in (("static", "static"), ("arena", "arena"), (stack, "stack"))]
    parts = " + ".join(f"{title} {units.bare(None if pd.isna(value) else int(value), total)}" for title, value in known)
    memory = run.meta["memory"]
    if memory["fits"]:
        return parts
    return f"{parts} · does not fit {units.size(memory['sram_limit'])}"


def figure_title(figure, runs) -> None:
    """One line over all columns: the network, and whatever all runs have in common."""
    meta = runs[0].meta
    words = []
    for key, form in (("policy", "update policy {}"), ("board", "{}"), ("batch", "batch {}")):
        if key in meta and len({str(run.meta.get(key)) for run in runs}) == 1:
            words.append(form.format(meta[key]))
    models = list(dict.fromkeys(str(run.meta["model"]) for run in runs))
    text = f"{', '.join(models)}: SRAM over one training step"
    figure.text(0.055, 0.965, text, fontsize=15, weight="bold", color=palette.INK, va="center", parse_math=False)
    figure.text(
        0.985, 0.965, "  ·  ".join(words), fontsize=11, color=palette.QUIET, ha="right", va="center", parse_math=False
    )


def legends(figure, runs, limit_drawn: bool) -> None:
    """One key for roles, one for phases, below everything."""
    roles = {role for run in runs for role in tables.live_bytes(run).columns}
    order = [r for r in tables.ROLES if r in roles] + sorted(roles - set(tables.ROLES))
    keys = [Patch(facecolor=palette.role_colour(role), label=role) for role in order]
    if any(((table.used0 > table.x0) | (table.used1 < table.x1)).any() for table in map(tables.rectangles, runs)):
        keys.append(Patch(facecolor=palette.pale(palette.ROLE["gradient"]), label="pale: planned, not in use"))
    keys.append(
        Patch(facecolor=palette.STATIC, edgecolor=palette.STATIC_HATCH, hatch="///", linewidth=0, label="static")
    )
    keys.append(Patch(facecolor="#d9dadb", label="worst position"))
    if limit_drawn:
        keys.append(Line2D([], [], color=palette.LIMIT, linestyle=(0, (5, 3)), linewidth=1.5, label="SRAM limit"))
    seen = {phase for run in runs for phase in tables.phases(run).phase}
    phases = [Patch(facecolor=palette.PHASE[p], label=p) for p in tables.PHASES if p in seen]
    style = {"frameon": False, "fontsize": 10.5, "labelcolor": palette.INK, "borderpad": 0, "borderaxespad": 0}
    style |= {"handlelength": 1.3, "handleheight": 0.9, "columnspacing": 1.7, "handletextpad": 0.5}
    for handles, y, title in ((keys, 0.046, "buffers"), (phases, 0.016, "phases")):
        if handles:
            figure.text(0.055, y, title, fontsize=10.5, weight="bold", color=palette.INK, va="center")
            figure.legend(handles=handles, loc="center left", bbox_to_anchor=(0.105, y), ncols=len(handles), **style)


def _write(axes, x, y, text, points, **style):
    """Text at a pixel of the figure, on its baseline."""
    figure = axes.figure
    at = figure.transFigure.inverted().transform((x, y))
    figure.text(*at, text, fontsize=points, va="baseline", parse_math=False, **{"color": palette.INK, **style})
