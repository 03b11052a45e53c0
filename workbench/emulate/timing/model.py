"""A core's cycle table as the tracer uses it, and the prefix sums that give a block's cycles in two look-ups."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workbench.emulate.symbols import Elf
from workbench.emulate.timing.decode import Code, decode


@dataclass(frozen=True)
class TimingModel:
    """A documented approximation of a core's timing.

    name            how reports call it, assumptions included: 'cortex-m4, zero wait states'
    static_cycles   Code -> int array: the cycles of each instruction when it runs right after the one before it
    taken_branch    cycles added while running, whenever the next block is not the one that follows in memory
    """

    name: str
    static_cycles: Callable[[Code], np.ndarray]
    taken_branch: int


@dataclass(frozen=True)
class CodeTables:
    """Prefix sums over the halfwords of an ELF's code, from `base`: a block [start, end) holds
    instructions[(end - base) / 2] - instructions[(start - base) / 2] instructions; cycles alike."""

    base: int
    instructions: np.ndarray
    cycles: np.ndarray


def code_tables(elf: Elf, model: TimingModel) -> CodeTables:
    """Instruction starts and static cycles of an ELF, summed (int32, one element more than there are halfwords)."""
    code = decode(elf)
    base = int(code.address[0])
    halfwords = (max(end for _, end in elf.code_ranges) - base) // 2
    at = (code.address - base) // 2 + 1
    instructions, cycles = np.zeros(halfwords + 1, np.int32), np.zeros(halfwords + 1, np.int32)
    instructions[at], cycles[at] = 1, model.static_cycles(code)
    return CodeTables(base, np.cumsum(instructions, dtype=np.int32), np.cumsum(cycles, dtype=np.int32))


def follows(code: Code) -> np.ndarray:
    """Whether each instruction lies directly behind the one before it in the table."""
    after = code.address + np.where(code.wide, 4, 2)
    return np.append(False, code.address[1:] == after[:-1])
