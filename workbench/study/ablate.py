"""Which pass gives what: each one added in turn, from vanilla to optimized, and each one off.

vanilla  + early-update  + fuse-update  …  = optimized        the waterfall
optimized  − early-update      − fuse-update      …           what is lost without it
"""

from workbench.passes.pipeline import SCHEDULES
from workbench.report.ablation import Step
from workbench.study.compare import Cell, Comparison


def ablation_cells(policy: str) -> list[Cell]:
    """Vanilla, each pass of the optimized schedule added in turn, then optimized with each of its passes off."""
    shared, optimized = SCHEDULES["vanilla"], SCHEDULES["optimized"]
    added = [name for name in optimized if name not in shared]
    waterfall = [Cell(policy, "vanilla", ",".join(added[:count])) for count in range(len(added) + 1)]
    return [*waterfall, *(Cell(policy, "optimized", f"-{name}") for name in optimized)]


def change(cell: Cell) -> str:
    """What a cell of `ablation_cells` adds to the one before it, or leaves out."""
    name = cell.passes.split(",")[-1]
    return name.replace("-", "− ", 1) if cell.schedule == "optimized" else f"+ {name}" if name else "vanilla"


def steps_of(comparison: Comparison) -> list[Step]:
    """The steps of a comparison of `ablation_cells`: the waterfall, then each pass off. Failed cells are left out."""
    return [Step(change(outcome.cell), outcome.run) for outcome in comparison.outcomes if outcome.run is not None]
