"""Calibration: samples run through a float32 graph tell the range that each of its values takes."""

from collections.abc import Mapping

import numpy as np

from workbench.ir.graph import Graph, Node
from workbench.ir.interpret import interpret
from workbench.quantize.room import Range


def ranges_seen(graph: Graph, weights: Mapping[str, np.ndarray], samples: np.ndarray) -> dict[str, Range]:
    """Value -> its least and largest, zero included, while `samples` (n, batch, …) run through the float graph."""
    (source,) = graph.inputs
    ranges: dict[str, Range] = {}

    def see(name: str, values: np.ndarray) -> None:
        low, high = ranges.get(name, (0.0, 0.0))
        ranges[name] = min(low, float(values.min())), max(high, float(values.max()))

    def observe(node: Node, results: tuple[np.ndarray, ...]) -> None:
        see(node.results[0], results[0])

    for sample in samples:
        see(source, sample)
        interpret(graph, {**weights, source: sample}, observe=observe)
    return ranges
