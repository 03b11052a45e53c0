"""SRAM by role beside each other: what planned and measured SRAM consist of at the worst position, run by run."""

from collections.abc import Iterable, Sequence

import pandas as pd

from workbench.record import Run
from workbench.report import seeds, tables

# Arena first, what no live buffer uses of it last; then what is linked statically; then the stack.
ORDER = ("input", "label", "activation", "mask", "gradient", "scratch", "runtime", "dead",
         "parameter", "state", "scalar", "other", "stack")  # fmt: skip
MEASURES = {"planned": ("planned_by_role", "sram_planned"), "measured": ("touched_by_role", "sram_peak")}


def sram_by_role(runs: Sequence[Run], measure: str) -> pd.DataFrame:
    """One row a run (its place in `runs`), one column a role that occurs; `measure` is planned or measured.

    The columns add up to sram_planned or sram_peak. Bytes; a row that was not measured is <NA> throughout.
    """
    parts = [parts_of(run, measure) for run in runs]
    roles = in_order(role for row in parts for role in row)
    rows = [[row.get(role, 0) if row else pd.NA for role in roles] for row in parts]
    return pd.DataFrame(rows, columns=roles, index=pd.RangeIndex(len(runs), name="run")).astype("Int64")


def parts_of(run: Run, measure: str) -> dict[str, int]:
    """Bytes by role in display order, without those of zero bytes; empty where the run does not know them."""
    name, total = MEASURES[measure]
    memory = run.meta["memory"]
    if memory.get(total) is None:
        return {}
    parts = memory.get(name) or {}
    return {role: int(parts[role]) for role in in_order(parts) if parts[role]}


def comparison_csv(runs: Sequence[Run]) -> pd.DataFrame:
    """tables.comparison, then a column planned_ROLE and measured_ROLE a role.

    A row may stand for several `seeds` (see seeds.joined): its held-out figures are means, each with its spread; all
    else is of the first.
    """
    if not runs:
        return pd.DataFrame()
    runs = seeds.joined(runs)
    table = tables.comparison(runs)
    table["seeds"] = [seeds.count(run) for run in runs]
    for figure in ("held_out_loss", "accuracy"):
        table[f"{figure}_spread"] = [seeds.spread(run, figure) for run in runs]
    for measure in MEASURES:
        table = table.join(sram_by_role(runs, measure).add_prefix(f"{measure}_").reset_index(drop=True))
    return table


def in_order(names: Iterable[str]) -> list[str]:
    """Each role once, in display order; one that nobody has named yet stands last in the arena."""
    return sorted(set(names), key=lambda role: (ORDER.index(role if role in ORDER else "dead"), role))
