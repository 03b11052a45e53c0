"""Tune a network's kernels: search (tuning.py), choose (tuning_choice.py), and keep what was found in a folder.

kernels.toml   the schedules, for --kernels                 tuning.json   all that was measured, for reports
tuning.png     the figure of it                             studies.log   the search itself: it goes on from there
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from workbench import boards, session
from workbench.artifacts import Compiled
from workbench.boards import Board, virtual_twin
from workbench.errors import WorkbenchError, there_are
from workbench.frontends import Model
from workbench.options import passes_for
from workbench.policy import PLAIN_SGD, Optimizer, UpdatePolicy
from workbench.record.folder import write_at_once
from workbench.report.figure import save_figure
from workbench.report.tuning import FIGURE, RECORD, tuning_figure
from workbench.schedule.tuned import file_of
from workbench.study.tuning import OBJECTIVES, TRIALS, Space, Store, Trial, built_with, measured, search, spaces
from workbench.study.tuning_choice import Choice, Point

KERNELS = "kernels.toml"


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
    return tuned_step(compiled, boards.chosen(board, sram), Path(folder), objective, trials, layers, seed, jobs)


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
) -> dict[str, Any]:
    """`tune` of a compiled step."""
    if objective not in OBJECTIVES:
        raise WorkbenchError(f"no objective is called {objective!r}", there_are(objective, OBJECTIVES))
    metric = "instructions" if objective == "instructions" else "cycles"
    wanted = spaces(compiled.graph, layers)
    store = Store(folder, compiled, board, metric, trials, seed)
    search(compiled, board, store, wanted, jobs, progress)
    told = {space.literals: store.told(space) for space in wanted}
    twin, naive = virtual_twin(board), {literals: _naive(each).schedule for literals, each in told.items()}
    _, rule = measured(built_with(compiled, twin, {}))
    _, of_naive = measured(built_with(compiled, twin, naive))
    choice = Choice(compiled.graph, told, metric)
    unmoved, trades = choice.by_rule(), choice.trades()
    beside = rule.sram - unmoved.peak  # static bytes, stack, and what the plan has more than its peak
    chosen = choice.within(_bound(objective, board, unmoved, trades[-1], beside))
    built = built_with(compiled, twin, chosen.schedules)
    _, whole = measured(built)
    record = {
        "model": compiled.model.name, "policy": compiled.policy.name, "schedule": compiled.schedule,
        "board": board.name, "core": board.core, "clock_hz": board.clock_hz, "sram_limit": board.sram_size,
        "objective": objective, "metric": metric,
        "whole": {"naive": vars(of_naive), "rule": vars(rule), "tuned": vars(whole)},
        "kernels": [_kernel(space, told[space.literals], chosen) for space in wanted],
        "trades": [{"sram": point.peak + beside, "cost": point.cost} for point in trades],
        "at": {"rule": {"sram": unmoved.peak + beside, "cost": unmoved.cost},
               "tuned": {"sram": chosen.peak + beside, "cost": chosen.cost}},
    }  # fmt: skip
    write_at_once(folder / KERNELS, kernels_file(record).encode())
    write_at_once(folder / RECORD, json.dumps(record, indent=1).encode())
    save_figure(tuning_figure(record), folder / FIGURE)
    return record


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


def _naive(trials: Sequence[Trial]) -> Trial:
    """The kernel that takes all as it lies; the rule's where there is no such one."""
    return next((each for each in trials if each.schedule and each.schedule.endswith("=0")), trials[0])


def _bound(objective: str, board: Board, rule: Point, least: Point, beside: int) -> int:
    """The most bytes that may live at once."""
    if objective == "sram":
        return least.peak
    asked = board.sram_size < boards.BOARDS.get(board.name, board).sram_size
    return board.sram_size - beside if asked else rule.peak


def _kernel(space: Space, trials: Sequence[Trial], chosen: Point) -> dict[str, Any]:
    told = [{name: value for name, value in vars(trial).items() if name != "literals"} for trial in trials]
    by_schedule = {each["schedule"]: each for each in told}
    return {"literals": space.literals, "layers": list(space.layers), "rule": told[0],
            "naive": by_schedule[_naive(trials).schedule], "tuned": by_schedule[chosen.schedules[space.literals]],
            "trials": told}  # fmt: skip
