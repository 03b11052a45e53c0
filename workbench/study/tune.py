"""Tune a network's kernels: search (tuning.py), choose (tuning_choice.py), keep what was found (tuning_files.py)."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench import boards, session
from workbench.artifacts import Compiled
from workbench.baseline import BASELINES
from workbench.boards import Board, virtual_twin
from workbench.errors import WorkbenchError, there_are
from workbench.frontends import Model
from workbench.on_board import with_plain_weights
from workbench.ops._schedule import written
from workbench.options import LOOPS, passes_for
from workbench.policy import PLAIN_SGD, Optimizer, UpdatePolicy
from workbench.record.folder import write_at_once
from workbench.report.figure import save_figure
from workbench.report.tuning import AS_IT_LIES, tuning_figure
from workbench.schedule.tuned import file_of
from workbench.study.tuning import Whole, built_with, measured, search, spaces
from workbench.study.tuning_choice import Choice, Point
from workbench.study.tuning_files import OBJECTIVES, TRIALS, names
from workbench.study.tuning_store import Space, Store, Trial

TRIES = 3  # of a bound: a firmware with other kernels may need more stack


def tune(
    model: str | Path | Model,
    *,
    policy: str | UpdatePolicy = "full",
    schedule: str = "optimized",
    board: str | Board = boards.DEFAULT,
    sram: int | str | None = None,
    optimizer: Optimizer = PLAIN_SGD,
    passes: str = "",
    input: str = "whole",
    objective: str = "cycles",
    trials: int = TRIALS,
    layers: Sequence[str] = (),
    seed: int = 0,
    jobs: int = 1,
    folder: str | Path = "out/tuning",
) -> dict[str, Any]:
    """Find the schedules with which the kernels of a training step run best, and write them to `folder`/kernels.toml.

    `objective`: cycles or instructions, the fewest that need no more SRAM than the rule's schedules do, or than `sram`;
    or sram, the least, and as few cycles as that allows. `trials` a kernel; `layers`: those whose kernels are tuned, by
    globs (none: all). A search that was cut off goes on in the same folder. Gives what tuning.json holds.
    """
    compiled = session.compile(model, policy, schedule, optimizer, passes_for(passes, input))
    board, limit = boards.chosen(board, sram), "" if sram is None else str(sram)
    return tuned_step(compiled, board, Path(folder), objective, trials, layers, seed, jobs, limit=limit)


def tuned_step(
    compiled: Compiled,
    board: Board,
    folder: Path,
    objective: str = "cycles",
    trials: int = TRIALS,
    layers: Sequence[str] = (),
    seed: int = 0,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
    limit: str = "",
) -> dict[str, Any]:
    """`tune` of a compiled step. `limit`: the board's SRAM is a limit, in these words; "": what the rule needs is."""
    if compiled.schedule in BASELINES:
        raise WorkbenchError(f"schedule {compiled.schedule} runs kernels for any shape: there is nothing to tune",
                             "tune another schedule")  # fmt: skip
    if objective not in OBJECTIVES:
        raise WorkbenchError(f"no objective is called {objective!r}", there_are(objective, OBJECTIVES))
    metric = "instructions" if objective == "instructions" else "cycles"
    wanted, twin = spaces(compiled.graph, layers), virtual_twin(board)
    store = Store(folder, compiled, board, metric, trials, seed)
    search(compiled, board, store, wanted, jobs, progress)
    by_rule, rule = measured(built_with(compiled, twin, {}))
    of_rule = {trial.literals: trial for trial in by_rule}
    plain = with_plain_weights(compiled)
    as_it_lies = {space.literals: _as_it_lies(space) for space in spaces(plain.graph, layers)}
    baselines = {
        **{each: measured(session.build(compiled, twin, kernels=each)) for each in LOOPS},
        AS_IT_LIES: measured(built_with(plain, twin, as_it_lies)),
    }
    steps = [(way, step) for way, (_, step) in baselines.items()]
    by_kernel = {way: {trial.literals: trial for trial in trials} for way, (trials, _) in baselines.items()}
    told = {space.literals: [of_rule[space.literals], *_others(store.told(space))] for space in wanted}
    choice = Choice(compiled.graph, told, metric)
    unmoved, trades = choice.by_rule(), choice.trades()
    beside = rule.sram - unmoved.peak  # static bytes, stack, and what the plan has more than its peak
    asked = 0 if objective == "sram" else board.sram_size if limit else rule.sram
    chosen, whole = _chosen(compiled, twin, choice, beside, max(asked, trades[-1].peak + beside))
    if whole.sram >= rule.sram and getattr(whole, metric) >= getattr(rule, metric):
        chosen, whole = unmoved, rule
    record = {
        "model": compiled.model.name, "policy": compiled.policy.name, "schedule": compiled.schedule,
        "board": board.name, "core": board.core, "clock_hz": board.clock_hz, "sram_limit": board.sram_size,
        "objective": objective, "metric": metric, "fits": whole.sram <= board.sram_size,
        "whole": {way: vars(step) for way, step in [*steps, ("rule", rule), ("tuned", whole)]},
        "kernels": [_kernel(space, told[space.literals], by_kernel, chosen) for space in wanted],
        "trades": [{"sram": point.peak + beside, "cost": point.cost} for point in trades],
        "at": {"rule": {"sram": unmoved.peak + beside, "cost": unmoved.cost},
               "tuned": {"sram": chosen.peak + beside, "cost": chosen.cost}},
    }  # fmt: skip
    kernels, told_in, figure = names(objective, limit)
    write_at_once(folder / kernels, kernels_file(record).encode())
    write_at_once(folder / told_in, json.dumps(record, indent=1).encode())
    save_figure(tuning_figure(record), folder / figure)
    return record


def _chosen(compiled: Compiled, twin: Board, choice: Choice, beside: int, most: int) -> tuple[Point, Whole]:
    """The quickest kernels with which the step needs `most` bytes, and no more once its firmware is measured; `beside`:
    what it needs besides the arena's peak, as far as is known."""
    bound = most - beside
    for _ in range(TRIES):
        chosen = choice.within(bound)
        whole = measured(built_with(compiled, twin, chosen.schedules))[1]
        if whole.sram <= most:
            break
        bound -= whole.sram - most
    return chosen, whole


def _others(trials: Sequence[Trial]) -> list[Trial]:
    """All but the rule's."""
    return [trial for trial in trials if trial.schedule]


def kernels_file(record: dict[str, Any]) -> str:
    """The text of kernels.toml, of what was measured."""
    heading = "{model}, {policy}, {schedule}: tuned for {objective} on {board}".format(**record)
    kernels = [
        {"literals": kernel["literals"], "schedule": kernel["tuned"]["schedule"], "layers": ", ".join(kernel["layers"]),
         **{which: {name: kernel[which][name] for name in ("instructions", "cycles", "scratch")}
            for which in ("tuned", "rule")}}
        for kernel in record["kernels"]
    ]  # fmt: skip
    return file_of(record["core"], heading, kernels)


def _as_it_lies(space: Space) -> str:
    """The schedule of the kernel that takes all as it lies; the rule's where there is no such one."""
    return written(dict.fromkeys(space.choices, 0)) if all(0 in of for of in space.choices.values()) else ""


def _kernel(
    space: Space, trials: Sequence[Trial], baselines: Mapping[str, Mapping[str, Trial]], chosen: Point
) -> dict[str, Any]:
    def told(trial: Trial) -> dict[str, Any]:
        return {name: value for name, value in vars(trial).items() if name != "literals"}

    key = space.literals
    loops = {way: {name: getattr(baselines[way][key], name) for name in ("instructions", "cycles")} for way in LOOPS}
    return {"literals": key, "layers": list(space.layers), **loops, AS_IT_LIES: told(baselines[AS_IT_LIES][key]),
            "rule": told(trials[0]), "tuned": told(chosen.trials[key]), "trials": list(map(told, trials))}  # fmt: skip
