"""Biases kept as deltas: a trained int32 bias stays in flash as it was, and what it changed by since lies beside it.

    %conv1.bias: Tensor[(8,), int32, needs_grad=True, delta=int16, wide=1]           in flash: no node writes it
    %conv1.bias.delta: Tensor[(9,), int16, state=True]                               in SRAM, 0 at the start

    low halves of all channels  | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 || 5 |  high halves of the channels in `wide`

The bias that counts is their sum. The change of a channel that is not in `wide` saturates at ±LIMIT.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from workbench.ir.graph import Graph
from workbench.ir.types import Ints

DELTA = "delta"  # of a bias: what its state is called
LIMIT, WIDE_LIMIT = 2**15 - 1, 2**31 - 1  # of the change of a channel


@dataclass(frozen=True)
class Delta:
    """The state that holds the change of a bias, and the channels whose change has 32 bits."""

    state: str
    wide: Ints


def state_of(bias: str) -> str:
    """What the state beside a bias is called."""
    return f"{bias}.{DELTA}"


def change_of(stored: np.ndarray, wide: Ints) -> np.ndarray:
    """The change of each channel, int64 (channels,), of what the state holds, int16 (channels + wide,)."""
    count = len(stored) - len(wide)
    change = stored[:count].astype(np.int64)
    at = list(wide)
    change[at] = (stored[count:].astype(np.int64) << 16) + (change[at] & 0xFFFF)
    return change


def stored_of(change: np.ndarray, wide: Ints) -> np.ndarray:
    """What `change_of` undoes; a change beyond its limit is saturated."""
    limit = _limits(len(change), wide)
    change = np.clip(change.astype(np.int64), -limit, limit)
    return np.concatenate([change, change[list(wide)] >> 16]).astype(np.int16)  # the low 16 bits of each


def at_the_end(stored: np.ndarray, wide: Ints) -> np.ndarray:
    """Whether the change of each channel, of what the state holds, has reached its limit: truth values (channels,)."""
    change, limits = change_of(stored, wide), _limits(len(stored) - len(wide), wide)
    return (change <= -limits) | (change >= limits)


def _limits(channels: int, wide: Ints) -> np.ndarray:
    limits = np.full(channels, LIMIT, np.int64)
    limits[list(wide)] = WIDE_LIMIT
    return limits


def deltas_of(graph: Graph) -> dict[str, Delta]:
    """Bias -> its delta; those of other biases are none."""
    states = {state_of(name) for name in graph.parameters} & set(graph.state)
    wide = dict(_readers(graph, states)) if states else {}
    return {name: Delta(state, wide[state]) for name in graph.parameters if (state := state_of(name)) in wide}


def _readers(graph: Graph, states: set[str]) -> Iterator[tuple[str, Ints]]:
    """State -> what a node that reads it, maybe inside a region, tells of it."""
    for node in graph.nodes:
        outer = dict(zip(node.body.inputs, node.operands, strict=True)) if node.body else {}
        for each in node.body.nodes if node.body else (node,):
            for name in states.intersection(outer.get(name, name) for name in each.operands):
                yield name, each.attrs.get("wide", ())


def joined(graph: Graph, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`values` of parameters and state, with each bias and its delta as one int32 bias."""
    deltas = deltas_of(graph)
    whole = {
        name: (values[name] + change_of(values[delta.state], delta.wide)).astype(np.int32)
        for name, delta in deltas.items()
    }
    states = {delta.state for delta in deltas.values()}
    return {name: whole.get(name, value) for name, value in values.items() if name not in states}
