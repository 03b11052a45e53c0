"""The three schedules as lists of passes; the graph is verified after each, and what each one did is recorded."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from workbench.errors import GraphError, InternalError, WorkbenchError
from workbench.ir.graph import Graph
from workbench.ir.liveness import liveness
from workbench.ir.verify import verify
from workbench.passes.bit_masks import save_bit_masks
from workbench.passes.dead_code import eliminate_dead_code
from workbench.passes.early_update import early_update

PASSES: dict[str, Callable[[Graph], Graph]] = {
    "bit-masks": save_bit_masks,
    "dead-code": eliminate_dead_code,
    "early-update": early_update,
}

SCHEDULES = {
    "vanilla": ("bit-masks", "dead-code"),
    "reordered": ("bit-masks", "dead-code", "early-update"),
    "optimized": ("bit-masks", "dead-code", "early-update"),
}


@dataclass(frozen=True)
class Applied:
    """What one pass did: nodes and peak live arena bytes before and after, and seconds."""

    name: str
    nodes: tuple[int, int]
    peak_bytes: tuple[int, int]
    seconds: float


def run_schedule(graph: Graph, schedule: str) -> tuple[Graph, tuple[Applied, ...]]:
    """Run the passes of `schedule` (vanilla, reordered or optimized) over a training step."""
    if schedule not in SCHEDULES:
        raise WorkbenchError(f"no schedule is called {schedule!r}", f"there are {', '.join(SCHEDULES)}")
    record = []
    for name in SCHEDULES[schedule]:
        before, start = graph, time.perf_counter()
        try:
            graph = verify(PASSES[name](before))
        except GraphError as error:
            raise InternalError(f"pass {name} broke the graph: {error.message}") from error
        seconds = time.perf_counter() - start
        record.append(Applied(name, (len(before.nodes), len(graph.nodes)),
                              (liveness(before).peak, liveness(graph).peak), seconds))  # fmt: skip
    return graph, tuple(record)
