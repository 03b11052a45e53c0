r"""The loss curve: a run's training loss over its steps, and the held-out loss before and after.

loss |░                        line: the mean of the last steps; around it, where eight of ten of them lie
     |░\░░                     dashed: a guess; rings: held-out samples, before the first step and after the last
     |--\░░░--------- a guess
     |   ‾\_____o
     +------------> step
"""

import numpy as np
import pandas as pd

from workbench import units
from workbench.record import Run
from workbench.report import losses, palette
from workbench.report.figure import DPI, Picture

SIZE = (9.0, 4.6)  # inches
FEWEST, PART, SHORTEST = 40, 20, 10  # steps from which on means are drawn: of a twentieth of them, ten or more
INNER = (0.1, 0.9)
LOGARITHMIC = 50  # largest / smallest mean


def loss_figure(run: Run) -> Picture:
    """A figure of one run's losses. Losses that are no numbers leave gaps."""
    values = pd.Series([np.nan if loss is None else loss for loss in run.meta.get("loss") or []], dtype=float)
    steps = np.arange(1, len(values) + 1)
    figure = Picture(figsize=SIZE, dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    colour, line = palette.PHASE["update"], values
    if len(values) < FEWEST:
        axes.plot(steps, values, color=colour, linewidth=2, marker="o", markersize=4, label="a step's batch")
    else:
        window = max(SHORTEST, len(values) // PART)
        last = values.rolling(window, min_periods=SHORTEST)
        line, (low, high) = last.mean(), (last.quantile(part) for part in INNER)
        axes.fill_between(steps, low, high, color=palette.pale(colour, 0.8), linewidth=0, label="eight of ten steps")
        axes.plot(steps, line, color=colour, linewidth=2, label=f"mean of {window} steps")
    _, guess = losses.of_meta(run.meta)
    if guess:
        told = f"a guess, {units.loss(guess)}"
        axes.axhline(guess, color=palette.QUIET, linewidth=1, linestyle=(0, (4, 3)), label=told)
    held_out = run.meta.get("held_out_loss") or {}
    ends = [(0, held_out.get("before")), (len(values), held_out.get("after"))]
    ends = [(step, loss) for step, loss in ends if loss is not None]
    if ends:
        axes.plot(*zip(*ends, strict=True), "o", color=palette.LIMIT, markersize=7, markerfacecolor="white",
                  markeredgewidth=2, zorder=5, label="held-out samples")  # fmt: skip
    shown = [loss for loss in [*line[np.isfinite(line)], *(loss for _, loss in ends)] if loss > 0]
    if shown and max(shown) > LOGARITHMIC * min(shown):
        axes.set_yscale("log")
        axes.set_ylim(min(shown) / 2, max(shown) * 2)
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel("step", color=palette.INK)
    axes.set_ylabel(f"loss ({run.meta.get('loss_function') or 'of the batch'})", color=palette.INK)
    axes.grid(color=palette.HAIR, linewidth=0.7)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(palette.QUIET)
    axes.tick_params(labelcolor=palette.INK, color=palette.QUIET)
    axes.legend(frameon=False, fontsize=9.5, labelcolor=palette.INK, loc="upper right")
    course = losses.loss_words(*losses.of_meta(run.meta)) or units.loss(None)
    axes.set_title(f"{run.title}: loss {course}", loc="left", fontsize=12, color=palette.INK)
    return figure
