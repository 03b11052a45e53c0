"""The networks of "On-Device Training Under 256KB Memory", a step each, under five policies and three schedules:
SRAM as measured, and instructions a step. README's table is a part of `builtin --sparse`, in KB.

    .venv/bin/python tests/benchmarks/tiny_training.py FOLDER [--jobs 2] [--schedules S] [--passes input-rows,recompute]
                                                              [--sparse] [--board stm32f746]

FOLDER holds the real weights (NAME.json, NAME.npz); without them: `builtin`, the networks with synthetic weights. A
cell takes a minute or two, so a cell is printed as it is known, and the table at the end: this is a measurement, not a
test. What does not fit the board is measured too, on its virtual twin.
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

import pandas as pd

import workbench
from workbench import boards
from workbench.units import KB, bare

POLICIES = {
    "mcunet-5fps": ("sparse-49kb", "sparse-99kb", "sparse-148kb", "bias-only+head", "last-2"),
    "mbv2-w0.35": ("sparse-49kb", "sparse-99kb", "sparse-138kb", "bias-only+head", "last-2"),
    "proxyless-w0.3": ("sparse-49kb", "sparse-98kb", "sparse-148kb", "bias-only+head", "last-2"),
}
SCHEDULES = ("vanilla", "reordered", "optimized")
RATES = {"lr": 8e-4, "lr_bias": 4e-4}  # as published


def cell(folder: str, network: str, policy: str, schedule: str, passes: str, board: str) -> dict:
    """What one step of `network` measures, as a row of the table: bytes, instructions, violations."""
    model = network if folder == "builtin" else f"{folder}/{network}.json"
    run = workbench.run(
        model,
        policy=policy,
        schedule=schedule,
        passes=passes,
        board=board,
        virtual=True,
        steps=1,
        trace="memory",
        evaluate=False,
        **RATES,
    )
    memory = run.meta["memory"]
    return {
        "network": network,
        "policy": policy,
        "schedule": schedule,
        "sram_peak": memory["sram_peak"],
        "arena": memory["arena_planned"],
        "static": memory["static"],
        "stack": memory["stack_peak"],
        "million_instructions": round(run.meta["instructions_per_step"] / 1e6, 1),
        "violations": len(run.violations),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--schedules", default=",".join(SCHEDULES))
    parser.add_argument("--passes", default="", help="changes of the schedules' own (rows: optimized alone)")
    parser.add_argument("--board", default=boards.DEFAULT)
    parser.add_argument("--sparse", action="store_true", help="the published policies alone")
    options = parser.parse_args()
    schedules = options.schedules.split(",")
    policies = {name: found[: 3 if options.sparse else None] for name, found in POLICIES.items()}
    cases = [(network, policy, s) for s in schedules for network, names in policies.items() for policy in names]
    rows = []
    with ProcessPoolExecutor(options.jobs) as pool:
        begun = time.monotonic()
        for done in as_completed(
            [pool.submit(cell, options.folder, *case, options.passes, options.board) for case in cases]
        ):
            rows.append(done.result())
            print(f"{time.monotonic() - begun:5.0f} s", *rows[-1].values(), flush=True)
    cells = pd.DataFrame(rows).set_index(["network", "policy", "schedule"])
    cells["KB"] = [bare(peak, KB) for peak in cells.sram_peak]
    order = [(n, p) for n, names in policies.items() for p in names]
    for column in ("KB", "sram_peak", "arena", "million_instructions", "violations"):
        print(f"\n{column}\n{cells[column].unstack()[schedules].loc[order].to_string()}")


if __name__ == "__main__":
    main()
