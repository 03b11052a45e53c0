"""What each pass is worth, as tables: each one added in turn, from vanilla to optimized, then each one off.

Bytes and instructions stand in full: what a pass costs is often less than a tenth of a KB.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.record import Run
from workbench.report import tables
from workbench.report.cells import grid
from workbench.units import change, count

COLUMNS = ("arena_planned", "sram_peak", "instructions_per_step")
HEADS = ["arena", "", "SRAM measured", "", "instructions", ""]


@dataclass(frozen=True)
class Step:
    """One row and its run: the pass added to the row above ('+ in-place'), or the pass that is off ('− in-place')."""

    change: str
    run: Run

    @property
    def is_off(self) -> bool:
        return self.change.startswith("−")


def ablation_among(runs: Sequence[Run]) -> list[Step]:
    """The runs as steps of an ablation, in its order; an empty list if they are no ablation.

    They are one if each trained one step and they differ in passes alone: vanilla, vanilla with ever more passes,
    optimized without one.
    """
    alike = set(tables.apart(runs)) <= {"schedule", "passes"} and all(run.meta["steps"] == 1 for run in runs)
    changes = [list(run.meta.get("passes_changed") or []) for run in runs]
    kinds = [run.meta["schedule"] + "".join(sorted({change[0] for change in own}))
             for run, own in zip(runs, changes, strict=True)]  # fmt: skip
    if not alike or not set(kinds) <= {"vanilla", "vanilla+", "optimized-"} or sum(map(bool, changes)) < 2:
        return []
    named = list(zip(kinds, changes, runs, strict=True))
    steps, before = [], None
    for _, own, run in sorted((row for row in named if row[0] != "optimized-"), key=lambda row: len(row[1])):
        more = own[len(before or []) :]
        if own[: len(before or [])] != (before or []) or (before is not None and not more):
            return []
        steps.append(Step(" ".join(change.replace("+", "+ ") for change in more) or "vanilla", run))
        before = own
    off = [Step(own[0].replace("-", "− ", 1), run) for kind, own, run in named if kind == "optimized-"]
    one_each = all(len(own) == 1 for kind, own, _ in named if kind == "optimized-")
    order = max((list(run.meta.get("passes") or []) for run in runs), key=len)
    off.sort(key=lambda step: order.index(name) if (name := step.change[2:]) in order else len(order))
    return [*steps, *off] if one_each and len({step.change for step in off}) == len(off) else []


def against(steps: Sequence[Step]) -> list[int | None]:
    """The index of the step that each is compared with: the one above; of a pass left out, the last one that adds."""
    added = sum(not step.is_off for step in steps)
    return [*[None, *range(added)][:added], *[added - 1 if added else None] * (len(steps) - added)]


def ablation_rows(steps: Sequence[Step]) -> list[dict]:
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


def ablation_text(steps: Sequence[Step]) -> str:
    """Both tables: in the waterfall a row is compared with the one above, in the other with optimized."""
    rows = ablation_rows(steps)
    added, off = ([row for row, step in zip(rows, steps, strict=True) if step.is_off is out] for out in (False, True))
    meta = steps[0].run.meta
    parts = [f"{meta['model']} · {meta['policy']} · {meta['board']} · batch {meta['batch']} · one step, measured\n"]
    before = [None if at is None else rows[at] for at in against(steps)]
    parts += _table("each pass added in turn", added, before[: len(added)],
                    "against the row above; ±0 %: nothing is left for the pass to do, or it would not pay")  # fmt: skip
    parts += _table("optimized without", off, before[len(added) :],
                    "against optimized; ±0 %: the pass has nothing to do here, or the others achieve the same "
                    "without it\n(as order-search can find the order that early-update makes)")  # fmt: skip
    return "\n".join(parts)


def _table(head: str, rows: list[dict], against: list[dict | None], note: str) -> list[str]:
    if not rows:
        return []
    cells = []
    for row, before in zip(rows, against, strict=True):
        pairs = ((count(row[key]), change(before[key], row[key]) if before else "") for key in COLUMNS)
        cells.append([row["change"], *(cell for pair in pairs for cell in pair)])
    zero = any("±0 %" in row for row in cells)
    words = note if zero else note.partition(";")[0]
    return [grid([head, *HEADS], cells, {0}) + f"sizes in bytes, each {words}\n"]
