"""The comparison figure: one row a run, SRAM by role as a stacked bar beside instructions and held-out accuracy
(the loss of runs that tell no classes). Several seeds of one run are a row: the mean, its spread, a point a seed.

policy  schedule | SRAM by role, measured ......... | instructions a step | held-out accuracy
full    vanilla  | [par][activ][gradient      ] 26.4 | ======== 313 k      | o-----> 95.8 %
        reordered| [par][activ][grad] 21.9           | ======== 313 k      | o-----> 95.8 %
                 |               limit 256 KB - -    |
"""

from collections.abc import Sequence

from matplotlib.ticker import FuncFormatter, MaxNLocator

from workbench import units
from workbench.record import Run
from workbench.report import comparison_words as words
from workbench.report import palette, roles, seeds, tables
from workbench.report.comparison_words import ABOVE, BELOW, BREAK, LIMIT_IN_SIGHT, MARGIN, ROW
from workbench.report.figure import DPI, WIDTH, Picture
from workbench.report.labels import Labels, shorten

GAP = 44  # pixels between panels
BAR = 0.62  # of a row
TOTAL = 11  # points; hinted at 10.5, the bold letters of DejaVu Sans look as if they had serifs
RING, DOT, SEED = 10, 5.5, 4  # points across: accuracy before, after; after one of several seeds


def comparison_figure(runs: Sequence[Run], note: str = "") -> Picture:
    """The figure for any number of runs; `note` is written below, for what is missing."""
    if not runs:
        raise ValueError("comparison_figure needs at least one run")
    runs = seeds.joined(runs)
    tops = _tops(runs)
    height = ABOVE + tops[-1] + ROW + BELOW + (24 if note else 0)
    figure = Picture(figsize=(WIDTH, height / DPI), dpi=DPI, facecolor="white")
    labels = Labels(figure)
    panels = [(_sram, 5.6)]
    panels += [(_instructions, 2.6)] * any(run.meta.get("instructions_per_step") for run in runs)
    panels += [(_held_out, 3.2 if words.several(runs) else 2.2)] * any(words.held_out(run, runs) for run in runs)
    x = left = MARGIN + words.names_width(labels, runs)
    room = WIDTH * DPI - left - MARGIN - GAP * (len(panels) - 1)
    for draw, weight in panels:
        width = room * weight / sum(weight for _, weight in panels)
        axes = panel(figure, x, width, height, tops)
        draw(labels, axes, runs, [top + ROW / 2 for top in tops])
        x += width + GAP
    words.names(labels, figure, runs, [height - ABOVE - top - ROW / 2 for top in tops], left)
    words.title(labels, figure, runs, height)
    words.keys(figure, runs, height, bool(note))
    text = shorten(labels, note, 10.5, WIDTH * DPI - 2 * MARGIN)
    words.write(figure, MARGIN, 22, text, 10.5, color=palette.LIMIT)
    return figure


def _tops(runs) -> list[int]:
    """The top of each row, in pixels below the first one's; runs that differ in their schedule alone stand together."""
    tops, group = [0], _group(runs[0])
    for run in runs[1:]:
        tops.append(tops[-1] + ROW + (BREAK if _group(run) != group else 0))
        group = _group(run)
    return tops


def _group(run) -> tuple:
    return tuple(str(tables.key(run, name)) for name in tables.KEYS if name != "schedule")


def panel(figure, x, width, height, tops):
    """Axes whose vertical unit is a pixel, downwards."""
    extent = tops[-1] + ROW
    total = figure.bbox.width
    axes = figure.add_axes((x / total, 1 - (ABOVE + extent) / height, width / total, extent / height))
    axes.set_ylim(extent, 0)
    axes.set_yticks([])
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(palette.QUIET)
        spine.set_linewidth(0.8)
    axes.tick_params(labelsize=10, color=palette.QUIET, labelcolor=palette.INK, length=3)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 4, 5, 8, 10]))
    axes.grid(axis="x", color=palette.HAIR, linewidth=0.7)
    axes.set_axisbelow(True)
    return axes


def _sram(labels, axes, runs, rows):
    """SRAM stacked by role: measured, or planned where nothing was measured; the plan as a tick where it differs."""
    longest = words.longest(runs)
    limits = sorted({int(run.meta["memory"]["sram_limit"]) for run in runs})
    in_sight = [limit for limit in limits if limit <= LIMIT_IN_SIGHT * longest]
    wide = max(labels.measure(_total(run), TOTAL, "bold")[0] for run in runs) + 20
    right = int(max([longest * axes.bbox.width / (axes.bbox.width - wide), *(1.02 * limit for limit in in_sight)]))
    unit, name = units.byte_axis(right)
    axes.set_xlim(0, right / unit)
    for limit in in_sight:
        axes.axvline(limit / unit, color=palette.LIMIT, linewidth=1.5, linestyle=(0, (5, 3)), zorder=4)
    for run, y in zip(runs, rows, strict=True):
        left, (total, how) = 0, tables.sram(run)
        for role, size in roles.parts_of(run, how).items():
            axes.barh(y, size / unit, ROW * BAR, left / unit, zorder=2, **words.look(role))
            left += size
        planned = int(run.meta["memory"]["sram_planned"])
        if words.plan_differs(run, longest):
            axes.plot([planned / unit], [y], "|", color=palette.INK, markersize=ROW * BAR * 0.5, zorder=5)
        _inside(labels, axes, run, how, unit, y)
        x, middle = axes.transData.transform((max(total, planned) / unit, y))
        colour = palette.INK if run.meta["memory"]["fits"] else palette.LIMIT
        backed = {"bbox": {"facecolor": "white", "edgecolor": "none", "pad": 4}}  # the limit's line stops before it
        labels.put(axes, x + 8, middle, _total(run), va="center", points=TOTAL, weight="bold", color=colour, **backed)
    ways = {tables.sram(run)[1] for run in runs}
    how = ways.pop() if len(ways) == 1 else "measured, or planned where it says so"
    limit_words = [f" · limit {units.size(at)}" + ("" if at in in_sight else ", off the scale") for at in limits]
    head(labels, axes, f"SRAM {how} ({name})" + "".join(limit_words))


def _total(run) -> str:
    total, how = tables.sram(run)
    parts = [units.kilobytes(total)] + ["planned"] * (how == "planned")
    return " ".join(parts + ["does not fit"] * (not run.meta["memory"]["fits"]))


def _inside(labels, axes, run, how, unit, y):
    """Bytes of each part that has room for them."""
    left = 0
    for size in roles.parts_of(run, how).values():
        (x0, middle), (x1, _) = axes.transData.transform([(left / unit, y), ((left + size) / unit, y)])
        text = units.bare(size, unit)
        if labels.measure(text, 9)[0] + 8 <= x1 - x0:
            labels.put(axes, (x0 + x1) / 2, middle, text, ha="center", va="center", points=9, color=palette.INK)
        left += size


def _instructions(labels, axes, runs, rows):
    counts = [run.meta.get("instructions_per_step") for run in runs]
    axes.set_xlim(0, max(count or 0 for count in counts) * 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: units.quantity(value)))
    for run, count, y in zip(runs, counts, rows, strict=True):
        axes.barh(y, count or 0, ROW * BAR, color=palette.PHASE["forward"], zorder=2)
        text = units.quantity(count)
        if run.meta.get("milliseconds_per_step") is not None:
            text += f" · {units.milliseconds(run.meta['milliseconds_per_step'])}"
        x, middle = axes.transData.transform((0, y))
        labels.put(axes, x + 8, middle, text, va="center", points=10, color=palette.INK)
    head(labels, axes, "instructions · modelled time")


def _held_out(labels, axes, runs, rows):
    form, frame = words.form(runs), axes.bbox.frozen()
    texts = [seeds.after_words(run) if words.held_out(run, runs) else "" for run in runs]
    wide = max(labels.measure(text, TOTAL, "bold")[0] for text in [*texts, form(1)]) + 16
    box = axes.get_position()
    axes.set_position((box.x0, box.y0, box.width * (1 - wide / frame.width), box.height))
    if form is units.percent:
        axes.set_xlim(0, 100)
        axes.set_xticks(range(0, 101, 25))
    else:
        axes.set_xlim(0, 1.05 * max(0, *(value for run in runs for value in _shown(run, runs))))
        axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    scale = 100 if form is units.percent else 1
    for run, y, text in zip(runs, rows, texts, strict=True):
        figures = words.held_out(run, runs)
        if not figures:
            continue
        before, after = (scale * value for value in figures)
        axes.plot([before, after], [y, y], color=palette.QUIET, linewidth=1.5, zorder=2)
        ring = {"markeredgewidth": 1.5, "markersize": RING, "clip_on": False}  # seen around a dot that hides its middle
        axes.plot([before], [y], "o", color="white", markeredgecolor=palette.QUIET, zorder=3, **ring)
        if apart := scale * (words.spread_of(run, runs) or 0):
            axes.errorbar([after], [y], xerr=apart, color=palette.INK, capsize=5, elinewidth=1.5, zorder=3)
        for value in seeds.held_out(run):
            below = y + ROW * BAR / 2
            axes.plot([scale * value], [below], "o", color=words.A_SEED, markersize=SEED, zorder=3, clip_on=False)
        axes.plot([after], [y], "o", color=palette.INK, markersize=DOT, zorder=4, clip_on=False)
        middle = axes.transData.transform((0, y))[1]
        style = {"points": TOTAL, "color": palette.INK, "weight": "bold", "within": frame}
        labels.put(axes, frame.x1, middle, text, ha="right", va="center", **style)
    head(labels, axes, words.held_out_head(runs), frame.width)


def _shown(run, runs) -> list[float]:
    """Every held-out figure of a row."""
    return [*(words.held_out(run, runs) or ()), *seeds.held_out(run)]


def head(labels, axes, text, width=None):
    text = shorten(labels, text, 10.5, width or axes.bbox.width)
    words.write(axes.figure, axes.bbox.x0, axes.bbox.y1 + 12, text, 10.5)
