"""The horizontal axis of the lifecycle figure: operators in execution order, or the instructions or cycles they take.

operators      | 0 | 1 | 2 | 3 |       every operator is as wide as any other: what happens is easy to follow
cycles         |0|    1    |2|3|       time: steps of 154 and of 81 operators can be compared
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench import units
from workbench.errors import WorkbenchError, there_are
from workbench.record import Run
from workbench.report import tables

CHOICES = ("operators", "instructions", "cycles")


@dataclass(frozen=True)
class Axis:
    """What the axis counts, how many of these a unit is, the words below it, and its end in units."""

    counts: str
    unit: int
    title: str
    end: float

    def edges(self, run: Run) -> np.ndarray:
        """Where each position begins, and the last one ends, in units of the axis."""
        return edges(run, self.counts) / self.unit


def axis(runs: Sequence[Run], counts: str) -> Axis:
    """The axis that all runs share. Raises WorkbenchError where it is none, or a run did not count its first step."""
    if counts not in CHOICES:
        raise WorkbenchError(f"no axis counts {counts!r}", there_are(counts, CHOICES))
    end = max(1, *(edges(run, counts)[-1] for run in runs))
    if counts == "operators":
        return Axis(counts, 1, "position (operator in execution order)", end)
    unit, name = units.count_axis(end)
    modelled = "modelled " * (counts == "cycles")
    return Axis(counts, unit, f"{modelled}{counts} since the step began{f' ({name})' if name else ''}", end / unit)


def edges(run: Run, counts: str) -> np.ndarray:
    """Where each position begins, and the last one ends. Raises WorkbenchError where the first step was not counted."""
    count = tables.position_count(run)
    if counts == "operators":
        return np.arange(count + 1, dtype=float)
    counted = run.ops.set_index(run.ops.position.astype(int))[counts]
    if not len(counted) or counted.isna().any():
        raise WorkbenchError(f"{run.title}: its {counts} were not counted", "run it again with --trace ops or memory")
    each = counted.astype(float).reindex(range(count), fill_value=0)
    return np.concatenate([[0.0], each.cumsum()])
