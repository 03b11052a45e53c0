"""How the trained biases of a network are stored: as 32 bits, or as a change of 16 beside the bias (see ir/deltas).

    16 bits suffice for a channel where LIMIT units of its bias, x_scale · s each, are a real change of ENOUGH or more.
    The few channels of a layer that are finer keep 32 bits; a layer in which that saves nothing has no delta.

Every operator that reads the bias then takes the change as one more operand. This is decided once, before the step is
differentiated, so that it is the same whatever runs the step, and when.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from workbench.ir import op as ops
from workbench.ir.build import Builder
from workbench.ir.deltas import DELTA, LIMIT, state_of
from workbench.ir.graph import Graph, Node
from workbench.ir.storage import aligned
from workbench.ir.types import Ints, TensorType
from workbench.quantize.units import units

ENOUGH = 0.5  # in real numbers: activations of published networks mostly lie within some units of 1


def with_deltas(
    forward: Graph, trained: Iterable[str], weights: Mapping[str, np.ndarray]
) -> tuple[Graph, dict[str, Ints]]:
    """The network with those of the `trained` parameters as deltas that can be and that it saves memory of, and the
    wide channels of each. `weights` hold the scales of filters."""
    builder, found = Builder(forward), dict[str, Ints]()
    for name in trained:
        wide = _wide_channels(builder, name, weights)
        if wide is not None:
            found[name] = wide
            builder.state_beside(name, DELTA, TensorType((builder.types[name].elements + len(wide),), "int16"))
    builder.nodes = [_with_delta(node, found) for node in forward.nodes]
    return builder.graph(*(builder.value(name) for name in forward.outputs)), found


def _with_delta(node: Node, found: Mapping[str, Ints]) -> Node:
    bias = _bias_of(node)
    if bias not in found:
        return node
    return replace(node, operands=(*node.operands, state_of(bias)), attrs={**node.attrs, "wide": found[bias]})


def _bias_of(node: Node) -> str:
    """The bias that a node could read as a delta; "" where there is none."""
    op = ops.get(node.op)
    if op.delta is None or op.delta != len(node.operands):
        return ""
    return next((node.operands[index] for index, role in op.parameters.items() if role == "bias"), "")


def _wide_channels(builder: Builder, name: str, weights: Mapping[str, np.ndarray]) -> Ints | None:
    """The channels of a bias that need 32 bits; None where it is better kept as it is, or cannot be a delta."""
    kind, readers = builder.types[name], builder.readers(name)
    if kind.dtype != "int32" or state_of(name) in builder.types or not all(_bias_of(node) == name for node in readers):
        return None
    scales, unit = units(builder, name)
    if scales.name not in weights:
        return None
    fine = LIMIT * unit * weights[scales.name].astype(np.float64) < ENOUGH
    wide = tuple(map(int, np.flatnonzero(fine)))
    stored = 2 * (kind.elements + len(wide))
    return wide if aligned(stored) < kind.bytes and stored <= 2 * LIMIT else None
