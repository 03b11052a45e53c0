"""How long deep networks take to compile and to build: chains of 3x3 convolutions, nothing kept, then all unchanged.

.venv/bin/python tests/benchmarks/chains.py [LAYERS …]          default 10 50 100 200, and mcunet-5fps
"""

import argparse
import os
import tempfile
import time
from unittest.mock import patch

from workbench import boards, frontends, session
from workbench.frontends.layers import Network


def chain(layers: int):
    net = Network(f"chain{layers}", input_shape=(1, 3, 32, 32), seed=0)
    x = net.input
    for index in range(layers):
        shape = {"stride": 2} if index in (1, 3) else {}
        x = net.relu(
            net.conv2d(x, f"conv{index}", 8 if index < 2 else 16, kernel=3, padding=1, **shape), f"relu{index}"
        )
    return net.model(net.dense(net.flatten(x), "fc", 10))


def seconds(model, policy: str) -> tuple[float, float, int]:
    """Of compiling and of building; bytes of flash."""
    start = time.perf_counter()
    compiled = session.compile(model, policy)
    middle = time.perf_counter()
    built = session.build(compiled, boards.get("virtual-m7"))
    return middle - start, time.perf_counter() - middle, built.image.flash


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("layers", nargs="*", type=int, default=[10, 50, 100, 200])
    networks = [(chain(layers), "full") for layers in parser.parse_args().layers]
    print(f"{'':24s} {'compile':>8s} {'build':>8s}   {'again':>8s} {'':>8s} {'flash':>9s}   seconds, bytes")
    for model, policy in (*networks, (frontends.load("mcunet-5fps"), "sparse-49kb")):
        with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, WORKBENCH_CACHE=folder):
            cold, warm = seconds(model, policy), seconds(model, policy)
        print(
            f"{model.name:24s} {cold[0]:8.2f} {cold[1]:8.2f}   {warm[0]:8.2f} {warm[1]:8.2f} {cold[2]:9d}", flush=True
        )


if __name__ == "__main__":
    main()
