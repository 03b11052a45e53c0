"""Seconds to compile chains of 10, 20, 40, … layers (policy full, schedule optimized, no C), and by what they grow.

    python tests/benchmarks/compile_chains.py [KIND …] [--layers 10,50,100,200,400] [--passes]

A kind is conv, dense, residual, bottleneck or conv-int8; `--passes` tells each pass's seconds as well. Nothing is
read from the cache. What is linear in the number of layers shows an exponent of 1.
"""

import argparse
import math
import os
import time
from collections.abc import Callable

from workbench import session
from workbench.frontends.layers import Network
from workbench.frontends.loading import in_int8
from workbench.frontends.model import Model

os.environ["WORKBENCH_CACHE"] = os.devnull  # nothing is kept there: each chain is compiled anew
LAYERS = (10, 50, 100, 200, 400)


def conv(layers: int) -> Model:
    """3x3 convolutions of 8 channels, each with its ReLU."""
    net = Network(f"conv-{layers}", (1, 3, 16, 16))
    x = net.input
    for index in range(layers):
        x = net.relu(net.conv2d(x, f"conv{index}", 8, 3, padding=1), f"conv{index}")
    return _with_head(net, x)


def residual(layers: int) -> Model:
    """Pairs of 3x3 convolutions, each pair with the way around it."""
    net = Network(f"residual-{layers}", (1, 8, 16, 16))
    x = net.input
    for index in range(layers // 2):
        y = net.relu(net.conv2d(x, f"conv{index}.a", 8, 3, padding=1), f"conv{index}.a")
        x = net.add(x, net.conv2d(y, f"conv{index}.b", 8, 3, padding=1), f"add{index}")
    return _with_head(net, x)


def bottleneck(layers: int) -> Model:
    """Inverted bottlenecks of three layers: widened, depthwise, narrowed."""
    net = Network(f"bottleneck-{layers}", (1, 8, 16, 16))
    x = net.input
    for index in range(layers // 3):
        y = net.relu6(net.conv2d(x, f"expand{index}", 24, 1), f"expand{index}")
        y = net.relu6(net.conv2d(y, f"depthwise{index}", 24, 3, padding=1, groups=24), f"depthwise{index}")
        x = net.add(x, net.conv2d(y, f"project{index}", 8, 1), f"add{index}")
    return _with_head(net, x)


def dense(layers: int) -> Model:
    """Dense layers of 16 neurons, each with its ReLU."""
    net = Network(f"dense-{layers}", (1, 16))
    x = net.input
    for index in range(layers):
        x = net.relu(net.dense(x, f"dense{index}", 16), f"dense{index}")
    return net.model(net.dense(x, "fc", 10))


def conv_int8(layers: int) -> Model:
    """`conv`, quantized."""
    return in_int8(conv(layers))


def _with_head(net: Network, x) -> Model:
    return net.model(net.dense(net.global_avg_pool2d(x, "mean"), "fc", 10))


KINDS: dict[str, Callable[[int], Model]] = {
    "conv": conv, "dense": dense, "residual": residual, "bottleneck": bottleneck, "conv-int8": conv_int8,
}  # fmt: skip


def seconds(kind: str, layers: int) -> tuple[float, session.Compiled]:
    """What it takes to compile a chain, without making the network, and what comes out."""
    model = KINDS[kind](layers)
    start = time.perf_counter()
    compiled = session.compile(model, "full", "optimized")
    return time.perf_counter() - start, compiled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=["conv"], choices=KINDS, metavar="KIND")
    parser.add_argument("--layers", type=lambda text: [int(word) for word in text.split(",")], default=LAYERS)
    parser.add_argument("--passes", action="store_true")
    chosen = parser.parse_args()
    for kind in chosen.kinds:
        last: tuple[int, float] | None = None
        for layers in chosen.layers:
            took, compiled = seconds(kind, layers)
            grows = f"  exponent {math.log(took / last[1]) / math.log(layers / last[0]):.2f}" if last else ""
            print(f"{kind:10} {layers:4} layers  {len(compiled.graph.nodes):5} nodes  {took:8.2f} s{grows}", flush=True)
            for applied in compiled.passes if chosen.passes else ():
                print(f"    {applied.name:16} {applied.seconds:8.2f} s")
            last = layers, took


if __name__ == "__main__":
    main()
