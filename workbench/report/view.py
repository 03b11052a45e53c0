"""Run and Profile as the Python API gives them: saved or finished, they also tell and draw themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from workbench import record

if TYPE_CHECKING:
    from workbench.report.figure import Picture


class Run(record.Run):
    """A record.Run with `summary()`, `plot_lifecycle()`, `plot_loss()` and `plot_calls()`, for notebooks."""

    @classmethod
    def of(cls, run: record.Run) -> Self:
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

        return _saved(lifecycle_figure([self, *others], x), path)

    def plot_loss(self, path: str | Path | None = None) -> Picture:
        """The loss of each step, and that of the held-out samples; saved to `path` (.png, .svg, .pdf) if given."""
        from workbench.report.loss_curve import loss_figure

        return _saved(loss_figure(self), path)

    def plot_calls(self, path: str | Path | None = None) -> Picture:
        """Who called whom in the first step, and how deep its stack was; saved to `path` if given."""
        from workbench.report.profile_figure import calls_figure

        return _saved(calls_figure(f"a step of {self.title}", self.tree, self.stack), path)


class Profile(record.Profile):
    """A record.Profile with `summary()` and `plot()`, for notebooks."""

    @classmethod
    def of(cls, told: record.Profile) -> Self:
        """The same profile, which shares its tables."""
        return cls(**vars(told))

    def summary(self, top: int = 5) -> str:
        """What `workbench profile` prints: the `top` functions and lines, the call tree, and what takes memory."""
        from workbench.report.profile_text import profile_text

        return profile_text(self, top)

    def plot(self, path: str | Path | None = None) -> Picture:
        """Who called whom, and how deep the stacks were; saved to `path` (.png, .svg, .pdf) if given."""
        from workbench.report.profile_figure import profile_figure

        return _saved(profile_figure(self), path)


def _saved(figure: Picture, path: str | Path | None) -> Picture:
    if path is not None:
        from workbench.report.figure import save_figure

        save_figure(figure, path)
    return figure
