"""Watches the stack pointer and the bytes above its limit, instruction by instruction: for replays, not for every run.

      | arena          | guard …                 free                  | stack |
                       ^ wb_stack_limit                          sp ->

A stack that grew past its limit and an operator that wrote past the arena's end leave the same bytes overwritten; only
the stack pointer tells one from the other.
"""

from dataclasses import dataclass

import numpy as np
from numba import cfunc

from workbench.emulate.machine import Machine
from workbench.jit import CACHED
from workbench.trace import state as s
from workbench.trace.hooks import UC_MEM_WRITE, stack_pointer
from workbench.trace.pointers import block_signature, get64, memory_signature, put64

TRACE_AT, PC, GUARD_BEGIN, GUARD_END = range(4)
LOWEST, LOWEST_PC, LOWEST_ROW = 4, 5, 6
WRITTEN, WRITTEN_PC, WRITTEN_ROW = 7, 8, 9  # the lowest write into the guard
SIZE = 10


def _instruction(uc, address, size, watch):
    put64(watch, PC, address)
    put64(get64(watch, TRACE_AT), s.BLOCK, address)  # what the tracer reports then has the very instruction
    sp = stack_pointer(get64(watch, TRACE_AT))
    if sp < get64(watch, LOWEST):
        put64(watch, LOWEST, sp)
        put64(watch, LOWEST_PC, address)
        put64(watch, LOWEST_ROW, get64(get64(watch, TRACE_AT), s.ROW))


def _access(uc, kind, address, size, value, watch):
    inside = get64(watch, GUARD_BEGIN) < address + size and address < get64(watch, GUARD_END)
    if inside and kind == UC_MEM_WRITE and address < get64(watch, WRITTEN):
        put64(watch, WRITTEN, address)
        put64(watch, WRITTEN_PC, get64(watch, PC))
        put64(watch, WRITTEN_ROW, get64(get64(watch, TRACE_AT), s.ROW))
    return True


on_instruction = cfunc(block_signature, cache=CACHED)(_instruction)
on_access = cfunc(memory_signature, cache=CACHED)(_access)


@dataclass(frozen=True)
class Reach:
    """How far something reached: the lowest address, the instruction, and the position it belongs to."""

    address: int
    pc: int
    position: int


class StackWatch:
    """What the stack did while a tracer watched the same machine. `guard` is [begin, end) in the address space."""

    def __init__(self, machine: Machine, trace_state: np.ndarray, guard: tuple[int, int]):
        self._state = np.zeros(SIZE, np.int64)
        self._state[TRACE_AT] = trace_state.ctypes.data
        self._state[[GUARD_BEGIN, GUARD_END]] = guard
        self._state[[LOWEST, WRITTEN]] = machine.stack_top, s.TOP
        machine.add_native_hook("code", on_instruction.address, self._state.ctypes.data)
        machine.add_native_hook("memory", on_access.address, self._state.ctypes.data)

    @property
    def stack(self) -> Reach:
        """Where the stack pointer was lowest."""
        return self._reach(LOWEST)

    @property
    def written(self) -> Reach | None:
        """The lowest write into the guard, by whomever."""
        return self._reach(WRITTEN) if self._state[WRITTEN] < s.TOP else None

    def _reach(self, at: int) -> Reach:
        address, pc, row = map(int, self._state[at : at + 3])
        return Reach(address, pc, row - 1)
