"""Plain tables derived from runs: every plot and page is drawn from these, and tests assert on them.

Positions are operators in execution order; lifetimes are half-open [lower, upper); sizes are bytes. What the trace
did not observe is NaN or None, never zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench import boards
from workbench.options import COLUMNS
from workbench.record import Run
from workbench.report import losses

ROLES = (
    "input", "label", "activation", "mask", "gradient", "scratch", "runtime", "parameter", "state", "scalar", "other"
)  # fmt: skip
KEYS = ("model", "policy", "schedule", "passes", "board", "batch", "accumulate")  # what tells runs apart
ALIKE = ("model", "board", "batch", "accumulate")  # runs that share these are held against each other
MADE = (*COLUMNS, "steps")  # how a run was
PHASES = ("forward", "loss", "backward", "update")
LONGEST = 50  # letters of a region's layers
MEASURES = (
    "arena_planned", "arena_lower_bound", "arena_touched", "static", "sram_planned", "sram_peak", "flash",
    "instructions", "cycles", "ms",
)  # fmt: skip


@dataclass(frozen=True)
class Worst:
    """Where the most arena bytes are live at once: the first such position, its operator, the buffers by size."""

    position: int
    symbol: str
    operator: str  # the symbol and, of a region, its layers: see `called`
    bytes: int
    buffers: pd.DataFrame  # name, role, bytes; largest first


@dataclass(frozen=True)
class Saving:
    """SRAM of two runs by the same measure ('measured' only if both were, else 'planned'), in bytes."""

    measure: str
    before: int
    after: int

    @property
    def fraction(self) -> float:
        """The part of `before` that was saved; negative if it grew."""
        return (self.before - self.after) / self.before if self.before else 0.0


def rectangles(run: Run) -> pd.DataFrame:
    """One row an arena buffer, in address order: what to draw.

    id, name, role; x0, x1: planned lifetime (positions, half-open); y0, y1: bytes above the start of SRAM;
    offset: bytes above the start of the arena; bytes: size; used0, used1: from the first write to just after the last
    read as traced (NaN where not traced or never touched); touched: bytes up to the highest one accessed.
    """
    arena = _arena(run)
    base = arena_base(run)
    written, read = _numbers(arena, "first_write"), _numbers(arena, "last_read")
    # A buffer the host writes is in use from its birth on; one that is never read, in the position that wrote it.
    begin = written.where(written >= arena.x0, arena.x0.where(written.notna()))
    end = (read.where(read >= begin, begin) + 1).fillna(begin + 1).clip(upper=arena.x1)
    table = arena.assign(y0=base + arena.offset, y1=base + arena.offset + arena.bytes, used0=begin, used1=end)
    table["touched"] = _numbers(arena, "touched")
    columns = ["id", "name", "role", "x0", "x1", "y0", "y1", "offset", "bytes", "used0", "used1", "touched"]
    return table[columns].sort_values(["y0", "x0", "id"], ignore_index=True)


def live_bytes(run: Run) -> pd.DataFrame:
    """Planned live arena bytes: one row a position, one column a role (those that occur, in the order of ROLES)."""
    arena = _arena(run)
    count = position_count(run)
    roles = [role for role in ROLES if (arena.role == role).any()] + sorted(set(arena.role) - set(ROLES))
    changes = np.zeros((count + 1, len(roles)), np.int64)  # born: more bytes; dead: fewer
    columns = [roles.index(role) for role in arena.role]
    np.add.at(changes, (arena.x0, columns), arena.bytes)
    np.add.at(changes, (arena.x1, columns), -arena.bytes)
    live = changes.cumsum(axis=0)[:count]
    return pd.DataFrame(live, index=pd.RangeIndex(count, name="position"), columns=roles)


def worst_position(run: Run) -> Worst:
    """The first position where the most arena bytes are planned to be live."""
    total = live_bytes(run).sum(axis=1)
    if total.empty:
        return Worst(0, "", "", 0, pd.DataFrame(columns=["name", "role", "bytes"]))
    position = int(total.idxmax())
    arena = _arena(run)
    alive = arena[(arena.x0 <= position) & (position < arena.x1)].sort_values(["bytes", "id"], ascending=[False, True])
    named = zip(run.ops.position.astype(int), run.ops.symbol, run.ops.node, strict=True)
    symbol, node = {at: names for at, *names in named}.get(position, ("", ""))
    buffers = alive[["name", "role", "bytes"]].reset_index(drop=True)
    return Worst(position, symbol, called(symbol, node), int(total[position]), buffers)


def called(symbol: str, node: str) -> str:
    """An operator's name for people: its symbol, followed by the layers of a region, which its symbol does not tell.

    'op_058_region d.block14.depthwise-update.block14.pointwise1.bias'
    """
    if not symbol.endswith("_region"):
        return symbol
    half = (LONGEST - 1) // 2
    return f"{symbol} {node if len(node) <= LONGEST else node[:half].rstrip('.-') + '…' + node[-half:].lstrip('.-')}"


def worst_parts(run: Run, most: int) -> list[tuple[str, str, int]]:
    """(name, role, bytes) of the worst position's buffers, largest first; the last of `most` rows is for the rest."""
    buffers = list(worst_position(run).buffers.itertuples(index=False, name=None))
    if len(buffers) <= most:
        return buffers
    rest = buffers[most - 1 :]
    return [*buffers[: most - 1], (f"{len(rest)} more", "", sum(size for *_, size in rest))]


def static_band(run: Run) -> pd.DataFrame:
    """What lies in SRAM below the arena: role, bytes, y0, y1 (bytes above the start of SRAM); adds up to `static`.

    'other' is what no buffer of the plan accounts for: the runtime's own variables and alignment.
    """
    static = int(run.meta["memory"]["static"])
    rows = run.buffers[run.buffers.storage == "sram"]
    sizes = _numbers(rows, "size").groupby(rows.role.astype(str)).sum()
    known = {role: int(sizes[role]) for role in sorted(sizes.index, key=_role_order) if sizes[role] > 0}
    rest = static - sum(known.values())
    if rest > 0:
        known["other"] = known.get("other", 0) + rest
    table = pd.DataFrame({"role": list(known), "bytes": list(known.values())}).astype({"bytes": "int64"})
    table["y1"] = table.bytes.cumsum()
    table["y0"] = table.y1 - table.bytes
    return table[["role", "bytes", "y0", "y1"]]


def phases(run: Run) -> pd.DataFrame:
    """position, symbol, phase (forward, loss, backward or update) in execution order."""
    table = run.ops[["position", "symbol", "phase"]].copy()
    table["position"] = table.position.astype("int64")
    return table.sort_values("position", ignore_index=True)


def memory_summary(run: Run) -> pd.DataFrame:
    """Rows static, arena, stack, sram; columns planned and measured (bytes; <NA> where the trace did not look)."""
    memory = run.meta["memory"]
    rows = {
        "static": (memory["static"], memory["static"]),
        "arena": (memory["arena_planned"], memory.get("arena_touched")),
        "stack": (memory["stack_reserve"], memory.get("stack_peak")),
        "sram": (memory["sram_planned"], memory.get("sram_peak")),
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["planned", "measured"]).rename_axis("part")
    return table.astype("Int64")


def comparison(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a run: what it was, then its bytes, instructions, modelled cycles, milliseconds, losses and accuracy.

    saved_fraction: of the SRAM of saved_against, its `reference`; both empty for a run that has none.
    """
    rows = []
    for index, run in enumerate(runs):
        first = reference(runs, index)
        saved: dict[str, Any] = {"saved_fraction": None, "saved_against": None}
        if first is not None:
            saved = {"saved_fraction": saving(first, run).fraction, "saved_against": first.title}
        rows.append(_comparison_row(run) | saved)
    return pd.DataFrame(rows)


def changes(vanilla: Run, reordered: Run) -> pd.DataFrame:
    """What the second run saves over the first, a row for each common measure: before, after, saved, saved_fraction."""
    first, second = _comparison_row(vanilla), _comparison_row(reordered)
    rows = [(name, first[name], second[name]) for name in MEASURES if None not in (first[name], second[name])]
    table = pd.DataFrame(rows, columns=["measure", "before", "after"]).set_index("measure")
    table["saved"] = table.before - table.after
    table["saved_fraction"] = table.saved / table.before.where(table.before != 0)
    return table


def sram(run: Run) -> tuple[int, str]:
    """The run's SRAM in bytes and how it is known: 'measured', or 'planned' where memory was not traced."""
    memory = run.meta["memory"]
    peak = memory.get("sram_peak")
    return (int(memory["sram_planned"]), "planned") if peak is None else (int(peak), "measured")


def saving(first: Run, second: Run) -> Saving:
    """The SRAM of both by the same measure: planned and measured SRAM are never compared."""
    (before, how), (after, how_too) = sram(first), sram(second)
    if how == how_too:
        return Saving(how, before, after)
    return Saving("planned", int(first.meta["memory"]["sram_planned"]), int(second.meta["memory"]["sram_planned"]))


def key(run: Run, name: str):
    """The value of one of KEYS. `passes`: what differs from the schedule's, '+early-update −in-place', mostly nothing.
    Older runs have no `accumulate`: they took one batch."""
    if name == "passes":
        return " ".join(change.replace("-", "−", change[0] == "-") for change in run.meta.get("passes_changed") or [])
    return run.meta.get(name, 1 if name == "accumulate" else None)


def words(run: Run, names: Sequence[str]) -> str:
    """'lenet batch 8': these KEYS of a run for people, a number with its name."""
    numbers = ("batch", "accumulate", "seed")
    told = (f"{name} {key(run, name)}" if name in numbers else str(key(run, name)) for name in names)
    return " ".join(filter(None, told))


def data_name(meta: dict) -> str | None:
    """The name of the data that a run was trained on; None: random samples."""
    told = meta.get("data")
    return told.get("source") if isinstance(told, dict) else told


def shared(runs: Sequence[Run], but: Sequence[str] = ()) -> list[str]:
    """'update policy full', 'batch 1': what all these runs share, for people; without the KEYS in `but`."""
    differ, words = (
        [name for name in KEYS if len({str(key(run, name)) for run in runs}) > 1] + [*but],
        {"policy": "update policy {}", "batch": "batch {}"},
    )
    named = [name for name in ("policy", "schedule", "passes", "board", "batch") if name not in differ]
    return [words.get(name, "{}").format(value) for name in named if (value := key(runs[0], name)) not in ("", None)]


def apart(runs: Sequence[Run]) -> list[str]:
    """The KEYS in which these runs differ; `passes` only where two runs differ in nothing else."""
    differ = [name for name in KEYS if len({str(key(run, name)) for run in runs}) > 1]
    others = [name for name in differ if name != "passes"]
    told, whole = ({tuple(str(key(run, name)) for name in names) for run in runs} for names in (others, differ))
    return others if len(told) == len(whole) else differ


def reference(runs: Sequence[Run], index: int, also: tuple[str, ...] = ()) -> Run | None:
    """The run that runs[index] is compared with: the first like it in ALIKE (and `also`); None if it is the first."""
    wanted = [key(runs[index], name) for name in (*ALIKE, *also)]
    return next((run for run in runs[:index] if [key(run, name) for name in (*ALIKE, *also)] == wanted), None)


def position_count(run: Run) -> int:
    """Operators in a training step, or as many positions as the buffers' lifetimes reach."""
    last = run.ops.position.astype(int).max() + 1 if len(run.ops) else 0
    uppers = _arena(run).x1
    return int(max(last, uppers.max() if len(uppers) else 0))


def arena_base(run: Run) -> int:
    """Where the arena starts, in bytes above the start of SRAM: its address where known, else just above static."""
    arena = run.buffers[run.buffers.storage == "arena"]
    starts = (_numbers(arena, "address") - _numbers(arena, "offset")).dropna()
    board = boards.of_run(run.meta)
    if starts.empty or board is None or starts.min() < board.sram_base:
        return int(run.meta["memory"]["static"])
    return int(starts.min()) - board.sram_base


def _comparison_row(run: Run) -> dict:
    meta, memory = run.meta, run.meta["memory"]
    (course, _), accuracy = losses.of_meta(meta), meta.get("accuracy") or {}
    held_out = meta.get("held_out_loss") or {}
    return {
        "model": meta["model"], "policy": meta["policy"], "schedule": meta["schedule"],
        "passes": key(run, "passes"), "board": meta["board"],
        "batch": meta.get("batch"), "accumulate": key(run, "accumulate"),
        **{name: meta.get(name) for name in MADE}, "positions": position_count(run),
        "arena_planned": memory["arena_planned"], "arena_lower_bound": memory["arena_lower_bound"],
        "arena_touched": memory.get("arena_touched"), "static": memory["static"],
        "stack_reserve": memory["stack_reserve"], "stack_peak": memory.get("stack_peak"),
        "sram_planned": memory["sram_planned"], "sram_peak": memory.get("sram_peak"),
        "sram_limit": memory["sram_limit"], "fits": memory["fits"], "flash": (meta.get("flash") or {}).get("total"),
        "instructions": meta.get("instructions_per_step"), "cycles": meta.get("modelled_cycles_per_step"),
        "ms": meta.get("milliseconds_per_step"),
        "loss_first": course.first, "loss_last": course.last, "loss_largest": course.largest,
        "held_out_loss_before": held_out.get("before"), "held_out_loss_after": held_out.get("after"),
        "accuracy_before": accuracy.get("before"), "accuracy_after": accuracy.get("after"),
    }  # fmt: skip


def _arena(run: Run) -> pd.DataFrame:
    """The arena's buffers with whole numbers in x0, x1 (positions), offset and bytes."""
    rows = run.buffers[run.buffers.storage == "arena"]
    whole = {name: _numbers(rows, column).astype("int64") for name, column in
             (("x0", "lower"), ("x1", "upper"), ("offset", "offset"), ("bytes", "size"))}  # fmt: skip
    return rows.assign(**whole)


def _numbers(table: pd.DataFrame, column: str) -> pd.Series:
    return pd.to_numeric(table[column], errors="coerce").astype("float64")


def _role_order(role: str) -> tuple[int, str]:
    return (ROLES.index(role) if role in ROLES else len(ROLES), role)
