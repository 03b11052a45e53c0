"""A compiled step as it runs on a board: its kernels' schedules, its sums, and its memory planned for them."""

from dataclasses import replace

from workbench.artifacts import Compiled
from workbench.boards import Board
from workbench.ir import op as ops
from workbench.ir.graph import Graph
from workbench.ir.liveness import peak_bytes
from workbench.kernels.naive import has_naive
from workbench.passes.arithmetic import with_fused_multiply_adds
from workbench.passes.pack_weights import unpack_weights
from workbench.plan.conventional import plan_step
from workbench.schedule.places import with_room
from workbench.schedule.tuned import Tuned, with_schedules


def on_board(compiled: Compiled, board: Board, tuned: Tuned) -> Compiled:
    """The compiled step as it runs on a board."""
    step = _with_naive_loops(compiled) if tuned.loops else _with_kernels(compiled, tuned)
    return replace(step, graph=with_fused_multiply_adds(step.graph)) if board.fuses else step


def _with_kernels(compiled: Compiled, tuned: Tuned) -> Compiled:
    """By rule where what ships would need more SRAM than that."""
    step = _replanned(compiled, with_schedules(compiled.graph, tuned))
    return compiled if tuned.by_default and step.memory.plan.bytes > compiled.memory.plan.bytes else step


def _with_naive_loops(compiled: Compiled) -> Compiled:
    """Weights as they lie, and no scratch of kernels whose place naive loops take; that of regions stays."""
    plain = with_plain_weights(compiled)
    kernels = {node.results[0]: ops.get(node.op).kernel for node in plain.graph.nodes}
    needed = {
        result: size for result, size in plain.graph.analysis.scratch.items()
        if not ((kernel := kernels[result]) and has_naive(kernel))
    }  # fmt: skip
    return replace(plain, memory=plan_step(plain.graph, needed, compiled.schedule))


def with_less_scratch(compiled: Compiled, arena: int) -> Compiled | None:
    """The step with kernels of other schedules, so that its arena has at most so many bytes: where it must be, such as
    take no packed weights. None where it has them already, or where that does not help."""
    if compiled.memory.plan.bytes <= arena:
        return None
    for step in (compiled, with_plain_weights(compiled)):
        graph = with_room(step.graph, arena)
        if peak_bytes(graph) <= arena:
            less = _replanned(step, graph)
            if less.memory.plan.bytes <= arena:
                return less
    return None


def with_plain_weights(compiled: Compiled) -> Compiled:
    """The step none of whose weights are packed."""
    graph, weights = unpack_weights(compiled.graph, compiled.weights)
    return replace(compiled, graph=graph, weights=weights)


def _replanned(compiled: Compiled, graph: Graph) -> Compiled:
    """The step of another graph, which differs in its scratch at most."""
    scratch = graph.analysis.scratch
    kept = scratch == compiled.graph.analysis.scratch
    memory = compiled.memory if kept else plan_step(graph, scratch, compiled.schedule)
    return replace(compiled, graph=graph, memory=memory)
