"""MCUNet adapted to a thousand real images: what it reaches in an epoch, and how long that takes on the host.

    python tests/benchmarks/mcunet_adaptation.py [EPOCHS] [POLICY]

1,200 of MNIST's digits, scaled up to the 128×128 pixels and three channels that the network takes, 1,000 to train on;
the published weights where `../shared/data` or WORKBENCH_DATA has them, else synthetic ones. The emulated core runs a
few of the steps, whose losses and weights must be equal to the bit; how long all of them would take there is told from
one step and one inference more.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

import workbench
from workbench import boards, session
from workbench.data.sources import mnist
from workbench.frontends.loading import load
from workbench.training import device_of

EACH, TRAIN, SIDE = 120, 100, 128  # images a class, those to train on, pixels
LR, LR_BIAS = 0.002, 0.001
HERE = Path(__file__).resolve().parents[2]


def digits() -> workbench.Data:
    """uint8 images (1200, 3, 128, 128): the first 120 of each digit."""
    images, labels = mnist()
    chosen = np.concatenate([np.flatnonzero(labels == digit)[:EACH] for digit in range(10)])
    scaled = [Image.fromarray((image[0] * 255).astype(np.uint8)).resize((SIDE, SIDE)) for image in images[chosen]]
    return np.repeat(np.stack([np.asarray(each) for each in scaled])[:, None], 3, axis=1), labels[chosen]


def network():
    folder = Path(os.environ.get("WORKBENCH_DATA", HERE.parent / "shared" / "data"))
    file = folder / "tiny-training" / "mcunet-5fps.json"
    return load(str(file) if file.exists() else "mcunet-5fps", classes=10)


def main() -> None:
    epochs, policy = int((sys.argv[1:2] or [1])[0]), (sys.argv[2:3] or ["sparse-49kb"])[0]
    x, y = digits()
    begin = time.perf_counter()
    run = workbench.run(network(), policy=policy, board="stm32f746", virtual=True, data=(x, y), split=TRAIN / EACH,
                        epochs=epochs, lr=LR, lr_bias=LR_BIAS, engine="native")  # fmt: skip
    minutes, meta = (time.perf_counter() - begin) / 60, run.meta
    print(f"{meta['steps']} steps of {policy}: accuracy {meta['accuracy']}, held-out loss {meta['held_out_loss']}")
    print(f"{minutes:.1f} minutes: {meta['engine']}, seconds {meta['seconds']}", *meta["notes"], sep="\n")
    outputs = 2 + (len(meta["epochs_done"]) - 1)  # before, and after each epoch
    step, inference = emulated(policy, x[:1], y[:1])
    hours = (meta["steps"] * step + outputs * meta["data"]["test"] * inference) / 3600
    print(f"emulated, a step takes {step:.2f} s, an inference {inference:.2f} s: {hours:.2f} hours in all")


def emulated(policy: str, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Seconds that a step and an inference take on the emulated core, untraced; the second time, code is translated."""
    built = session.build(session.compile(network(), policy), boards.get("virtual-m7"))
    device, x = device_of(built), (x.astype(np.int16) - 128).astype(np.int8)
    return _second(lambda: device.train_step(x, y)), _second(lambda: device.forward(x))


def _second(work) -> float:
    work()
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
