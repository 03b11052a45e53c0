"""Instructions and modelled cycles a MAC of single int8 layers, beside a library's and our prototypes' figures.

    .venv/bin/python tests/benchmarks/kernels.py [--board virtual-m4] [--weights frozen|trained|split] [WORD …]

Each layer is a network of its own: counted is what all of its operators run, from their calls in the firmware on.
WORD: only layers whose names hold it. The library is CMSIS-NN (`-Ofast`), the prototypes are written by hand for one
layer each; both counted in the same way, in instructions a MAC on a Cortex-M4.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import workbench.schedule  # noqa: F401  registers the operators
from workbench import boards
from workbench.boards import Board
from workbench.codegen import generate
from workbench.emulate.machine import Machine
from workbench.ir.build import Builder
from workbench.passes.pipeline import SCHEDULES, run_passes_with
from workbench.plan.memory import plan_memory
from workbench.quantize import emit
from workbench.quantize.quantization import Quantization
from workbench.toolchain import build
from workbench.trace.tracer import Tracer


@dataclass(frozen=True)
class Layer:
    """`size` of an image of `channels`; `library`, `prototype`: instructions a MAC, 0 for unknown. `even`: the layer
    that an odd one is held against."""

    name: str
    size: tuple[int, int]
    channels: int
    filters: int
    kernel: int = 1
    stride: int = 1
    depthwise: bool = False
    padding: tuple[int, ...] | None = None
    library: float = 0.0
    prototype: float = 0.0
    even: str = ""

    @property
    def window(self) -> dict:
        k = self.kernel // 2
        padding = (k, k, k, k) if self.padding is None else self.padding
        return {"strides": (self.stride, self.stride), "padding": padding,
                "groups": self.channels if self.depthwise else 1}  # fmt: skip


LAYERS = (
    Layer("conv 128x128 3-16 k3 s2", (128, 128), 3, 16, 3, 2, library=4.92, prototype=0.98),
    Layer("1x1 32x32 16-48", (32, 32), 16, 48, library=3.71, prototype=1.01),
    Layer("1x1 16x16 96-24", (16, 16), 96, 24, library=1.82, prototype=0.79),
    Layer("1x1 8x8 40-240", (8, 8), 40, 240, library=2.49, prototype=0.81),
    Layer("1x1 4x4 96-384", (4, 4), 96, 384, library=2.02, prototype=0.74),
    Layer("conv 16x16 32-32 k3", (16, 16), 32, 32, 3, library=1.94, prototype=0.82),
    Layer("depthwise 32x32 48 k3", (32, 32), 48, 48, 3, depthwise=True, library=8.36, prototype=1.66),
    Layer("depthwise 16x16 96 k5", (16, 16), 96, 96, 5, depthwise=True, library=9.11, prototype=1.03),
    Layer("depthwise 8x8 240 k7", (8, 8), 240, 240, 7, depthwise=True, library=7.80, prototype=0.80),
    Layer("depthwise 16x16 96 k3 s2", (16, 16), 96, 96, 3, 2, depthwise=True, library=8.12, prototype=1.87),
    Layer("dense 640-128", (1, 1), 640, 128, library=1.95, prototype=0.99),
)
ODD = (
    Layer("conv 31x31 17-23 k3", (31, 31), 17, 23, 3, even="conv 16x16 32-32 k3"),
    Layer("1x1 7x7 15-47", (7, 7), 15, 47, even="1x1 32x32 16-48"),
    *(Layer(f"depthwise 13x13 19 k{k}", (13, 13), 19, 19, k, depthwise=True, padding=(0, 1, 1, 0), even=even)
      for k, even in ((3, "depthwise 32x32 48 k3"), (5, "depthwise 16x16 96 k5"), (7, "depthwise 8x8 240 k7"))),
)  # fmt: skip


def measured(layer: Layer, board: Board, weights: str) -> tuple[float, float, int]:
    """Instructions and modelled cycles a MAC, and bytes of flash."""
    rng, builder = np.random.default_rng(1), Builder()
    shape = (layer.filters, 1 if layer.depthwise else layer.channels, layer.kernel, layer.kernel)
    of_x, of_y = Quantization(0.02, -128), Quantization(0.05, -128)
    values = {
        "w": rng.integers(-127, 128, shape, dtype=np.int8),
        "b": rng.integers(-3000, 3000, layer.filters, dtype=np.int32),
        "s": rng.uniform(0.001, 0.002, layer.filters).astype(np.float32),
    }
    x = builder.input("x", (1, layer.channels, *layer.size), "int8", scale=of_x.scale, zero_point=of_x.zero_point)
    w = builder.parameter("w", shape, "int8")
    b, s = builder.parameter("b", (layer.filters,), "int32"), builder.parameter("s", (layer.filters,), "float32")
    y = emit.layer(builder, x, w, b, s, of_y, label="layer", **layer.window)
    axis = 0 if layer.depthwise else 1
    wanted = {"frozen": False, "trained": True, "split": (axis, shape[axis] // 2)}[weights]
    layer_alone = builder.graph(y).with_needs_grad({"w": wanted})
    graph, constants, _ = run_passes_with(layer_alone, values, SCHEDULES["optimized"])
    macs = y.type.elements * int(np.prod(shape[1:]))
    memory = plan_memory(graph, graph.analysis.scratch)
    project = generate(graph, memory, values | constants, board)
    with tempfile.TemporaryDirectory() as folder:
        image = build(project, board, Path(folder), memory.plan.bytes)
        machine = Machine(image.elf, board)
        tracer = Tracer(machine, list(project.buffers), list(project.ops))
        machine.start()
        tracer.attach()
        tracer.begin_call()
        machine.call("wb_train_step")
        tracer.detach()
    ops = tracer.op_profile()
    ops = ops[ops.position >= 0]
    return ops.instructions.sum() / macs, ops.cycles.sum() / macs, image.flash


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*")
    parser.add_argument("--board", default="virtual-m4")
    parser.add_argument("--weights", default="frozen", choices=("frozen", "trained", "split"))
    options = parser.parse_args()
    board, ratios, known = boards.get(options.board), [], {}
    print(f"{board.core}, {options.weights} weights, instructions a MAC")
    print(f"{'':50s} {'ours':>8s} {'library':>8s} {'ratio':>6s} {'prototype':>10s} {'ratio':>6s} {'cycles':>7s} flash")
    for layer in (*LAYERS, *ODD):
        if options.words and not any(word in layer.name for word in options.words):
            continue
        instructions, cycles, flash = measured(layer, board, options.weights)
        known[layer.name] = instructions
        ours = f"{layer.name:50s} {instructions:8.2f}"
        if layer.library:
            ratios.append(instructions / layer.library)
            beside = (
                f"{layer.library:8.2f} {ratios[-1]:6.2f} {layer.prototype:10.2f} {instructions / layer.prototype:6.2f}"
            )
        else:
            even = known.get(layer.even)
            beside = f"{f'{instructions / even:.2f} times {layer.even}' if even else '':33s}"
        print(f"{ours} {beside} {cycles:7.2f} {flash:6d}", flush=True)
    if ratios:
        print(f"geometric mean of the ratios to the library: {np.exp(np.mean(np.log(ratios))):.3f}")


if __name__ == "__main__":
    main()
