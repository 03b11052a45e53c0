"""Update policies beside schedules: every cell compiled, built and emulated, in parallel processes.

            vanilla   reordered   optimized
full        cell      cell        cell           a cell is one run; one that fails is told, and the others go on
bias-only   cell      cell        cell

Schedules give the same bits, so one cell of each policy trains: the most optimized, or the next where that fails. The
others run their first step, which is measured anyway. Its loss, and the weights after it, must be the trained cell's to
the bit; then losses and accuracy are that cell's too (`trained_by` in the run's meta).
"""

import json
import os
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path

import numpy as np

from workbench import boards, frontends, pretraining, record, session
from workbench.autodiff import require_applicable
from workbench.boards import Board
from workbench.errors import WorkbenchError
from workbench.frontends import Model
from workbench.passes.apply_policy import apply_policy
from workbench.passes.pipeline import chosen_passes
from workbench.policy import PLAIN_SGD, Optimizer, UpdatePolicy, parse_policies
from workbench.report.view import Run
from workbench.study.processes import Died, in_processes, uninterrupted
from workbench.training import Training, require_samples, training_options

SCHEDULES = ("vanilla", "reordered", "optimized")
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
    """What became of a cell: its run, or the error, its exit code and, for a bug of ours, the traceback."""

    cell: Cell
    run: Run | None = None
    error: str | None = None
    error_code: int = 0
    details: str = ""

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
    folder: Path | None
    like: dict | None = None  # the meta of the policy's trained cell; None: this one trains


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
    pretrain: str | None = None,
    jobs: int | None = None,
    folder: str | Path | None = None,
    begun: Callable[[Cell], None] | None = None,
    arrived: Callable[[Outcome], None] | None = None,
    **training,
) -> Comparison:
    """Run every cell, `jobs` at a time (None: as many as there are CPUs); what does not fit runs on the virtual twin.

    `sram`, `classes` and `weights` as in session.run. `pretrain` names a data set to train on first, on the host, once
    for all cells; `data` is adapted to.
    `folder` keeps each run as soon as it is there, with its firmware, and forgets those of an earlier comparison;
    `begun` is told of each cell whose process has started, `arrived` of each outcome. Further keywords are those of
    Training; `trace` is memory unless given. Ctrl-C ends what is under way and gives the comparison with what was
    finished.

    The cells' processes do not import the calling script: it needs no `__main__` guard, and an operator that only the
    script registers is unknown there.
    """
    options = training_options(("passes", *compare_cells.__kwdefaults__), **{"trace": "memory", **training})
    if jobs is not None and not (isinstance(jobs, Integral) and jobs >= 1):
        raise WorkbenchError(f"jobs is {jobs!r}: at least one cell at a time", "None: as many as there are CPUs")
    model = frontends.network(model, batch, options.seed, classes)
    model = model if weights is None else session.with_weights(model, weights)
    board = boards.chosen(board, sram)
    folder = None if folder is None else Path(folder)
    parsed = check_names(model, wanted)
    model.require_scores()
    require_applicable(model.graph, optimizer)
    require_samples(model, optimizer.accumulate, options)
    if pretrain is not None:
        model = pretraining.pretrain(model, pretrain, adapt_to=options.data or model.data, seed=options.seed)
    work = {
        cell: _Job(cell, parsed[cell.policy], model, optimizer, board, options, folder and folder / cell.folder)
        for cell in wanted
    }
    if folder is not None:
        _forget_earlier(folder)
    for job in work.values():
        if job.folder is not None:
            (job.folder / "run.json").unlink(missing_ok=True)  # it must not pass for this one's after an interrupt
    outcomes = {cell: Outcome(cell, error="interrupted", error_code=INTERRUPTED) for cell in wanted}
    waiting = _by_policy(work.values())
    queue = [group.pop(0) for group in waiting.values()]
    try:
        starting = None if begun is None else lambda index: begun(queue[index].cell)
        with closing(in_processes(_measure, queue, jobs or os.cpu_count() or 1, starting)) as arriving:
            for index, result in arriving:
                with uninterrupted():
                    job = queue[index]
                    outcomes[job.cell] = _kept(job.cell, result, job.folder)
                    queue += _ready(job, outcomes[job.cell], waiting[job.cell.policy])
                    if arrived:
                        arrived(outcomes[job.cell])
    except KeyboardInterrupt:
        for cell, outcome in outcomes.items():
            if outcome.run is None and work[cell].folder is not None:
                _forget_begun(work[cell].folder)
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
    found = [replace(other, like=outcome.run.meta) for other in waiting] if outcome.run else waiting[:1]
    del waiting[: len(found)]
    return found


def _kept(cell: Cell, result: Outcome | Died, folder: Path | None) -> Outcome:
    if isinstance(result, Died):
        return Outcome(cell, error=str(result), error_code=OUR_BUG)
    if result.run is not None and folder is not None:
        result.run.save(folder)
    return result


def _measure(job: _Job) -> Outcome:
    """In a process of its own: one cell from network to run, or what went wrong."""
    try:
        if job.folder is not None:
            return Outcome(job.cell, _run(job, job.folder / "firmware"))
        with tempfile.TemporaryDirectory() as scratch:
            return Outcome(job.cell, _run(job, Path(scratch)))
    except WorkbenchError as error:
        return Outcome(job.cell, error=str(error), error_code=error.exit_code)
    except Exception as error:
        text = f"{type(error).__name__}: {error}\n  help: this is a bug of the workbench; -vv shows where"
        return Outcome(job.cell, error=text, error_code=OUR_BUG, details=traceback.format_exc())


def _run(job: _Job, firmware: Path) -> Run:
    compiled = session.compile(job.model, job.policy, job.cell.schedule, job.optimizer, job.cell.passes)
    built = session.build(compiled, job.board, firmware)
    run, _ = session.train(built, job.training, like=job.like)
    if job.folder is not None:
        run.meta["artifacts"] |= {"run": str(job.folder), "firmware": str(firmware), "elf": str(built.image.elf)}
    return Run.of(run)


def _forget_begun(folder: Path) -> None:
    """Remove the firmware of a cell that was not finished: nothing is told from it, and it must stop no later run."""
    shutil.rmtree(folder / "firmware", ignore_errors=True)
    with suppress(OSError):  # it holds something else
        folder.rmdir()


def _forget_earlier(folder: Path) -> None:
    """Remove the cells of an earlier comparison: they must not pass for this one's. Other runs in there are kept."""
    for path in folder.glob("*/run.json"):
        try:
            meta = json.loads(path.read_text())
            own = path.parent.name.startswith(Cell(meta["policy"], meta["schedule"]).folder)
        except (ValueError, KeyError, TypeError):
            continue
        if own:
            shutil.rmtree(path.parent / "firmware", ignore_errors=True)
            record.forget(path.parent)
