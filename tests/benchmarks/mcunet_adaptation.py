"""MCUNet adapted to a thousand real images: what it reaches in an epoch, and how long that takes on the host.

    python tests/benchmarks/mcunet_adaptation.py [EPOCHS] [POLICY]

1,200 of MNIST's digits, scaled up to the 128×128 pixels and three channels that the network takes, 1,000 to train on;
the published weights where `../shared/data` or WORKBENCH_DATA has them, else synthetic ones. The emulated core runs a
few of the steps, whose losses and weights must be equal to the bit; what all of them would take it is told from those.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

import workbench
from workbench.data.sources import mnist
from workbench.frontends.loading import load

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
    minutes = (time.perf_counter() - begin) / 60
    meta = run.meta
    print(meta["engine"], meta["seconds"], meta["notes"])
    print(f"{meta['steps']} steps of {policy}: accuracy {meta['accuracy']}, held-out loss {meta['held_out_loss']}")
    print(f"{minutes:.1f} minutes")


if __name__ == "__main__":
    main()
