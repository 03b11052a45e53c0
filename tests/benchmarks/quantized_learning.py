"""Does an int8 network learn on the board? Held-out accuracy of float SGD beside int8, with and without QAS, rounded
stochastically, to nearest and towards zero.

    python tests/benchmarks/quantized_learning.py [MODEL [DATA [EPOCHS [SEEDS]]]]     default mlp digits-rotated 4 3

The network is pre-trained in float32 on upright images, quantized after that, and adapted to images it has not seen,
turned by a quarter, on the emulated nrf52840: batch 1, no momentum, one learning rate for weights and biases, times
DECAY an epoch. Each firmware is built once and trained at every rate. Figures are the mean over the seeds (of initial
weights, pre-training and the order of samples) and the standard deviation, in percent; the last column is of the
difference seed by seed. Not a test: it takes minutes.
"""

import sys
import tempfile

import numpy as np

from workbench import boards, frontends, session
from workbench.feeding import Training
from workbench.policy import Optimizer
from workbench.pretraining import pretrain

RATES, DECAY = (8e-4, 5e-3, 2e-2), 0.6
WAYS = {
    "float": None,
    "int8, no QAS": Optimizer(qas=False),
    "QAS stochastic": Optimizer(),
    "QAS nearest": Optimizer(rounding="nearest"),
    "QAS truncate": Optimizer(rounding="truncate"),
}


def main(name: str = "mlp", adapt_to: str = "digits-rotated", epochs: str = "4", seeds: str = "3") -> None:
    print(f"{name}, {epochs} epochs of {adapt_to}", flush=True)
    found: dict[tuple[float, str], list[float]] = {}
    for seed in range(int(seeds)):
        model = frontends.load(f"{name}-int8", seed=seed)
        model = pretrain(model, adapt_to.rpartition("-")[0], adapt_to=adapt_to, seed=seed)
        told = model.pretrained
        upright = f"upright: float {100 * told['accuracy_float']:.1f}, int8 {100 * told['accuracy']:.1f}"
        for way, optimizer in WAYS.items():
            compiled = session.compile(model if optimizer else model.unquantized, optimizer=optimizer or Optimizer())
            with tempfile.TemporaryDirectory() as folder:
                built = session.build(compiled, boards.get(boards.DEFAULT), folder)
                for lr in RATES:
                    how = {"lr": lr, "lr_decay": DECAY, "seed": seed, "data": adapt_to, "trace": "off"}
                    run, _ = session.train(built, Training(epochs=int(epochs), **how))
                    accuracy = run.meta["accuracy"]
                    found.setdefault((lr, way), []).append(100 * accuracy["after"])
        print(f"seed {seed}   {upright}   turned, before: {100 * accuracy['before']:.1f}", flush=True)
    print(f"{'lr':>7}" + "".join(f"{way:>16}" for way in (*WAYS, "stoch. - float")))
    for lr in RATES:
        cells = [found[lr, way] for way in WAYS]
        cells.append(np.subtract(found[lr, "QAS stochastic"], found[lr, "float"]))
        print(f"{lr:>7g}" + "".join(f"{f'{np.mean(cell):.1f} ± {np.std(cell, ddof=1):.1f}':>16}" for cell in cells))


if __name__ == "__main__":
    main(*sys.argv[1:])
