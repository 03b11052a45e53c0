r"""Several seeds of one training: their loss curves in one panel, what the held-out samples showed in another.

loss |\                       held-out |
     | \\___ seed 2                    |   seed 0      o
     |  \____ seed 0                   |   seed 1   o
     |   \___ seed 1                   |   mean    |-+-|
     +------------> step               +---------------> accuracy
"""

from collections.abc import Sequence

import numpy as np

from workbench.record import Run
from workbench.report import losses, palette, seeds
from workbench.report.figure import DPI, LEGEND, Picture
from workbench.report.loss_curve import FEWEST, PART, SHORTEST, draw_guess, dress, scale_losses, step_losses

WIDTH, HEIGHT = 13.0, 4.6  # inches
NAMED = 8  # seeds, at most, whose curves are told apart by colour
COLOURS = ("#6a4fb3", "#c3570f", "#1a7f4b", "#2b7bba", "#a3326b", "#8a6d00", "#4a5560", "#00858a")


def seeds_figure(runs: Sequence[Run]) -> Picture:
    """The figure of at least one run; losses that are no numbers leave gaps."""
    held_out = [losses.held_out(run.meta)[1] for run in runs]
    known = any(value is not None for value in held_out)
    figure = Picture(figsize=(WIDTH, HEIGHT), dpi=DPI, facecolor="white", layout="constrained")
    panels = figure.subplots(1, 2, width_ratios=(3, 2), squeeze=False)[0] if known else [figure.add_subplot()]
    colours = [COLOURS[at] if len(runs) <= NAMED else palette.PHASE["update"] for at in range(len(runs[:NAMED]))]
    colours += [palette.PHASE["update"]] * (len(runs) - len(colours))
    _curves(panels[0], runs, colours)
    if known:
        _ends(panels[1], runs, held_out, colours)
    for axes in panels:
        dress(axes)
    title = f"{runs[0].title}: {seeds.finding(runs) or f'{len(runs)} seeds'}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=palette.INK, parse_math=False)
    return figure


def _curves(axes, runs, colours) -> None:
    """A curve a seed: running means, or every step of a short run."""
    shown, smoothed = [], ""
    for run, colour in zip(runs, colours, strict=True):
        values = step_losses(run)
        if len(values) >= FEWEST:
            window = max(SHORTEST, len(values) // PART)
            values, smoothed = values.rolling(window, min_periods=SHORTEST).mean(), f", mean of {window} steps"
        axes.plot(np.arange(1, len(values) + 1), values, color=colour, linewidth=1.6, label=f"seed {run.meta['seed']}")
        shown += list(values[np.isfinite(values)])
    draw_guess(axes, runs[0])
    scale_losses(axes, shown)
    axes.set_xlabel("step", color=palette.INK)
    axes.set_ylabel(f"loss ({runs[0].meta.get('loss_function') or 'of the batch'}){smoothed}", color=palette.INK)
    if len(runs) <= NAMED:
        axes.legend(**LEGEND)


def _ends(axes, runs, held_out, colours) -> None:
    """A point a seed; below them their mean and spread, if each is a number."""
    scale = 100 if runs[0].meta.get("accuracy") else 1
    names = [f"seed {run.meta['seed']}" + " (no number)" * (value is None)
             for run, value in zip(runs, held_out, strict=True)]  # fmt: skip
    for row, (value, colour) in enumerate(zip(held_out, colours, strict=True)):
        axes.plot([] if value is None else [scale * value], [] if value is None else [row], "o", color=colour)
    if None not in held_out and len(runs) > 1:
        name = "accuracy" if runs[0].meta.get("accuracy") else "held_out_loss"
        figures = seeds.over([run.meta for run in runs])
        mean, spread = (scale * figures[what][name][seeds.AFTER] for what in ("mean", "spread"))
        axes.errorbar([mean], [len(runs)], xerr=spread, fmt="o", color=palette.INK, capsize=5)
        names.append("mean ± spread")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    what = "accuracy (%)" if scale == 100 else f"{runs[0].meta.get('loss_function') or 'loss'}"
    axes.set_xlabel(f"held-out {what}", color=palette.INK)
