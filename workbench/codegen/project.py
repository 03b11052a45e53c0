"""The C project: straight-line code, one function a node, sizes and offsets as literals, only the kernels used.

Makefile board.ld sections.ld startup.c main.c      how it becomes firmware.elf
model.h ops_0.c … schedule.c parameters.c           the training step
instances.h instances_0.c … kernels/                the kernels, with the sizes of this network
buffers.csv ops.csv graph.txt                       what the tracer and the reports know of it
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from workbench.boards import Board
from workbench.codegen.build_files import board_script, makefile
from workbench.codegen.header import accumulates, counts, declaration, model_header
from workbench.codegen.layout import ARENA, Layout, c_literals, lay_out
from workbench.errors import ModelError
from workbench.ir.graph import Graph, Node
from workbench.ir.text import print_graph
from workbench.ir.types import NUMPY
from workbench.kernels.call import Places, c_literal, call_of
from workbench.kernels.declared import sources, templates
from workbench.kernels.instances import Instances, included
from workbench.plan.memory import MemoryPlan
from workbench.schedule.emit import region_lines
from workbench.tables import BufferRow, OpRow, write_csv

NODES_A_FILE = 50
REGION_HEADER = "tiles.h"  # what the loops of regions need besides kernels
NO_RATES: Mapping[str, float] = {"lr": 0.0, "lr_bias": 0.0}


@dataclass(frozen=True)
class Project:
    """File name -> text, and the plan tables. `save` writes it all into a folder; `make` builds firmware.elf there.

    `instances`: kernels that have a schedule, by the names of their functions -> what that was chosen by.
    """

    files: Mapping[str, str]
    buffers: tuple[BufferRow, ...]
    ops: tuple[OpRow, ...]
    instances: Mapping[str, str] = field(default_factory=dict)

    @property
    def static(self) -> int:
        """Bytes of SRAM that parameters, state and scalars take; the linker pads them."""
        return sum(row.size for row in self.buffers if row.storage == "sram")

    @property
    def constant(self) -> int:
        """Bytes of flash that parameters take: frozen ones, and the initial values of the others."""
        return sum(row.size for row in self.buffers if row.storage == "flash" or row.role == "parameter")

    def save(self, folder: Path) -> None:
        for name, text in self.files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        write_csv(Path(folder) / "buffers.csv", self.buffers, BufferRow)
        write_csv(Path(folder) / "ops.csv", self.ops, OpRow)


def generate(
    graph: Graph,
    plan: MemoryPlan,
    weights: Mapping[str, np.ndarray],
    board: Board,
    rates: Mapping[str, float] = NO_RATES,
    loops: str = "",
) -> Project:
    """The project of a training step; `rates` are the initial values of its scalars lr and lr_bias. `loops`: naive ones
    in the place of kernels (see kernels/naive).

    Raises GraphError for a node without a kernel, ModelError for bad weights.
    """
    layout = lay_out(graph, plan)
    work = graph.analysis.work
    instances = Instances(loops)
    functions = [_operator(graph, layout, node, row, instances) for node, row in zip(work, layout.ops, strict=True)]
    files = {name: (templates() / name).read_text(encoding="utf-8") for name in ("startup.c", "main.c", "sections.ld")}
    files |= {f"kernels/{name}": text for name, text in sources(sorted({*instances.headers(), REGION_HEADER})).items()}
    files["model.h"] = model_header(graph, layout, plan, rates, board)
    for number, start in enumerate(range(0, len(work), NODES_A_FILE)):
        part = slice(start, start + NODES_A_FILE)
        includes = '#include "model.h"\n#include "instances.h"\n'
        includes += included([REGION_HEADER] if any(node.body for node in work[part]) else [])
        files[f"ops_{number}.c"] = f"/* The operators, in execution order. */\n{includes}\n" + "\n".join(
            functions[part]
        )
    files |= instances.files()
    files["schedule.c"] = _schedule(layout)
    files["parameters.c"] = parameters(graph, layout, weights, rates)
    files["board.ld"] = board_script(board)
    files["Makefile"] = makefile(board, sorted(name for name in files if name.endswith(".c")))
    files["graph.txt"] = print_graph(graph)
    return Project(files, layout.buffers, layout.ops, instances.literals)


def _operator(graph: Graph, layout: Layout, node: Node, row: OpRow, instances: Instances) -> str:
    scratch = [f"{ARENA} + {layout.buffers[identifier].offset}" for identifier in row.scratch]
    if node.body:
        lines = region_lines(node, _places(graph, layout, node), "".join(scratch), instances)
    else:
        lines = instances.call(call_of(node, _places(graph, layout, node), scratch=scratch))
    return f"/* {row.node} */\nvoid {row.symbol}(void)\n{{\n" + "".join(f"    {line}\n" for line in lines) + "}\n"


def _places(graph: Graph, layout: Layout, node: Node) -> Places:
    """Where the operands and results of a node are."""
    names = [name for name in (*node.operands, *node.results) if graph.types[name].bytes]
    rest = {name: part.symbol for name in node.operands if (part := layout.rest.get(layout.root[name]))}
    return Places(graph.types, {name: layout.pointer(graph, name) for name in names}, rest)


def _schedule(layout: Layout) -> str:
    def calls(rows):
        return "".join(f"    {row.symbol}();\n" for row in rows)

    forward = calls(row for row in layout.ops if row.phase == "forward")
    before_update = calls(row for row in layout.ops if row.phase != "update")
    accumulate = f"void wb_accumulate(void)\n{{\n{before_update}}}\n\n" if accumulates(layout) else ""
    return (
        '/* The order of execution. */\n#include "model.h"\n\n'
        f'__attribute__((section(".bss..arena"), aligned(8))) uint8_t {ARENA}[sizeof {ARENA}];\n'
        f"{'' if counts(layout) else 'uint32_t wb_step;'}\n\n"
        f"void wb_forward(void)\n{{\n{forward}}}\n\n"
        f"{accumulate}"
        f"void wb_train_step(void)\n{{\n{calls(layout.ops)}    ++wb_step;\n}}\n"
    )


def parameters(graph: Graph, layout: Layout, weights: Mapping[str, np.ndarray], rates: Mapping[str, float]) -> str:
    parts = ['/* Parameters: updated ones in SRAM, frozen ones in flash; and the scalars. */\n#include "model.h"\n']
    for row in layout.buffers:
        if row.storage == "arena":
            continue
        if row.role != "parameter":
            initial = f" = {c_literal(rates[row.name])}" if row.role == "scalar" and rates.get(row.name) else ""
            parts.append(f"{declaration(graph, row)}{initial};\n")
            continue
        if row.parameter not in weights:
            raise ModelError(f"no values for parameter {row.parameter}")
        kind = graph.types[row.parameter]
        values = np.asarray(weights[row.parameter], NUMPY[kind.dtype])
        if values.size != kind.elements:
            raise ModelError(f"parameter {row.parameter} needs {kind.elements} values, got {values.size}")
        values = kind.stored(values) if row.axis is None else _part(values.reshape(kind.shape), row)
        if not np.isfinite(values).all():
            raise ModelError(f"parameter {row.parameter} holds values that are not finite")
        by_words = " __attribute__((aligned(4)))" if kind.dtype == "int8" and row.storage == "flash" else ""
        parts.append(f"{declaration(graph, row)}{by_words} = {{\n{_numbers(values)}\n}};\n")
    return "\n".join(parts)


def _part(values: np.ndarray, row: BufferRow) -> np.ndarray:
    """The elements of a split weight that a row holds, flat."""
    axis = row.axis or 0
    return np.moveaxis(np.moveaxis(values, axis, 0)[row.begin : row.end], 0, axis).reshape(-1)


def _numbers(values: np.ndarray) -> str:
    """Eight C literals a line."""
    words = c_literals(values)
    return "\n".join("    " + ", ".join(words[start : start + 8]) + "," for start in range(0, len(words), 8))
