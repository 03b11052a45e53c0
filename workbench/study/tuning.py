"""Search the schedule with which each kernel of a training step runs best, measured on the emulated core.

    rounds     every kernel runs its next candidate, all in one firmware; instructions and cycles counted by kernel
    store      what was measured, shared and kept (tuning_store.py)
    choice     the quickest of each kernel for which there is room (tuning_choice.py)

A kernel is known by its literals (kernels/literals.py). Its candidates are all that there are where `trials` suffice,
as they do for the kernels of today; else what a sampler proposes. The rule's schedule is the first of them.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from workbench import session
from workbench.artifacts import Built, Compiled
from workbench.boards import Board, virtual_twin
from workbench.errors import ScheduleError, WorkbenchError, there_are
from workbench.ir.graph import Graph
from workbench.measure import sram_planned
from workbench.schedule.places import places
from workbench.schedule.tuned import Tuned
from workbench.study.processes import Died, in_processes
from workbench.study.tuning_store import Space, Store, Trial
from workbench.tables import OpRow
from workbench.trace.tracer import Tracer
from workbench.training import device_of

PAUSE = 1.0  # seconds between looks at what other processes measure


@dataclass(frozen=True)
class Whole:
    """A whole step, measured, and its firmware's bytes."""

    instructions: int
    cycles: int
    sram: int
    flash: int


def spaces(graph: Graph, layers: Sequence[str] = ()) -> list[Space]:
    """What there is to choose in a graph, for the kernels of these layers (globs; none: of all). Raises ScheduleError
    where that is nothing."""
    found: dict[str, Space] = {}
    known = list(places(graph))
    for place in known:
        if not layers or any(fnmatchcase(place.node.label, glob) for glob in layers):
            space = found.get(place.literals) or Space(place.literals, place.choices, ())
            found[place.literals] = replace(space, layers=(*space.layers, place.node.label))
    names = [place.node.label for place in known]
    for glob in layers:
        if not any(fnmatchcase(name, glob) for name in names):
            raise ScheduleError(f"no layer called {glob} has a kernel to tune", there_are(glob, names))
    if not found:
        raise ScheduleError("no kernel has a choice", "those of int8 layers have: NAME-int8, FILE-int8")
    return list(found.values())


def counted_step(built: Built, rows: list[OpRow]) -> Tracer:
    """The tracer that counted one step on zeros, by the functions that `rows` name."""
    device = device_of(built)
    tracer = Tracer(device.machine, [], rows)
    tracer.attach()
    tracer.begin_call()
    feed(device, built.compiled)
    device.machine.call("wb_train_step")
    tracer.detach()
    return tracer


def measured(built: Built) -> tuple[list[Trial], Whole]:
    """One step of a firmware on the emulated core: by kernel, and as a whole."""
    rows = [OpRow(position, name, name, "forward") for position, name in enumerate(built.project.instances)]
    tracer = counted_step(built, rows)
    counted = tracer.op_profile().set_index("position")
    chosen, scratch = dict[str, str](), dict[str, int]()
    for place in places(built.compiled.graph):
        chosen[place.literals] = place.schedule
        scratch[place.literals] = max(scratch.get(place.literals, 0), place.scratch(place.schedule))
    sums = {key: np.zeros(2, np.int64) for key in chosen}
    for position, literals in enumerate(built.project.instances.values()):
        sums[literals] += counted.loc[position, ["instructions", "cycles"]].to_numpy(np.int64)
    trials = [Trial(key, chosen[key], int(both[0]), int(both[1]), scratch[key]) for key, both in sums.items()]
    totals = tracer.totals()
    return trials, Whole(totals.instructions or 0, totals.cycles or 0, sram_planned(built), built.image.flash)


def feed(device, compiled: Compiled) -> None:
    """Zeros, for which a step takes what it takes."""
    kind = compiled.graph.types[compiled.model.graph.inputs[0]]
    device.feed_inputs(np.zeros(kind.shape, np.int8 if kind.dtype == "int8" else np.float32))


def built_with(compiled: Compiled, board: Board, schedules: Mapping[str, str]) -> Built:
    """The firmware whose kernels have these schedules, by literals, and else run by rule."""
    several = {literals: (schedule,) for literals, schedule in schedules.items()}
    return session.build(compiled, board, kernels=Tuned("trial", board.core, schedules=several))


@dataclass(frozen=True)
class _Round:
    """A firmware to be measured: the schedules of its kernels, by literals."""

    compiled: Compiled
    board: Board
    schedules: Mapping[str, str]


def _run(round_: _Round) -> list[Trial] | WorkbenchError:
    """A round, in this process or in one of its own."""
    try:
        return measured(built_with(round_.compiled, round_.board, round_.schedules))[0]
    except WorkbenchError as error:
        return error


def search(
    compiled: Compiled,
    board: Board,
    store: Store,
    wanted: Sequence[Space],
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Measure candidates, so many firmwares at a time, until no kernel has one left; what other processes measure is
    waited for. `progress` hears of how many trials have been measured, and of how many there are to be.

    What was asked for and not measured, because of an error or Ctrl-C, is given back to the store.
    """
    while True:
        _measure_all(compiled, board, store, wanted, jobs, progress)
        if not store.others_measure(wanted):
            return
        time.sleep(PAUSE)


def _measure_all(
    compiled: Compiled,
    board: Board,
    store: Store,
    wanted: Sequence[Space],
    jobs: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    rounds: list[_Round] = []
    asked: list[dict[str, tuple[Space, Any]]] = []

    def ask() -> None:
        found = {space.literals: (space, *trial) for space in wanted if (trial := store.ask(space))}
        if found:
            schedules = {literals: schedule for literals, (_, _, schedule) in found.items()}
            asked.append({literals: (space, trial) for literals, (space, trial, _) in found.items()})
            rounds.append(_Round(compiled, virtual_twin(board), schedules))

    try:
        for _ in range(jobs):
            ask()
        here = ((index, _run(each)) for index, each in enumerate(rounds))
        arriving = in_processes(_run, rounds, jobs) if jobs > 1 else here
        with closing(arriving):
            for index, result in arriving:
                if isinstance(result, WorkbenchError):
                    raise result
                if isinstance(result, Died):
                    raise ScheduleError(f"measuring was cut off: {result}", "the same command goes on where it was")
                by_literals = {trial.literals: trial for trial in result}
                for literals, (space, trial) in asked[index].items():
                    store.tell(space, trial, by_literals[literals])
                asked[index] = {}
                ask()
                if progress:
                    progress(*store.progress(wanted))
    finally:
        for space, trial in (each for left in asked for each in left.values()):
            store.give_back(space, trial)
