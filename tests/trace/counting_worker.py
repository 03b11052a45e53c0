"""What a process of a pool does in test_side_by_side: a module of its own, so that a spawned process can import it."""

import hashlib
from pathlib import Path

from workbench.boards import Board
from workbench.emulate.machine import Machine
from workbench.trace.tracer import Tracer


def measure(elf: Path, board: Board, buffers, ops) -> tuple:
    """Every count of two traced calls, and a digest of the memory they leave."""
    machine = Machine(elf, board)
    machine.start()
    tracer = Tracer(machine, buffers, ops, "memory")
    tracer.attach()
    for _ in range(2):
        tracer.begin_call()
        machine.call("wb_train_step")
    tables = tracer.op_profile().to_csv(), tracer.accesses().to_csv(), tracer.violations().to_csv()
    return *tables, tracer.totals(), hashlib.sha256(machine.snapshot_sram()).hexdigest()
