"""Does an int8 network learn on the board? Held-out accuracy of float SGD beside int8, with and without QAS, rounded
stochastically, to nearest and towards zero.

    python tests/benchmarks/quantized_learning.py [MODEL [DATA [EPOCHS]]]      default lenet digits-rotated 3

The network is pre-trained in float32 on upright images, quantized after that, and adapted to images it has not seen,
turned by a quarter, on the emulated nrf52840: batch 1, no momentum, one learning rate for weights and biases. Each
figure is the mean of SEEDS seeds (of the initial weights, the pre-training and the order of samples) and their
standard deviation, in percent. Not a test: it takes minutes.
"""

import sys
import tempfile
from dataclasses import replace

import numpy as np

from workbench import boards, frontends, session
from workbench.frontends import Model
from workbench.policy import Optimizer
from workbench.pretraining import pretrain
from workbench.training import Training

RATES, SEEDS = (8e-4, 5e-3, 2e-2), (0, 1, 2)
WAYS = {
    "float": None,
    "int8, no QAS": Optimizer(qas=False),
    "QAS stochastic": Optimizer(),
    "QAS nearest": Optimizer(rounding="nearest"),
    "QAS truncate": Optimizer(rounding="truncate"),
}


def main(name: str = "lenet", adapt_to: str = "digits-rotated", epochs: str = "3") -> None:
    upright = adapt_to.rpartition("-")[0]
    models = [
        pretrain(frontends.load(f"{name}-int8", seed=seed), upright, adapt_to=adapt_to, seed=seed) for seed in SEEDS
    ]
    for model in models:
        told = model.pretrained
        print(f"pre-trained, upright: float {told['accuracy_float']:.1%}, int8 {told['accuracy']:.1%}")
    print(f"{name}, {epochs} epochs of {adapt_to}; held out, %")
    print(f"{'lr':>7}" + "".join(f"{way:>17}" for way in ("before", *WAYS)), flush=True)
    for lr in RATES:
        cells = []
        for optimizer in WAYS.values():
            found = [adapted(model, optimizer, adapt_to, int(epochs), lr, seed) for seed, model in enumerate(models)]
            cells += [found] if cells else [[(before, before) for before, _ in found], found]
        print(f"{lr:>7g}" + "".join(f"{_told([after for _, after in cell]):>17}" for cell in cells), flush=True)


def adapted(model: Model, optimizer: Optimizer | None, data: str, epochs: int, lr: float, seed: int):
    """Accuracy before and after; in float32 where there is no `optimizer`."""
    model = model.unquantized if optimizer is None else model
    compiled = session.compile(replace(model, pretrained=None), optimizer=optimizer or Optimizer())
    options = Training(epochs=epochs, lr=lr, seed=seed, data=data, trace="off")
    with tempfile.TemporaryDirectory() as folder:
        run, _ = session.train(session.build(compiled, boards.get(boards.DEFAULT), folder), options)
    return run.meta["accuracy"]["before"], run.meta["accuracy"]["after"]


def _told(values: list[float]) -> str:
    return f"{100 * np.mean(values):.1f} ± {100 * np.std(values, ddof=1):.1f}"


if __name__ == "__main__":
    main(*sys.argv[1:])
