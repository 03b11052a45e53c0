"""What a build and its run come to in bytes: the memory part of `run --json`, and the refusal of what does not fit."""

import pandas as pd

from workbench.errors import BudgetError
from workbench.ir.liveness import Storage
from workbench.units import kilobytes


def memory_measures(built, buffers: pd.DataFrame, arena_touched: int | None, stack_peak: int) -> dict:
    """The `memory` object of `run --json`, in bytes. `buffers` are the run's buffers with what the trace saw.

    planned_by_role and touched_by_role tell what sram_planned and sram_peak consist of at the worst position and add
    up to them: live buffers by role, `dead` (arena bytes that no live buffer uses there), static ones, and `stack`.
    """
    image, plan = built.image, built.compiled.memory
    arena = plan.plan.bytes
    planned = image.static + arena + image.stack_reserve
    peak = None if arena_touched is None else image.static + arena_touched + stack_peak
    alive = (
        (buffers.storage == "arena") & (buffers.lower <= plan.liveness.worst) & (buffers.upper > plan.liveness.worst)
    )
    touched = None
    if arena_touched is not None:
        touched = _by_role(buffers, alive, "touched", image.static, arena_touched, stack_peak)
    return {
        "arena_planned": arena, "arena_lower_bound": plan.plan.bound, "arena_touched": arena_touched,
        "static": image.static, "stack_reserve": image.stack_reserve, "stack_peak": stack_peak,
        "sram_planned": planned, "sram_peak": peak, "sram_limit": built.board.sram_size,
        "fits": planned <= built.board.sram_size,
        "planned_by_role": _by_role(buffers, alive, "size", image.static, arena, image.stack_reserve),
        "touched_by_role": touched,
    }  # fmt: skip


def _by_role(buffers: pd.DataFrame, alive, column: str, static: int, arena: int, stack: int) -> dict[str, int]:
    live = buffers[alive].groupby("role")[column].sum()
    roles = {role: int(size) for role, size in live.items()}
    parameters = (
        buffers[(buffers.storage == "sram") & buffers.role.isin(["parameter", "state"])].groupby("role")["size"].sum()
    )
    kept = {role: int(size) for role, size in parameters.items()}
    return {
        **roles, "dead": arena - sum(roles.values()), **kept,
        "scalar": static - sum(kept.values()), "stack": stack,
    }  # fmt: skip


def require_fit(built) -> None:
    """Raise BudgetError if the firmware needs more SRAM than the board has: how much, and where it is worst."""
    image, board = built.image, built.board
    needed = image.static + built.compiled.memory.plan.bytes + image.stack_reserve
    if needed <= board.sram_size:
        return
    living = built.compiled.memory.liveness
    row = next(op for op in built.project.ops if op.position == living.worst)
    largest = sorted((s for s in living.arena if s.lower <= living.worst < s.upper), key=lambda s: -s.bytes)[:3]
    raise BudgetError(
        f"{built.compiled.model.name} needs {kilobytes(needed)} of SRAM; "
        f"{board.name} has {kilobytes(board.sram_size)}\n"
        f"  static {kilobytes(image.static)}, arena {kilobytes(built.compiled.memory.plan.bytes)}, "
        f"stack {kilobytes(image.stack_reserve)}\n"
        f"  worst position {living.worst} of {len(built.project.ops)}, {row.symbol}: "
        + ", ".join(f"{_name(built, storage)} {kilobytes(storage.bytes)}" for storage in largest),
        f"a smaller policy, or --board {image.board.name}, which has room for it",
    )


def _name(built, storage: Storage) -> str:
    return next(row.name for row in built.project.buffers if row.values and row.values[0] == storage.name)
