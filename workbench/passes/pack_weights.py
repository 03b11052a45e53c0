"""Frozen weights in the order in which their kernel reads them quickest.

    before   %4 = qnn.conv2d(%x, %w, …)        after   %4 = qnn.conv2d(%x, %w.packed, …, packed=True)

They take the same room. Only where whoever reads them can take them so; a gradient operator, for one, cannot.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.labels import PACKED
from workbench.passes import Declined


def pack_weights(graph: Graph, weights: Mapping[str, np.ndarray]) -> tuple[Graph, dict[str, np.ndarray]]:
    """The graph, and the values of its parameters, those of which a kernel takes packed ones packed. Declines where
    there are none."""
    known, packed = graph.analysis, dict[str, np.ndarray]()
    for name in graph.parameters:
        if graph.types[name].needs_grad or name in known.outputs or name in known.written:
            continue
        made = [_packed(graph, graph.nodes[at], name, weights[name]) for at in known.readers[name]]
        first = made[0] if made else None
        if first is not None and all(each is not None and np.array_equal(each, first) for each in made):
            packed[name] = first
    if not packed:
        raise Declined("no frozen weights are such that a kernel takes them packed")
    names = {name: name + PACKED for name in packed}
    after = graph.renamed(names).with_nodes(
        replace(node, attrs={**node.attrs, "packed": True}) if packed.keys() & before.operands else node
        for before, node in zip(graph.nodes, graph.renamed(names).nodes, strict=True)
    )
    return after, {names.get(name, name): packed.get(name, values) for name, values in weights.items()}


def _packed(graph: Graph, node: Node, name: str, values: np.ndarray) -> np.ndarray | None:
    """These weights as a node takes them packed, or None."""
    places = [index for index, operand in enumerate(node.operands) if operand == name]
    packing = ops.get(node.op).packs.get(places[0]) if len(places) == 1 else None
    kinds = (graph.types[operand] for operand in node.operands)
    return packing.pack(values.reshape(graph.types[name].shape), *kinds, **node.attrs) if packing else None


def unpack_weights(graph: Graph, weights: Mapping[str, np.ndarray]) -> tuple[Graph, dict[str, np.ndarray]]:
    """What `pack_weights` was given, but for what later passes did: kernels without scratch take no packed ones."""
    values = dict(weights)
    for node in graph.nodes:
        for reader, operands in _readers(node):
            if reader.attrs.get("packed"):
                packing = ops.get(reader.op).packs
                values |= {operands[at]: packing[at].unpack(weights[operands[at]]) for at in packing}
    names = {name: name.removesuffix(PACKED) for name in graph.parameters if name.endswith(PACKED)}
    return _plain(graph).renamed(names), {names.get(name, name): value for name, value in values.items()}


def _readers(node: Node) -> Iterator[tuple[Node, tuple[str, ...]]]:
    """The node, or those of its body, and what their operands are called around it."""
    if node.body is None:
        yield node, node.operands
        return
    outer = dict(zip(node.body.inputs, node.operands, strict=True))
    yield from ((each, tuple(outer.get(name, "") for name in each.operands)) for each in node.body.nodes)


def _plain(graph: Graph) -> Graph:
    """The graph whose kernels take weights as they lie."""

    def plain(node: Node) -> Node:
        body = {"body": _plain(node.body)} if node.body else {}
        packed = {"packed": False} if "packed" in node.attrs else {}
        return replace(node, attrs={**node.attrs, **body, **packed})

    return graph.with_nodes(plain(node) for node in graph.nodes)
