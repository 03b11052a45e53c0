"""Frozen scales and shifts, a batch norm's for one, inside the layer before them (see ir/scales): before the graph is
differentiated, so that its gradients are those of fewer nodes."""

from collections.abc import Mapping

import numpy as np

from workbench.ir.graph import Graph
from workbench.ir.scales import scales_folded
from workbench.passes import Declined


def fold_scales(graph: Graph, weights: Mapping[str, np.ndarray]) -> tuple[Graph, dict[str, np.ndarray]]:
    """The graph, and the values of its parameters. Declines where there is nothing to fold."""
    after, values = scales_folded(graph, weights)
    if after is graph:
        raise Declined("no frozen scale or shift stands behind a layer")
    return after, values
