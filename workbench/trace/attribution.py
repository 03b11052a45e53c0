"""The tables the callbacks look things up in: which operator a block belongs to, who owns a byte, who may touch it.

code     halfword -> instructions and cycles before it, the cycles of control that comes here from elsewhere or goes on
         elsewhere, and a tag: entry of position k, code outside operators, or keep; a table a span of code
owners   byte of SRAM or flash -> buffer; brought forward in time by a list of births and deaths
"""

from dataclasses import dataclass

import numpy as np

from workbench.emulate.symbols import Elf
from workbench.emulate.timing import CodeTables
from workbench.errors import RecordError
from workbench.tables import BufferRow, OpRow
from workbench.trace import state as s

ENTRIES = ("wb_forward", "wb_accumulate", "wb_train_step", "main")
MAY_READ, MAY_WRITE = 1, 2
SRAM_REGION_END = 0x40000000  # Armv7-M's memory map, whatever part of it the board has


@dataclass(frozen=True)
class Placed:
    """Where a buffer lies: [begin, end) in the address space."""

    row: BufferRow
    begin: int
    end: int


def place(elf: Elf, buffers: list[BufferRow], sram_base: int) -> list[Placed]:
    """Addresses of the plan's buffers. Raises RecordError for one that does not lie where its storage says.

    A board may have less SRAM than the firmware was linked for: that is a fault when it runs, not here.
    """
    placed = []
    for row in buffers:
        begin = elf.address(row.symbol) + row.offset
        within = sram_base <= begin < SRAM_REGION_END
        if within != (row.storage != "flash"):
            raise RecordError(f"buffer {row.name} ({row.symbol}+{row.offset}) does not lie in {row.storage}")
        placed.append(Placed(row, begin, begin + row.size))
    return placed


def code_table(tables: CodeTables, elf: Elf, ops: list[OpRow]) -> list[np.ndarray]:
    """For each span int32 [halfwords + 1, 4]: instructions before, cycles before, tag, edges (see state.py)."""
    rows = []
    for span in tables.spans:
        table = np.zeros((len(span.cycles), 4), np.int32)
        table[:, 0], table[:, 1], table[:, 3] = span.instructions, span.cycles, span.edges
        rows.append(table)
    entries = {elf.symbol(op.symbol).address for op in ops}
    for symbol in _drivers(elf, entries):
        for span, table in zip(tables.spans, rows, strict=True):
            if span.base <= symbol.address < span.end:
                begin = (symbol.address - span.base) // 2
                table[begin : begin + (symbol.size + 1) // 2, 2] = s.DRIVER
    for op in ops:
        address = elf.symbol(op.symbol).address
        for span, table in zip(tables.spans, rows, strict=True):
            if span.base <= address < span.end:
                table[(address - span.base) // 2, 2] = op.position + 1
    return rows


def _drivers(elf: Elf, entries: set[int]):
    """Functions outside operators: the firmware's entries, and whatever calls an operator."""
    callers = [source for source, target in _calls(elf) if target in entries]
    at = np.sort(np.array(callers, np.int64))
    for symbol in elf.symbols:
        if symbol.kind != "function" or symbol.address in entries:
            continue
        first = np.searchsorted(at, symbol.address)
        calls = first < len(at) and at[first] < symbol.address + symbol.size
        if symbol.name in ENTRIES or calls:
            yield symbol


def _calls(elf: Elf):
    """(address, target) of every BL and B.W (a tail call). Encodings T1 and T4, Armv7-M manual A7.7.12 and A7.7.18."""
    for begin, end in elf.code_ranges:
        halves = np.frombuffer(elf.code(begin, end), np.uint16).astype(np.int64)
        first, second = halves[:-1], halves[1:]
        at = np.flatnonzero((first & 0xF800 == 0xF000) & (second & 0x9000 == 0x9000))
        first, second = first[at], second[at]
        sign = first >> 10 & 1
        i1, i2 = 1 - (second >> 13 & 1 ^ sign), 1 - (second >> 11 & 1 ^ sign)
        offset = (first & 0x3FF) << 12 | (second & 0x7FF) << 1 | i1 << 23 | i2 << 22
        source = begin + 2 * at
        yield from zip(source.tolist(), (source + 4 + offset - (sign << 24)).tolist(), strict=True)


def owner_code(index: int) -> int:
    """How a buffer stands in an owner map, its bytes written."""
    return 2 * (index + 1)


def sram_owners(elf: Elf, placed: list[Placed], base: int, size: int, stack_top: int) -> np.ndarray:
    """int32 for each byte of SRAM before anything of the arena is alive."""
    owners = np.full(size, s.NOBODY, np.int32)
    for symbol in elf.symbols:
        if symbol.kind == "object" and base <= symbol.address < base + size:
            owners[symbol.address - base : symbol.address - base + symbol.size] = s.STATIC
    if elf.has("wb_stack_limit"):
        owners[elf.address("wb_stack_limit") - base : stack_top - base] = s.STACK
    begin, end = arena(elf, placed)
    owners[max(0, begin - base) : max(0, end - base)] = s.NOBODY
    for index, buffer in enumerate(placed):
        if buffer.row.storage == "sram":
            owners[buffer.begin - base : buffer.end - base] = owner_code(index)
    return owners


def flash_owners(elf: Elf, placed: list[Placed], base: int, size: int) -> np.ndarray:
    """int32 for each byte of flash that the firmware fills; of the rest, nobody's, there is none.

    Constants are anybody's, but for the vector table (where a null pointer leads) and what surrounds a buffer in its
    symbol. Code, padding and the initial values of .data are nobody's.
    """
    flash = [(index, buffer) for index, buffer in enumerate(placed) if buffer.row.storage == "flash"]
    ends = [segment.address + len(segment.data) for segment in elf.segments] + [buffer.end for _, buffer in flash]
    owners = np.full(max(end - base for end in ends if end <= base + size), s.NOBODY, np.int32)
    for begin, end in elf.constants:
        if base < begin < base + size:
            owners[begin - base : end - base] = s.CONSTANT
    names = {buffer.row.symbol for _, buffer in flash}
    for symbol in elf.symbols:
        if symbol.name in names:
            owners[symbol.address - base : symbol.address + symbol.size - base] = s.NOBODY
    for index, buffer in flash:
        owners[buffer.begin - base : buffer.end - base] = owner_code(index)
    return owners


def arena(elf: Elf, placed: list[Placed]) -> tuple[int, int]:
    """[begin, end) of the symbol that holds the arena's buffers; (0, 0) where there is none."""
    symbols = {buffer.row.symbol for buffer in placed if buffer.row.storage == "arena"}
    if len(symbols) > 1:
        raise RecordError(f"arena buffers lie in more than one symbol: {', '.join(sorted(symbols))}")
    if not symbols:
        return 0, 0
    symbol = elf.symbol(symbols.pop())
    end = max([symbol.address + symbol.size] + [buffer.end for buffer in placed if buffer.row.storage == "arena"])
    return symbol.address, end


def events(placed: list[Placed], base: int, size: int) -> np.ndarray:
    """int64 [events, 4]: position, begin and end as bytes of SRAM, owner (negative at its death); deaths come first."""
    rows = []
    for index, buffer in enumerate(placed):
        if buffer.row.storage == "arena":
            span = (min(buffer.begin - base, size), min(buffer.end - base, size))
            rows.append((buffer.row.lower, *span, owner_code(index)))
            rows.append((buffer.row.upper, *span, -owner_code(index)))
    return np.array(sorted(rows, key=lambda row: (row[0], row[3] > 0)), np.int64).reshape(-1, 4)


def permissions(placed: list[Placed], ops: list[OpRow], rows: int) -> np.ndarray:
    """uint8 [rows, buffers]. An operator may read whatever it declares (its results too, once written)."""
    index = {buffer.row.id: at for at, buffer in enumerate(placed)}
    table = np.zeros((rows, max(1, len(placed))), np.uint8)
    table[0] = MAY_READ | MAY_WRITE
    for op in ops:
        for ids, bits in ((op.reads, MAY_READ), (op.writes, MAY_READ | MAY_WRITE), (op.scratch, MAY_READ | MAY_WRITE)):
            for identity in ids:
                if identity not in index:
                    raise RecordError(f"{op.symbol} names buffer {identity}, which the plan does not have")
                table[op.position + 1, index[identity]] |= bits
    return table
