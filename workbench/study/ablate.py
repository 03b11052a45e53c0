"""Which pass gives what: each one added in turn, from vanilla to optimized, and each one off.

vanilla  + early-update  + fuse-update  …  = optimized        the waterfall
optimized  − early-update      − fuse-update      …           what is lost without it
"""

from dataclasses import dataclass

from workbench.passes.pipeline import SCHEDULES
from workbench.report.view import Run
from workbench.study.compare import Cell, Comparison


@dataclass(frozen=True)
class Step:
    """One row: the pass that is added to the row above, or that is off, and what was measured."""

    change: str
    run: Run


def ablation_cells(policy: str) -> list[Cell]:
    """Vanilla, each pass of the optimized schedule added in turn, then optimized with each of its passes off."""
    shared, optimized = SCHEDULES["vanilla"], SCHEDULES["optimized"]
    added = [name for name in optimized if name not in shared]
    waterfall = [Cell(policy, "vanilla", ",".join(added[:count])) for count in range(len(added) + 1)]
    return [*waterfall, *(Cell(policy, "optimized", f"-{name}") for name in optimized)]


def steps_of(comparison: Comparison) -> tuple[list[Step], list[Step]]:
    """(waterfall, each one off) of a comparison of `ablation_cells`, without the cells that gave no run."""
    waterfall, off = [], []
    for outcome in comparison.outcomes:
        if outcome.run is None:
            continue
        if outcome.cell.schedule == "vanilla":
            names = outcome.cell.passes.split(",")
            waterfall.append(Step(f"+ {names[-1]}" if names[-1] else "vanilla", outcome.run))
        else:
            off.append(Step(f"− {outcome.cell.passes.removeprefix('-')}", outcome.run))
    return waterfall, off


def ablation_rows(steps: list[Step]) -> list[dict]:
    """A dict a row: the change, the passes that are on, bytes of arena and SRAM as in `run --json`, instructions."""
    return [
        {
            "change": step.change,
            "passes": list(step.run.meta["passes"]),
            **{
                key: step.run.meta["memory"][key]
                for key in ("arena_planned", "arena_lower_bound", "sram_planned", "sram_peak")
            },
            "instructions_per_step": step.run.meta["instructions_per_step"],
        }
        for step in steps
    ]
