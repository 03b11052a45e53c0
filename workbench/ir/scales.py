"""Frozen scales and shifts, folded into the layer before them.

    before   s = conv2d(x, w);  t = s · a + b        after   t = bias_add(conv2d(x, w · a), b)

a and b are frozen: one number, or one a channel. Shifts go into any layer, scales into one whose weight is frozen. A
bias that is trained right behind has the shift added to itself, so that the layer has one bias. With the statistics of
inference a batch norm is no more than this (Ioffe and Szegedy 2015).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from workbench.ir import op as ops
from workbench.ir.build import Builder, Value
from workbench.ir.graph import Graph, Node
from workbench.ir.labels import CONSTANT

FOLDED = ".folded"  # how the names of what is computed so end
Weights = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class _Chain:
    """Nodes behind a layer that make scale · y + shift of its channels: float64, (C,). `shifts`: of which parameters;
    `trained`: behind them, the node that adds a bias which is trained."""

    nodes: tuple[Node, ...]
    scale: np.ndarray
    shift: np.ndarray
    shifts: tuple[str, ...]
    trained: Node | None

    @property
    def does_more(self) -> bool:
        """Than a bias of the layer."""
        kinds = [ops.get(node.op).epilogue for node in self.nodes]
        return kinds not in ([], ["bias"]) or (kinds != [] and self.trained is not None)


def scales_folded(graph: Graph, weights: Weights) -> tuple[Graph, dict[str, np.ndarray]]:
    """The graph, the same one where there is nothing to fold, and the values of its parameters.

    What is computed is called as a weight or a shift, with .folded. Frozen parameters that nobody reads are left out.
    """
    chains = {node.results[0]: _chain(graph, weights, node) for node in graph.nodes if _is_layer(graph, node)}
    chains = {name: chain for name, chain in chains.items() if chain.does_more}
    if not chains:
        return graph, dict(weights)
    build, values = Builder(graph.with_nodes(())), dict(weights)
    now = {name: build.value(name) for name in graph.arguments}  # value -> what stands for it
    inside = {node.results[0] for chain in chains.values() for node in (*chain.nodes, chain.trained) if node}

    def folded(name: str, array: np.ndarray) -> Value:
        own, number = f"{name}{FOLDED}", 2
        while own in build.types:
            own, number = f"{name}{FOLDED}.{number}", number + 1
        values[own] = array.astype(np.float32)
        return build.parameter(own, array.shape)

    for node in graph.nodes:
        if node.results[0] in inside:
            continue
        operands = [now[name] for name in node.operands]
        if (chain := chains.get(node.results[0])) is None:
            results = build.results(node.op, *operands, label=node.label, **node.attrs)
            now.update(zip(node.results, results, strict=True))
            continue
        weight = node.operands[1]
        if (chain.scale != 1).any():
            operands[1] = folded(weight, weights[weight] * chain.scale.reshape(_along(graph, node)))
        y = build.op(node.op, *operands, label=node.label, **node.attrs)
        bias = None if chain.trained is None else now[chain.trained.operands[1]]
        if chain.shift.any():
            named = [name for name in chain.shifts if not name.endswith(CONSTANT)]
            shift = folded(named[-1] if named else f"{weight.removesuffix('.weight')}.bias", chain.shift)
            bias = shift if bias is None else build.add(bias, shift, label=f"{bias.name}{FOLDED}")
        end = chain.trained or chain.nodes[-1]
        now[end.results[0]] = y if bias is None else build.bias_add(y, bias, label=f"{node.label}.bias")
    after = build.graph(*(now[name] for name in graph.outputs))
    unread = [name for name in graph.parameters if not after.analysis.readers[name] and graph.analysis.readers[name]]
    after = replace(after, parameters=tuple(name for name in after.parameters if name not in unread),
                    types={name: kind for name, kind in after.types.items() if name not in unread})  # fmt: skip
    return after, {name: values[name] for name in after.parameters}


def with_own_names(graph: Graph, weights: Weights) -> tuple[Graph, dict[str, np.ndarray]]:
    """What was folded called as what it was made of, where that is gone."""
    names = {name: name.removesuffix(FOLDED) for name in graph.parameters}
    names = {name: own for name, own in names.items() if own == name or own not in graph.types}
    return graph.renamed(names), {names.get(name, name): values for name, values in weights.items()}


def _is_layer(graph: Graph, node: Node) -> bool:
    """Whether it is a layer without a bias in its node, whose weight is a parameter."""
    form = ops.get(node.op).int8
    plain = len(node.operands) == 2 and len(node.results) == 1 and not node.attrs.get("activation")
    return form is not None and form.how == "layer" and plain and node.operands[1] in graph.parameters


def _along(graph: Graph, layer: Node) -> tuple[int, ...] | None:
    """The shape in which one number a channel scales a layer's weight; None where none does."""
    transposed = ops.get(layer.op).needed_int8.transposed
    if transposed and layer.attrs["groups"] > 1:
        return None
    rank = graph.types[layer.operands[1]].rank
    return tuple(-1 if axis == int(transposed) else 1 for axis in range(rank))


def _chain(graph: Graph, weights: Weights, layer: Node) -> _Chain:
    y = graph.types[layer.results[0]]
    scale, shift, nodes, shifts = np.ones(y.shape[1]), np.zeros(y.shape[1]), [], []
    scalable = graph.types[layer.operands[1]].needs_grad is False and _along(graph, layer) is not None
    reader = _only_reader(graph, layer)
    while reader is not None and (does := _does(graph, weights, reader, y.shape)) is not None:
        times, plus, parameter = does
        if (times != 1).any() and not scalable:
            break
        scale, shift = scale * times, shift * times + plus
        if plus.any():
            shifts.append(parameter)
        nodes.append(reader)
        reader = _only_reader(graph, reader)
    ends_in_bias = reader is not None and ops.get(reader.op).epilogue == "bias" and reader.operands[1] in weights
    return _Chain(tuple(nodes), scale, shift, tuple(shifts), reader if ends_in_bias else None)


def _only_reader(graph: Graph, node: Node) -> Node | None:
    index = graph.analysis.only_reader(node.results[0])
    return None if index is None else graph.nodes[index]


def _does(
    graph: Graph, weights: Weights, node: Node, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, str] | None:
    """What a node does to its only operand that is no frozen parameter, of this shape: a scale and a shift a channel,
    and the parameter that says so; None where it does anything else. What becomes of 0 and of 1 tells."""
    op = ops.get(node.op)
    given = [index for index, name in enumerate(node.operands)
             if name in weights and graph.types[name].needs_grad is False]  # fmt: skip
    if len(node.operands) != 2 or len(given) != 1 or 1 - given[0] not in op.affine:
        return None
    parameter = node.operands[given[0]]
    one_a_channel = (1, shape[1], *[1] * (len(shape) - 2))
    ends = []
    for number in (0.0, 1.0):
        operands = [np.full(one_a_channel, number), np.full(one_a_channel, number)]
        operands[given[0]] = np.asarray(weights[parameter], np.float64)
        (result,) = op.evaluated(*operands, **node.attrs)
        ends.append(result)
    if ends[0].shape != one_a_channel or not np.isfinite(ends).all():
        return None
    return (ends[1] - ends[0]).reshape(-1), ends[0].reshape(-1), parameter
