"""What has been measured of kernels' schedules, and what is to be next: a study a kernel (Optuna), in a journal.

Several processes share it. A trial is asked for, measured, told; one whose process was ended is asked for again. Its
numbers are of this step, these kernels, this compiler: of anything else there is another study.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from workbench.artifacts import Compiled
from workbench.boards import Board
from workbench.codegen.build_files import FLAGS
from workbench.emulate.timing import model_of
from workbench.errors import ScheduleError
from workbench.ir.text import print_graph
from workbench.kernels.declared import templates
from workbench.ops._schedule import written
from workbench.study.tuning_files import JOURNAL
from workbench.toolchain.compiler import gcc_version

PROPOSALS = 20  # of a sampler, at most, for one that is new
WORKER, RESULT = "worker", "result"  # attributes of a trial: which process measures it, and what it found
NAMELESS, LONGEST = 60.0, 1800.0  # seconds that a trial may have no worker yet, and that it may take
MID_WRITE = 5.0  # seconds that a line of the journal may take
HELD = 10  # seconds after which a lock is one of a process that was killed


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


class Store:
    """The studies of a folder. Raises ScheduleError where its journal is damaged."""

    def __init__(self, folder: Path, compiled: Compiled, board: Board, metric: str, trials: int, seed: int):
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna, self._seed, self.metric, self.trials = optuna, seed, metric, trials
        folder.mkdir(parents=True, exist_ok=True)
        self.journal = folder / JOURNAL
        _mend(self.journal)
        place = str(self.journal.resolve())  # of a relative one Optuna cannot tell how old a lock is
        lock = JournalFileSymlinkLock(place, grace_period=HELD)
        with self._readable():
            self._storage = JournalStorage(JournalFileBackend(place, lock_obj=lock))
        compiler = gcc_version(), FLAGS, model_of(board).name
        told = "\0".join([metric, board.core, *compiler, _sources(), print_graph(compiled.graph)])
        self._of_step = sha256(told.encode())
        self._studies: dict[str, Any] = {}

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError):
            raise ScheduleError(f"{self.journal} is damaged", "remove it: the search begins anew") from None

    def _study(self, space: Space) -> Any:
        """The study of a kernel: made, and its first candidates put into it, where there is none."""
        if space.literals in self._studies:
            return self._studies[space.literals]
        digest = self._of_step.copy()
        digest.update(space.literals.encode())
        with self._readable():
            study = self._optuna.create_study(
                storage=self._storage, study_name=digest.hexdigest()[:24], load_if_exists=True,
                directions=["minimize", "minimize"], sampler=self._optuna.samplers.TPESampler(seed=self._seed),
            )  # fmt: skip
        self._studies[space.literals] = study
        rule = dict.fromkeys(space.choices)
        first = space.all if space.size < self.trials else ({name: min(of) for name, of in space.choices.items()},)
        for params in (rule, *first):
            study.enqueue_trial(params, skip_if_exists=True)
        return study

    def ask(self, space: Space) -> tuple[Any, str] | None:
        """The next trial of a kernel, and its schedule, which nobody has measured or is measuring; None where there is
        none left."""
        states, study = self._optuna.trial.TrialState, self._study(space)
        options = {
            name: self._optuna.distributions.CategoricalDistribution((None, *numbers))
            for name, numbers in space.choices.items()
        }
        for _ in range(PROPOSALS):
            begun = set()
            for each in study.get_trials(deepcopy=False, states=(states.COMPLETE, states.RUNNING)):
                if each.state == states.RUNNING and not _lives(each):
                    self._again(study, each)
                else:
                    begun.add(_schedule(each))
            if len(begun) >= self._most(space):
                return None
            trial = study.ask(options)
            schedule = _schedule(trial)
            if schedule not in begun:
                trial.set_user_attr(WORKER, _me())
                return trial, schedule
            known = next((result for result in self.told(space) if result.schedule == schedule), None)
            if known:
                self.tell(space, trial, known)
            else:
                study.tell(trial, state=states.FAIL)
        return None

    def tell(self, space: Space, trial: Any, result: Trial) -> None:
        with suppress(RuntimeError):  # another process took this one for dead, and has told it
            trial.set_user_attr(RESULT, vars(result))
            self._study(space).tell(trial, [getattr(result, self.metric), result.scratch])

    def give_back(self, space: Space, trial: Any) -> None:
        """Have a trial that was asked for measured by another process, or later."""
        self._again(self._study(space), trial)

    def _again(self, study: Any, trial: Any) -> None:
        with suppress(ValueError, RuntimeError):  # another process was quicker
            study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)
            study.enqueue_trial(trial.params)

    def others_measure(self, wanted: Sequence[Space]) -> bool:
        """Whether trials of these kernels are being measured, or were until their processes ended."""
        running = (self._optuna.trial.TrialState.RUNNING,)
        return any(self._study(space).get_trials(deepcopy=False, states=running) for space in wanted)

    def told(self, space: Space) -> list[Trial]:
        """What has been measured of a kernel, each schedule once."""
        done = self._study(space).get_trials(deepcopy=False, states=(self._optuna.trial.TrialState.COMPLETE,))
        results = (Trial(**trial.user_attrs[RESULT]) for trial in done)
        return list({result.schedule: result for result in results}.values())

    def progress(self, wanted: Sequence[Space]) -> tuple[int, int]:
        """How many trials have been measured, and how many there are to be."""
        return sum(len(self.told(space)) for space in wanted), sum(self._most(space) for space in wanted)

    def _most(self, space: Space) -> int:
        """The trials of a kernel: all its candidates and the rule, if they are no more than may be."""
        return min(self.trials, space.size + 1)


def _mend(journal: Path) -> None:
    """Cut off a last line that a process was killed in."""
    with suppress(OSError):
        content = journal.read_bytes()
        if content and not content.endswith(b"\n") and time.time() - journal.stat().st_mtime > MID_WRITE:
            os.truncate(journal, content.rfind(b"\n") + 1)


def _schedule(trial: Any) -> str:
    return written({name: number for name, number in trial.params.items() if number is not None})


def _me() -> str:
    return f"{os.uname().nodename}:{os.getpid()}"


def _lives(trial: Any) -> bool:
    """Whether the process that measures a trial may still run."""
    age = (datetime.now() - trial.datetime_start).total_seconds()
    host, _, pid = trial.user_attrs.get(WORKER, "").rpartition(":")
    if not host:
        return age < NAMELESS
    if host == os.uname().nodename:
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
    return age < LONGEST


def _sources() -> str:
    """A digest of the kernels' sources: what was measured of others is worth nothing."""
    digest = sha256()
    for path in sorted((templates() / "kernels").iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()
