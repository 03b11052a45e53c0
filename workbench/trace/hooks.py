"""The native callbacks: what runs at every block and at every memory access of a traced run.

Both are machine code made by numba; nothing here may call Python. `state` describes every table they use.

    block     count instructions and cycles of the operator the block belongs to; at an operator's entry bring the
              owner map up to date (births and deaths of all positions since the last entry)
    access    add the bytes to (operator, buffer), and hold the access against what the operator declared
"""

from numba import carray, cfunc, njit

from workbench.trace import state as s

UC_MEM_WRITE = 17
CODE_FIELDS, ACCESS_FIELDS, EVENT_FIELDS = 4, 4, 4
SHAPE = (1 << 40,)  # of every table: bounds are guarded by hand


@njit(inline="always")
def _report(state, kind, buffer, address, size):
    """Count a violation; the first of each (kind, operator, buffer) keeps its place."""
    rows = carray(s.int64_at(state[s.VIOLATIONS_AT]), SHAPE)
    for at in range(0, state[s.VIOLATIONS] * s.VIOLATION_FIELDS, s.VIOLATION_FIELDS):
        if rows[at] == kind and rows[at + 1] == state[s.ROW] and rows[at + 2] == buffer:
            rows[at + 6] += 1
            return
    if state[s.VIOLATIONS] == s.VIOLATION_LIMIT:
        state[s.VIOLATIONS_LOST] += 1
        return
    at = state[s.VIOLATIONS] * s.VIOLATION_FIELDS
    rows[at], rows[at + 1], rows[at + 2], rows[at + 3] = kind, state[s.ROW], buffer, address
    rows[at + 4], rows[at + 5], rows[at + 6] = size, state[s.BLOCK], 1
    state[s.VIOLATIONS] += 1


@njit(inline="never")
def apply_events(state, position):
    """Births and deaths up to and including those of `position`, deaths first at each."""
    events = carray(s.int64_at(state[s.EVENTS_AT]), SHAPE)
    owners = carray(s.int32_at(state[s.OWNERS_AT]), SHAPE)
    event = state[s.NEXT_EVENT]
    while event < state[s.EVENTS] and events[event * EVENT_FIELDS] <= position:
        begin, end = events[event * EVENT_FIELDS + 1], events[event * EVENT_FIELDS + 2]
        owner = events[event * EVENT_FIELDS + 3]
        for byte in range(begin, end):
            if owner > 0:
                owners[byte] = owner | 1
            elif owners[byte] | 1 == -owner | 1:
                owners[byte] = s.NOBODY
        event += 1
    state[s.NEXT_EVENT] = event


@njit(inline="never")
def _check_bytes(state, write, address, size):
    """The careful way, byte by byte: an access that spans two owners, or that something is wrong with."""
    owners = carray(s.int32_at(state[s.OWNERS_AT]), SHAPE)
    permissions = carray(s.uint8_at(state[s.PERMISSIONS_AT]), SHAPE)
    accesses = carray(s.int64_at(state[s.ACCESSES_AT]), SHAPE)
    undeclared, unwritten, outside = -1, -1, False
    for byte_address in range(address, address + size):
        byte = byte_address - state[s.SRAM_BASE]
        owner = owners[byte] if 0 <= byte < state[s.SRAM_SIZE] else s.STATIC
        if owner == s.NOBODY:
            outside = True
            if state[s.ARENA_BEGIN] <= byte_address < state[s.ARENA_END]:
                state[s.STRAY_HIGH] = max(state[s.STRAY_HIGH], byte_address + 1)
        if owner <= 0:
            continue
        buffer = (owner >> 1) - 1
        cell = state[s.ROW] * state[s.BUFFERS] + buffer
        at = cell * ACCESS_FIELDS
        accesses[at + write] += 1
        accesses[at + 2] = max(accesses[at + 2], s.TOP - byte_address)
        accesses[at + 3] = max(accesses[at + 3], byte_address + 1)
        if not permissions[cell] & (1 + write):
            undeclared = buffer
        if write:
            owners[byte] = owner & ~1
        elif owner & 1:
            unwritten = buffer
    if undeclared >= 0:
        _report(state, s.UNDECLARED_WRITE if write else s.UNDECLARED_READ, undeclared, address, size)
    if unwritten >= 0:
        _report(state, s.UNWRITTEN_READ, unwritten, address, size)
    if outside:
        _report(state, s.OUTSIDE, -1, address, size)


@njit(inline="never")
def _enter(state, tag):
    """An operator begins (tag k + 1), or code outside operators goes on (tag DRIVER)."""
    state[s.ROW] = max(tag, 0)
    if tag > 0 and state[s.MEMORY]:
        apply_events(state, tag - 1)


def _block(uc, address, size, user):
    state = carray(user, SHAPE)
    at = (address - state[s.CODE_BASE]) >> 1
    if 0 <= at < state[s.CODE_HALFWORDS]:
        code = carray(s.int32_at(state[s.CODE_AT]), SHAPE)
        counts = carray(s.int64_at(state[s.COUNTS_AT]), SHAPE)
        length = s.int64(size)
        begin, end = at * CODE_FIELDS, (at + (length >> 1)) * CODE_FIELDS
        tag = code[begin + 2]
        if tag != s.KEEP:
            _enter(state, tag)
        row = 2 * state[s.ROW]
        counts[row] += code[end] - code[begin]
        cycles = s.int64(code[end + 1] - code[begin + 1])
        if address != state[s.PREVIOUS_END]:
            cycles += state[s.BRANCH_PENALTY]
        counts[row + 1] += cycles
        state[s.PREVIOUS_END] = address + length
        state[s.BLOCK] = address


def _access(uc, kind, address, size, value, user):
    state = carray(user, SHAPE)
    byte = address - state[s.SRAM_BASE]
    write = s.int64(kind == UC_MEM_WRITE)
    length = s.int64(size)
    if 0 <= byte <= state[s.SRAM_SIZE] - length:
        owners = carray(s.int32_at(state[s.OWNERS_AT]), SHAPE)
        owner = owners[byte]
        if owner == s.STATIC:
            return True
        if owner == s.STACK:
            state[s.STACK_LOW] = min(state[s.STACK_LOW], address)
            return True
        buffer = (owner >> 1) - 1
        cell = state[s.ROW] * state[s.BUFFERS] + buffer
        permissions = carray(s.uint8_at(state[s.PERMISSIONS_AT]), SHAPE)
        # a good read finds the same owner in every byte, written (even); a good write makes them so
        expected = owner & ~1
        difference = expected - owner if not write else 0
        for k in range(1, length):
            difference |= (owners[byte + k] & ~write) ^ expected
        if difference or owner == s.NOBODY or not permissions[cell] & (1 + write):
            _check_bytes(state, write, address, length)
            return True
        if write:
            for k in range(length):
                owners[byte + k] = expected
    else:
        byte = address - state[s.FLASH_BASE]
        if not 0 <= byte < state[s.FLASH_SIZE]:
            return True
        owner = carray(s.int32_at(state[s.FLASH_OWNERS_AT]), SHAPE)[byte]
        if owner == s.NOBODY:
            return True
        buffer = (owner >> 1) - 1
        cell = state[s.ROW] * state[s.BUFFERS] + buffer
        permissions = carray(s.uint8_at(state[s.PERMISSIONS_AT]), SHAPE)
        if not permissions[cell] & (1 + write):
            _report(state, s.UNDECLARED_WRITE if write else s.UNDECLARED_READ, buffer, address, length)
    accesses = carray(s.int64_at(state[s.ACCESSES_AT]), SHAPE)
    at = cell * ACCESS_FIELDS
    accesses[at + write] += length
    accesses[at + 2] = max(accesses[at + 2], s.TOP - address)
    accesses[at + 3] = max(accesses[at + 3], address + length)
    return True


on_block = cfunc(s.block_signature, cache=True)(_block)
on_access = cfunc(s.memory_signature, cache=True)(_access)


@njit(cache=True)
def begin_call(state):
    """A call of the firmware begins: nothing of the arena is alive but what lives from position 0."""
    owners = carray(s.int32_at(state[s.OWNERS_AT]), SHAPE)
    for byte in range(state[s.ARENA_BEGIN] - state[s.SRAM_BASE], state[s.ARENA_END] - state[s.SRAM_BASE]):
        owners[byte] = s.NOBODY
    state[s.NEXT_EVENT], state[s.ROW], state[s.PREVIOUS_END] = 0, 0, 0
    apply_events(state, 0)


@njit(cache=True)
def host_wrote(state, address, size):
    """The host wrote these bytes: they count as written at position -1."""
    row = state[s.ROW]
    state[s.ROW] = 0
    _check_bytes(state, 1, address, size)
    state[s.ROW] = row
