"""Frozen scales and shifts, folded into the layer before them.

    before   s = conv2d(x, w);  t = s · a + b        after   t = bias_add(conv2d(x, w · a), b)

a and b are frozen: one number, or one a channel. Shifts go into any layer, scales into one whose weight is frozen. A
bias that is trained right behind has the shift added to itself, so that the layer has one bias. With the statistics of
inference a batch norm is no more than this (Ioffe and Szegedy 2015).
"""

from collections import Counter
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
    """Nodes behind a layer that make scale · y + shift of its channels: float64, (C,).

    `weight`: the layer's with the scale in it (None: it is 1), of the parameter `takes_scale`; `takes_shift`: the
    parameter that the shift is called as ("": none); `trained`: behind the nodes, one that adds a bias which is
    trained; `reads`: parameter -> how many operands of the graph are that.
    """

    nodes: tuple[Node, ...]
    weight: np.ndarray | None
    shift: np.ndarray
    takes_scale: str
    takes_shift: str
    trained: Node | None
    reads: Mapping[str, int]

    @property
    def does_more(self) -> bool:
        """Than a bias of the layer."""
        kinds = [ops.get(node.op).epilogue for node in self.nodes]
        return kinds not in ([], ["bias"]) or (kinds != [] and self.trained is not None)

    @property
    def becomes(self) -> dict[str, np.ndarray]:
        """Parameter -> what is in its place."""
        shift = {self.takes_shift: self.shift} if self.takes_shift else {}
        return shift if self.weight is None else shift | {self.takes_scale: self.weight}


def scales_folded(graph: Graph, weights: Weights, keep_names: bool = False) -> tuple[Graph, dict[str, np.ndarray]]:
    """The graph, the same one where there is nothing to fold, and the values of its parameters.

    What is computed is called as a weight or a shift, with .folded, or `keep_names`. Parameters that were folded and
    that nobody reads any more are left out.
    """
    chains = _alike({node.results[0]: _chain(graph, weights, node) for node in graph.nodes if _is_layer(graph, node)})
    if not chains:
        return graph, dict(weights)
    build, values, named = Builder(graph.with_nodes(())), dict(weights), {}
    now = {name: build.value(name) for name in graph.arguments}  # value -> what stands for it
    inside = {node.results[0] for chain in chains.values() for node in (*chain.nodes, chain.trained) if node}

    def folded(name: str, array: np.ndarray) -> Value:
        if name not in named:
            named[name] = f"{name}{FOLDED}"
            while named[name] in build.types:
                named[name] += FOLDED
            values[named[name]] = array.astype(np.float32)
            return build.parameter(named[name], array.shape)
        return build.value(named[name])

    for node in graph.nodes:
        if node.results[0] in inside:
            continue
        operands = [now[name] for name in node.operands]
        if (chain := chains.get(node.results[0])) is None:
            results = build.results(node.op, *operands, label=node.label, **node.attrs)
            now.update(zip(node.results, results, strict=True))
            continue
        if chain.weight is not None:
            operands[1] = folded(node.operands[1], chain.weight)
        y = build.op(node.op, *operands, label=node.label, **node.attrs)
        end = chain.trained or chain.nodes[-1]
        bias = None if chain.trained is None else now[chain.trained.operands[1]]
        if chain.takes_shift:
            shift = folded(chain.takes_shift, chain.shift)
            bias = shift if bias is None else build.add(bias, shift, label=f"{end.label}.sum")
        now[end.results[0]] = y if bias is None else build.bias_add(y, bias, label=end.label)
    after = build.graph(*(now[name] for name in graph.outputs))
    unread = [name for name in graph.parameters if not after.analysis.readers[name] and graph.analysis.readers[name]]
    after = replace(after, parameters=tuple(name for name in after.parameters if name not in unread),
                    types={name: kind for name, kind in after.types.items() if name not in unread})  # fmt: skip
    own = {new: name for name, new in named.items() if keep_names and name not in after.types}
    return after.renamed(own), {own.get(name, name): values[name] for name in after.parameters}


def _alike(chains: dict[str, _Chain]) -> dict[str, _Chain]:
    """The chains that fold: those that do more than a bias does, where one parameter becomes one other everywhere."""
    while True:
        left = {name: chain for name, chain in chains.items() if chain.does_more}
        made: dict[str, set[bytes]] = {}  # parameter -> what it would become
        reads: Counter[str] = Counter()
        for chain in left.values():
            for name, array in chain.becomes.items():
                made.setdefault(name, set()).add(array.tobytes())
                reads[name] += 1
        for result, chain in left.items():
            if any(len(made[name]) > 1 or reads[name] < chain.reads.get(name, 0) for name in chain.becomes):
                del chains[result]
                break
        else:
            return left


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
    y, weight = graph.types[layer.results[0]], layer.operands[1]
    along = _along(graph, layer) if graph.types[weight].needs_grad is False else None
    scale, shift, scaled = np.ones(y.shape[1]), np.zeros(y.shape[1]), None
    nodes: list[Node] = []
    shifts: list[str] = []
    reader = _only_reader(graph, layer)
    while reader is not None and (does := _does(graph, weights, reader, y.shape)) is not None:
        times, plus, parameters = does
        after = scale * times, shift * times + plus
        if (after[0] != 1).any() and along is None:
            break
        of_after = weights[weight] * after[0].reshape(along) if (after[0] != 1).any() and along else None
        if not _in_float32(after[1]) or (of_after is not None and not _in_float32(of_after)):
            break
        scale, shift, scaled = *after, of_after
        shifts += parameters
        nodes.append(reader)
        reader = _only_reader(graph, reader)
    ends_in_bias = reader is not None and ops.get(reader.op).epilogue == "bias" and reader.operands[1] in weights
    named = [name for name in shifts if not name.endswith(CONSTANT)]
    takes_shift = named[0] if named else f"{weight.removesuffix('.weight')}.bias" if shifts else ""
    reads = {name: len(graph.analysis.readers.get(name, ())) for name in (weight, takes_shift)}
    return _Chain(tuple(nodes), scaled, shift, weight, takes_shift, reader if ends_in_bias else None, reads)


def _in_float32(values: np.ndarray) -> bool:
    return bool((np.abs(values) <= np.finfo(np.float32).max).all())


def _only_reader(graph: Graph, node: Node) -> Node | None:
    index = graph.analysis.only_reader(node.results[0])
    return None if index is None else graph.nodes[index]


def _does(
    graph: Graph, weights: Weights, node: Node, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]] | None:
    """What a node does to its only operand that is no frozen parameter, of this shape: a scale and a shift a channel,
    and the parameters that are shifts; None where it does anything else. What becomes of 0 and of 1 tells."""
    op = ops.get(node.op)
    given = [index for index, name in enumerate(node.operands)
             if name in weights and graph.types[name].needs_grad is False]  # fmt: skip
    if len(node.operands) != 2 or len(given) != 1 or 1 - given[0] not in op.affine:
        return None
    parameter = np.asarray(weights[node.operands[given[0]]], np.float64)
    one_a_channel = (1, shape[1], *[1] * (len(shape) - 2))

    def of(number: float, by: np.ndarray) -> np.ndarray:
        operands = [np.full(one_a_channel, number), np.full(one_a_channel, number)]
        operands[given[0]] = by
        return op.evaluated(*operands, **node.attrs)[0]

    with np.errstate(divide="ignore", invalid="ignore"):
        shift, scale = of(0, parameter), of(1, parameter)
        adds = bool(of(0, np.ones_like(parameter)).any())
    if adds:  # beside a large shift the scale, 1 or -1, would be lost
        scale = of(1, np.zeros_like(parameter))
    if shift.shape != one_a_channel or not np.isfinite([scale, shift]).all():
        return None
    return scale.reshape(-1), shift.reshape(-1), (node.operands[given[0]],) if adds else ()
