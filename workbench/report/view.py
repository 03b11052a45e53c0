"""Run as the Python API gives it: a saved or finished run that also tells and draws itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench import record

if TYPE_CHECKING:
    from workbench.report.figure import Picture


class Run(record.Run):
    """A record.Run with `summary()`, `plot_lifecycle()` and `plot_loss()`, for notebooks."""

    @classmethod
    def of(cls, run: record.Run) -> Run:
        """The same run, which shares its tables."""
        return cls(**vars(run))

    def summary(self, top: int = 5) -> str:
        """What `workbench report` prints: the run, its `top` heaviest operators and largest buffers."""
        from workbench.report.text import report_text

        return report_text(self, top)

    def plot_lifecycle(self, *others: record.Run, path: str | Path | None = None, x: str = "operators") -> Picture:
        """Which buffer lies where when, beside `others` on the same axes; saved to `path` (.png, .svg, .pdf) if given.

        `x`: what the horizontal axis counts, operators, instructions or cycles.
        """
        from workbench.report.lifecycle import lifecycle_figure

        figure = lifecycle_figure([self, *others], x)
        if path is not None:
            from workbench.report.figure import save_figure

            save_figure(figure, path)
        return figure

    def plot_loss(self, path: str | Path | None = None) -> Picture:
        """The loss of each step, and that of the held-out samples; saved to `path` (.png, .svg, .pdf) if given."""
        from workbench.report.loss_curve import loss_figure

        figure = loss_figure(self)
        if path is not None:
            from workbench.report.figure import save_figure

            save_figure(figure, path)
        return figure
