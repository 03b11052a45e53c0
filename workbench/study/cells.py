"""One run of a comparison, what became of it, and all of them together."""

from dataclasses import dataclass, field, replace

from workbench.artifacts import Image
from workbench.codegen import Project
from workbench.plain import as_part
from workbench.report.seeds import as_object, standing
from workbench.report.view import Run

INTERRUPTED, OUR_BUG, BROKEN_PROMISE = 130, 70, 3  # exit codes
SHOWN = 9  # cells in a repr


@dataclass(frozen=True)
class Cell:
    """One run of a comparison; `passes` changes those of the schedule, as in session.compile.

    `seed`: which of several seeds; None where one is all.
    """

    policy: str
    schedule: str
    passes: str = ""
    seed: int | None = None

    def __str__(self) -> str:
        return " ".join(filter(None, (self.policy, self.schedule, self.passes, self._seed(" "))))

    @property
    def folder(self) -> str:
        """'last-2-vanilla', 'last-2-vanilla/seed-1', safe as a folder's name."""
        passes = (f"no_{word[1:]}" if word.startswith("-") else word for word in self.passes.split(","))
        text = "-".join(filter(None, (as_part(self.policy), self.schedule, *passes)))
        name = "".join(c if c.isalnum() or c in "._-" else "_" for c in text)
        return "/".join(filter(None, (name, self._seed("-"))))

    def _seed(self, between: str) -> str:
        return "" if self.seed is None else f"seed{between}{self.seed}"


@dataclass(frozen=True)
class Outcome:
    """The end of a cell: its run, or the error, its exit code and, for a bug of ours, the traceback.

    `firmware`: the project and the image to keep with the run; the process that built them hands them over.
    """

    cell: Cell
    run: Run | None = None
    error: str | None = None
    error_code: int = 0
    details: str = ""
    firmware: tuple[Project, Image] | None = field(default=None, repr=False)

    @property
    def exit_code(self) -> int:
        """0 for a run that kept the plan's promises, 3 for one that did not, else the error's."""
        if self.run is None:
            return self.error_code
        return BROKEN_PROMISE if len(self.run.violations) else 0


@dataclass(frozen=True, repr=False)
class Comparison:
    """Every cell's outcome, policy by policy. The error of a cell that an interrupt left out says so."""

    outcomes: tuple[Outcome, ...]

    def __repr__(self) -> str:
        names = [f"{each.cell}" + " (no run)" * (each.run is None) for each in self.outcomes]
        more = [f"{len(names) - SHOWN} more"] * (len(names) > SHOWN)
        return f"<Comparison {' · '.join([*names[:SHOWN], *more])}>"

    @property
    def runs(self) -> list[Run]:
        return [outcome.run for outcome in self.outcomes if outcome.run is not None]

    @property
    def without_run(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.run is None]

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self.without_run if outcome.error_code != INTERRUPTED]

    @property
    def interrupted(self) -> list[Outcome]:
        return [outcome for outcome in self.without_run if outcome.error_code == INTERRUPTED]

    @property
    def exit_code(self) -> int:
        """That of the worst cell; 130 after an interrupt."""
        return max(outcome.exit_code for outcome in self.outcomes)

    @property
    def cells(self) -> dict[Cell, list[Outcome]]:
        """The outcomes of each cell, one a seed."""
        grouped: dict[Cell, list[Outcome]] = {}
        for outcome in self.outcomes:
            grouped.setdefault(replace(outcome.cell, seed=None), []).append(outcome)
        return grouped

    @property
    def rows(self) -> list[Run]:
        """The first run of each cell that has one; it stands for all seeds of that training (see report.seeds)."""
        firsts = (next((each.run for each in outcomes if each.run), None) for outcomes in self.cells.values())
        return [standing(run, self.runs) for run in firsts if run is not None]

    def over_seeds(self) -> list[dict]:
        """Means and spreads over the seeds, cell by cell, as `--json` has them: see report.seeds.as_object."""
        return [self._over(cell, outcomes) for cell, outcomes in self.cells.items()]

    def _over(self, cell: Cell, outcomes: list[Outcome]) -> dict:
        own = [outcome.run for outcome in outcomes if outcome.run is not None]
        missing = [{"seed": each.cell.seed, "error": each.error} for each in outcomes if each.run is None]
        return as_object(cell.policy, cell.schedule, own, self.runs, missing)
