r"""The loss curve: a run's training loss over its steps, and the losses and accuracies measured after its epochs.

loss     |░                        line: the mean of the last steps; around it, where eight of ten of them lie
         |░\░░                     dashed: a guess; rings: held-out samples, before the first step, after each epoch
         |--\░░░--------- a guess  and after the last step; diamonds: samples that are validated on
         |   ‾o_____o
accuracy |    ___o--o              of classes, where there are epochs to show
         +------------> step
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from workbench import units
from workbench.record import Run
from workbench.report import losses, palette
from workbench.report.epochs import epochs_table
from workbench.report.figure import DPI, LEGEND, Picture

Point = tuple[int, float]  # steps done, and what was measured then
SIZE, TALL = (9.0, 4.6), 6.2  # inches; as high with accuracies below
FEWEST, PART, SHORTEST = 40, 20, 10  # steps from which on means are drawn: of a twentieth of them, ten or more
INNER = (0.1, 0.9)
LOGARITHMIC = 50  # largest / smallest mean


def loss_figure(run: Run) -> Picture:
    """A figure of one run's losses, and below them of its accuracies where epochs have some. What is no number leaves a
    gap.
    """
    held_out, validation = _held_out(run, "held_out_loss"), _after_epochs(run, "validation_loss")
    accuracies = [_held_out(run, "accuracy"), _after_epochs(run, "validation_accuracy")]
    figure = Picture(figsize=SIZE, dpi=DPI, facecolor="white", layout="constrained")
    if run.meta.get("epochs_done") and any(accuracies):
        figure.set_figheight(TALL)
        axes, below = figure.subplots(2, sharex=True, height_ratios=(2, 1))
        _draw_accuracies(below, *accuracies)
        bottom = below
    else:
        bottom = axes = figure.add_subplot()
    shown = [*_draw_steps(axes, run), *(loss for _, loss in _draw_samples(axes, held_out, validation))]
    scale_losses(axes, shown)
    _mark_best(figure.axes, run)
    bottom.set_xlabel("step", color=palette.INK)
    axes.set_ylabel(f"loss ({run.meta.get('loss_function') or 'of the batch'})", color=palette.INK)
    for each in figure.axes:
        dress(each)
    axes.legend(**LEGEND)
    course = losses.loss_words(*losses.of_meta(run.meta)) or units.loss(None)
    axes.set_title(f"{run.title}: loss {course}", loc="left", fontsize=12, color=palette.INK)
    return figure


def _draw_steps(axes, run: Run) -> list[float]:
    """The training's own losses, and a guess; gives what the line shows."""
    values = step_losses(run)
    steps = np.arange(1, len(values) + 1)
    colour, line = palette.PHASE["update"], values
    if len(values) < FEWEST:
        axes.plot(steps, values, color=colour, linewidth=2, marker="o", markersize=4, label="a step's batch")
    else:
        window = max(SHORTEST, len(values) // PART)
        last = values.rolling(window, min_periods=SHORTEST)
        line, (low, high) = last.mean(), (last.quantile(part) for part in INNER)
        axes.fill_between(steps, low, high, color=palette.pale(colour, 0.8), linewidth=0, label="eight of ten steps")
        axes.plot(steps, line, color=colour, linewidth=2, label=f"mean of {window} steps")
    draw_guess(axes, run)
    return list(line[np.isfinite(line)])


def _draw_samples(axes, held_out: list[Point], validation: list[Point]) -> list[Point]:
    """Draw what was measured on samples that are not trained on; gives all values."""
    for points, marker, colour, what in (
        (validation, "D", palette.PHASE["backward"], "validation samples"),
        (held_out, "o", palette.LIMIT, "held-out samples"),
    ):
        if points:
            line = "-" if len(points) > 2 else ""
            axes.plot(*zip(*points, strict=True), marker=marker, linestyle=line, linewidth=1, color=colour, zorder=5,
                      markersize=7, markerfacecolor="white", markeredgewidth=2, label=what)  # fmt: skip
    return [*held_out, *validation]


def _draw_accuracies(axes, held_out: list[Point], validation: list[Point]) -> None:
    _draw_samples(axes, *([(step, 100 * value) for step, value in points] for points in (held_out, validation)))
    axes.set_ylim(0, 104)
    axes.set_ylabel("accuracy in %", color=palette.INK)


def _mark_best(panels, run: Run) -> None:
    """A line at the epoch whose weights were kept, if that is not the last step."""
    best, each = run.meta.get("best_epoch"), _epoch(run)
    if best is None or not each or best * each == run.meta["steps"]:
        return
    for axes in panels:
        words = f"epoch {best}, whose weights are kept"
        axes.axvline(best * each, color=palette.INK, linewidth=1, linestyle=":", label=words)


def _held_out(run: Run, figure: str) -> list[Point]:
    """(step, figure) before the first step, after each epoch, and after the last step.

    Where the weights of the best epoch were kept, nothing stands for the last step: that epoch's point does.
    """
    ends, steps = run.meta.get(figure) or {}, run.meta["steps"]
    points = [(0, ends.get("before")), *_after_epochs(run, figure)]
    if run.meta.get("best_epoch") is None and points[-1][0] != steps:
        points.append((steps, ends.get("after")))
    return [(step, value) for step, value in points if value is not None]


def _after_epochs(run: Run, figure: str) -> list[Point]:
    table, each = epochs_table(run), _epoch(run)
    if figure not in table or not each:
        return []
    known = table[["epoch", figure]].dropna()
    return [(int(epoch) * each, float(value)) for epoch, value in known.itertuples(index=False)]


def _epoch(run: Run) -> int:
    """Steps an epoch; 0 where that is not known."""
    data = run.meta.get("data")
    samples = data.get("train") if isinstance(data, dict) else None
    return samples // ((run.meta.get("batch") or 1) * (run.meta.get("accumulate") or 1)) if samples else 0


def step_losses(run: Run) -> pd.Series:
    """Float, a value a step; NaN where one is no number."""
    return pd.Series([np.nan if loss is None else loss for loss in run.meta.get("loss") or []], dtype=float)


def draw_guess(axes, run: Run) -> None:
    """A dashed line at the loss of a guess, which knows nothing of the input; none where that loss is not known."""
    _, guess = losses.of_meta(run.meta)
    if guess:
        words = f"a guess, {units.loss(guess)}"
        axes.axhline(guess, color=palette.QUIET, linewidth=1, linestyle=(0, (4, 3)), label=words)


def scale_losses(axes, shown: Iterable[float]) -> None:
    """A vertical axis from 0 up, or a logarithmic one where the values span far."""
    positive = [loss for loss in shown if loss > 0]
    if positive and max(positive) > LOGARITHMIC * min(positive):
        axes.set_yscale("log")
        axes.set_ylim(min(positive) / 2, max(positive) * 2)
    else:
        axes.set_ylim(bottom=0)


def dress(axes) -> None:
    """A quiet grid behind, two axes."""
    axes.grid(color=palette.HAIR, linewidth=0.7)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(palette.QUIET)
    axes.tick_params(labelcolor=palette.INK, color=palette.QUIET)
