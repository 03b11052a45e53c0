"""What each pass is worth, as tables: each one added in turn, from vanilla to optimized, then each one off.

Bytes and instructions stand in full: what a pass costs is often less than a tenth of a KB.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.record import Run
from workbench.report.cells import grid
from workbench.units import change, count

COLUMNS = ("arena_planned", "sram_peak", "instructions_per_step")
HEADS = ["arena", "", "SRAM measured", "", "instructions", ""]


@dataclass(frozen=True)
class Step:
    """One row: the pass that is added to the row above ('+ in-place'), or that is off ('− in-place'), and its run."""

    change: str
    run: Run

    @property
    def is_off(self) -> bool:
        return self.change.startswith("−")


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
    """Both tables: in the waterfall a row is held against the one above, a pass left out against optimized."""
    rows = ablation_rows(steps)
    added, off = ([row for row, step in zip(rows, steps, strict=True) if step.is_off is out] for out in (False, True))
    meta = steps[0].run.meta
    parts = [f"{meta['model']} · {meta['policy']} · {meta['board']} · batch {meta['batch']} · one step, measured\n"]
    parts += _table("each pass added in turn", added, [None, *added[:-1]],
                    "against the row above; ±0 %: nothing is left for the pass to do, or it would not pay")  # fmt: skip
    parts += _table("optimized without", off, [added[-1] if added else None] * len(off),
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
