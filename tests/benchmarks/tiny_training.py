"""The networks of "On-Device Training Under 256KB Memory", a step each, under their published policies and two more, in
three schedules: SRAM as measured, and instructions a step. README's table is a part of `builtin --sparse`, in KB.

    .venv/bin/python tests/benchmarks/tiny_training.py FOLDER [--jobs 2] [--schedules S] [--passes input-rows,recompute]
                                                              [--sparse] [--board stm32f746] [--save CSV]

FOLDER holds the real weights (NAME.json, NAME.npz); without them: `builtin`, the networks with synthetic weights. A
cell takes a minute or two, so a cell is printed as it is known, and the table at the end: this is a measurement, not a
test. What does not fit the board is measured too, on its virtual twin. `--save` keeps all cells; cells.py compares
those of two checkouts.
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

import pandas as pd
from cells import cell

from workbench import boards, frontends
from workbench.units import KB, bare

NETWORKS = ("mcunet-5fps", "mbv2-w0.35", "proxyless-w0.3")
FURTHER = ("bias-only+head", "last-2")
SCHEDULES = ("vanilla", "reordered", "optimized")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--schedules", default=",".join(SCHEDULES))
    parser.add_argument("--passes", default="", help="changes of the schedules' own (rows: optimized alone)")
    parser.add_argument("--board", default=boards.DEFAULT)
    parser.add_argument("--sparse", action="store_true", help="the published policies alone")
    parser.add_argument("--save", metavar="CSV")
    options = parser.parse_args()
    schedules = options.schedules.split(",")
    files = {name: name if options.folder == "builtin" else f"{options.folder}/{name}.json" for name in NETWORKS}
    published = {name: tuple(frontends.load(file).policies) for name, file in files.items()}
    policies = {name: found + (() if options.sparse else FURTHER) for name, found in published.items()}
    cases = [(network, policy, s) for s in schedules for network, names in policies.items() for policy in names]
    rows = []
    with ProcessPoolExecutor(options.jobs) as pool:
        begun = time.monotonic()
        for done in as_completed(
            [pool.submit(cell, files[case[0]], *case[1:], options.passes, options.board, case[0]) for case in cases]
        ):
            rows.append(done.result())
            print(f"{time.monotonic() - begun:5.0f} s", *rows[-1].values(), flush=True)
            if options.save:
                pd.DataFrame(rows).to_csv(options.save, index=False)
    cells = pd.DataFrame(rows).set_index(["network", "policy", "schedule"])
    cells["million_instructions"] = (cells.instructions / 1e6).round(1)
    cells["KB"] = [bare(peak, KB) for peak in cells.sram_peak]
    order = [(n, p) for n, names in policies.items() for p in names]
    for column in ("KB", "sram_peak", "arena", "million_instructions", "violations"):
        print(f"\n{column}\n{cells[column].unstack()[schedules].loc[order].to_string()}")


if __name__ == "__main__":
    main()
