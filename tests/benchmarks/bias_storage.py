"""Held-out accuracy of the built-in int8 networks with trained biases stored as changes of 16 bits, and as 32 bits.

    python tests/benchmarks/bias_storage.py [EPOCHS [SEEDS]]     default 3 epochs of digits, 3 seeds

Each seed draws the initial weights and the order of the samples. Trained natively, the first step emulated, at the
default rate, under each of POLICIES. Weights behind the training are equal to the bit where no change saturated, and so
is accuracy; the bytes of SRAM are what the storage is for. Exit code 1: some weights differ.
"""

import sys

import numpy as np

from workbench import boards, frontends, session
from workbench.feeding import NATIVE, Training
from workbench.policy import Optimizer

NETWORKS = ("lenet-int8", "resnet-int8", "mobilenet-int8")
POLICIES = ("full", "bias-only+head")
STORAGES = ("auto", "int32")


def main(epochs: str = "3", seeds: str = "3") -> int:
    print(f"{'':16} {'':16} {'held out, seed by seed, %':28} mean   SRAM by storage: {', '.join(STORAGES)}")
    different = 0
    for name in NETWORKS:
        for policy in POLICIES:
            accuracy, planned = {storage: [] for storage in STORAGES}, {}
            for seed in range(int(seeds)):
                model, ends = frontends.load(name, seed=seed), []
                training = Training(epochs=int(epochs), seed=seed, trace="off", engine=NATIVE)
                for storage in STORAGES:
                    compiled = session.compile(model, policy, optimizer=Optimizer(bias_storage=storage))
                    run, weights = session.train(session.build(compiled, boards.get(boards.DEFAULT)), training)
                    accuracy[storage].append(100 * run.meta["accuracy"]["after"])
                    planned[storage] = run.meta["memory"]["sram_planned"]
                    ends.append(weights)
                    for note in run.meta["notes"]:
                        print(f"{name} {policy}, seed {seed}, {storage}: {note}")
                same = all(np.array_equal(ends[0][each], ends[1][each]) for each in ends[1])
                different += not same
                if not same:
                    print(f"{name} {policy}, seed {seed}: other weights")
            for storage, found in accuracy.items():
                each = "  ".join(f"{value:.2f}" for value in found)
                print(f"{name:16} {policy:16} {each:28} {np.mean(found):.2f}  {planned[storage]:,} B {storage}",
                      flush=True)  # fmt: skip
    print(f"{different} of {len(NETWORKS) * len(POLICIES) * int(seeds)} trainings end with other weights")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
