"""A training step, measured: a row for tables, and two files of such rows side by side.

    python tests/benchmarks/cells.py BEFORE.csv AFTER.csv

BEFORE and AFTER are what int8_sram.py and tiny_training.py wrote with `--save`, of two checkouts. Printed is what both
hold: SRAM as measured and instructions of a step, before and after; exit code 1 where a cell needs more SRAM than
before, MORE_INSTRUCTIONS percent more instructions, or has other weights behind its step.
"""

import sys
from hashlib import sha256

import pandas as pd

import workbench
from workbench.errors import WorkbenchError

KEY = ["network", "policy", "schedule", "passes"]
MORE_INSTRUCTIONS = 5.0  # percent
RATES = {"lr": 8e-4, "lr_bias": 4e-4}  # as published with the paper's networks


def cell(model, policy: str, schedule: str, passes: str, board: str, name: str = "") -> dict:
    """What one step of `model` measures: bytes, instructions, violations, and a digest of the weights behind it.

    What does not fit the board runs on its virtual twin; what does not fit that either has an `error`."""
    row = {"network": name or str(model), "policy": policy, "schedule": schedule, "passes": passes}
    try:
        run = workbench.run(model, policy=policy, schedule=schedule, passes=passes, board=board, virtual=True, steps=1,
                            trace="memory", evaluate=False, **RATES)  # fmt: skip
    except WorkbenchError as error:
        return row | {"error": error.message}
    memory, digest = run.meta["memory"], sha256()
    for parameter in sorted(run.weights):
        digest.update(parameter.encode() + run.weights[parameter].tobytes())
    return row | {
        "sram_peak": memory["sram_peak"], "sram_planned": memory["sram_planned"], "arena": memory["arena_planned"],
        "static": memory["static"], "stack": memory["stack_peak"], "instructions": run.meta["instructions_per_step"],
        "violations": len(run.violations), "weights": digest.hexdigest()[:16],
    }  # fmt: skip


def read(path: str) -> pd.DataFrame:
    """The rows that were measured, by KEY."""
    rows = pd.read_csv(path, keep_default_na=False).set_index(KEY)
    measured = rows[pd.to_numeric(rows.sram_peak, errors="coerce").notna()]
    return measured.astype(dict.fromkeys(("sram_peak", "arena", "static", "stack", "instructions"), int))


def side_by_side(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """`before`, `after`: as `read` gives them. Bytes and percent of what both hold, in the order of `before`."""
    before = before[before.index.isin(after.index)]
    after = after.loc[before.index]
    return pd.DataFrame({
        "before": before.sram_peak, "after": after.sram_peak, "bytes": after.sram_peak - before.sram_peak,
        "instructions": before.instructions,
        "percent": (100 * (after.instructions / before.instructions - 1)).round(2),
        "weights": (after.weights == before.weights).map({True: "", False: "other"}),
    })  # fmt: skip


def main(before: str, after: str) -> int:
    table = side_by_side(read(before), read(after))
    print(table.reset_index().to_string(index=False))
    more = (table.bytes > 0) | (table.percent > MORE_INSTRUCTIONS) | (table.weights != "")
    print(f"\n{len(table)} cells: {(table.bytes < 0).sum()} need less SRAM, {(table.bytes > 0).sum()} more; "
          f"{(table.percent > MORE_INSTRUCTIONS).sum()} have {MORE_INSTRUCTIONS:g} % more instructions; "
          f"{(table.weights != '').sum()} have other weights")  # fmt: skip
    return int(more.any())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
