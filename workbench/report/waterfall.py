"""The waterfall of an ablation: arena bytes from vanilla to optimized, a row a pass, instructions beside it.

vanilla        [gradient              ][in] 18.3 KB        | =========== 280 k
+ early-update [gradient ]                  9.7 KB  −47 %  | =========== 278 k  −0.8 %
+ fuse-update  [act]                        4.3 KB  −55 %  | ==========  265 k  −4.8 %
                    ^ green: what the pass saves
"""

from collections.abc import Sequence

from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from workbench import units
from workbench.report import comparison_words as words
from workbench.report import palette, roles, tables
from workbench.report.ablation import Step
from workbench.report.comparison import BAR, GAP, TOTAL, head, panel
from workbench.report.comparison_words import ABOVE, BELOW, MARGIN, ROW
from workbench.report.figure import DPI, WIDTH, Picture
from workbench.report.labels import Labels, shorten


def waterfall_figure(steps: Sequence[Step]) -> Picture:
    """The figure of the steps that add a pass each, in their order; the first is what the others begin with."""
    if not steps:
        raise ValueError("waterfall_figure needs at least one step")
    tops = [ROW * at for at in range(len(steps))]
    height = ABOVE + tops[-1] + ROW + BELOW
    figure = Picture(figsize=(WIDTH, height / DPI), dpi=DPI, facecolor="white")
    labels = Labels(figure)
    left = MARGIN + 16 + max(labels.measure(step.change, 11.5, "bold")[0] for step in steps)
    room = WIDTH * DPI - left - MARGIN - GAP
    rows = [top + ROW / 2 for top in tops]
    _arena(labels, panel(figure, left, 0.66 * room, height, tops), steps, rows)
    _instructions(labels, panel(figure, left + 0.66 * room + GAP, 0.34 * room, height, tops), steps, rows)
    for step, y in zip(steps, rows, strict=True):
        words.write(figure, MARGIN, height - ABOVE - y, step.change, 11.5, weight="bold", va="center_baseline")
    _titles(labels, figure, steps, height)
    return figure


def finding(steps: Sequence[Step]) -> str:
    """By how much the arena shrank in all, and which pass did most of it."""
    sizes = [_arena_bytes(step) for step in steps]
    if sizes[-1] >= sizes[0]:
        return f"no pass saves arena: {units.kilobytes(sizes[0])}"
    saved = {step.change.removeprefix("+ "): sizes[at] - sizes[at + 1] for at, step in enumerate(steps[1:])}
    most = max(saved, key=saved.__getitem__)
    whole = f"arena {units.kilobytes(sizes[0])} → {units.kilobytes(sizes[-1])}, {units.change(sizes[0], sizes[-1])}"
    return f"{whole}; {most} saves most, {units.kilobytes(saved[most])}"


def _arena_bytes(step: Step) -> int:
    return int(step.run.meta["memory"]["arena_planned"])


def _parts(step: Step) -> dict[str, int]:
    """Arena bytes by role where most are live; what no live buffer uses then is 'dead'."""
    worst = tables.worst_position(step.run)
    parts = worst.buffers.groupby("role").bytes.sum().to_dict()
    parts["dead"] = _arena_bytes(step) - sum(parts.values())
    return {role: int(parts[role]) for role in roles.in_order(parts) if parts[role] > 0}


def _arena(labels, axes, steps, rows):
    sizes = [_arena_bytes(step) for step in steps]
    wide = labels.measure("1000.0 KB  −100 %", TOTAL, "bold")[0] + 20
    right = int(max(sizes) * axes.bbox.width / (axes.bbox.width - wide)) + 1
    unit, name = units.byte_axis(right)
    axes.set_xlim(0, right / unit)
    for at, (step, y) in enumerate(zip(steps, rows, strict=True)):
        size, before, left = sizes[at], sizes[max(0, at - 1)], 0
        for role, part in _parts(step).items():
            axes.barh(y, part / unit, ROW * BAR, left / unit, zorder=2, **words.look(role))
            left += part
        told = units.kilobytes(size)
        if at:
            axes.barh(y, max(0, before - size) / unit, ROW * BAR, size / unit, color=palette.SAVED_FILL, zorder=2)
            told += f"  {units.change(before, size)}"
        colour = palette.SAVED if size < before else palette.LIMIT if size > before else palette.INK
        x, middle = axes.transData.transform((max(size, before) / unit, y))
        labels.put(axes, x + 8, middle, told, va="center", points=TOTAL, weight="bold", color=colour,
                   bbox={"facecolor": "white", "edgecolor": "none", "pad": 3})  # fmt: skip
    head(labels, axes, f"arena ({name}), by role where most is live")


def _instructions(labels, axes, steps, rows):
    counts = [step.run.meta.get("instructions_per_step") or 0 for step in steps]
    axes.set_xlim(0, max(1, *counts) * 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: units.quantity(value)))
    for at, (count, y) in enumerate(zip(counts, rows, strict=True)):
        axes.barh(y, count, ROW * BAR, color=palette.PHASE["forward"], zorder=2)
        text = units.quantity(count) + (f"  {units.change(counts[at - 1], count)}" if at else "")
        x, middle = axes.transData.transform((0, y))
        labels.put(axes, x + 8, middle, text, va="center", points=10, color=palette.INK)
    head(labels, axes, "instructions a step")


def _titles(labels, figure, steps, height):
    meta, room = steps[0].run.meta, figure.bbox.width - 2 * MARGIN
    title = shorten(labels, f"{meta['model']}: {finding(steps)}", 15, room, "bold")
    words.write(figure, MARGIN, height - 52, title, 15, weight="bold")
    parts = [
        f"update policy {meta['policy']}",
        meta["board"],
        f"batch {meta['batch']}",
        "each pass on top of those above it",
    ]
    text = shorten(labels, "  ·  ".join(parts), 11, room)
    words.write(figure, MARGIN, height - 80, text, 11, color=palette.QUIET)
    shown_roles = words.seen(map(_parts, steps), max(map(_arena_bytes, steps)))
    keys = [Patch(label=words.PLAINER.get(role, role), **words.look(role)) for role in shown_roles]
    keys.append(Patch(label="saved by the pass", facecolor=palette.SAVED_FILL))
    words.legend(figure, keys, (BELOW - 72) / height)
