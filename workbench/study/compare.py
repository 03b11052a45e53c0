"""Compare update policies and schedules: every cell compiled, built and emulated, in parallel processes.

            vanilla   reordered   optimized
full        cell      cell        cell           a cell is one run; where one fails, the others go on
bias-only   cell      cell        cell

Schedules give the same bits, so one cell of each policy trains: the most optimized, or the next where that fails. The
other cells run and measure their first step alone. Its loss, and the weights after it, must equal the trained cell's to
the bit; then the cell takes over that cell's losses and accuracy (`trained_by` in the run's meta).

With several seeds, each seed trains each policy once. Under the other schedules only the first seed runs.
"""

import os
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from workbench import boards, session
from workbench.autodiff import require_applicable
from workbench.boards import Board
from workbench.errors import WorkbenchError, shown
from workbench.feeding import Training, asked_options, objective_of
from workbench.frontends import Model
from workbench.options import EVERY_SCHEDULE, SCHEDULES, passes_for, takes, usual_schedules
from workbench.passes.apply_policy import apply_policy
from workbench.passes.pipeline import chosen_passes
from workbench.policy import PLAIN_SGD, Optimizer, UpdatePolicy, parse_policies
from workbench.preparation import prepared
from workbench.record.folder import filling
from workbench.report.view import Run
from workbench.schedule.tuned import BY_RULE, Kernels, Tuned, tuned_for
from workbench.study.cells import INTERRUPTED, OUR_BUG, Cell, Comparison, Outcome
from workbench.study.processes import in_processes, uninterrupted
from workbench.study.shelf import TABLE, Shelf  # noqa: F401  TABLE: asked for here too


@dataclass(frozen=True)
class _Job:
    cell: Cell
    policy: UpdatePolicy
    model: Model
    optimizer: Optimizer
    board: Board
    training: Training
    keep: bool
    virtual: bool = True
    tuned: Tuned = BY_RULE
    like: Run | None = None  # the policy's trained cell; None: this one trains


def cells(policies: Sequence[str], schedules: Sequence[str] = SCHEDULES, passes: str = "") -> list[Cell]:
    """Every policy under every schedule, each once. Raises WorkbenchError for what is no list of texts."""
    for what, given, such in (("policies", policies, "full"), ("schedules", schedules, "optimized")):
        such = given if isinstance(given, str) else such
        if not isinstance(given, list | tuple) or not given:
            raise WorkbenchError(f"{what} is a list of texts; got {shown(given)}", f"such as {what}={[such]}")
    return list(dict.fromkeys(Cell(policy, schedule, passes) for policy in policies for schedule in schedules))


def check_names(model: Model, wanted: Sequence[Cell]) -> dict[str, UpdatePolicy]:
    """The policies by name. Raises PolicyError or WorkbenchError for an unknown pass, schedule, policy or layer."""
    for cell in wanted:
        chosen_passes(cell.schedule, cell.passes)
    texts = [cell.policy for cell in wanted]
    parsed = dict(zip(texts, parse_policies(texts, model.policy), strict=True))
    for policy in parsed.values():
        apply_policy(model.graph, policy)
    return parsed


@takes(Optimizer, Training, trace="memory")
def compare_cells(
    model: str | Path | Model,
    wanted: Sequence[Cell],
    *,
    board: str | Board = boards.DEFAULT,
    sram: int | str | None = None,
    batch: int | None = None,
    optimizer: Optimizer = PLAIN_SGD,
    classes: int | None = None,
    shape: str | Sequence[int] | None = None,
    weights: Mapping[str, np.ndarray] | None = None,
    pretrain=None,
    kernels: Kernels = None,
    jobs: int | None = None,
    folder: str | Path | None = None,
    seeds: int | None = None,
    models: Mapping[int, Model] | None = None,
    lone: bool = False,
    begun: Callable[[Cell], None] | None = None,
    arrived: Callable[[Outcome], None] | None = None,
    **options: Any,
) -> Comparison:
    """Run every cell, `jobs` at a time (None: one a CPU). A cell that does not fit the board runs on its virtual twin.

    The keywords of session.run mean the same here, those of Training and Optimizer too; `trace` is memory unless given.
    Data is read and split once for all cells, and a pre-training runs once.
    `seeds`: how many train each policy, from `seed` on, each with a network of its own. `models`: networks that are
    loaded already, by seed. `lone`: the seeds of one cell are all there is, and it must fit the board itself.
    `folder` keeps the runs with their firmware, and compare.csv; it replaces an earlier comparison, and after a kill it
    holds the runs that were finished. `begun` is called with each cell whose process has started, `arrived` with each
    outcome. Ctrl-C ends the running cells; the comparison holds the finished ones.

    The cells' processes do not import the calling script: it needs no `__main__` guard, and they do not know an
    operator that only the script registers.
    """
    from workbench.study.seeds import networks, seeds_of

    known = ("passes", *(compare_cells.__kwdefaults__ or ()), "input")
    training, optimizer = asked_options(known, optimizer, {"trace": "memory", **options})
    if jobs is not None and not (isinstance(jobs, Integral) and jobs >= 1):
        raise WorkbenchError(f"jobs is {jobs!r}: at least one cell at a time", "None: as many as there are CPUs")
    given, asked, numbers = model, training, () if seeds is None else seeds_of(training.seed, seeds)
    board, parsed = boards.chosen(board, sram), {}
    tuned = tuned_for(board.core, kernels)

    def check(network: Model) -> None:
        parsed.update(check_names(network, wanted))
        require_applicable(network.graph, optimizer)

    model, training = prepared(
        model,
        training,
        optimizer,
        batch=batch,
        classes=classes,
        shape=shape,
        weights=weights,
        pretrain=pretrain,
        check=check,
    )
    if models is None:
        of_each = model if weights is not None or pretrain is not None else given
        models = networks(of_each, model, numbers, asked, batch, classes, shape) if numbers else None
    of_seed: dict[int | None, Model] = {None: model} if models is None else dict(models.items())
    keep = folder is not None
    work = [
        _Job(replace(cell, seed=seed), parsed[cell.policy], each, optimizer, board,
             training if seed is None else replace(training, seed=seed), keep, virtual=not lone, tuned=tuned)
        for cell in wanted
        for seed, each in of_seed.items()
    ]  # fmt: skip
    waiting = _by_training(work)
    queue = [group.pop(0) for group in waiting.values()]
    order, first = [job.cell for job in work], work[0].cell.seed
    expected = [cell for cell in order if cell.seed == first or cell in [job.cell for job in queue]]
    outcomes = {cell: Outcome(cell, error="interrupted", error_code=INTERRUPTED) for cell in expected}

    def comparison() -> Comparison:
        return Comparison(tuple(outcomes[cell] for cell in order if cell in outcomes))

    with nullcontext() if folder is None else filling(folder) as new:
        shelf = Shelf(new, lone)
        shelf.keep_tables(comparison())
        try:
            starting = None if begun is None else lambda index: begun(queue[index].cell)
            with closing(in_processes(_measure, queue, jobs or os.cpu_count() or 1, starting)) as arriving:
                for index, result in arriving:
                    with uninterrupted():
                        job = queue[index]
                        outcomes[job.cell] = shelf.kept(job.cell, result)
                        queue += _ready(job, outcomes[job.cell], waiting[_training(job.cell)], first)
                        shelf.keep_tables(comparison())
                        if arrived:
                            arrived(outcomes[job.cell])
        except KeyboardInterrupt:
            if keep and not comparison().runs:
                shelf.remove_tables()
    return comparison()


@takes(compare_cells, without=("models", "lone"))
def compare(
    model: str | Path | Model,
    policies: Sequence[str],
    schedules: Sequence[str] | None = None,
    *,
    passes: str = "",
    input: str = "whole",
    **options: Any,
) -> Comparison:
    """Run every policy under every schedule (see compare_cells). `schedules` None: all; with `input` "rows", optimized.

    All other keywords are those of session.run, and those of compare_cells.
    """
    passes = passes_for(passes, input)
    schedules = usual_schedules(input) if schedules is None else schedules
    return compare_cells(model, cells(policies, schedules, passes), **options)


def _training(cell: Cell) -> tuple:
    """What identifies a training: cells that differ in their schedule alone share it."""
    return cell.policy, cell.seed


def _by_training(jobs: Iterable[_Job]) -> dict[tuple, list[_Job]]:
    """The jobs of each training, the most optimized schedule first: it trains."""
    groups: dict[tuple, list[_Job]] = {}
    for job in sorted(jobs, key=lambda job: -EVERY_SCHEDULE.index(job.cell.schedule)):
        groups.setdefault(_training(job.cell), []).append(job)
    return groups


def _ready(job: _Job, outcome: Outcome, waiting: list[_Job], first: int | None) -> list[_Job]:
    """The jobs that can begin after an outcome: all that wait for its training, or the next in its place if it failed.

    Only the first seed is measured under every schedule.
    """
    if job.like is not None or (outcome.run and job.cell.seed != first):
        return []
    ready = [replace(other, like=outcome.run) for other in waiting] if outcome.run else waiting[:1]
    del waiting[: len(ready)]
    return ready


def _measure(job: _Job) -> Outcome:
    """Run one cell, in a process of its own; an error becomes its outcome."""
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
    built = session.build(compiled, job.board, virtual=job.virtual, kernels=job.tuned)
    run, _ = session.train(built, job.training, like=job.like)
    return Outcome(job.cell, Run.of(run), firmware=(built.project, built.image) if job.keep else None)
