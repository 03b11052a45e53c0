"""The native callbacks: what runs at every block and at every memory access of a traced run.

`callbacks` has numba make machine code of them; nothing here may call Python. `state` describes every table they use.

    block     count instructions and cycles of the operator the block belongs to; at an operator's entry bring the
              owner map up to date (births and deaths of all positions since the last entry)
    access    add the bytes to (operator, buffer), and hold the access against what the operator declared

An access takes one of two ways: the quick one when every byte has the same owner, who was declared and is written; the
careful one, byte by byte, for all else. Of the stack only what lies at or above the stack pointer is anybody's:

    | arena |  free: nobody's       | dead frames | PUSHED bytes: writes only | sp ... live frames ... | stack's top |
"""

from numba import int16, int32, int64, njit, types

from workbench.emulate.core import STACK_POINTER, SYSTEM_CONTROL_SPACE
from workbench.trace import pointers
from workbench.trace import state as s
from workbench.trace.pointers import get8, get32, get64, put32, put64

UC_MEM_WRITE = 17
CONTROL_BEGIN, CONTROL_END = SYSTEM_CONTROL_SPACE[0], sum(SYSTEM_CONTROL_SPACE)
CODE, SPAN, ACCESS, EVENT = 4, 3, 4, 4  # fields of a row


@njit(inline="always")
def _raise_to(table, index, value):
    """table[index] = max(table[index], value), storing only what is new."""
    if get64(table, index) < value:
        put64(table, index, value)


@njit(inline="always")
def _note(accesses, buffer, write, address, size):
    """Add an access to the current operator's row."""
    at = buffer * ACCESS
    put64(accesses, at + write, get64(accesses, at + write) + size)
    _raise_to(accesses, at + 2, s.TOP - address)
    _raise_to(accesses, at + 3, address + size)


@njit
def _report(state, kind, buffer, address, size):
    """Count a violation; the first of each (kind, operator, buffer) keeps its place."""
    rows, count, row = get64(state, s.VIOLATIONS_AT), get64(state, s.VIOLATIONS), get64(state, s.ROW)
    for at in range(0, count * s.VIOLATION_FIELDS, s.VIOLATION_FIELDS):
        if get64(rows, at) == kind and get64(rows, at + 1) == row and get64(rows, at + 2) == buffer:
            put64(rows, at + 6, get64(rows, at + 6) + 1)
            return
    if count == s.VIOLATION_LIMIT:
        put64(state, s.VIOLATIONS_LOST, get64(state, s.VIOLATIONS_LOST) + 1)
        return
    at = count * s.VIOLATION_FIELDS
    put64(rows, at, kind)
    put64(rows, at + 1, row)
    put64(rows, at + 2, buffer)
    put64(rows, at + 3, address)
    put64(rows, at + 4, size)
    put64(rows, at + 5, get64(state, s.BLOCK))
    put64(rows, at + 6, 1)
    put64(state, s.VIOLATIONS, count + 1)


@njit
def _apply_events(state, position):
    """Births and deaths up to and including those of `position`, deaths first at each."""
    events, owners = get64(state, s.EVENTS_AT), get64(state, s.OWNERS_AT)
    event = get64(state, s.NEXT_EVENT)
    while event < get64(state, s.EVENTS) and get64(events, event * EVENT) <= position:
        owner = get64(events, event * EVENT + 3)
        for byte in range(get64(events, event * EVENT + 1), get64(events, event * EVENT + 2)):
            if owner > 0:
                put32(owners, byte, int32(owner | 1))
            elif get32(owners, byte) >> 1 == -owner >> 1:  # unless somebody else was born here already
                put32(owners, byte, int32(s.NOBODY))
        event += 1
    put64(state, s.NEXT_EVENT, event)


@njit
def _enter(state, tag):
    """An operator begins (tag k + 1), or code outside operators goes on (tag DRIVER)."""
    row = max(int64(tag), 0)
    put64(state, s.ROW, row)
    if get64(state, s.MEMORY):
        first = row * get64(state, s.BUFFERS)
        put64(state, s.ROW_PERMISSIONS_AT, get64(state, s.PERMISSIONS_AT) + first)
        put64(state, s.ROW_ACCESSES_AT, get64(state, s.ACCESSES_AT) + 8 * ACCESS * first)
        if row:
            _apply_events(state, row - 1)


@njit(inline="always")
def stack_pointer(state):
    """The emulated core's stack pointer."""
    pointers.read_register(get64(state, s.READ_AT), (get64(state, s.EMULATOR), STACK_POINTER, state + 8 * s.SP))
    return get64(state, s.SP)


@njit
def _on_stack(state, write, address):
    """Whether a byte of the stack's room is a live frame's, or one that a push is about to make so."""
    return address >= stack_pointer(state) - write * s.PUSHED


@njit
def _check_bytes(state, write, address, size):
    """The careful way, byte by byte: an access that spans two owners, or that something is wrong with."""
    owners = get64(state, s.OWNERS_AT)
    undeclared, unwritten, outside = -1, -1, 1
    for at in range(address, address + size):
        byte = at - get64(state, s.SRAM_BASE)
        owner = get32(owners, byte) if 0 <= byte < get64(state, s.SRAM_SIZE) else int32(s.CONSTANT)
        if owner == s.NOBODY:
            outside = s.NOBODY
            if get64(state, s.ARENA_BEGIN) <= at < get64(state, s.ARENA_END):
                _raise_to(state, s.STRAY_HIGH, at + 1)
        elif owner == s.STACK and not _on_stack(state, write, at):
            outside = s.STACK
        elif owner == s.STATIC and get64(state, s.ROW):
            outside = s.STATIC
        if owner > 0:
            buffer = int64(owner >> 1) - 1
            _note(get64(state, s.ROW_ACCESSES_AT), buffer, write, at, 1)
            if not get8(get64(state, s.ROW_PERMISSIONS_AT), buffer) & (1 + write):
                undeclared = buffer
            if write:
                put32(owners, byte, int32(owner & ~1))
            elif owner & 1:
                unwritten = buffer
    if undeclared >= 0:
        _report(state, s.UNDECLARED_WRITE if write else s.UNDECLARED_READ, undeclared, address, size)
    if unwritten >= 0:
        _report(state, s.UNWRITTEN_READ, unwritten, address, size)
    if outside <= 0:
        _report(state, s.OUTSIDE, outside - 1, address, size)


@njit
def _unowned(state, owner, write, address, size):
    """An access that begins at the stack's or at one of the firmware's own bytes."""
    if get32(get64(state, s.OWNERS_AT), address + size - 1 - get64(state, s.SRAM_BASE)) != owner:
        _check_bytes(state, write, address, size)
    elif owner == s.STATIC:
        if get64(state, s.ROW):
            _report(state, s.OUTSIDE, s.STATIC - 1, address, size)
    elif not _on_stack(state, write, address):
        _report(state, s.OUTSIDE, s.STACK - 1, address, size)
    elif address < get64(state, s.STACK_LOW):
        put64(state, s.STACK_LOW, address)


@njit
def _elsewhere(state, write, address, size):
    """Not SRAM: flash, of which an operator reads what it declared and constants, or the core's own registers.

    A write to flash, and what is not mapped, are faults and told elsewhere.
    """
    byte, flash_size = address - get64(state, s.FLASH_BASE), get64(state, s.FLASH_SIZE)
    if byte < 0 or address >= get64(state, s.FLASH_END):
        if get64(state, s.ROW) and CONTROL_BEGIN <= address < CONTROL_END:
            _report(state, s.OUTSIDE, s.STATIC - 1, address, size)
        return
    if write:
        return
    owners, undeclared, outside = get64(state, s.FLASH_OWNERS_AT), -1, False
    owner = get32(owners, byte) if byte < flash_size else int32(s.NOBODY)
    last = get32(owners, byte + size - 1) if byte + size <= flash_size else int32(s.NOBODY)
    if owner > 0 and owner == last:
        undeclared = _flash_read(state, owner, address, size)
    elif owner != last:
        for at in range(byte, byte + size):
            owner = get32(owners, at) if at < flash_size else int32(s.NOBODY)
            if owner > 0:
                undeclared = max(undeclared, _flash_read(state, owner, address + at - byte, 1))
            outside |= owner == s.NOBODY
    else:
        outside = owner == s.NOBODY
    if undeclared >= 0:
        _report(state, s.UNDECLARED_READ, undeclared, address, size)
    if outside and get64(state, s.ROW):
        _report(state, s.OUTSIDE, s.FLASH - 1, address, size)


@njit(inline="always")
def _flash_read(state, owner, address, size):
    """Count a read of a frozen weight; gives the buffer if the operator did not declare it, else -1."""
    buffer = int64(owner >> 1) - 1
    _note(get64(state, s.ROW_ACCESSES_AT), buffer, 0, address, size)
    return int64(-1) if get8(get64(state, s.ROW_PERMISSIONS_AT), buffer) else buffer


@njit(inline="always")
def _count(state, address, size, at):
    """Add a block's instructions and cycles to the current row; a row past its budget ends the run."""
    code, counts, row = get64(state, s.CODE_AT), get64(state, s.COUNTS_AT), 2 * get64(state, s.ROW)
    begin, end = at * CODE, (at + (size >> 1)) * CODE
    cycles = int64(get32(code, end + 1) - get32(code, begin + 1))
    if address != get64(state, s.PREVIOUS_END):
        cycles += get64(state, s.PREVIOUS_TAKEN) + int64(int16(get32(code, begin + 3)))
    instructions = get64(counts, row) + get32(code, end) - get32(code, begin)
    put64(counts, row, instructions)
    put64(counts, row + 1, get64(counts, row + 1) + cycles)
    put64(state, s.PREVIOUS_END, address + size)
    put64(state, s.PREVIOUS_TAKEN, int64(get32(code, end + 3) >> 16))
    put64(state, s.BLOCK, address)
    if instructions > 0:
        put64(state, s.HALTED, 1)
        pointers.stop_emulation(get64(state, s.STOP_AT), (get64(state, s.EMULATOR),))


@njit
def _enter_and_count(state, address, size, at, tag):
    """The rare block; apart, so that the common one keeps all it needs in registers."""
    _enter(state, tag)
    _count(state, address, size, at)


@njit
def _in_another_span(state, address):
    """The halfword of a block in the span that holds it, which from here on is the one that runs; -1: in none."""
    spans = get64(state, s.SPANS_AT)
    for span in range(0, get64(state, s.SPANS) * SPAN, SPAN):
        at = (address - get64(spans, span)) >> 1
        if 0 <= at < get64(spans, span + 1):
            put64(state, s.CODE_BASE, get64(spans, span))
            put64(state, s.CODE_HALFWORDS, get64(spans, span + 1))
            put64(state, s.CODE_AT, get64(spans, span + 2))
            return at
    return int64(-1)


def _block(uc, address, size, state):
    at = (address - get64(state, s.CODE_BASE)) >> 1
    if not 0 <= at < get64(state, s.CODE_HALFWORDS):
        at = _in_another_span(state, address)
        if at < 0:
            return
    tag = get32(get64(state, s.CODE_AT), at * CODE + 2)
    if tag == s.KEEP:
        _count(state, address, int64(size), at)
    else:
        _enter_and_count(state, address, int64(size), at, tag)


def _access(uc, kind, address, size, value, state):
    byte, length = address - get64(state, s.SRAM_BASE), int64(size)
    if byte < 0 or byte > get64(state, s.SRAM_SIZE) - length:
        _elsewhere(state, int64(kind == UC_MEM_WRITE), address, length)
        return True
    owners = get64(state, s.OWNERS_AT)
    owner = get32(owners, byte)
    write = int64(kind == UC_MEM_WRITE)
    if owner < 0:
        _unowned(state, owner, write, address, length)
        return True
    expected = int32(owner & ~1)
    # a good read finds the same owner in every byte, all written (even); a good write makes them so
    difference = owner ^ expected
    if length > 1:
        difference |= get32(owners, byte + 1) ^ expected
    if length > 2:
        difference |= (get32(owners, byte + 2) ^ expected) | (get32(owners, byte + 3) ^ expected)
    buffer = int64(owner >> 1) - 1
    if owner == s.NOBODY or length > 4 or not get8(get64(state, s.ROW_PERMISSIONS_AT), buffer) & (1 + write):
        _check_bytes(state, write, address, length)
        return True
    if difference:
        if difference != 1 or not write:
            _check_bytes(state, write, address, length)
            return True
        put32(owners, byte, expected)  # no loop: it would be vectorized, and slow the common way down
        if length > 1:
            put32(owners, byte + 1, expected)
        if length > 2:
            put32(owners, byte + 2, expected)
            put32(owners, byte + 3, expected)
    _note(get64(state, s.ROW_ACCESSES_AT), buffer, write, address, length)
    return True


def _begin_call(state):
    """A call of the firmware begins: nothing of the arena is alive but what lives from position 0."""
    put64(state, s.PREVIOUS_END, 0)
    put64(state, s.PREVIOUS_TAKEN, 0)
    _enter(state, s.DRIVER)
    if get64(state, s.MEMORY):
        owners, base = get64(state, s.OWNERS_AT), get64(state, s.SRAM_BASE)
        for byte in range(get64(state, s.ARENA_BEGIN) - base, get64(state, s.ARENA_END) - base):
            put32(owners, byte, int32(s.NOBODY))
        put64(state, s.NEXT_EVENT, 0)
        _apply_events(state, 0)


def _host_wrote(state, address, size):
    """The host wrote these bytes, between calls: they count as written at position -1."""
    _enter(state, s.DRIVER)
    _check_bytes(state, 1, address, size)


CALLBACKS = {
    "on_block": (pointers.block_signature, _block),
    "on_access": (pointers.memory_signature, _access),
    "begin_call": (types.void(types.int64), _begin_call),
    "host_wrote": (types.void(types.int64, types.int64, types.int64), _host_wrote),
}
