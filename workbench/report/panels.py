"""Where the panels of the lifecycle figure stand: one column a run, at most three to a row, all rows alike.

title
heading | heading | heading       a row: three lines of words, addresses, live bytes, the strip of phases, its ticks,
panels  | panels  | panels               then the buffers of the worst position
buffers | buffers | buffers
heading | …
buffers by number
keys
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from matplotlib.ticker import MaxNLocator

from workbench.record import Run
from workbench.report import tables
from workbench.report.ablation import ablation_among, against
from workbench.report.figure import DPI, WIDTH, Picture

TITLE, HEADING, TICKS, KEYS = 72, 112, 188, 72  # pixels
ALONE, STACKED = 698, 520  # pixels of the panels of the only row, of one row of several
LEFT, RIGHT, RATIOS = 0.055, 0.985, (7.0, 2.1, 0.36)
MOST = 3  # columns


@dataclass(frozen=True)
class Panel:
    """A column: its run, its title, the run it is compared with, and that run's name."""

    run: Run
    title: str
    reference: Run | None = None
    against: str = ""


def of(runs: Sequence[Run]) -> list[Panel]:
    """A panel a run, each compared with the first of its kind (tables.reference); in an ablation with the row that its
    tables compare it with, in the ablation's order and words."""
    if steps := ablation_among(runs):
        called = ["optimized" if step.is_off else "the one before" for step in steps]
        return [
            Panel(step.run, step.change, *(() if at is None else (steps[at].run, name)))
            for step, at, name in zip(steps, against(steps), called, strict=True)
        ]
    apart = tables.apart(runs) or ["schedule"]
    references = [tables.reference(runs, index) for index in range(len(runs))]
    return [
        Panel(run, tables.words(run, apart), first, tables.words(first, apart) if first else "")
        for run, first in zip(runs, references, strict=True)
    ]


def columns(runs: Sequence[Run]) -> int:
    """Columns to a row: runs that differ in their schedule alone share a row where that divides all runs evenly."""
    if len(runs) <= MOST:
        return len(runs)
    groups = {len(list(group)) for _, group in groupby(runs, key=_but_schedule)}
    size = groups.pop() if len(groups) == 1 else 1
    rows = -(-len(runs) // MOST)
    return size if 1 < size <= MOST else -(-len(runs) // rows)


def _but_schedule(run: Run) -> list:
    return [tables.key(run, name) for name in tables.KEYS if name != "schedule"]


def page(runs: Sequence[Run], below: int = 0) -> tuple[Picture, list[tuple[Any, Any, Any]], int]:
    """The figure, and for each run its three axes (addresses, live bytes, phases); all share their scales.

    `below`: pixels left between the panels and the keys.
    """
    across = columns(runs)
    down = -(-len(runs) // across)
    block = ALONE if down == 1 else STACKED
    height = TITLE + down * (HEADING + block + TICKS) + below + KEYS
    figure = Picture(figsize=(WIDTH, height / DPI), dpi=DPI, facecolor="white")
    axes_of_runs: list[tuple[Any, Any, Any]] = []  # matplotlib's axes
    for row in range(down):
        top = height - TITLE - row * (HEADING + block + TICKS) - HEADING
        grid = figure.add_gridspec(3, across, height_ratios=RATIOS, left=LEFT, right=RIGHT, hspace=0.07, wspace=0.05,
                                   top=top / height, bottom=(top - block) / height)  # fmt: skip
        for column in range(min(across, len(runs) - row * across)):
            first = axes_of_runs[0] if axes_of_runs else (None, None, None)
            above = figure.add_subplot(grid[0, column], sharex=first[0], sharey=first[0])
            live = figure.add_subplot(grid[1, column], sharex=above, sharey=first[1])
            axes_of_runs.append((above, live, figure.add_subplot(grid[2, column], sharex=above, sharey=first[2])))
    return figure, axes_of_runs, across


def size(runs: Sequence[Run]) -> tuple[float, float]:
    """Width and height, in pixels, of the addresses of each column on the `page` of these runs."""
    across = columns(runs)
    _, axes_of_runs, _ = page(runs[:across])
    above = axes_of_runs[0][0].bbox
    return above.width, above.height if len(runs) <= across else above.height * STACKED / ALONE


def ticks(labels, width: float, end: float) -> list[int]:
    """Ticks of [0, end] with room for their labels in `width` pixels; the last label ends before the next panel."""
    each = labels.measure(f"{end:.0f}", 10)[0]
    count = max(1, min(8, int(width // (2 * each))))
    values = MaxNLocator(count, integer=True, steps=[1, 2, 5, 10]).tick_values(0, end)
    ends = lambda tick: tick / end * width + labels.measure(str(int(tick)), 10)[0] / 2  # noqa: E731
    return [int(tick) for tick in values if tick >= 0 and ends(tick) <= width]
