"""A graph as the tables that its picture is drawn from: nodes with their phase, edges with their bytes."""

import pandas as pd

from workbench import units
from workbench.ir.diff import aligned
from workbench.ir.graph import Graph, Node
from workbench.report.graph_figure import EDGES, NODES, Drawn


def drawn(title: str, graph: Graph, full: Graph | None = None) -> Drawn:
    """The tables of a graph; beside `full`, which it is a part of, with what it drops of that."""
    nodes = [(node, graph, phase, False) for node, phase in _phases(graph)]
    if full is not None:
        graph, steps = aligned(full, graph)
        nodes = [(node, graph, phase, False) for node, phase in _phases(graph)]
        gone = {at for what, first, behind, _, _ in steps if what != "equal" for at in range(first, behind)}
        nodes += [(node, full, phase, True) for at, (node, phase) in enumerate(_phases(full)) if at in gone]
    types = {**(full.types if full else {}), **graph.types}
    made = {result: at for at, (node, *_) in reversed(list(enumerate(nodes))) for result in node.results}
    rows = [_row(*each) for each in nodes]
    for name in graph.inputs:
        if graph.types[name].rank and any(name in node.operands for node, *_ in nodes):
            made[name] = len(rows)
            rows.append((name, _shape(graph, name), "input", (), (), False))
    edges = {
        (made[name], at, name): (types[name].bytes, dropped)
        for at, (node, _, _, dropped) in enumerate(nodes)
        for name in node.operands
        if name in made and made[name] != at
    }
    return Drawn(title, pd.DataFrame(rows, columns=NODES), pd.DataFrame(
        [(*key, *value) for key, value in sorted(edges.items())], columns=EDGES))  # fmt: skip


def _phases(graph: Graph) -> list[tuple[Node, str]]:
    """Every node with its phase; a view has that of what it shows."""
    known = graph.analysis
    phase = {node.results[0]: phase for node, phase in zip(known.work, known.phases, strict=True)}
    found = []
    for node in graph.nodes:
        maker = next((phase[name] for name in node.operands if name in phase), "forward")
        mine = phase.get(node.results[0], maker)
        phase |= dict.fromkeys(node.results, mine)
        found.append((node, mine))
    return found


def _row(node: Node, graph: Graph, phase: str, dropped: bool) -> tuple:
    read = [name for name in dict.fromkeys(node.operands) if name in graph.persistent]
    told = {name: f"{name} {_size(graph, name)}{_part(graph, name)}" for name in read}
    trained = tuple(told[name] for name in read if name in graph.state or graph.types[name].needs_grad)
    return _op(node), node.label, phase, trained, tuple(told[n] for n in read if told[n] not in trained), dropped


def _op(node: Node) -> str:
    """The operator, of a region those in it."""
    if node.body is None:
        return node.op
    return f"region of {len(node.body.nodes)}, by {'channels' if node.attrs.get('axis') == 'channels' else 'rows'}"


def _part(graph: Graph, name: str) -> str:
    part = graph.types[name].needs_grad
    return f", {part[1] / graph.types[name].shape[part[0]]:.3g} of it" if isinstance(part, tuple) else ""


def _size(graph: Graph, name: str) -> str:
    """Without a blank, at which a line could be broken."""
    return units.size(graph.types[name].bytes).replace(" ", "\N{NO-BREAK SPACE}")


def _shape(graph: Graph, name: str) -> str:
    return "×".join(map(str, graph.types[name].shape))
