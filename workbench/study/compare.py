"""Update policies beside schedules: every cell compiled, built and emulated, in parallel processes.

            vanilla   reordered   optimized
full        cell      cell        cell           a cell is one run; one that fails is told, and the others go on
bias-only   cell      cell        cell

Schedules give the same bits, so one cell of each policy trains: the most optimized, or the next where that fails. The
others run their first step, which is measured anyway. Its loss, and the weights after it, must be the trained cell's to
the bit; then losses and accuracy are that cell's too (`trained_by` in the run's meta).
"""

import os
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from numbers import Integral
from pathlib import Path

import numpy as np
import pandas as pd

from workbench import boards, frontends, pretraining, session
from workbench.autodiff import require_applicable
from workbench.boards import Board
from workbench.codegen import Project
from workbench.errors import WorkbenchError
from workbench.feeding import Training, objective_of, require_samples, training_options, with_data
from workbench.frontends import Model
from workbench.passes.apply_policy import apply_policy
from workbench.passes.pipeline import chosen_passes
from workbench.policy import PLAIN_SGD, Optimizer, UpdatePolicy, parse_policies
from workbench.record.folder import checkpoint, filling, manifest, place_of, write_at_once
from workbench.report.roles import comparison_csv
from workbench.report.view import Run
from workbench.study.processes import Died, in_processes, uninterrupted
from workbench.toolchain import Image, install

SCHEDULES = ("vanilla", "reordered", "optimized")
TABLE = "compare.csv"
INTERRUPTED, OUR_BUG, BROKEN_PROMISE = 130, 70, 3  # exit codes


@dataclass(frozen=True)
class Cell:
    """One run of a comparison; `passes` changes those of the schedule, as in session.compile."""

    policy: str
    schedule: str
    passes: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.policy, self.schedule, self.passes)))

    @property
    def folder(self) -> str:
        """'last-2-vanilla', safe as a folder's name."""
        passes = (f"no_{word[1:]}" if word.startswith("-") else word for word in self.passes.split(","))
        text = "-".join(filter(None, (self.policy, self.schedule, *passes)))
        return "".join(c if c.isalnum() or c in "._-" else "_" for c in text)


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: its run, or the error, its exit code and, for a bug of ours, the traceback.

    `firmware` is what is to be kept with the run, on its way from the process that built it.
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


@dataclass(frozen=True)
class Comparison:
    """Every cell's outcome, policy by policy. Cells an interrupt left out say so in their error."""

    outcomes: tuple[Outcome, ...]

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


@dataclass(frozen=True)
class _Job:
    cell: Cell
    policy: UpdatePolicy
    model: Model
    optimizer: Optimizer
    board: Board
    training: Training
    keep: bool
    like: Run | None = None  # the policy's trained cell; None: this one trains


def cells(policies: Sequence[str], schedules: Sequence[str] = SCHEDULES, passes: str = "") -> list[Cell]:
    """Policy by policy, each once. Raises WorkbenchError where one text is given for a list of them."""
    for what, given in (("policies", policies), ("schedules", schedules)):
        if isinstance(given, str):
            raise WorkbenchError(f"{what} is a list of texts; got {given!r}", f"such as {what}={[given]}")
    return list(dict.fromkeys(Cell(policy, schedule, passes) for policy in policies for schedule in schedules))


def check_names(model: Model, wanted: Sequence[Cell]) -> dict[str, UpdatePolicy]:
    """The policies by name. Raises PolicyError or WorkbenchError for a pass, schedule, policy or layer there is not."""
    for cell in wanted:
        chosen_passes(cell.schedule, cell.passes)
    texts = list(dict.fromkeys(cell.policy for cell in wanted))
    parsed = dict(zip(texts, parse_policies(texts, model.policy), strict=True))
    for policy in parsed.values():
        apply_policy(model.graph, policy)
    return parsed


def compare(
    model: str | Path | Model, policies: Sequence[str], schedules: Sequence[str] = SCHEDULES, *, passes: str = "", **how
) -> Comparison:
    """Every policy under every schedule: `compare_cells` of cells(policies, schedules, passes)."""
    return compare_cells(model, cells(policies, schedules, passes), **how)


def compare_cells(
    model: str | Path | Model,
    wanted: Sequence[Cell],
    *,
    board: str | Board = boards.DEFAULT,
    sram: int | str | None = None,
    batch: int | None = None,
    optimizer: Optimizer = PLAIN_SGD,
    classes: int | None = None,
    weights: Mapping[str, np.ndarray] | None = None,
    pretrain=None,
    jobs: int | None = None,
    folder: str | Path | None = None,
    begun: Callable[[Cell], None] | None = None,
    arrived: Callable[[Outcome], None] | None = None,
    **training,
) -> Comparison:
    """Run every cell, `jobs` at a time (None: as many as there are CPUs); what does not fit runs on the virtual twin.

    `sram`, `classes`, `weights`, `data` and `pretrain` as in session.run; data is read, split and pre-trained on once
    for all cells.
    `folder` keeps the runs with their firmware, and compare.csv, in the place of an earlier comparison: all of them at
    the end, or those there were when the process was killed. `begun` is told of each cell whose process has started,
    `arrived` of each outcome. Further keywords are those of Training; `trace` is memory unless given. Ctrl-C ends what
    is under way and gives the comparison with what was finished.

    The cells' processes do not import the calling script: it needs no `__main__` guard, and an operator that only the
    script registers is unknown there.
    """
    options = training_options(("passes", *compare_cells.__kwdefaults__), **{"trace": "memory", **training})
    if jobs is not None and not (isinstance(jobs, Integral) and jobs >= 1):
        raise WorkbenchError(f"jobs is {jobs!r}: at least one cell at a time", "None: as many as there are CPUs")
    named = not isinstance(model, Model)
    model = frontends.network(model, batch, options.seed, classes)
    model = model if weights is None else session.with_weights(model, weights)
    board = boards.chosen(board, sram)
    parsed = check_names(model, wanted)
    require_applicable(model.graph, optimizer)
    asked = options.reading.asked
    model, options = with_data(model, options, calibrate=named and pretrain is None)
    require_samples(model, optimizer.accumulate, options)
    if pretrain is not None:
        model = pretraining.pretrain(
            model, pretrain, adapt_to=options.data, seed=options.seed, loss=options.loss, **asked
        )
    keep = folder is not None
    work = [_Job(cell, parsed[cell.policy], model, optimizer, board, options, keep) for cell in wanted]
    waiting = _by_policy(work)
    queue = [group.pop(0) for group in waiting.values()]
    outcomes = {cell: Outcome(cell, error="interrupted", error_code=INTERRUPTED) for cell in wanted}
    with filling(folder) if keep else nullcontext() as new:
        _keep_table(outcomes.values(), new)
        try:
            starting = None if begun is None else lambda index: begun(queue[index].cell)
            with closing(in_processes(_measure, queue, jobs or os.cpu_count() or 1, starting)) as arriving:
                for index, result in arriving:
                    with uninterrupted():
                        job = queue[index]
                        outcomes[job.cell] = _kept(job.cell, result, new)
                        queue += _ready(job, outcomes[job.cell], waiting[job.cell.policy])
                        _keep_table(outcomes.values(), new)
                        if arrived:
                            arrived(outcomes[job.cell])
        except KeyboardInterrupt:
            if keep and all(outcome.run is None for outcome in outcomes.values()):
                (new / TABLE).unlink()  # it is worth no earlier comparison
    return Comparison(tuple(outcomes.values()))


def _by_policy(jobs: Iterable[_Job]) -> dict[str, list[_Job]]:
    """The cells of each policy, in the order in which they are asked to train it: the most optimized first."""
    groups: dict[str, list[_Job]] = {}
    for job in sorted(jobs, key=lambda job: -SCHEDULES.index(job.cell.schedule)):
        groups.setdefault(job.cell.policy, []).append(job)
    return groups


def _ready(job: _Job, outcome: Outcome, waiting: list[_Job]) -> list[_Job]:
    """What can begin now: once a cell has trained, all that wait for it; the next one in its place if it failed."""
    if job.like is not None:
        return []
    found = [replace(other, like=outcome.run) for other in waiting] if outcome.run else waiting[:1]
    del waiting[: len(found)]
    return found


def _keep_table(outcomes: Sequence[Outcome], folder: Path | None) -> None:
    """compare.csv: what was measured, and the folder of each run; then the cells that left none, and why.

    From the first run on it is worth an earlier comparison: a kill loses no run that the table tells.
    """
    if folder is None:
        return
    runs = [outcome.run for outcome in outcomes if outcome.run is not None]
    done = [outcome.cell.folder for outcome in outcomes if outcome.run is not None]
    table = comparison_csv(runs).assign(folder=done) if runs else pd.DataFrame()
    missing = [outcome for outcome in outcomes if outcome.run is None]
    if missing:
        errors = [{"policy": o.cell.policy, "schedule": o.cell.schedule, "error": o.error} for o in missing]
        table = pd.concat([table, pd.DataFrame(errors)], ignore_index=True)
    counting = bool(manifest(folder))
    if counting:
        checkpoint(folder)
    write_at_once(folder / TABLE, table.to_csv(index=False))
    if runs and not counting:
        checkpoint(folder)


def _kept(cell: Cell, result: Outcome | Died, folder: Path | None) -> Outcome:
    if isinstance(result, Died):
        return Outcome(cell, error=str(result), error_code=OUR_BUG)
    if result.run is None or folder is None:
        return result
    own = folder / cell.folder
    artifacts = result.run.meta["artifacts"]
    artifacts["run"] = str(place_of(own))
    if result.firmware:
        elf = install(*result.firmware, own / "firmware").elf
        artifacts |= {"firmware": str(place_of(own / "firmware")), "elf": str(place_of(elf))}
    result.run.save(own)
    return replace(result, firmware=None)


def _measure(job: _Job) -> Outcome:
    """In a process of its own: one cell from network to run, or what went wrong."""
    try:
        return _run(job)
    except WorkbenchError as error:
        return Outcome(job.cell, error=str(error), error_code=error.exit_code)
    except Exception as error:
        text = f"{type(error).__name__}: {error}\n  help: this is a bug of the workbench; -vv shows where"
        return Outcome(job.cell, error=text, error_code=OUR_BUG, details=traceback.format_exc())


def _run(job: _Job) -> Outcome:
    aim = objective_of(job.model, job.training)
    compiled = session.compile(job.model, job.policy, job.cell.schedule, job.optimizer, job.cell.passes, aim)
    built = session.build(compiled, job.board)
    run, _ = session.train(built, job.training, like=job.like)
    return Outcome(job.cell, Run.of(run), firmware=(built.project, built.image) if job.keep else None)
