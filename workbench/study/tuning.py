"""Tune: the schedule with which each kernel of a training step runs best, measured on the emulated core.

    rounds     every kernel runs its next candidate, all in one firmware; instructions and cycles counted by kernel
    store      a study a kernel (Optuna), in a journal that several workers share and that outlives a kill
    choice     the fastest of each kernel; then, where most bytes live, the next slower one with less scratch, and so
               on: each step of this descent is a trade of cycles for SRAM (tuning_choice.py)

A kernel is known by its literals (kernels/literals.py). Its candidates are all that there are where `trials` suffice,
else what a sampler proposes; the rule's schedule is always the first of them.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from hashlib import sha256
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from workbench import session
from workbench.artifacts import Built, Compiled
from workbench.boards import Board, virtual_twin
from workbench.errors import ScheduleError, WorkbenchError, there_are
from workbench.ir.graph import Graph
from workbench.ir.text import print_graph
from workbench.kernels.declared import templates
from workbench.ops._schedule import written
from workbench.schedule.places import places
from workbench.schedule.tuned import Tuned
from workbench.study.processes import Died, in_processes
from workbench.tables import OpRow
from workbench.trace.tracer import Tracer
from workbench.training import device_of

OBJECTIVES = ("cycles", "instructions", "sram")
TRIALS = 32
JOURNAL = "studies.log"
PROPOSALS = 20  # of a sampler, at most, for one that is new
WORKER = "worker"  # the attribute of a trial that says which process measures it


@dataclass(frozen=True)
class Space:
    """What there is to choose for the kernel of these literals, and the layers that run it."""

    literals: str
    choices: Mapping[str, tuple[int, ...]]
    layers: tuple[str, ...]

    @property
    def size(self) -> int:
        return prod(len(numbers) for numbers in self.choices.values())

    @property
    def all(self) -> Iterator[dict[str, int]]:
        return (dict(zip(self.choices, numbers, strict=True)) for numbers in product(*self.choices.values()))


@dataclass(frozen=True)
class Trial:
    """A kernel under one schedule: what all its calls in a step took, and the bytes of scratch that one needs."""

    literals: str
    schedule: str
    instructions: int
    cycles: int
    scratch: int


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
    if not found:
        there = f"no layer called {', '.join(layers)} has a kernel to tune" if layers else "no kernel has a choice"
        names = [place.node.label for place in known]
        raise ScheduleError(there, there_are(layers[0], names) if layers and names else None)
    return list(found.values())


def measured(built: Built) -> tuple[list[Trial], Whole]:
    """One step of a firmware on the emulated core: by kernel, and as a whole."""
    rows = [OpRow(position, name, name, "forward") for position, name in enumerate(built.project.instances)]
    device = device_of(built)
    tracer = Tracer(device.machine, [], rows)
    tracer.attach()
    tracer.begin_call()
    _feed(device, built.compiled)
    device.machine.call("wb_train_step")
    tracer.detach()
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
    sram = built.image.static + built.compiled.memory.plan.bytes + built.image.stack_reserve
    return trials, Whole(totals.instructions or 0, totals.cycles or 0, sram, built.image.flash)


def _feed(device, compiled: Compiled) -> None:
    kind = compiled.graph.types[compiled.model.graph.inputs[0]]
    device.feed_inputs(np.zeros(kind.shape, np.int8 if kind.dtype == "int8" else np.float32))


def built_with(compiled: Compiled, board: Board, schedules: Mapping[str, str]) -> Built:
    """The firmware whose kernels have these schedules, by literals, and else run by rule."""
    several = {literals: (schedule,) for literals, schedule in schedules.items()}
    return session.build(compiled, board, kernels=Tuned("trial", board.core, schedules=several))


class Store:
    """The studies of a folder: a trial is asked for, measured and told; several processes may do so at a time."""

    def __init__(self, folder: Path, compiled: Compiled, board: Board, metric: str, trials: int, seed: int):
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._seed, self.metric, self.trials = optuna, seed, metric, trials
        folder.mkdir(parents=True, exist_ok=True)
        self._storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
        self._of_step = sha256("\0".join([metric, board.core, _sources(), print_graph(compiled.graph)]).encode())
        self._studies: dict[str, Any] = {}

    def study(self, space: Space):
        """The study of a kernel: made, and its first candidates put into it, where there is none."""
        if space.literals in self._studies:
            return self._studies[space.literals]
        digest = self._of_step.copy()
        digest.update(space.literals.encode())
        study = self._optuna.create_study(
            storage=self._storage, study_name=digest.hexdigest()[:24], load_if_exists=True,
            directions=["minimize", "minimize"], sampler=self._optuna.samplers.TPESampler(seed=self._seed),
        )  # fmt: skip
        self._studies[space.literals] = study
        rule = dict.fromkeys(space.choices)
        first = space.all if space.size < self.trials else ({name: min(of) for name, of in space.choices.items()},)
        for params in (rule, *first):
            study.enqueue_trial(params, skip_if_exists=True)
        for trial in study.get_trials(deepcopy=False, states=(self._optuna.trial.TrialState.RUNNING,)):
            if not _lives(trial.user_attrs.get(WORKER)):
                self._again(study, trial)
        return study

    def give_back(self, space: Space, trial) -> None:
        """Have a trial that was asked for measured by another process, or later."""
        self._again(self.study(space), trial)

    def _again(self, study, trial) -> None:
        with suppress(ValueError, RuntimeError):  # another process was quicker
            study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)
            study.enqueue_trial(trial.params)

    def progress(self, wanted: Sequence[Space]) -> tuple[int, int]:
        """How many trials have been measured, and how many there are to be."""
        return sum(len(self.told(space)) for space in wanted), sum(self._most(space) for space in wanted)

    def _most(self, space: Space) -> int:
        """The trials of a kernel: all its candidates and the rule, if they are no more than may be."""
        return min(self.trials, space.size + 1)

    def ask(self, space: Space):
        """The next trial of a kernel, and its schedule, which nobody has measured or is measuring; None where there is
        none left."""
        states, study = self._optuna.trial.TrialState, self.study(space)
        options = {
            name: self._optuna.distributions.CategoricalDistribution((None, *numbers))
            for name, numbers in space.choices.items()
        }
        for _ in range(PROPOSALS):
            trials = study.get_trials(deepcopy=False)
            begun = {_schedule(trial) for trial in trials if trial.state in (states.COMPLETE, states.RUNNING)}
            if len(begun) >= self._most(space) and not any(trial.state == states.WAITING for trial in trials):
                return None
            trial = study.ask(options)
            schedule = _schedule(trial)
            if schedule not in begun:
                trial.set_user_attr(WORKER, _me())
                return trial, schedule
            known = next((each for each in self.told(space) if each.schedule == schedule), None)
            if known:
                self.tell(space, trial, known)
            else:
                study.tell(trial, state=states.FAIL)
        return None

    def tell(self, space: Space, trial, result: Trial) -> None:
        trial.set_user_attr("result", vars(result))
        self.study(space).tell(trial, [getattr(result, self.metric), result.scratch])

    def told(self, space: Space) -> list[Trial]:
        """What has been measured of a kernel, each schedule once, the rule's first."""
        done = self.study(space).get_trials(deepcopy=False, states=(self._optuna.trial.TrialState.COMPLETE,))
        results = {trial.user_attrs["result"]["schedule"]: Trial(**trial.user_attrs["result"]) for trial in done}
        return sorted(results.values(), key=lambda trial: trial.schedule != "")


def _schedule(trial) -> str:
    return written({name: number for name, number in trial.params.items() if number is not None})


def _me() -> str:
    return f"{os.uname().nodename}:{os.getpid()}"


def _lives(worker: str | None) -> bool:
    """Whether a process may still run: one of another machine may."""
    host, _, pid = (worker or ":").rpartition(":")
    if host != os.uname().nodename:
        return bool(host)
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sources() -> str:
    """A digest of the kernels' sources: what was measured of others is worth nothing."""
    digest = sha256()
    for path in sorted((templates() / "kernels").iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()


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
    """Measure candidates, so many firmwares at a time, until no kernel has one left. `progress` hears of how many
    trials have been measured, and of how many there are to be.

    What was asked for and not measured, because of an error or Ctrl-C, is given back to the store.
    """
    rounds: list[_Round] = []
    asked: list[dict[str, tuple[Space, Any]]] = []

    def ask() -> None:
        found = {space.literals: (space, *trial) for space in wanted if (trial := store.ask(space))}
        if found:
            schedules = {literals: schedule for literals, (_, _, schedule) in found.items()}
            rounds.append(_Round(compiled, virtual_twin(board), schedules))
            asked.append({literals: (space, trial) for literals, (space, trial, _) in found.items()})

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
