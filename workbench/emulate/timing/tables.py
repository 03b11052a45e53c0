"""A program's instructions and cycles, summed, so that a block takes two look-ups and the way to the next one two more.

    span.cycles    0  1  3  4  4  6 ...       a block [start, end) takes cycles[end] - cycles[start],
    span.edges     (taken of what ends here, entered of what begins here), and edges[end].taken + edges[start'].entered
                                              where the next block starts at another start' than its end

A jump to the instruction right behind it so counts as none. Code lies in spans, so that a function in RAM does not make
a table as long as the way from flash to RAM.
"""

from dataclasses import dataclass

import numpy as np

from workbench.emulate.symbols import Elf
from workbench.emulate.timing.decode import decode
from workbench.emulate.timing.model import TimingModel
from workbench.errors import ToolchainError

GAP = 1 << 16  # bytes without code that part two spans; literal pools and constants within one are shorter


@dataclass(frozen=True)
class Span:
    """The code of an address range from `base` on: int32 arrays, one element more than there are halfwords.

    instructions, cycles   prefix sums up to each halfword (cycles: static ones)
    edges                  `taken` of the instruction that ends there · 2¹⁶ + `entered` of the one that begins there
    """

    base: int
    instructions: np.ndarray
    cycles: np.ndarray
    edges: np.ndarray

    @property
    def end(self) -> int:
        """The address behind its last halfword."""
        return self.base + 2 * (len(self.cycles) - 1)


@dataclass(frozen=True)
class CodeTables:
    """All spans of an ELF's code, by address. Addresses below are scalars or arrays, of code that the ELF has."""

    spans: tuple[Span, ...]

    def instructions(self, begin, end) -> np.ndarray:
        """Instructions in the blocks [begin, end)."""
        return self._look_up("instructions", end) - self._look_up("instructions", begin)

    def cycles(self, begin, end) -> np.ndarray:
        """Static cycles of the blocks [begin, end)."""
        return self._look_up("cycles", end) - self._look_up("cycles", begin)

    def edge_cycles(self, end, begin) -> np.ndarray:
        """Cycles of going from a block that ends at `end` to one that begins at `begin`: 0 where they are the same."""
        taken, entered = self._look_up("edges", end) >> 16, self._look_up("edges", begin).astype(np.int16)
        return np.where(np.equal(end, begin), 0, taken + entered)

    def holds(self, begin, end) -> np.ndarray:
        """Whether the blocks [begin, end) lie in one of the spans."""
        begin, end = np.asarray(begin, np.int64), np.asarray(end, np.int64)
        return np.any([(span.base <= begin) & (end <= span.end) for span in self.spans], axis=0)

    def _look_up(self, column: str, address) -> np.ndarray:
        address = np.asarray(address, np.int64)
        of = np.searchsorted([span.base for span in self.spans], address, side="right") - 1
        result = np.zeros(address.shape, np.int32)
        for number, span in enumerate(self.spans):
            inside = (of == number) & (address <= span.end)
            result[inside] = getattr(span, column)[(address[inside] - span.base) // 2]
        return result


def code_tables(elf: Elf, model: TimingModel) -> CodeTables:
    """Instruction starts and cycles of an ELF. Raises ToolchainError where it has no code."""
    code = decode(elf)
    if not len(code.address):
        raise ToolchainError(f"{elf.path.name} holds no code", "is it linked, with its symbols?")
    costs = model.costs(code)
    after = code.address + np.where(code.wide, 4, 2)
    reach = np.maximum.accumulate(after)  # overlays share addresses: the last one counts
    cuts = np.flatnonzero(code.address[1:] - reach[:-1] > GAP) + 1
    spans = []
    for begin, end in zip([0, *cuts], [*cuts, len(after)], strict=True):
        base = int(code.address[begin])
        instructions, cycles, edges = np.zeros((3, (int(reach[end - 1]) - base) // 2 + 1), np.int32)
        own = slice(begin, end)
        at, behind = (code.address[own] - base) // 2, (after[own] - base) // 2
        instructions[at + 1], cycles[at + 1] = 1, costs.static[own]
        edges[at] = costs.entered[own] & 0xFFFF
        edges[behind] += costs.taken[own] << 16
        spans.append(Span(base, np.cumsum(instructions, dtype=np.int32), np.cumsum(cycles, dtype=np.int32), edges))
    return CodeTables(tuple(spans))
