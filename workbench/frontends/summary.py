"""A network as a person reads it: a line about it, then a row a layer, those of a big one in part.

mlp · float32 (1, 64) → (1, 10) · 6.46 k MACs · 6.57 k parameters · data digits
layer  operators                   result   parameters    MACs
fc1    nn.dense + bias_add + relu  (1, 64)      4.16 k   4.1 k
…
"""

from dataclasses import dataclass
from itertools import groupby

from workbench.ir import op as ops
from workbench.ir.graph import Graph
from workbench.units import quantity

MOST_ROWS, ENDS = 40, 16  # rows shown whole; of more, the first and the last
HIDDEN = (".factors", ".pixel", ".flatten", ".shape")  # ends of labels of nodes that only serve their layer
HEADS = ("layer", "operators", "result", "parameters", "MACs")


@dataclass(frozen=True)
class Layer:
    """Neighbouring nodes of one name: `parameters` are those that it reads first, `elements` how many values."""

    name: str
    operators: tuple[str, ...]
    dtype: str
    shape: tuple[int, ...]
    parameters: tuple[str, ...]
    elements: int
    macs: int

    @property
    def what(self) -> str:
        """nn.conv2d + bias_add + relu."""
        main, *others = self.operators
        return " + ".join([main, *(op.rpartition(".")[2] for op in others)])


def layers(graph: Graph) -> list[Layer]:
    """In order of execution, each with what ends it."""
    rows: list[Layer] = []
    seen: set[str] = set()
    for name, group in groupby(graph.nodes, lambda node: _layer(node.label) or f"%{node.results[0]}"):
        nodes = list(group)
        own = {name: None for node in nodes for name in node.operands if name in graph.parameters and name not in seen}
        seen |= own.keys()
        macs = sum(ops.get(n.op).macs(*(graph.types[name] for name in n.operands), **n.attrs) for n in nodes)
        operators = [node.op for node in nodes if not node.label.endswith(HIDDEN)] or [nodes[0].op]
        kind = graph.types[nodes[-1].results[0]]
        elements = sum(graph.types[name].elements for name in own)
        rows.append(Layer(name, tuple(operators), kind.dtype, kind.shape, tuple(own), elements, macs))
    return rows


def title(model) -> str:
    """The first line."""
    graph = model.graph
    source, output = (graph.types[names[0]] for names in (graph.inputs, graph.outputs))
    result = output.shape if output.dtype == source.dtype else output
    words = [model.name, f"{source} → {result}", f"{quantity(model.macs)} MACs"]
    words += [f"{quantity(model.parameter_count)} parameters"]
    words += [f"data {_called(model.data)}"] * bool(model.data) + [f"weights from {model.weights_from}"] * bool(
        model.weights_from
    )
    return " · ".join(words)


def _called(data) -> str:
    return data if isinstance(data, str) else repr(data)[1:-1].partition(" ")[2]


def summary(model) -> str:
    """The title and a row a layer; parameters count where they are read first."""
    rows = _rows(model.graph)
    widths = [max(len(row[at]) for row in (HEADS, *rows) if any(row[1:])) for at in range(len(HEADS))]
    return "\n".join([title(model), *(_line(row, widths) for row in (HEADS, *rows)), *_notes(model)])


def _notes(model) -> list[str]:
    return [f"note: {note}" for note in model.notes]


def _rows(graph: Graph) -> list[tuple[str, ...]]:
    """A row a layer, those of a big network in part."""
    rows: list[tuple[str, ...]] = [
        (layer.name, layer.what, str(layer.shape), quantity(layer.elements) if layer.parameters else "",
         quantity(layer.macs) if layer.macs else "")
        for layer in layers(graph)
    ]  # fmt: skip
    if len(rows) <= MOST_ROWS:
        return rows
    left_out = f"… {len(rows) - 2 * ENDS} more: `workbench inspect` prints all"
    return [*rows[:ENDS], (left_out, "", "", "", ""), *rows[-ENDS:]]


def _layer(label: str) -> str:
    layer, _, end = label.rpartition(".")
    return layer if layer and f".{end}" in (*HIDDEN, ".bias_add", ".relu", ".relu6", ".clip") else label


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [
        cell.ljust(width) if at < 3 else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
