"""Look at a network's layers while samples run through it, and at the units of its integers: numbers for the notes.

The interpreter runs the network, equal to the firmware to the bit. A large network sees fewer samples, to stay quick.
"""

from collections.abc import Mapping
from math import prod

import numpy as np

from workbench.artifacts import Compiled
from workbench.frontends import Model
from workbench.ir import op as ops
from workbench.ir.build import Builder
from workbench.ir.graph import Graph, Node
from workbench.ir.interpret import interpret
from workbench.ir.types import TensorType
from workbench.objective import LABELS, Objective
from workbench.quantize.units import units
from workbench.report.learning.layers import Layer, Observed, floor_note
from workbench.report.learning.rates import Worth

SAMPLES, FEWEST = 32, 8  # that a network is seen with; fewer tell nothing of a channel
MOST_MACS = 1 << 28  # of all of them: about a second


def observed(model: Model, weights: Mapping[str, np.ndarray], samples: np.ndarray) -> Observed:
    """The layers of `model` with `weights`, observed on some of the `samples` (n, …), as the network stores them.

    Empty where there are fewer than FEWEST samples, or the network is too large for that many.
    """
    graph, batch = model.graph, model.batch
    (source,), (output,) = graph.inputs, graph.outputs
    count = min(SAMPLES, len(samples), MOST_MACS * batch // max(1, model.macs)) // batch * batch
    if count < FEWEST:
        return Observed()
    chosen = samples[np.linspace(0, len(samples) - 1, count).astype(int)].reshape(-1, *graph.types[source].shape)
    ends = layer_ends(graph)
    seen = {name: _Seen(node) for name, node in ends.items()}

    def see(node: Node, results) -> None:
        if (name := node.results[0]) in seen:
            seen[name].add(node, results[0])

    with np.errstate(all="ignore"):  # weights may have exploded: another note says so
        for inputs in chosen:
            interpret(graph, {**weights, source: inputs}, observe=see)
    layers = tuple(each.layer() for each in seen.values())
    return Observed(count, layers, reach(graph.types[output]))


class _Seen:
    """The least and the largest of each value of a layer over all samples, and how many were clipped."""

    def __init__(self, node: Node):
        self.name, self.clipped, self.count = node.label, 0, 0
        self.low: np.ndarray | None = None
        self.high: np.ndarray | None = None

    def add(self, end: Node, values: np.ndarray) -> None:
        low, high = values.min(axis=0), values.max(axis=0)
        self.low = low if self.low is None else np.minimum(self.low, low)
        self.high = high if self.high is None else np.maximum(self.high, high)
        self.clipped += int(np.isin(values, free_ends(end)).sum())
        self.count += values.size

    def layer(self) -> Layer:
        low, high = np.asarray(self.low), np.asarray(self.high)
        same = (low == high).reshape(len(low), -1).all(axis=1)  # no number equals none
        return Layer(self.name, len(same), int(same.sum()), self.clipped / self.count)


def layer_ends(graph: Graph) -> dict[str, Node]:
    """The last value of each weighted layer, behind its bias and activation -> the layer's own node."""
    readers, ends = graph.analysis.readers, {}
    for node in graph.nodes:
        if "weight" not in ops.get(node.op).parameters.values():
            continue
        end = node.results[0]
        while len(after := readers[end]) == 1 and ops.get((reader := graph.nodes[after[0]]).op).epilogue:
            end = reader.results[0]
        ends[end] = node
    return ends


def free_ends(node: Node) -> list[int]:
    """The ends of an int8 result's clip that are no activation's: a ReLU's low end is the zero point, a ReLU6's high
    end stands for 6.
    """
    if "clip" not in node.attrs:
        return []
    (low, high), zero, scale = node.attrs["clip"], node.attrs["y_zero_point"], node.attrs["y_scale"]
    relu6 = low == zero and abs((high - zero) * scale - 6) <= scale
    return [low] * (low != zero) + [high] * (not relu6)


def reach(kind: TensorType) -> tuple[float, float] | None:
    """The real numbers between which an int8 value lies; None for another dtype."""
    if kind.dtype != "int8" or not kind.scale:
        return None
    low, high = ((end - kind.zero_point) * kind.scale for end in (-128, 127))
    return low, high


def limits(model: Model, objective: Objective) -> list[str]:
    """Notes on what limits any training of this network: the least loss that its int8 scores can reach."""
    kind = model.graph.types[model.graph.outputs[0]]
    classes = kind.shape[1] if objective.target == LABELS else None
    return [note for note in [floor_note(Observed(reach=reach(kind)), classes)] if note]


def updated(compiled: Compiled) -> dict[str, TensorType]:
    """The parameters that a training step updates, each as the type of its updated part."""
    types = compiled.graph.types
    return {name: types[name].updated for name in compiled.graph.parameters if types[name].needs_grad}


def worth(graph: Graph, weights: Mapping[str, np.ndarray], updated: Mapping[str, TensorType]) -> Worth:
    """The median divisor of quantization-aware scaling over all updated int8 weights, and over all int32 biases.

    `weights` hold the scales.
    """
    divisors: dict[str, list[np.ndarray]] = {"int8": [], "int32": []}
    builder = Builder(graph)
    for name, kind in updated.items():
        if kind.dtype not in divisors:
            continue
        scales, unit = units(builder, name)
        squares = (unit * weights[scales.name].astype(np.float64)) ** 2
        divisors[kind.dtype].append(np.repeat(squares, prod(kind.shape[1:])))
    return Worth(*(float(np.median(np.concatenate(each))) if each else None for each in divisors.values()))
