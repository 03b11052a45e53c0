"""The C project of the conventional baseline: a runtime that reads the network from tables, and kernels for any shape.

Makefile board.ld sections.ld startup.c main.c      as of every project
runtime.h runtime.c heap.c kernel_call.h            the executor, the tape, the heap
network.h tables.c ops_0.c parameters.c             the network, as data in flash
kernels.c kernels/                                  a wrapper a kernel, compiled once for all shapes
calls.ci                                            what pointers call, for the stack's reserve
buffers.csv ops.csv graph.txt                       what the tracer and the reports know of it

An operator of the table is a function of two instructions, so that its symbol stays. Which parts of this there are,
says a Baseline (workbench/baseline.py).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from workbench.baseline import Baseline
from workbench.boards import Board
from workbench.codegen.build_files import board_script, makefile
from workbench.codegen.header import accumulates, counts, model_header
from workbench.codegen.layout import ARENA, Layout, lay_out
from workbench.codegen.project import Project, parameters
from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.text import print_graph
from workbench.ir.types import TensorType
from workbench.kernels.call import Address, Argument, Call, Extent, Places, View, call_of, tiled_by
from workbench.kernels.declared import header, sources, templates
from workbench.kernels.instances import Instances, included
from workbench.ops.fused_squares import GRADIENTS, squared_name
from workbench.ops.fused_update import FUSED
from workbench.plan.conventional import is_own
from workbench.plan.memory import MemoryPlan, scratch_id
from workbench.plan.tape import Tape, tape_of
from workbench.tables import BufferRow, OpRow

RUNTIME = ("runtime.c", "runtime.h", "kernel_call.h", "heap.c")
ROLE = "runtime"  # of headers, records and tables in SRAM
NONE, SCRATCH = "WB_NONE", "WB_SCRATCH"
_TABLE = r"\(\{ static const int16_t table\[\] = (\{[^}]*\}); table; \}\)"
TYPES = {"float32": "WB_F32", "int32": "WB_I32", "int16": "WB_I16", "int8": "WB_I8", "bit": "WB_BITS"}


def generate_conventional(
    graph: Graph,
    plan: MemoryPlan,
    weights: Mapping[str, np.ndarray],
    board: Board,
    rates: Mapping[str, float],
    parts: Baseline,
) -> Project:
    """The project of a training step that has these parts of the conventional way."""
    return _Network(graph, plan, parts).project(weights, board, rates)


def kernel_functions() -> dict[str, str]:
    """Every kernel that a library for any network has -> its header: not those of operators that only a pass of ours
    makes, an update fused with its gradient, and not those of tiles alone."""
    ours = {name for name, *_ in FUSED.values()} | {squared_name(name) for name in GRADIENTS}
    return {
        function: op.kernel.header
        for op in ops.registered().values()
        if op.kernel is not None and op.kernel.whole and op.name not in ours
        for function in op.kernel.functions
    }


def wrappers(functions: Mapping[str, str]) -> str:
    """kernels.c: a wrapper for each of these kernels (function -> header)."""
    texts = [_wrapper(function, functions[function]) for function in sorted(functions)]
    return (
        "/* kernels.c - the kernels for any shape: a function each, which gets record and tensors as data. */\n"
        '#define WB_ANY_SHAPE 1\n#pragma GCC diagnostic ignored "-Wmaybe-uninitialized" /* tiles of any size */\n'
        f'#include "kernel_call.h"\n{included(functions.values())}\n' + "\n".join(texts)
    )


@cache
def _wrapper(function: str, of: str) -> str:
    first, *declared = header(of).declarations[function]
    struct = first.split()[-2]
    several = next((i for i, text in enumerate(declared) if "*const *" in text), len(declared))

    def argument(index: int, text: str) -> str:
        at = str(index) if index <= several else f"call->count - {len(declared) - index}"
        if text.startswith("wb_tile"):
            return f"wb_tile_of(call, {at})"
        if view := re.match(r"wb_view_(\w+)", text):
            return f"wb_view_of_{view[1]}(call, {at})"
        return f"({text[: text.rindex('*') + 1]})(call->at + {at})" if index == several else f"call->at[{at}]"

    passed = ", ".join(argument(index, text) for index, text in enumerate(declared))
    body = f"{function}(*(const {struct} *)call->record, {passed});"
    return f"wb_kernel run_{function};\nvoid run_{function}(const wb_call *call)\n{{\n    {body}\n}}\n"


@dataclass(frozen=True)
class _Calls:
    """A node's kernel call, and its arguments: a tensor's name each, NONE or SCRATCH."""

    call: Call
    arguments: tuple[str, ...]


class _Network:
    """A training step as tables. Tensors are known by the names of values, second arrays of weights by `rest of`."""

    def __init__(self, graph: Graph, plan: MemoryPlan, parts: Baseline):
        self.graph, self.plan, self.parts = graph, plan, parts
        self.tape: Tape = tape_of(graph)
        self.layout: Layout = lay_out(graph, plan)
        self.work = graph.analysis.work
        self.root = graph.analysis.root
        self.storages = [s.name for s in plan.liveness.arena if s.lower < s.upper]
        self.calls = [self._call(node) for node in self.work]
        self.tensors: dict[str, int] = {}  # its name -> its number
        self.lists: list[int | str] = []
        self.kernels: dict[str, int] = {}  # a function that calls a kernel -> its number
        self.records: dict[str, str] = {}  # a record's text -> the name of its variable

    def project(self, weights: Mapping[str, np.ndarray], board: Board, rates: Mapping[str, float]) -> Project:
        names = ("startup.c", "main.c", "sections.ld")
        files = {name: (templates() / name).read_text(encoding="utf-8") for name in names}
        files |= {name: (templates() / "conventional" / name).read_text(encoding="utf-8") for name in RUNTIME}
        if not self.parts.heap:
            del files["heap.c"]
        used = {each.call.function: each.call.header for each in self.calls}
        functions = kernel_functions() | used if self.parts.every_operator else used
        if self.parts.any_shape:
            self.kernels = {f"run_{function}": at for at, function in enumerate(sorted(functions))}
        instances = Instances()
        files["model.h"] = model_header(self.graph, self.layout, self.plan, rates, board)
        files["tables.c"] = self._tables(instances)
        files["network.h"] = self._sizes()
        if self.parts.any_shape:
            files["kernels.c"] = wrappers(functions)
        else:
            files |= instances.files()
        headers = sorted({*functions.values(), "tiles.h"})
        files |= {f"kernels/{name}": text for name, text in sources(headers).items()}
        files["ops_0.c"] = self._operators()
        files["parameters.c"] = parameters(self.graph, self.layout, weights, rates)
        files["calls.ci"] = self._indirect_calls()
        files["board.ld"] = board_script(board)
        files["Makefile"] = makefile(board, sorted(name for name in files if name.endswith(".c")))
        files["graph.txt"] = print_graph(self.graph)
        return Project(files, *self._with_runtime(), instances.literals)

    # ------------------------------------------------------------------ the tables of the tracer

    def _with_runtime(self) -> tuple[tuple[BufferRow, ...], tuple[OpRow, ...]]:
        """Rows for what the runtime keeps in SRAM, and for the heap's headers and the tape's records; every operator
        may read and write all of these that are alive."""
        rows = list(self.layout.buffers)
        if self.parts.heap:
            kept = {
                "wb_places": 4 * len(self.storages),
                "wb_counts": 2 * len(self.storages),
                "wb_free_list": 4,
                "wb_tape": 4,
            }
        else:
            kept = {"wb_taped": 2 * len(self.tape.gradients), "wb_tape": 2}
        for symbol, size in kept.items():
            rows.append(BufferRow(len(rows), symbol, ROLE, "sram", symbol, 0, size, None, None))
        for buffer in filter(is_own, self.plan.plan.buffers):
            kind, number = buffer.id.split(".")[:2]
            name = f"header at {number}" if kind == "header" else f"record of {self.layout.ops[int(number)].node}"
            rows.append(
                BufferRow(len(rows), name, ROLE, "arena", ARENA, buffer.offset, buffer.size, buffer.lower, buffer.upper)
            )
        own = [row for row in rows if row.role == ROLE]
        operators = []
        for row in self.layout.ops:
            alive = tuple(b.id for b in own if b.lower is None or b.lower <= row.position < (b.upper or 0))
            operators.append(replace(row, reads=(*row.reads, *alive), writes=(*row.writes, *alive)))
        return tuple(rows), tuple(operators)

    # ------------------------------------------------------------------ the C

    def _call(self, node: Node, address=lambda name: name) -> _Calls:
        """The call of a node's kernel, with `address` of each tensor in the place of where it is."""
        names = [name for name in (*node.operands, *node.results) if self.graph.types[name].bytes]
        rest = {name: f"rest of {self.root[name]}" for name in node.operands if self.root[name] in self.layout.rest}
        places = Places(self.graph.types, {name: name for name in names}, rest)
        scratch = [SCRATCH] if node.results[0] in self.plan.scratch else []
        call = call_of(node, places, scratch=scratch)
        tensors = [name for each in call.arguments for name in _tensors(each, node)]
        return _Calls(call, tuple(tensors))

    def _operators(self) -> str:
        functions = (f"void {row.symbol}(void)\n{{\n    wb_execute({row.position});\n}}\n" for row in self.layout.ops)
        return '/* The operators, by name. */\n#include "model.h"\n#include "runtime.h"\n\n' + "\n".join(functions)

    def _tables(self, instances: Instances) -> str:
        """Everything that is data; the tensors and lists come to be while the nodes are written."""
        runs = [self._run(position, instances) for position in range(len(self.work))]
        nodes = [self._node(position, run) for position, (run, _) in enumerate(runs)]
        fed = self._list(self._number(name) for name in self.graph.inputs if name in self.storages)
        updates = self._list(self.tape.updates)
        declared = [f"wb_kernel {name};" for name in self.kernels] if self.parts.any_shape else []
        texts = [text for _, text in runs if text]
        arena = f'__attribute__((section(".bss..arena"), aligned(8))) uint8_t {ARENA}[sizeof {ARENA}];'
        headers = (
            included({each.call.header for each in self.calls}) if self.parts.any_shape else '#include "instances.h"\n'
        )
        return "\n".join([
            "/* tables.c - the network as data. */", '#include "model.h"', '#include "runtime.h"', headers,
            arena, *([] if counts(self.layout) else ["uint32_t wb_step;"]), "", *declared, *texts,
            *(_constant(name, record) for record, name in self.records.items()),
            "", "wb_kernel *const wb_kernels[] = {", *(f"    {name}," for name in self.kernels), "};",
            "", "const wb_tensor wb_tensors[] = {", *(f"    {self._tensor(name)}," for name in self.tensors), "};", "",
            "const wb_node wb_nodes[] = {", *(f"    {node}," for node in nodes), "};", "",
            "const uint16_t wb_lists[] = {", *_in_rows([*self.lists, 0]), "};", "",
            f"const wb_list wb_fed = {fed}, wb_updates = {updates};", *self._places(), "",
        ])  # fmt: skip

    def _sizes(self) -> str:
        told = {
            "WB_HEAP": int(self.parts.heap), "WB_STORAGES": len(self.storages), "WB_NODES": len(self.work),
            "WB_TAPED": max(1, len(self.tape.gradients)), "WB_FORWARD": self.tape.forward,
            "WB_BACKWARD": self.tape.backward, "WB_ARGUMENTS": max(len(each.arguments) for each in self.calls),
            "WB_ACCUMULATES": int(accumulates(self.layout)),
        }  # fmt: skip
        lines = "".join(f"#define {name} {number}\n" for name, number in told.items())
        about = "/* network.h - the sizes of this network's tables. */"
        return f"{about}\n#ifndef NETWORK_H\n#define NETWORK_H\n\n{lines}\n#endif\n"

    def _run(self, position: int, instances: Instances) -> tuple[str, str]:
        """The function that calls a node's kernel, and its text where it is of this node alone."""
        each = self.calls[position]
        if self.parts.any_shape:
            return f"run_{each.call.function}", ""
        index = {name: at for at, name in reversed(list(enumerate(each.arguments)))}
        call = replace(each.call, arguments=tuple(_at(argument, index) for argument in each.call.arguments))
        lines = "".join(f"    {line}\n" for line in instances.call(call))
        self.kernels[f"run_{position}"] = position
        return f"run_{position}", f"static void run_{position}(const wb_call *call)\n{{\n{lines}}}\n"

    def _node(self, position: int, run: str) -> str:
        node, row, each = self.work[position], self.layout.ops[position], self.calls[position]
        record = "0"
        if self.parts.any_shape:
            record = "&" + self.records.setdefault(each.call.record, f"wb_record_{len(self.records)}")
        arguments = self._list(name if name in (NONE, SCRATCH) else self._number(name) for name in each.arguments)
        reads = self._list(self._number(name) for name in node.operands if self.root[name] in self.storages)
        makes = self._list(self._number(name) for name in node.results if name in self.storages)
        gradients = self._list(self.tape.gradients.get(position, ()))
        scratch, update = self.plan.scratch.get(node.results[0], 0), int(row.phase == "update")
        numbers = f"{self.kernels[run]}, {record}, {scratch}, {update}"
        return f"{{ {row.symbol}, {numbers}, {arguments}, {reads}, {makes}, {gradients} }}"

    def _number(self, name: str) -> int:
        return self.tensors.setdefault(name, len(self.tensors))

    def _list(self, numbers: Iterable[int | str]) -> str:
        added = list(numbers)
        first = len(self.lists)
        self.lists += added
        return f"{{ {first}, {len(added)} }}"

    def _tensor(self, name: str) -> str:
        of = name.removeprefix("rest of ")
        kind: TensorType = self.graph.types[of]
        shape = ", ".join(map(str, kind.as_images))
        root = self.root[of]
        if root in self.storages:
            return f"{{ 0, {{ {shape} }}, {self.storages.index(root)}, {TYPES[kind.dtype]} }}"
        fixed = self.layout.rest[of].symbol if of != name else self.layout.pointer(self.graph, of)
        return f"{{ {fixed}, {{ {shape} }}, 0, {TYPES[kind.dtype]} }}"

    def _places(self) -> list[str]:
        """Without a heap: where each storage, and each node's scratch, is planned."""
        if self.parts.heap:
            return []
        offsets = self.plan.plan.offsets()
        scratch = [offsets.get(scratch_id(node.results[0]), 0) for node in self.work]
        planned = [offsets[name] for name in self.storages]
        return [
            "",
            "extern const uint32_t wb_places[];",
            "const uint32_t wb_places[] = {",
            *_in_rows([*planned, *scratch]),
            "};",
        ]

    def _indirect_calls(self) -> str:
        """As gcc tells calls in its .ci files."""
        entries = ("wb_forward", "wb_differentiate", "wb_train_step")
        calls = [(entry, row.symbol) for entry in entries for row in self.layout.ops]
        calls += [("wb_execute", name) for name in self.kernels]
        return "".join(f'edge: {{ sourcename: "{source}" targetname: "{target}" }}\n' for source, target in calls)


def _tensors(argument: Argument, node: Node) -> list[str]:
    """The names of the tensors that an argument stands for."""
    if argument is None:
        return [NONE]
    if isinstance(argument, Extent):
        return [tiled_by(node)]
    if isinstance(argument, Address) and argument.several:
        return list(argument.several)
    return [argument.at]


def _at(argument: Argument, index: Mapping[str, int]) -> Argument:
    """The argument where the runtime has put it."""
    if isinstance(argument, View):
        return replace(argument, at=f"call->at[{index[argument.at]}]")
    if isinstance(argument, Address):
        several = tuple(f"call->at[{index[name]}]" for name in argument.several)
        return replace(argument, at="" if several else f"call->at[{index[argument.at]}]", several=several)
    return argument


def _constant(name: str, record: str) -> str:
    """A record, `(struct){ … }`, as a constant outside of functions; a table in it (ops/_tables.py) is one too."""
    struct, _, text = record.removeprefix("(").partition(")")
    text = re.sub(_TABLE, r"(const int16_t[])\1", text)
    return f"static const {struct} {name} = {text};"


def _in_rows(numbers: Sequence[int | str]) -> list[str]:
    return ["    " + ", ".join(map(str, numbers[start : start + 16])) + "," for start in range(0, len(numbers), 16)]
