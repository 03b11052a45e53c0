"""Training steps on a warm machine that is watched, by turns: what overheads are measured with."""

import time
from collections.abc import Callable, Mapping

from workbench.emulate.machine import Machine
from workbench.trace.flows import Flow
from workbench.trace.tracer import Tracer

Step = Callable[[], float]  # runs a step, and gives its seconds


def timed_step(machine: Machine, buffers: list, ops: list, level: str = "off", *, flow: bool = False,
               memory: bool = False) -> tuple[Step, Tracer]:  # fmt: skip
    """A step of a machine that was started, traced so; `flow`: calls are counted, `memory`: and bytes by region. One
    has run already, which translates the program."""
    tracer = Tracer(machine, buffers, ops, level)
    if flow:
        Flow(machine, tracer.timing, memory=memory, code=tracer.code).attach()
    tracer.attach()

    def step() -> float:
        tracer.begin_call()
        for placed in tracer.placed:
            if placed.row.lower == 0:
                tracer.host_wrote(placed.begin, placed.row.size)
        began = time.perf_counter()
        machine.call("wb_train_step")
        return time.perf_counter() - began

    step()
    return step, tracer


def best_of(repeats: int, steps: Mapping[str, Step]) -> dict[str, float]:
    """The fewest seconds of each, which run by turns."""
    best = dict.fromkeys(steps, float("inf"))
    for _ in range(repeats):
        for how, step in steps.items():
            best[how] = min(best[how], step())
    return best
