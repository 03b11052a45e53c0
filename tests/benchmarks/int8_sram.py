"""A step of residual and convolutional networks in int8 beside float32: SRAM, measured and planned, and instructions.

    python tests/benchmarks/int8_sram.py [--networks N,…] [--policies P,…] [--schedules S,…] [--board B] [--save CSV]

resnet32 is tests/networks/resnet32.py, the others are built in. What does not fit the board is measured on its virtual
twin. `--save` keeps all cells; cells.py compares those of two checkouts. A cell takes some seconds, and is printed as
it is known. Exit code 1: somewhere int8 needs MARGIN bytes more than float32.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd
from cells import cell

NETWORKS = ("resnet32", "resnet", "mobilenet", "lenet")
POLICIES = ("bias-only", "bias-only+head", "last-4", "full")
MARGIN = 2048  # bytes
FILE = Path(__file__).resolve().parent.parent / "networks/resnet32.py"


def reference(name: str) -> str:
    """What the command line calls the network."""
    return name.replace("resnet32", f"{FILE}:net") if name.startswith("resnet32") else name


def beside(rows: list[dict]) -> pd.DataFrame:
    """int8 and float32 of each network, policy and schedule in one line; bytes and instructions of a step."""
    cells = pd.DataFrame(rows)
    cells["form"] = ["int8" if name.endswith("-int8") else "float32" for name in cells.network]
    cells["network"] = cells.network.str.removesuffix("-int8")
    wide = cells.pivot(index=["network", "policy", "schedule"], columns="form",
                       values=["sram_peak", "sram_planned", "instructions"])  # fmt: skip
    wide[("int8 - float32", "")] = wide["sram_peak"]["int8"] - wide["sram_peak"]["float32"]
    order = cells[["network", "policy", "schedule"]].drop_duplicates().itertuples(index=False, name=None)
    return wide.astype(int).loc[list(order)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option, default in (("networks", NETWORKS), ("policies", POLICIES), ("schedules", ("optimized",))):
        parser.add_argument(f"--{option}", default=",".join(default))
    parser.add_argument("--board", default="stm32f746")
    parser.add_argument("--save", metavar="CSV")
    options = parser.parse_args()
    rows = []
    for name in options.networks.split(","):
        for policy in options.policies.split(","):
            for schedule in options.schedules.split(","):
                for form in (f"{name}-int8", name):
                    rows.append(cell(reference(form), policy, schedule, "", options.board, form))
                    print(*rows[-1].values(), flush=True)
                    if options.save:
                        pd.DataFrame(rows).to_csv(options.save, index=False)
    table = beside(rows)
    print(f"\n{table.to_string()}")
    return int((table["int8 - float32"] > MARGIN).any())


if __name__ == "__main__":
    sys.exit(main())
