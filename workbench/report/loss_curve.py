"""The loss curve: a run's training loss step by step, its running mean, and the held-out loss before and after.

loss |·.                        thin: each step's batch; thick: the mean of the last steps; dashed: a guess
     | ··.:.                    rings: held-out samples, before the first step and after the last
     |------.·.·····- a guess
     +----------------> step
"""

import numpy as np

from workbench import units
from workbench.record import Run
from workbench.report import losses, palette
from workbench.report.figure import DPI, Picture

SIZE = (9.0, 4.6)  # inches
FEWEST, PART = 20, 20  # steps from which on there is a running mean: of a twentieth of them
LOGARITHMIC = 50  # largest / smallest loss


def loss_figure(run: Run) -> Picture:
    """A figure of one run's losses. Losses that are no numbers leave gaps."""
    values = np.array([np.nan if loss is None else loss for loss in run.meta.get("loss") or []], float)
    steps = np.arange(1, len(values) + 1)
    figure = Picture(figsize=SIZE, dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    many = len(values) >= FEWEST
    axes.plot(steps, values, color=palette.ROLE["state"], linewidth=0.8 if many else 1.6, alpha=0.55 if many else 1,
              marker="" if len(values) > 1 else "o", label="a step's batch")  # fmt: skip
    if many:
        window = max(5, len(values) // PART)
        mean = np.convolve(values, np.full(window, 1 / window), "valid")
        axes.plot(
            steps[window - 1 :], mean, color=palette.PHASE["update"], linewidth=2, label=f"mean of {window} steps"
        )
    _, guess = losses.of_meta(run.meta)
    if guess:
        axes.axhline(
            guess, color=palette.QUIET, linewidth=1, linestyle=(0, (4, 3)), label=f"a guess, {units.loss(guess)}"
        )
    held_out = run.meta.get("held_out_loss") or {}
    ends = [(0, held_out.get("before")), (len(values), held_out.get("after"))]
    ends = [(step, loss) for step, loss in ends if loss is not None]
    if ends:
        axes.plot(*zip(*ends, strict=True), "o", color=palette.LIMIT, markersize=7, markerfacecolor="white",
                  markeredgewidth=2, zorder=5, label="held-out samples")  # fmt: skip
    shown = [loss for loss in [*values[np.isfinite(values)], *(loss for _, loss in ends)] if loss > 0]
    if shown and max(shown) > LOGARITHMIC * min(shown):
        axes.set_yscale("log")
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
    axes.legend(frameon=False, fontsize=9.5, labelcolor=palette.INK)
    course = losses.loss_words(*losses.of_meta(run.meta)) or units.loss(None)
    axes.set_title(f"{run.title}: loss {course}", loc="left", fontsize=12, color=palette.INK)
    return figure
