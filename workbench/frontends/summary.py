"""A network as a person reads it: a line about it, then a row a layer, those of a big one in part.

mlp · float32 (1, 64) → (1, 10) · 6.46 k MACs · 6.57 k parameters · data digits
layer  operators                   result   parameters    MACs
fc1    nn.dense + bias_add + relu  (1, 64)      4.16 k   4.1 k
…
"""

from itertools import groupby

from workbench.ir import op as ops
from workbench.ir.graph import Graph
from workbench.units import quantity

MOST_ROWS, ENDS = 40, 16  # rows shown whole; of more, the first and the last
HIDDEN = (".factors", ".pixel", ".flatten", ".shape")  # ends of labels of nodes that only serve their layer
HEADS = ("layer", "operators", "result", "parameters", "MACs")


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
    if len(rows) > MOST_ROWS:
        left_out = f"… {len(rows) - 2 * ENDS} more: `workbench show` prints all"
        rows = [*rows[:ENDS], (left_out, "", "", "", ""), *rows[-ENDS:]]
    notes = [f"note: {note}" for note in model.notes]
    widths = [max(len(row[at]) for row in (HEADS, *rows) if any(row[1:])) for at in range(len(HEADS))]
    return "\n".join([title(model), *(_line(row, widths) for row in (HEADS, *rows)), *notes])


def _rows(graph: Graph) -> list[tuple[str, ...]]:
    """A row a layer: neighbours of one name, but for what ends it."""
    rows, seen = [], set()
    for layer, group in groupby(graph.nodes, lambda node: _layer(node.label) or f"%{node.results[0]}"):
        nodes = list(group)
        own = {name for node in nodes for name in node.operands if name in graph.parameters} - seen
        seen |= own
        macs = sum(ops.get(n.op).macs(*(graph.types[name] for name in n.operands), **n.attrs) for n in nodes)
        count = sum(graph.types[name].elements for name in own)
        main, *others = [node.op for node in nodes if not node.label.endswith(HIDDEN)] or [nodes[0].op]
        what = " + ".join([main, *(op.rpartition(".")[2] for op in others)])
        shape = str(graph.types[nodes[-1].results[0]].shape)
        rows.append((layer, what, shape, quantity(count) if own else "", quantity(macs) if macs else ""))
    return rows


def _layer(label: str) -> str:
    layer, _, end = label.rpartition(".")
    return layer if layer and f".{end}" in (*HIDDEN, ".bias_add", ".relu", ".relu6", ".clip") else label


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [
        cell.ljust(width) if at < 3 else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
