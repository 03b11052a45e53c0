"""Refuse a graph that breaks a rule of the IR; the message names the node."""

import re

from workbench.errors import GraphError, WorkbenchError, shown
from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.op import Op

NAME_LENGTH = 200
NAME = re.compile(rf"[\w.\-/]{{1,{NAME_LENGTH}}}")  # what the text form and the plan tables can hold
DERIVED = re.compile(rf"[\w.\-/]{{1,{2 * NAME_LENGTH}}}")  # and what is called after it: update.NAME.weight


def verify(graph: Graph) -> Graph:
    """Give `graph` back if every rule holds, else raise GraphError.

    Names hold letters, digits, _ . - and / only. Every operand is made before it is read, every value once; types are
    what the operator infers; a result takes over an operand of its own node with room for it, whose storage no other
    operand is that the kernel needs whole; nothing is read after its storage was taken over.
    """
    known = graph.analysis.memo
    if known.get("verified"):
        return graph
    for name in (*graph.types, *(node.label for node in graph.nodes if node.label)):
        if not DERIVED.fullmatch(name):
            raise GraphError(f"{shown(name)} is no name: up to {NAME_LENGTH} letters, digits, _ . - and / only")
    made = set(graph.arguments)
    if len(made) != len(graph.arguments):
        raise GraphError("an argument is declared twice")
    for position, node in enumerate(graph.nodes):
        where = f"node {position}, %{', %'.join(node.results)} = {node.op}"
        kind = ops.get(node.op)
        for operand in node.operands:
            if operand not in made:
                raise GraphError(f"{where}: %{operand} is read before it is made")
        for result in node.results:
            if result in made:
                raise GraphError(f"{where}: %{result} is made twice")
        _verify_types(graph, node, kind, where)
        made.update(node.results)
    for output in graph.outputs:
        if output not in made:
            raise GraphError(f"output %{output} is never made")
    unknown = set(graph.types) ^ made
    if unknown:
        raise GraphError(f"%{', %'.join(sorted(unknown))} has a type and no maker, or a maker and no type")
    _verify_takeovers(graph)
    known["verified"] = True
    return graph


def _verify_types(graph: Graph, node: Node, kind: Op, where: str) -> None:
    types = [graph.types[operand] for operand in node.operands]
    try:
        expected = kind.result_types(types, kind.complete(node.attrs))
    except WorkbenchError as error:  # whatever the operator objects to
        raise GraphError(f"{where}: {error.message}") from None
    found = tuple(graph.types[result] for result in node.results)
    if found != expected:
        raise GraphError(f"{where}: expected {', '.join(map(str, expected))}, got {', '.join(map(str, found))}")
    if node.over and len(node.over) != len(node.results):
        raise GraphError(f"{where}: {len(node.results)} results but {len(node.over)} takeovers")
    taken = kind.taken(node.attrs)
    for index, name in enumerate(node.over):
        if name and name not in node.operands:
            raise GraphError(f"{where}: takes over %{name}, which is not its operand")
        if name and graph.types[node.results[index]].bytes > graph.types[name].bytes:
            raise GraphError(f"{where}: %{node.results[index]} does not fit into %{name}")
        if name and not kind.may_take(node, graph.types, index, name):
            raise GraphError(f"{where}: {node.op} cannot work in place on %{name}")
    for index, operand in enumerate(taken):
        if operand is not None and node.over[index : index + 1] != (node.operands[operand],):
            raise GraphError(f"{where}: must take over %{node.operands[operand]}")


def _verify_takeovers(graph: Graph) -> None:
    root = graph.analysis.root
    taken_by: dict[str, int] = {}  # value -> position of the node that took its storage
    living: dict[str, list[str]] = {}  # storage -> its readable values
    for name in graph.arguments:
        living.setdefault(root[name], []).append(name)
    for position, node in enumerate(graph.nodes):
        for operand in node.operands:
            if operand in taken_by:
                taker = graph.nodes[taken_by[operand]]
                raise GraphError(
                    f"node {position}, {node.op}: reads %{operand} after node {taken_by[operand]}, {taker.op}, "
                    "took over its storage"
                )
        able = ops.get(node.op).can_take(node.operands)
        for name in node.overwrites:
            read = [operand for operand in node.operands if root[operand] == root[name]]
            if len(read) > 1 and not set(read) <= set(able):
                raise GraphError(
                    f"node {position}, {node.op}: takes over %{name}, but reads its storage as another operand"
                )
            for value in living[root[name]]:
                taken_by[value] = position
            living[root[name]] = []
        for result in node.results:
            living.setdefault(root[result], []).append(result)
    for output in graph.outputs:
        if output in taken_by:
            raise GraphError(f"output %{output} is gone: node {taken_by[output]} took over its storage")
