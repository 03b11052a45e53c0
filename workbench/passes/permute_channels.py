"""Bring the channels of largest magnitude to the front, at compile time, so that a part of a weight is a prefix.

    x ── conv a ── relu ── + ── conv b        out channels of a, in channels of b and c, and whatever is added to x are
          └──── conv c ────┘                  one group: one order serves them all, and each layer updates its prefix

The network's function stays the same: channels of a group are renamed together. A group that reaches the network's
input or output, or an operator that gives channels a meaning, keeps its order.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workbench.autodiff import channel_axis
from workbench.errors import PolicyError
from workbench.ir import op as ops
from workbench.ir.build import Builder
from workbench.ir.graph import Graph
from workbench.policy import UpdatePolicy
from workbench.quantize.units import units

Axis = tuple[str, int]  # a value and one of its axes
Orders = Mapping[str, Mapping[int, np.ndarray]]  # parameter -> axis -> old index of each new one


@dataclass
class _Groups:
    """Axes that hold the same channels, as a union-find forest; `fixed` roots keep their order."""

    parent: dict[Axis, Axis]
    fixed: set[Axis]

    def root(self, axis: Axis) -> Axis:
        while self.parent.setdefault(axis, axis) != axis:
            axis = self.parent[axis]
        return axis

    def join(self, one: Axis, other: Axis) -> None:
        one, other = self.root(one), self.root(other)
        self.parent[other] = one
        if other in self.fixed:
            self.fixed.add(one)

    def fix(self, axis: Axis) -> None:
        self.fixed.add(self.root(axis))

    def members(self, root: Axis) -> list[Axis]:
        return [axis for axis in list(self.parent) if self.root(axis) == root]


def largest_first(graph: Graph, weights: Mapping[str, np.ndarray]) -> Orders:
    """The order of channels that puts the largest ones of each partly updated weight first.

    `graph` is a forward graph whose parts are marked (`needs_grad`). A channel's magnitude is the sum of |w| over it,
    added up over all partly updated weights of its group; w are real numbers, whatever they are stored as. Raises
    PolicyError for a weight whose channels cannot move.
    """
    groups = channel_groups(graph)
    chosen: dict[Axis, list[Axis]] = {}
    for name in graph.parameters:
        part = graph.types[name].needs_grad
        if isinstance(part, tuple):
            chosen.setdefault(groups.root((name, part[0])), []).append((name, part[0]))
    orders: dict[str, dict[int, np.ndarray]] = {}
    for root, parts in chosen.items():
        if root in groups.fixed:
            raise PolicyError(
                f"{parts[0][0]}: the order of its channels is given (by the network's input, say), so the first can be "
                "updated, not the largest", "leave out `largest`, or this layer"
            )  # fmt: skip
        members = groups.members(root)
        channels = min(graph.types[value].shape[axis] for value, axis in members)
        score = sum(_magnitudes(_real(graph, weights, name), axis, channels) for name, axis in parts)
        order = np.argsort(-score, kind="stable")
        for name, axis in members:
            if name in graph.parameters:
                block = graph.types[name].shape[axis] // channels
                orders.setdefault(name, {})[axis] = (order[:, None] * block + np.arange(block)).reshape(-1)
    return orders


def updated_channels(
    graph: Graph, weights: Mapping[str, np.ndarray], policy: UpdatePolicy
) -> dict[str, tuple[tuple[int, ...], int]]:
    """Of each partly updated weight the numbers, in the model, of its updated channels, and of how many there are.

    `graph` is a forward graph whose parts `policy` has marked.
    """
    orders = largest_first(graph, weights) if policy.channels == "largest" else {}
    found = {}
    for name in graph.parameters:
        part = graph.types[name].needs_grad
        if isinstance(part, tuple):
            axis, unit = channel_axis(graph, name)
            order = orders.get(name, {}).get(axis, np.arange(part[1]))
            chosen = sorted({int(element) // unit for element in order[: part[1]]})
            found[name] = tuple(chosen), graph.types[name].shape[axis] // unit
    return found


def channel_groups(graph: Graph) -> _Groups:
    """Which axes hold the same channels, as `Op.ties` tells."""
    groups = _Groups({}, set())
    for name in (*graph.inputs, *graph.outputs):
        for axis in range(graph.types[name].rank):
            groups.fix((name, axis))
    for node in graph.nodes:
        op, values = ops.get(node.op), (*node.operands, *node.results)
        ties = op.ties(*(graph.types[name] for name in node.operands), **node.attrs) if op.ties else None
        first: dict[str, Axis] = {}
        for position, name in enumerate(values):
            told = ties[position] if ties and position < len(ties) else {}
            for axis in range(graph.types[name].rank):
                if axis in told:
                    groups.join(first.setdefault(told[axis], (name, axis)), (name, axis))
                elif name not in graph.parameters or ties is None:
                    groups.fix((name, axis))
    return groups


def _real(graph: Graph, weights: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """The real numbers that a weight's values stand for."""
    if graph.types[name].dtype == "float32":
        return weights[name]
    scales, unit = units(Builder(graph), name)
    return weights[name] * (unit * weights[scales.name].reshape(-1, *[1] * (weights[name].ndim - 1)))


def _magnitudes(weight: np.ndarray, axis: int, channels: int) -> np.ndarray:
    """Σ |w| of each channel; an axis of several elements a channel (behind a flatten) counts them together."""
    by_axis = np.abs(np.moveaxis(weight, axis, 0).astype(np.float64)).reshape(channels, -1)
    return np.asarray(by_axis.sum(axis=1, dtype=np.float64))


def permuted(weights: Mapping[str, np.ndarray], orders: Orders) -> dict[str, np.ndarray]:
    """The same parameters with their channels in the new order."""
    return {name: _taken(values, orders.get(name, {})) for name, values in weights.items()}


def restored(weights: Mapping[str, np.ndarray], orders: Orders) -> dict[str, np.ndarray]:
    """What undoes `permuted`: parameters in the model's own order."""
    back = {name: {axis: np.argsort(order) for axis, order in axes.items()} for name, axes in orders.items()}
    return permuted(weights, back)


def _taken(values: np.ndarray, axes: Mapping[int, np.ndarray]) -> np.ndarray:
    for axis, order in axes.items():
        values = np.take(values, order, axis=axis)
    return np.ascontiguousarray(values)
