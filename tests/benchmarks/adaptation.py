"""Adaptation to turned digits under update policies: accuracy on held-out samples, and SRAM as measured.

    .venv/bin/python tests/benchmarks/adaptation.py lenet --seeds 3 --epochs 12 --policies full,bias-only

Pre-trained on the host on upright digits, then adapted on the emulated board; each policy at each learning rate, the
best rate of each chosen by the mean over the seeds. Minutes a cell: this is a measurement, not a test.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import pandas as pd

import workbench


def cell(model: str, policy: str, rate: float, seed: int, epochs: int) -> dict:
    run = workbench.run(model, policy=policy, lr=rate, seed=seed, epochs=epochs, lr_decay=0.8, trace="memory",
                        pretrain="digits", data="digits-rotated", virtual=True)  # fmt: skip
    accuracy, memory = run.meta["accuracy"], run.meta["memory"]
    return {"policy": policy, "lr": rate, "seed": seed, "before": accuracy["before"], "after": accuracy["after"],
            "sram": memory["sram_peak"], "megacycles": run.meta["modelled_cycles_per_step"] / 1e6}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="lenet")
    parser.add_argument("--policies", default="full,bias-only,bias-only+head,last-2,conv1+conv2+head")
    parser.add_argument("--rates", default="0.02,0.05")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    cells = list(product(args.policies.split(","), map(float, args.rates.split(",")), range(args.seeds)))
    with ProcessPoolExecutor(args.jobs) as pool:
        rows = pool.map(cell, [args.model] * len(cells), *zip(*cells, strict=True), [args.epochs] * len(cells))
        table = pd.DataFrame(rows)
    columns = {"after": ["mean", "std"], "before": "mean", "sram": "max", "megacycles": "max"}
    means = table.groupby(["policy", "lr"], sort=False).agg(columns)
    best = means.loc[means["after"]["mean"].groupby("policy").idxmax()]
    most = best["sram"]["max"].max()
    best["share", ""] = best["sram"]["max"] / most
    print(best.round(3).to_string())


if __name__ == "__main__":
    main()
