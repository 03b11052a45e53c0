"""Compute at compile time what depends on frozen parameters alone.

    before   %3 = transpose(%w);  %4 = nn.matmul(%x, %3)        after   %4 = nn.matmul(%x, %w.folded)

Frozen: wants no gradient, and no node writes into its storage. A view costs nothing: it is looked through, and stays if
something else reads it. What makes an output stays. Frozen parameters that nobody reads any more are dropped.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.rewrite import without_dead_code
from workbench.ir.types import NUMPY
from workbench.passes import Declined


def fold_constants(graph: Graph, weights: Mapping[str, np.ndarray]) -> tuple[Graph, dict[str, np.ndarray]]:
    """The graph, and the values of its parameters, constants folded. Declines where there is nothing to fold.

    `weights` holds a value for every parameter. New parameters are called by what they are made of: `conv1.folded`.
    """
    root, written = graph.analysis.root, graph.analysis.written
    known = {name: _as_stored(weights[name], graph, name) for name in _frozen(graph) if name not in written}
    stays = set(graph.outputs) | {name for name in root if root[name] in written}
    called = {name: name for name in known}  # known value -> what its parameter would be called by
    computed: set[str] = set()
    folded: dict[str, str] = {}  # computed value that a node reads -> the new parameter that holds it
    nodes = []
    for node in graph.nodes:
        results = {} if stays.intersection(node.results) else _constant_results(node, known, graph)
        known |= results
        for name in results:
            called[name] = node.label or (called[node.operands[0]] if node.operands else node.op)
        if results and not ops.get(node.op).view:
            computed |= results.keys()
            continue
        for name in sorted(computed.intersection(node.operands) - folded.keys()):
            folded[name] = _free_name(f"{called[name]}.folded", {*graph.types, *weights, *folded.values()})
        nodes.append(replace(node, operands=tuple(folded.get(name, name) for name in node.operands)))
    if not computed:
        raise Declined("no node depends on frozen parameters alone")
    after = _with_parameters(graph, nodes, folded)
    values = dict(weights) | {folded[name]: known[name] for name in folded}
    return after, {name: values[name] for name in after.parameters}


def _frozen(graph: Graph) -> list[str]:
    return [name for name in graph.parameters if graph.types[name].needs_grad is False]


def _constant_results(node: Node, known: Mapping[str, np.ndarray], graph: Graph) -> dict[str, np.ndarray]:
    """Result -> its value, if all operands are known and a parameter can hold it: no bits."""
    if not all(name in known for name in node.operands):
        return {}
    if any(graph.types[name].dtype == "bit" for name in node.results):
        return {}
    values = ops.get(node.op).evaluated(*(known[name] for name in node.operands), **node.attrs)
    return {name: _as_stored(value, graph, name) for name, value in zip(node.results, values, strict=True)}


def _as_stored(value: np.ndarray, graph: Graph, name: str) -> np.ndarray:
    """As the interpreter holds it, so that sums run over it in the same order."""
    return np.array(value, NUMPY[graph.types[name].dtype], order="C")


def _free_name(plain: str, taken: set[str]) -> str:
    name, number = plain, 2
    while name in taken:
        name, number = f"{plain}.{number}", number + 1
    return name


def _with_parameters(graph: Graph, nodes: list[Node], folded: Mapping[str, str]) -> Graph:
    """The graph of these nodes and the new parameters, without what is not read any more."""
    types = dict(graph.types) | {new: graph.types[value] for value, new in folded.items()}
    parameters = (*graph.parameters, *folded.values())
    after = without_dead_code(replace(graph, parameters=parameters, types=types).with_nodes(nodes))
    known = after.analysis
    unread = {name for name in _frozen(after) if not known.readers[name] and name not in known.outputs}
    types = {name: kind for name, kind in after.types.items() if name not in unread}
    return replace(after, parameters=tuple(name for name in parameters if name not in unread), types=types)
