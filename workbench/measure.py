"""Memory figures of a build and its run: `memory` of run.json, and the error for firmware that does not fit."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from workbench.artifacts import Built, Compiled
from workbench.boards import BOARDS, Board
from workbench.codegen import Project
from workbench.emulate.symbols import Elf
from workbench.errors import BudgetError
from workbench.plan.conventional import fragmentation
from workbench.units import size

if TYPE_CHECKING:
    import pandas as pd

OWN_FUNCTION = re.compile(r"op_\d|wb_|main$|(Reset|Fault)_Handler$")


def memory_measures(built: Built, buffers: pd.DataFrame, arena_touched: int | None, stack_peak: int) -> dict:
    """The `memory` object of `run --json`, in bytes. `buffers` are the run's buffers with what the trace saw.

    planned_by_role and touched_by_role tell what sram_planned and sram_peak consist of at the worst position and add
    up to them: live buffers by role, `dead` (arena bytes that no live buffer uses there), static ones, and `stack`.
    """
    image, plan = built.image, built.compiled.memory
    arena = plan.plan.bytes
    planned = sram_planned(built)
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
        "fits": image.board == built.board, "fragmentation": fragmentation(plan),
        "planned_by_role": _by_role(buffers, alive, "size", image.static, arena, image.stack_reserve),
        "touched_by_role": touched,
    }  # fmt: skip


def flash_measures(built: Built, elf: Elf) -> dict[str, int]:
    """The `flash` object of `run --json`, in bytes: what `total` consists of. `kernels`: they, and what they call;
    `code`: all other functions; `parameters`: frozen ones, and initial values other than 0 of the others; `tables`: the
    rest."""
    total, frozen = built.image.flash, sum(row.size for row in built.project.buffers if row.storage == "flash")
    parameters = frozen + elf.address("wb_data_end") - elf.address("wb_data_start")
    sizes = Counter[str]()
    functions = {symbol.address: symbol for symbol in elf.symbols if symbol.kind == "function"}  # some have two names
    for symbol in functions.values():
        sizes["code" if OWN_FUNCTION.match(symbol.name) else "kernels"] += symbol.size
    kernels, code = sizes["kernels"], sizes["code"]
    return {"total": total, "kernels": kernels, "code": code, "parameters": parameters,
            "tables": total - kernels - code - parameters}  # fmt: skip


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


def sram_planned(built: Built) -> int:
    """Static bytes + the arena's plan + the stack reserve."""
    return built.image.static + built.compiled.memory.plan.bytes + built.image.stack_reserve


def _has(board: Board) -> str:
    """'nrf52840 has 256 KB', or the limit that --sram sets."""
    whole = BOARDS.get(board.name, board).sram_size
    if board.sram_size == whole:
        return f"{board.name} has {size(whole)}"
    return f"--sram gives {board.name} {size(board.sram_size)} instead of its {size(whole)}"


def too_large(
    compiled: Compiled, board: Board, project: Project, static: int, stack: int | None, hint: str
) -> BudgetError:
    """The error for firmware that needs more SRAM than its board has: how much, and the worst position.

    `stack` None: nothing is compiled yet; arena and static bytes alone are too many.
    """
    living, arena = compiled.memory.liveness, compiled.memory.plan.bytes
    row = next(op for op in project.ops if op.position == living.worst)
    names = {row.values[0]: row.name for row in project.buffers if row.values}
    on_top = ", and its stack on top" if stack is None else ""
    parts = f"static {size(static)}, arena {size(arena)}" + ("" if stack is None else f", stack {size(stack)}")
    alive = [storage for storage in living.arena if storage.lower <= living.worst < storage.upper]
    largest = sorted(alive, key=lambda storage: -storage.bytes_at(living.worst))[:3]
    return BudgetError(
        f"{compiled.model.name} needs {size(static + arena + (stack or 0))} of SRAM{on_top}; {_has(board)}\n"
        f"  {parts}\n"
        f"  worst position {living.worst} of {len(project.ops)}, {row.symbol}: "
        + ", ".join(f"{names[storage.name]} {size(storage.bytes_at(living.worst))}" for storage in largest),
        hint,
    )
