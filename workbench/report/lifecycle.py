"""The lifecycle figure: which buffer lies at which SRAM address when, one panel column a run, all on the same axes.

     title, SRAM and what it saves      |  …      (at most three columns a row: panels)
KB  | limit - - - - - - - - - - - - - - |
    | static + arena ------------------ |      address x position; a rectangle a buffer, colour = role,
    |   [ activation      ] [gradient ] |      solid from first write to last read, pale when merely planned
    | //////// static ///////////////// |
KB  |      live arena bytes by role     |
    | F0 | F1 | loss | B1 | B0 | U0 |U1 |      one cell an operator, as wide as `axis` says; steps of each layer
      buffers of the worst position            largest first
     buffers by number, for all columns
"""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from workbench import units
from workbench.record import Run
from workbench.report import blocks, headings, magnified, numbered, palette, panels, tables
from workbench.report.axis import Axis, axis
from workbench.report.figure import Picture, save_figure  # noqa: F401  save_figure is asked for here too
from workbench.report.labels import Labels
from workbench.report.steps import steps

STEP = 8.5  # points of F0, B0, U0 on the strip of phases
CLEAR = 22  # pixels a line of text needs above the line it names
PLAINER = {"scalar": "scalars and runtime", "other": "scalars and runtime"}  # words for static roles
LIMIT_IN_SIGHT = 1.5  # draw the limit if it is at most this many times the tallest static + arena


@dataclass(frozen=True)
class Scale:
    """What all columns share: bytes an axis unit and its name, top of both byte axes (bytes), positions, and the
    horizontal axis."""

    unit: int
    name: str
    top: int
    live_top: int
    positions: int
    axis: Axis


def lifecycle_figure(runs: Sequence[Run], x: str = "operators") -> Picture:
    """The figure for any number of runs, each compared with another one of them (panels.of).

    `x` is what the horizontal axis counts: operators, instructions or cycles. Raises WorkbenchError for another one.
    """
    if not runs:
        raise ValueError("lifecycle_figure needs at least one run")
    shown = panels.of(runs)
    runs = [panel.run for panel in shown]
    scale = _scale(runs, x)
    numbers = numbered.choose(runs, scale)
    figure, columns, across = panels.page(runs, numbered.height(numbers))
    pixel = scale.top / columns[0][0].bbox.height  # bytes
    labels = Labels(figure)
    for index, axes in enumerate(columns):
        _dress(*axes, scale, leftmost=index % across == 0)
    columns[0][2].set_xticks(panels.ticks(labels, columns[0][2].bbox.width, scale.axis.end))
    written = []
    for panel, (above, live, strip) in zip(shown, columns, strict=True):
        run = panel.run
        headings.column_title(labels, above, panel)
        was = None if panel.reference is None else (_top(panel.reference), panel.against)
        written += _addresses(labels, above, run, was, scale, numbers)
        _live(labels, live, run, scale)
        _strip(labels, strip, run, scale)
        headings.worst_buffers(labels, strip, run, scale.axis.title)
    headings.figure_title(figure, runs)
    numbered.key(labels, figure, numbers, written)
    headings.legends(figure, runs, pixel, limit_drawn=any(_limit(run) <= scale.top for run in runs))
    return figure


def _scale(runs, x: str) -> Scale:
    tops = [_top(run) for run in runs]
    in_sight = [limit for limit in map(_limit, runs) if limit <= LIMIT_IN_SIGHT * max(tops)]
    tallest = max(tops + in_sight)
    live = max(max(tables.worst_position(run).bytes, run.meta["memory"]["arena_planned"], 1) for run in runs)
    unit, name = units.byte_axis(tallest)
    positions = max(1, *map(tables.position_count, runs))
    return Scale(unit, name, int(tallest * 1.09) + 1, int(live * 1.36) + 1, positions, axis(runs, x))


def _top(run) -> int:
    """Bytes above the start of SRAM that static and the planned arena reach."""
    return tables.arena_base(run) + int(run.meta["memory"]["arena_planned"])


def _stack(run) -> int:
    """Bytes of stack as the title counts them: used where that was measured, else reserved."""
    column = tables.memory_summary(run)[tables.sram(run)[1]]
    return int(column["stack"])


def _limit(run) -> int:
    return int(run.meta["memory"]["sram_limit"])


def _dress(above, live, strip, scale, leftmost):
    above.set_xlim(0, scale.axis.end)
    above.set_ylim(0, scale.top / scale.unit)
    live.set_ylim(0, scale.live_top / scale.unit)
    strip.set_ylim(0, 1)
    above.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 4, 5, 8, 10]))
    live.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 4, 5, 8, 10]))
    strip.set_yticks([])
    for axes in (above, live, strip):
        is_strip = axes is strip
        axes.tick_params(labelsize=10, color=palette.QUIET, labelcolor=palette.INK, length=3)
        axes.tick_params(labelleft=leftmost and not is_strip, labelbottom=is_strip, bottom=is_strip)
        for side, spine in axes.spines.items():
            spine.set_visible(side in ("left", "bottom") and not is_strip)
            spine.set_color(palette.QUIET)
            spine.set_linewidth(0.8)
    if leftmost:
        above.set_ylabel(f"SRAM address ({scale.name} above its start)", fontsize=10.5, color=palette.INK)
        live.set_ylabel(f"arena live ({scale.name})", fontsize=10.5, color=palette.INK)
        for axes in (above, live):
            axes.yaxis.set_label_coords(-0.038 * above.figure.bbox.width / above.bbox.width, 0.5)


def _addresses(labels, axes, run, was, scale, numbers) -> list[tuple]:
    """The rectangles, what is said of their heights, and their names; gives the numbers as blocks.name does."""
    edges = scale.axis.edges(run)
    table, worst = blocks.placed(run, edges), tables.worst_position(run)
    low, high = tables.arena_base(run) / scale.unit, _top(run) / scale.unit
    blocks.draw(axes, table, scale)
    _outline_worst(axes, run, edges, low, high)
    saved = was is not None and was[0] > _top(run)
    ceiling = min(line for line in (was[0], _limit(run)) if line > _top(run)) if saved else _top(run)
    room = magnified.room(axes, low, high, ceiling / scale.unit)
    _static(labels, axes, run, scale, lowest=room is not None and room.over == "static")
    _lines(labels, axes, run, was, scale, uppermost=room is not None and room.over == "saved")
    if room is not None:
        axes = magnified.frame(labels, axes, room, low, high)
        blocks.draw(axes, table, scale)
        _outline_worst(axes, run, edges, low, high)
    return blocks.name(labels, axes, table, scale, edges[worst.position : worst.position + 2], numbers)


def _static(labels, axes, run, scale, lowest):
    """The hatched band below the arena, with its parts in bytes; `lowest` down in it."""
    top = tables.arena_base(run) / scale.unit
    if not top:
        return
    with mpl.rc_context({"hatch.linewidth": 0.7}):
        axes.axhspan(
            0, top, facecolor=palette.STATIC, edgecolor=palette.STATIC_HATCH, hatch="//", linewidth=0, zorder=1.5
        )
    axes.axhline(top, color=palette.QUIET, linewidth=0.8, zorder=3)
    band = tables.static_band(run)
    total = units.kilobytes(run.meta["memory"]["static"])
    sizes = band.bytes.groupby(band.role.replace(PLAINER), sort=False).sum()
    parts = " · ".join(f"{role} {units.kilobytes(int(size))}" for role, size in sizes.items())
    (x0, y0), (x1, y1) = axes.transData.transform([(0, 0), (scale.axis.end, top)])
    texts = [f"static {total}: {parts}"] if len(sizes) > 1 else []
    before = len(axes.texts)
    for text in (*texts, f"static {total}"):
        width, height = labels.measure(text, 10)
        if width + 12 <= x1 - x0 and height + 6 <= y1 - y0:
            y = y0 + height / 2 + 8 if lowest else (y0 + y1) / 2
            labels.put(axes, x0 + 10, y, text, va="center", color=palette.INK)
            break
    for artist in axes.texts[before:]:
        artist.set_bbox({"facecolor": palette.STATIC, "edgecolor": "none", "pad": 2.5})


def _outline_worst(axes, run, edges, low, high):
    """Around the position where most is live, from `low` to `high`; what it holds keeps its colours."""
    worst = tables.worst_position(run)
    if worst.bytes:
        style = {"fill": False, "edgecolor": palette.INK, "linewidth": 1.1, "zorder": 4}
        left, right = edges[worst.position : worst.position + 2]
        axes.add_patch(Rectangle((left, low), right - left, high - low, **style))


def _lines(labels, axes, run, was, scale, uppermost):
    """The limit, the height of static + arena, and how far below that of the reference (`was`: bytes, name) it is.

    These words stand in the middle between both lines, or right below the reference's if `uppermost`.
    """
    top, limit = _top(run), _limit(run)
    fits = bool(run.meta["memory"]["fits"])
    frame = axes.bbox
    pixel = lambda value: axes.transData.transform((0, value / scale.unit))[1]  # noqa: E731
    axes.axhline(top / scale.unit, color=palette.INK, linewidth=1.3, zorder=5)
    note = {"weight": "bold", "color": palette.LIMIT}
    verdict = "" if fits else ": does not fit"
    if limit > scale.top:
        text = f"limit {units.size(limit)}, off the scale{verdict}"
        labels.put(axes, frame.x0 + 8, frame.y1 - 6, text, va="top", points=9.5, color=palette.QUIET)
    else:
        axes.axhline(limit / scale.unit, color=palette.LIMIT, linewidth=1.5, linestyle=(0, (5, 3)), zorder=5)
    text = f"static + arena {units.kilobytes(top)}"
    lines = sorted([limit, *([was[0]] if was is not None and was[0] > top else [])])
    above = top
    for line in lines:  # none runs through it
        above = line if 0 <= pixel(line) - pixel(above) < CLEAR else above
    if was is not None and was[0] > top:
        was, name = was
        beside = frame.width - labels.measure(text, 10, "bold")[0] - CLEAR  # both stand on one line
        axes.axhspan(top / scale.unit, was / scale.unit, facecolor=palette.SAVED_FILL, linewidth=0, zorder=0.5)
        axes.axhline(was / scale.unit, color=palette.SAVED, linewidth=1.1, linestyle=(0, (1, 2)), zorder=4)
        middle = pixel(was) - magnified.LINE / 2 if uppermost else (pixel(was) + pixel(top)) / 2
        between = Bbox.from_extents(frame.x0, pixel(top), frame.x1, pixel(was))
        gain, style = units.kilobytes(was - top), {"weight": "bold", "color": palette.SAVED}
        wide = [f"{gain} below {name}", f"{gain} below"]
        places = [(middle, "center", between)] if between.height >= CLEAR else []
        places.append((pixel(was) + 5, "bottom", frame))  # a narrow band is named above it
        for y, va, within in places:
            fitting = [words for words in wide if labels.measure(words, 10, "bold")[0] <= beside]
            if any(labels.put(axes, frame.x0 + 8, y, words, va=va, within=within, **style) for words in fitting):
                break
    bold = {"ha": "right", "color": palette.INK, "weight": "bold"}
    for words in (f"{text} (+ stack {units.kilobytes(_stack(run))})", text):
        if labels.put(axes, frame.x1 - 4, pixel(above) + 5, words, **bold):
            break
    if limit <= scale.top:
        before = len(axes.texts)
        text = f"limit {units.size(limit)}{verdict}"
        ways = [(pixel(limit) + 5, "bottom"), (pixel(limit) - 5, "top")]
        for y, va in ways[::-1] if 0 <= pixel(top) - pixel(limit) < CLEAR else ways:
            if labels.put(axes, frame.x0 + 8, y, text, va=va, **note):
                break
        if not fits:
            for artist in axes.texts[before:]:
                artist.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 2})


def _live(labels, axes, run, scale):
    """Live arena bytes by role, stacked; the peak is the lower bound of any arena."""
    table = tables.live_bytes(run)
    edges = scale.axis.edges(run)
    floor = np.zeros(len(edges))
    for role in table.columns:
        heights = table[role].to_numpy(float) / scale.unit
        ceiling = floor + np.append(heights, heights[-1:])
        axes.fill_between(
            edges, floor, ceiling, step="post", facecolor=palette.role_colour(role), linewidth=0, zorder=2
        )
        floor = ceiling
    worst, memory = tables.worst_position(run), run.meta["memory"]
    arena, bound = int(memory["arena_planned"]), int(memory["arena_lower_bound"])
    _outline_worst(axes, run, edges, 0, worst.bytes / scale.unit)
    axes.axhline(arena / scale.unit, color=palette.INK, linewidth=1.0, zorder=3)
    loss = "no byte lost" if arena <= bound else f"{units.kilobytes(arena - bound)} above the lower bound"
    most = f"{units.kilobytes(worst.bytes)} live"
    where = f"worst {worst.symbol or worst.position}, {most}"
    longer = [f"worst {worst.operator or worst.position}, {most}"] * (worst.operator != worst.symbol)
    whole = f"{where} · arena {units.kilobytes(arena)}, {loss}"
    x, y = axes.transData.transform(
        (edges[worst.position : worst.position + 2].mean(), max(arena, worst.bytes) / scale.unit)
    )
    for text in (*longer, whole, where, f"worst {units.kilobytes(worst.bytes)}"):
        if labels.put(axes, x, y + 5, text, ha="center", points=9.5, color=palette.INK, pad=8):
            break


def _strip(labels, axes, run, scale):
    """One cell an operator, coloured by phase; F0, B0, U0 on the cells of each layer where there is room."""
    table, edges = tables.phases(run), scale.axis.edges(run)
    gap = 0.12 if scale.axis.counts == "operators" and len(table) <= 120 else 0.0
    for phase, rows in table.groupby("phase", sort=False):
        spans = [(edges[at], edges[at + 1] - edges[at] - gap) for at in rows.position]
        axes.broken_barh(spans, (0.12, 0.88), facecolors=palette.PHASE.get(phase, palette.HAIR), linewidth=0)
    for row in steps(run).itertuples():
        ink = "white" if row.name.startswith("U") else palette.INK
        for end in (row.begin + 1, row.end):  # in its first cell, or else across all
            (x0, y0), (x1, y1) = axes.transData.transform([(edges[row.begin], 0.12), (edges[end] - gap, 1)])
            style = {"ha": "center", "va": "center", "points": STEP, "color": ink, "pad": 0}
            has_room = labels.measure(row.name, STEP)[0] + 4 <= x1 - x0
            if has_room and labels.put(axes, (x0 + x1) / 2, (y0 + y1) / 2, row.name, **style):
                break
