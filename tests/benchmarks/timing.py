"""Cycles of three programs under the plain tables that the models had once, and under their rules of today.

    python tests/benchmarks/timing.py

A column a program; below the sum, what each of Cortex-M4's rules adds to it. Modelled, not measured.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from timed_programs import NAMES, compiled, results_are_right, started
from tiny_firmware import BOARD, BOARD_M7

from workbench.emulate.timing import MODELS, TimingModel, cortex_m4
from workbench.emulate.timing.decode import FLOAT_REGISTERS, Code, Kind
from workbench.emulate.timing.model import Costs, by_kind
from workbench.trace.tracer import Tracer

K = Kind
TAKEN = {"cortex-m4": 2, "cortex-m7": 1}  # cycles of every jump, beyond its own
LOADS = (K.LOAD, K.LOAD_SMALL)
MULTIPLIES = (K.MULTIPLY, K.MULTIPLY_ADD, K.LONG_MULTIPLY, K.LONG_MULTIPLY_ADD)
FLOATS = (K.FLOAT, K.FLOAT_MAC, K.FLOAT_DIVIDE)
LISTS = (K.LOAD_MULTIPLE, K.STORE_MULTIPLE, K.POP_JUMP)
STORES = (K.STORE, K.STORE_INDEXED, K.FLOAT_STORE)
JUMPS = (K.JUMP, K.JUMP_IF, K.CALL, K.RETURN, K.COMPARE_JUMP, K.REGISTER_JUMP, K.TABLE_JUMP)
ALONE = (*LISTS, K.DIVIDE, K.SYSTEM, K.FLOAT_DIVIDE)


def plain_m4(code: Code) -> Costs:
    """A load after a load pipelines, whatever its address; every taken jump takes 2 more; IT takes 1."""
    table = {K.DIVIDE: 7, K.FLOAT_MAC: 3, K.FLOAT_DIVIDE: 14} | dict.fromkeys(
        (*LOADS, K.LOAD_JUMP, K.STORE_INDEXED, K.SYSTEM), 2
    )
    cycles = np.where(code.of(*table), by_kind(code, table), 1)
    cycles = np.where(code.of(*LISTS, K.FLOAT_LOAD, K.FLOAT_STORE), 1 + code.transfers, cycles)
    before = code.before
    used = ((code.reads | code.late) & before.writes & FLOAT_REGISTERS) != 0
    cycles = np.where(code.of(*LOADS, K.LOAD_JUMP) & before.of(*LOADS), 1, cycles) + (before.of(*FLOATS) & used)
    return Costs(static=cycles, taken=np.full(len(cycles), TAKEN["cortex-m4"]))


def plain_m7(code: Code) -> Costs:
    """Pairs in straight-line code; results a cycle late, or two; all jumps predicted."""
    before = code.before
    several = code.of(*LISTS, K.FLOAT_LOAD, K.FLOAT_STORE)
    cycles = 1 + by_kind(code, {K.DIVIDE: 6, K.FLOAT_DIVIDE: 13})
    cycles = np.where(several, np.maximum(1, (code.transfers + 1) // 2), cycles)
    needs, written = code.reads | code.late, before.writes & ((np.uint64(1) << np.uint64(48)) - np.uint64(1))
    late = 2 * before.of(K.FLOAT_MAC) + before.of(K.FLOAT, K.LOAD, K.LOAD_SMALL, K.FLOAT_LOAD)
    cycles = cycles + np.where((needs & written) != 0, late, 0)
    refused = ((needs | code.writes) & written != 0) | code.of(*ALONE) | before.of(*ALONE, *JUMPS, K.NONE)
    for group in (MULTIPLIES, FLOATS, STORES):
        refused |= code.of(*group) & before.of(*group)
    index = np.arange(len(refused))
    last_first = np.maximum.accumulate(np.where(refused, index, -1))
    second = ~refused & ((index - last_first) % 2 == 1)
    return Costs(static=np.where(second, 0, cycles), taken=np.full(len(cycles), TAKEN["cortex-m7"]))


PLAIN = {"cortex-m4": TimingModel("plain", (plain_m4,)), "cortex-m7": TimingModel("plain", (plain_m7,))}


def counted(elf: Path, board, name: str, model: TimingModel) -> tuple[int, int]:
    """Instructions and cycles of one program."""
    machine = started(elf, board)
    tracer = Tracer(machine, [], [], timing=model)
    tracer.attach()
    tracer.begin_call()
    machine.call(f"program_{name}")
    if not results_are_right(machine, name):
        raise SystemExit(f"{name} is wrong on {board.core}")
    totals = tracer.totals()
    return totals.instructions, totals.cycles


def main() -> None:
    m4, m7 = MODELS["cortex-m4"], MODELS["cortex-m7"]
    with tempfile.TemporaryDirectory() as folder:
        for level in ("-O2", "-Os", "-O3"):
            elf = compiled(Path(folder), BOARD, level)
            print(f"{level:22s}" + "".join(f"{name:>14s}" for name in NAMES))
            row("instructions", [counted(elf, BOARD, name, m4)[0] for name in NAMES])
            row("cortex-m4, plain", [counted(elf, BOARD, name, PLAIN["cortex-m4"])[1] for name in NAMES])
            today = [counted(elf, BOARD, name, m4)[1] for name in NAMES]
            row("cortex-m4, rules", today)
            for rule in cortex_m4.RULES[1:]:
                without = [counted(elf, BOARD, name, m4.without(rule))[1] for name in NAMES]
                if today != without:
                    row(f"  {rule.__name__}", [cycles - other for cycles, other in zip(today, without, strict=True)])
            elf = compiled(Path(folder), BOARD_M7, level)
            row("cortex-m7, plain", [counted(elf, BOARD_M7, name, PLAIN["cortex-m7"])[1] for name in NAMES])
            row("cortex-m7, rules", [counted(elf, BOARD_M7, name, m7)[1] for name in NAMES])
            print()


def row(label: str, values: list[int]) -> None:
    print(f"{label:22s}" + "".join(f"{value:14,d}" for value in values), flush=True)


if __name__ == "__main__":
    main()
