"""A compiled step as it runs on a board: its kernels' schedules, its sums, and its memory planned for them."""

from dataclasses import replace

from workbench.artifacts import Compiled
from workbench.boards import Board
from workbench.ir.graph import Graph
from workbench.ir.liveness import peak_bytes
from workbench.passes.arithmetic import with_fused_multiply_adds
from workbench.plan.memory import plan_memory
from workbench.schedule.places import with_room
from workbench.schedule.tuned import Tuned, with_schedules


def on_board(compiled: Compiled, board: Board, tuned: Tuned) -> Compiled:
    """The compiled step as it runs on a board; by rule where what ships would need more SRAM than that."""
    step = _replanned(compiled, with_schedules(compiled.graph, tuned))
    if tuned.by_default and step.memory.plan.bytes > compiled.memory.plan.bytes:
        step = compiled
    return replace(step, graph=with_fused_multiply_adds(step.graph)) if board.fuses else step


def with_less_scratch(compiled: Compiled, arena: int) -> Compiled | None:
    """The step with kernels of other schedules, so that its arena has at most so many bytes; None where it has them
    already, or where that does not help."""
    if compiled.memory.plan.bytes <= arena:
        return None
    graph = with_room(compiled.graph, arena)
    if peak_bytes(graph) > arena:
        return None
    less = _replanned(compiled, graph)
    return less if less.memory.plan.bytes <= arena else None


def _replanned(compiled: Compiled, graph: Graph) -> Compiled:
    """The step of another graph, which differs in its scratch at most."""
    scratch = graph.analysis.scratch
    memory = compiled.memory if scratch == compiled.graph.analysis.scratch else plan_memory(graph, scratch)
    return replace(compiled, graph=graph, memory=memory)
