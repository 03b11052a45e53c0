"""Whole programs on Cortex-M4: the tables give what a walk along the disassembly does, one instruction at a time."""

import re
from typing import NamedTuple

import numpy as np
import pytest
from numba import cfunc
from objdump import disassemble
from timed_programs import NAMES, compiled, results_are_right, started
from tiny_firmware import BOARD

from workbench.trace import pointers
from workbench.trace.tracer import Tracer

LOADS, STORES = ("ldr", "ldrb", "ldrsb", "ldrh", "ldrsh"), ("str", "strb", "strh")
SEVERAL = ("push", "pop", "ldmia", "stmdb", "ldrd", "strd")
JUMPS = ("b", "bne", "bx")


class Step(NamedTuple):
    """An instruction that ran: its mnemonic, operands, the register it makes and those of its address."""

    begin: int
    end: int
    name: str
    operands: str
    result: str
    address: set[str]


@cfunc(pointers.block_signature)
def log_instruction(uc, address, size, user):
    count = pointers.get64(user, 0)
    pointers.put64(user, 1 + count, address + (size << 32))
    pointers.put64(user, 0, count + 1)


def step(reference, logged):
    begin, size = int(logged) & 0xFFFFFFFF, int(logged) >> 32
    name, operands = reference[begin]
    inside = re.search(r"\[(.*?)\]", operands)
    address = set(re.findall(r"r\d+|sp|lr|ip|fp|sl|pc", inside[1])) if inside else set()
    if name in ("push", "pop", "ldmia", "stmdb"):
        address = {"sp"}
    return Step(begin, begin + size, name, operands, re.split(r"\W", operands)[0], address)


def own_cycles(step):
    if step.name in LOADS:
        return 2
    if step.name in SEVERAL:
        return 3 if step.name[-1] == "d" else 2 + step.operands.count(",") - step.name.endswith(("ia", "db"))
    return 1


def walked(steps):
    """Cycles of the instructions in the order in which they ran."""
    total, unaligned = 0, 0
    for last, this in zip([None, *steps], steps, strict=False):
        follows = last is not None and last.end == this.begin
        across = this.end - this.begin == 4 and this.begin % 4 == 2
        unaligned = (unaligned + 1 if follows else 1) if across else 0
        total += own_cycles(this) + (unaligned == 3)
        if not follows:
            total += across
            total += 0 if last is None else 3 if last.name in ("pop", "ldmia") else 1
            assert last is None or last.name in (*JUMPS, "pop", "ldmia")
            continue
        literals = [each.address == {"pc"} for each in (last, this)]
        depends = last.result in this.address and last.name not in (*STORES, *SEVERAL)
        total += depends
        if this.name in LOADS and last.name in LOADS and literals[0] == literals[1] and not depends:
            total -= 1
        if this.name in LOADS and last.name in STORES and not literals[1]:
            total += 1
    return total


@pytest.mark.parametrize("name", NAMES)
def test_a_program_takes_what_its_instructions_take_one_after_another(tmp_path, name):
    elf = compiled(tmp_path, BOARD)
    machine, log = started(elf, BOARD), np.zeros(20_000, np.int64)
    tracer = Tracer(machine, [], [])
    tracer.attach()
    machine.add_native_hook("code", log_instruction.address, log.ctypes.data)
    tracer.begin_call()
    machine.call(f"program_{name}")
    assert results_are_right(machine, name)
    reference = disassemble(elf)
    steps = [step(reference, logged) for logged in log[1 : 1 + log[0]]]
    assert (len(steps), walked(steps)) == (tracer.totals().instructions, tracer.totals().cycles)
