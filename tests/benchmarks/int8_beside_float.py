"""int8 with quantization-aware scaling beside float32: held-out accuracy, each at its best rate of one grid.

    python tests/benchmarks/int8_beside_float.py [SET [SEEDS]]     default: all sets, 3 seeds

    digits-rotated, mnist-rotated    pre-trained on the host upright, quantized after that, adapted to turned images
    vowels, power                    sensor series (JapaneseVowels and ItalyPowerDemand of the package aeon), each
                                     channel standardized; quantized before they are trained (see quantize/room)

Batch 1, no momentum, cosine decay. Figures are the mean over the seeds (of initial weights, pre-training and the order
of samples) and their standard deviation, in percent. The best rate is that of the best mean on held-out samples, for
all ways alike. Rounding to nearest is there to show what stochastic rounding brings. Trained by the native engine.
"""

import sys

import numpy as np

from workbench import boards, data, frontends, session
from workbench.data import Data, Reading
from workbench.feeding import Training
from workbench.frontends.layers import Network
from workbench.frontends.loading import in_int8
from workbench.policy import Optimizer
from workbench.pretraining import pretrain

RATES = (0.003, 0.01, 0.02, 0.03, 0.05, 0.1)
EPOCHS = {"digits-rotated": 6, "mnist-rotated": 3, "vowels": 20, "power": 60}
WAYS = {"float32": None, "int8 + QAS": Optimizer(), "to nearest": Optimizer(rounding="nearest")}


def image_network(seed: int):
    """lenet for 28×28."""
    net = Network("lenet28", (1, 1, 28, 28), seed)
    x = net.max_pool2d(net.relu(net.conv2d(net.input, "conv1", 8, 5, stride=2), "conv1"), "pool1", 2)
    x = net.relu(net.conv2d(x, "conv2", 16, 3, padding=1), "conv2")
    return net.model(net.dense(net.relu(net.dense(net.flatten(x), "fc1", 32), "fc1"), "fc2", 10), "mnist")


def series_network(samples: Data, seed: int):
    """Two convolutions along time."""
    net = Network("series", (1, *samples.train_x.shape[1:]), seed)
    x = net.relu(net.conv2d(net.input, "conv1", 16, (1, 5), padding=(0, 2)), "conv1")
    x = net.relu(net.conv2d(net.max_pool2d(x, "pool1", (1, 2)), "conv2", 24, (1, 3), padding=(0, 1)), "conv2")
    return net.model(net.dense(net.flatten(net.max_pool2d(x, "pool2", (1, 2))), "fc", samples.classes), samples)


def series(name: str) -> Data:
    from aeon.datasets import load_italy_power_demand, load_japanese_vowels

    load = {"vowels": load_japanese_vowels, "power": load_italy_power_demand}[name]
    (x, y), (test_x, test_y) = load(split="train"), load(split="test")
    longest = max(each.shape[1] for each in [*x, *test_x])
    wide = lambda all_of: np.stack([np.pad(each, ((0, 0), (0, longest - each.shape[1]))) for each in all_of])  # noqa: E731
    x, test_x = wide(x), wide(test_x)
    mean, deviation = x.mean(axis=(0, 2), keepdims=True), x.std(axis=(0, 2), keepdims=True)
    names = sorted(set(y))
    x, test_x = (((each - mean) / deviation)[:, :, None].astype(np.float32) for each in (x, test_x))
    y, test_y = (np.array([names.index(each) for each in all_of], np.int32) for all_of in (y, test_y))
    return Data(name, x, y, test_x, test_y, len(names))


def models(name: str, seed: int):
    """The network in float32 and in int8, and the samples."""
    if name in ("vowels", "power"):
        samples = series(name)
        model = series_network(samples, seed)
        return model, in_int8(model, samples), samples
    base = frontends.load("lenet", seed=seed) if name.startswith("digits") else image_network(seed)
    upright = name.rpartition("-")[0]
    model = pretrain(base, upright, adapt_to=name, seed=seed, epochs=12 if upright == "digits" else 3)
    seen = data.resolved(upright, base.wanted, Reading()).apart_from(data.load(name))
    return model, in_int8(model, seen), name


def main(name: str = "", seeds: str = "3") -> None:
    print("held-out accuracy, mean and standard deviation")
    for each in [name] if name else EPOCHS:
        found: dict[tuple[str, float], list[float]] = {}
        for seed in range(int(seeds)):
            model, small, samples = models(each, seed)
            for way, optimizer in WAYS.items():
                compiled = session.compile(small if optimizer else model, optimizer=optimizer or Optimizer())
                built = session.build(compiled, boards.get("virtual-m4"))
                for lr in RATES:
                    how = {"lr": lr, "seed": seed, "data": samples, "trace": "off", "engine": "native"}
                    run, _ = session.train(built, Training(epochs=EPOCHS[each], **how))
                    found.setdefault((way, lr), []).append(100 * run.meta["accuracy"]["after"])
        for way in WAYS:
            best = max(RATES, key=lambda lr: np.mean(found[way, lr]))
            told = "  ".join(
                f"{lr:g}: {np.mean(found[way, lr]):.1f} ± {np.std(found[way, lr], ddof=1):.1f}" for lr in RATES
            )
            print(f"{each:<16}{way:<12}best at {best:g}: {np.mean(found[way, best]):.1f}      {told}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
