"""Where every value lives, as C sees it and as the plan tables tell it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from workbench.autodiff import fed_targets, loss_nodes
from workbench.codegen.layers import layers_of
from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.types import TensorType
from workbench.kernels.call import CAST
from workbench.kernels.declared import reserved
from workbench.plan.memory import MemoryPlan, part_id, scratch_id
from workbench.tables import BufferRow, OpRow

ARENA = "wb_arena"


@dataclass(frozen=True)
class Layout:
    """Rows of buffers.csv and ops.csv, the storage root of every value, and the buffer row of every root.

    A partly updated weight has two rows: `row` holds its updated part, in SRAM, and `rest` the part in flash.
    """

    buffers: tuple[BufferRow, ...]
    ops: tuple[OpRow, ...]
    root: Mapping[str, str]
    row: Mapping[str, BufferRow]  # by storage root; scratch by scratch_id
    rest: Mapping[str, BufferRow]  # by parameter

    def pointer(self, graph: Graph, value: str) -> str:
        """The C expression for the address of `value`."""
        row = self.row[self.root[value]]
        if row.storage == "arena":
            return f"{CAST[graph.types[value].dtype]}({ARENA}, {row.offset})"
        return f"&{row.symbol}" if graph.types[self.root[value]].rank == 0 else row.symbol


def lay_out(graph: Graph, plan: MemoryPlan) -> Layout:
    """The tables of a training step under its memory plan."""
    root = graph.analysis.root
    work, phase = graph.analysis.work, graph.analysis.phases
    updated = graph.analysis.written
    targets = fed_targets(graph)
    loss_values = {node.results[0] for node in loss_nodes(graph)}
    role = {name: "label" if name in targets else "input" for name in graph.inputs}
    for node, part in zip(work, phase, strict=True):
        for index, result in enumerate(node.results):
            role.setdefault(result, _role(part, index))
    label = _labels(graph)
    called = {node.results[0]: node.label if node.body else label[node.results[0]] for node in work}
    rows: dict[str, BufferRow] = {}
    for storage in plan.liveness.arena:
        for index, (begin, end, upper) in enumerate(storage.parts if storage.lower < storage.upper else ()):
            name = f"tail of {label[storage.name]}" + (f" {index}" if index > 1 else "")
            rows[part_id(storage.name, index)] = BufferRow(
                len(rows), name if index else label[storage.name], role[storage.name], "arena", ARENA,
                plan.offset(storage) + begin, end - begin, storage.lower, upper,
                values=() if index else storage.values, **({} if index else _told(graph.types[storage.name])),
            )  # fmt: skip
    for position, node in enumerate(work):
        first = node.results[0]
        if first in plan.scratch:
            rows[scratch_id(first)] = BufferRow(
                len(rows), f"scratch of {called[first]}", "scratch", "arena", ARENA, plan.scratch_offset(first),
                plan.scratch[first], position, position + 1,
            )  # fmt: skip
    symbols = set(reserved())
    rest: dict[str, BufferRow] = {}
    for storage in plan.liveness.static:
        name = storage.name
        kept_as = "parameter" if name in graph.parameters else "state" if name in graph.state else "scalar"
        where = "flash" if kept_as == "parameter" and name not in updated else "sram"
        stem = {"parameter": "p_", "state": "s_"}.get(kept_as, "wb_") + ("loss" if name in loss_values else name)
        belongs_to = {"parameter": name, "state": name.rpartition(".")[0], "scalar": ""}
        symbol = c_identifier(stem, symbols)
        symbols.add(symbol)
        kind = graph.types[name]
        rows[name] = BufferRow(
            len(rows), label[name], kept_as, where, symbol, 0,
            kind.updated.bytes, None, None, parameter=belongs_to[kept_as], values=storage.values,
            **_told(kind.updated),
        )  # fmt: skip
        if isinstance(kind.needs_grad, tuple):
            axis, count = kind.needs_grad
            rest_shape = (*kind.shape[:axis], kind.shape[axis] - count, *kind.shape[axis + 1 :])
            rows[name] = replace(rows[name], axis=axis, begin=0, end=count)
            symbol = c_identifier(symbol + "_rest", symbols)
            symbols.add(symbol)
            rest[name] = rows[rest_id(name)] = BufferRow(
                len(rows), f"rest of {label[name]}", kept_as, "flash", symbol, 0, kind.bytes - kind.updated.bytes,
                None, None, parameter=name, axis=axis, begin=count, end=kind.shape[axis],
                **_told(replace(kind, shape=rest_shape, needs_grad=False)),
            )  # fmt: skip
    operators = tuple(
        OpRow(
            position,
            _function(position, len(work), node),
            called[node.results[0]],
            part,
            *_accesses(node, position, root, rows),
            layer,
        )
        for position, (node, part, layer) in enumerate(zip(work, phase, layers_of(graph, root), strict=True))
    )
    return Layout(tuple(rows.values()), operators, root, rows, rest)


def _told(kind: TensorType) -> dict:
    """The columns shape and dtype of a row that holds a value of this type."""
    return {"shape": kind.shape, "dtype": kind.dtype}


def rest_id(parameter: str) -> str:
    return f"rest.{parameter}"


def c_identifier(stem: str, taken: set[str]) -> str:
    """`stem` with everything but letters, digits and _ replaced, and a number where it is taken."""
    plain = symbol = re.sub(r"\W", "_", stem, flags=re.ASCII)
    number = 2
    while symbol in taken:
        symbol, number = f"{plain}_{number}", number + 1
    return symbol


def c_literals(values: np.ndarray) -> list[str]:
    """`c_literal` of each of these int8, int32 or float32 values: half a million of them in a tenth of a second."""
    if values.dtype.kind != "f":
        return list(map(str, values.tolist()))
    words = (f"{value:.9g}" for value in values.tolist())
    return [f"{word}f" if "." in word or "e" in word else f"{word}.0f" for word in words]


def _role(phase: str, index: int) -> str:
    """The role of an operator's result number `index`: those after the first are masks or places of maxima."""
    if phase in {"forward", "loss"}:
        return "mask" if index else "activation"
    return "gradient"


def _labels(graph: Graph) -> dict[str, str]:
    """Value -> a name for people; where two would be the same, the later one gets its IR name as well."""
    label, seen = {name: name for name in graph.arguments}, set(graph.arguments)
    for node in graph.nodes:
        for index, result in enumerate(node.results):
            text = node.label or result
            text = text if index == 0 else f"{text}.{graph.suffix(result)}"
            text = graph.label(result) if node.body else text
            text = f"{text}.{result}" if text in seen else text
            label[result] = text
            seen.add(text)
    return label


def _function(position: int, count: int, node: Node) -> str:
    short = re.sub(r"\W", "_", node.op.rsplit(".", 1)[-1])
    return f"op_{position:0{max(3, len(str(count - 1)))}d}_{short}"


Ids = tuple[int, ...]


def _accesses(
    node: Node, position: int, root: Mapping[str, str], rows: Mapping[str, BufferRow]
) -> tuple[Ids, Ids, Ids]:
    """The ids of the buffers that an operator reads and writes, and of its scratch."""
    read = {root[name] for name in node.operands}
    taken = () if node.body else ops.get(node.op).taken(node.attrs)
    overwritten = {root[node.operands[index]] for index in taken if index is not None}
    read |= {rest_id(name) for name in read - overwritten if rest_id(name) in rows}
    reads = sorted({row.id for name in read for row in _living(name, position, rows)})
    writes = sorted({row.id for name in node.results for row in _living(root[name], position, rows)})
    scratch = rows.get(scratch_id(node.results[0]))
    return tuple(reads), tuple(writes), (scratch.id,) if scratch else ()


def _living(storage: str, position: int, rows: Mapping[str, BufferRow]) -> Iterator[BufferRow]:
    """The parts of a storage that are alive at a position."""
    for index in count():
        row = rows.get(part_id(storage, index))
        if row is None:
            return
        if row.upper is None or position < row.upper:
            yield row
