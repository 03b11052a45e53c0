"""Room to grow: wider ranges for a network that is quantized before it has been trained.

Ranges calibrated on random weights fit the start alone. No gradient passes where a value is clipped, so what leaves its
range has no way back: of lenet-int8, seed 0, all ten logits stood at the upper end, +2, for every digit after 200 steps
at lr 0.02, and the loss stayed ln 10 for good. Where that did not happen, logits within ±2 kept the loss above 0.16.

    range of      calibrated     with room
    output        as seen        that, and all that the targets ask for: LOGITS, or the numbers themselves
    other values  as seen        GROWTH times that; of ReLU6 at most 6
    filter        its largest    at least DEVIATIONS of He-normal: one that starts near zero, as the last of a residual
                                 branch does, would reach ±127 before it does anything
"""

from collections.abc import Mapping
from math import prod, sqrt

import numpy as np

from workbench.ir import op as ops
from workbench.ir.graph import Graph

Range = tuple[float, float]
LOGITS = (-16.0, 16.0)  # a lead of 32 over the others leaves no loss; trained networks here have ±13 to ±30
GROWTH, DEVIATIONS = 4.0, 3.0


def widened(graph: Graph, ranges: Mapping[str, Range], output: Range | None) -> dict[str, Range]:
    """The ranges of a float graph's values with room, the input's as it is. `output`: what that must hold, and needs no
    more room than; None: it is not known.
    """
    targets = {} if output is None else dict.fromkeys(graph.outputs, output)
    wide = {}
    for name, (low, high) in ranges.items():
        growth = 1.0 if name in graph.inputs or name in targets else GROWTH
        least_low, least_high = targets.get(name, (0.0, 0.0))
        low, high = min(growth * low, least_low), max(growth * high, least_high)
        maker = graph.analysis.producer(name)
        six = maker is not None and ops.get(maker.op).epilogue == "relu6"
        wide[name] = low, min(high, 6.0) if six else high
    return wide


def least_magnitude(filters: np.ndarray) -> float:
    """Of a layer (output channels, …): what the int8 range of each filter holds at least."""
    return DEVIATIONS * sqrt(2 / prod(filters.shape[1:]))
