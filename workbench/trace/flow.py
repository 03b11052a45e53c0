"""The native callbacks of a profile: what runs at every block and access of any program; nothing here calls Python.

At a block the edge that leads to it from the last one is counted. Nearly always that is the edge that followed the last
one last time, or the time before, which an edge remembers: the next one is then two loads away, and all it needs is in
its row. Else it is found, or made, and what it is told from where control came from:

    call      behind BL and BLX; a frame is pushed, which says where the function will return to
    return    an indirect jump to where a frame returns to, the address decides, not the instruction; or into the middle
              of a function that called what runs, as longjmp does
    tail      any other jump to the entry of another function: its frame takes the place of the caller's
    plain     all else

See flow_state.py for the tables.
"""

from numba import int16, int32, int64, njit

from workbench.emulate.core import STACK_POINTER
from workbench.trace import flow_state as s
from workbench.trace import pointers
from workbench.trace.pointers import get32, get64, put32, put64

UC_MEM_WRITE = 17
HASH = 0x9E3779B97F4A7C1  # odd: Fibonacci hashing, after Knuth, TAOCP volume 3, section 6.4


@njit(inline="always")
def _add(table, index, value):
    put64(table, index, get64(table, index) + value)


@njit(inline="always")
def _raise_to(table, index, value):
    if get64(table, index) < value:
        put64(table, index, value)


@njit(inline="always")
def _hashed(a, b, mask):
    mixed = (a ^ (b << 20) ^ (b >> 7)) * HASH
    return ((mixed >> 29) ^ mixed) & mask


@njit
def _place_of(rows, width, hashes, mask, at_a, at_b, a, b):
    """Where in a hash table the row is whose two numbers are a and b, or where it is to be put."""
    place = _hashed(a, b, mask)
    while True:
        row = int64(get32(hashes, place)) - 1
        if row < 0 or (get64(rows, row * width + at_a) == a and get64(rows, row * width + at_b) == b):
            return place
        place = (place + 1) & mask


@njit
def _ask_for_room(state, used, room):
    """Stop before the next block where half of a table is used."""
    if 2 * get64(state, used) > get64(state, room):
        put64(state, s.DEADLINE, 0)


@njit
def _row_of(state, table, width, at_a, at_b, a, b):
    """The row of a growing table whose two numbers are a and b, and whether it is new: then these are all it holds."""
    rows, hashes = get64(state, table), get64(state, table + s.HASH_AT)
    place = _place_of(rows, width, hashes, get64(state, table + s.HASH_MASK), at_a, at_b, a, b)
    row = int64(get32(hashes, place)) - 1
    if row >= 0:
        return row, False
    row = get64(state, table + s.ROWS)
    put64(state, table + s.ROWS, row + 1)
    put32(hashes, place, int32(row + 1))
    put64(rows, row * width + at_a, a)
    put64(rows, row * width + at_b, b)
    _ask_for_room(state, table + s.ROWS, table + s.ROOM)
    return row, True


@njit
def _code_at(state, address):
    """The span's table and halfword of an address; (0, 0) where it is in none."""
    spans = get64(state, s.SPANS_AT)
    for span in range(0, get64(state, s.SPANS) * s.SPAN, s.SPAN):
        at = (address - get64(spans, span)) >> 1
        if 0 <= at < get64(spans, span + 1):
            return get64(spans, span + 2), at
    return int64(0), int64(0)


@njit
def _block(state, context, address, size):
    """The block in a context; made where it is new."""
    key = address | size << 32
    block, new = _row_of(state, s.BLOCKS_AT, s.BLOCK, s.BEGIN_SIZE, s.CONTEXT, key, context)
    if not new:
        return block
    row = get64(state, s.BLOCKS_AT) + 8 * s.BLOCK * block
    put64(row, s.END, address + size)
    table, at = _code_at(state, address)
    if table and _code_at(state, address + size - 2)[0] == table:
        begin, end = at * s.CODE, (at + (size >> 1)) * s.CODE
        before = s.INSTRUCTIONS_BEFORE
        put64(row, s.ISSUED, int64(get32(table, end + before) - get32(table, begin + before)))
        put64(row, s.STATIC, int64(get32(table, end + s.CYCLES_BEFORE) - get32(table, begin + s.CYCLES_BEFORE)))
        put64(row, s.TAKEN, int64(get32(table, end + s.ENDS) >> 16))
        put64(row, s.ENTERED, int64(int16(get32(table, begin + s.ENDS))))
        put64(row, s.FUNCTION, int64(get32(table, begin + s.FUNCTION_OF)))
        flags = int64(get32(table, end + s.MARKS)) & (s.CALLS | s.INDIRECT | s.SWITCHES | s.UNMASKS)
        flags |= int64(get32(table, begin + s.MARKS)) & s.ENTRY
        low, drop = int64(0), int64(0)
        for half in range(at + 1, at + (size >> 1) + 1):
            flags |= int64(get32(table, half * s.CODE + s.MARKS)) & s.MOVES_SP
            drop += int64(get32(table, half * s.CODE + s.DROPS))
            low = max(low, drop)
        put64(row, s.FLAGS, flags)
        put64(row, s.DROP, low)
    else:
        put64(row, s.FLAGS, s.UNKNOWN)
    return block


@njit
def _edge(state, source, target, kind):
    """The edge from one block to another; made where it is new."""
    edge, new = _row_of(state, s.EDGES_AT, s.EDGE, s.FROM, s.TO, source, target)
    if not new:
        return edge
    blocks, row = get64(state, s.BLOCKS_AT), get64(state, s.EDGES_AT) + 8 * s.EDGE * edge
    to = blocks + 8 * s.BLOCK * target
    cost = get64(to, s.STATIC)
    if source >= 0:
        back = blocks + 8 * s.BLOCK * source
        if get64(back, s.END) != get64(to, s.BEGIN_SIZE) & 0xFFFFFFFF:
            cost += get64(back, s.TAKEN) + get64(to, s.ENTERED)
    put64(row, s.COUNT, 0)
    put64(row, s.COST, cost)
    put64(row, s.KIND, kind)
    put64(row, s.STEPS, get64(to, s.ISSUED))
    put64(row, s.KEY, get64(to, s.BEGIN_SIZE))
    put64(row, s.TO_FLAGS, get64(to, s.FLAGS))
    put64(row, s.NEXT, 0)
    put64(row, s.NEXT_BUT_ONE, 0)
    return edge


@njit
def _child(state, parent, address):
    """The context of a function that a context calls: the one above that is the same function's, if there is one."""
    nodes, above = get64(state, s.CONTEXTS_AT), parent
    while above >= 0:
        if get64(nodes, above * s.NODE + s.ADDRESS) == address:
            return above
        above = get64(nodes, above * s.NODE + s.PARENT)
    node, new = _row_of(state, s.CONTEXTS_AT, s.NODE, s.PARENT, s.ADDRESS, parent, address)
    if new:
        put64(nodes, node * s.NODE + s.STACK, 0)
    return node


@njit
def _push(state, returns_to, is_tail):
    depth = get64(state, s.DEPTH)
    frame = get64(state, s.FRAMES_AT) + 8 * s.FRAME * depth
    put64(frame, s.RETURNS_TO, returns_to)
    put64(frame, s.CALLER, get64(state, s.NOW))
    put64(frame, s.IS_TAIL, is_tail)
    put64(frame, s.ENTRY_SP, get64(state, s.SP))
    put64(state, s.DEPTH, depth + 1)
    _ask_for_room(state, s.DEPTH, s.FRAME_ROOM)


@njit
def _returned(state, address):
    """Drop the frames that a return to an address ends, and go on in the caller's context; False if it is none."""
    frames = get64(state, s.FRAMES_AT)
    for at in range(get64(state, s.DEPTH) - 1, -1, -1):
        if get64(frames, at * s.FRAME + s.RETURNS_TO) == address:
            while get64(frames, at * s.FRAME + s.IS_TAIL) and at > 0:
                at -= 1
            put64(state, s.DEPTH, at)
            put64(state, s.NOW, get64(frames, at * s.FRAME + s.CALLER))
            return True
    return False


@njit
def _function_at(state, address):
    table, at = _code_at(state, address)
    return int64(get32(table, at * s.CODE + s.FUNCTION_OF)) if table else int64(0)


@njit
def _unwound(state, function):
    """Drop the frames down to the last one that the function called, and go on in its context: longjmp, or a helper
    that returns behind the table of a switch. False where it called none of what runs."""
    frames, contexts = get64(state, s.FRAMES_AT), get64(state, s.CONTEXTS_AT)
    for at in range(get64(state, s.DEPTH) - 1, -1, -1):
        caller = get64(frames, at * s.FRAME + s.CALLER)
        if get64(frames, at * s.FRAME + s.RETURNS_TO) == s.HANDLER:
            return False
        if _function_at(state, get64(contexts, caller * s.NODE + s.ADDRESS)) == function:
            put64(state, s.DEPTH, at)
            put64(state, s.NOW, caller)
            return True
    return False


@njit
def _tail(state, address):
    """Another function takes the place of the one that runs."""
    frames, top = get64(state, s.FRAMES_AT), get64(state, s.DEPTH) - 1
    if top < 0:
        _push(state, int64(0), int64(1))
    elif not get64(frames, top * s.FRAME + s.IS_TAIL):
        _push(state, get64(frames, top * s.FRAME + s.RETURNS_TO), int64(1))
    put64(state, s.NOW, _child(state, get64(state, s.NOW), address))


@njit
def _kind_of(state, last, address, size):
    """What leads from the last block to this one; brings frames and context up to date."""
    back = get64(state, s.BLOCKS_AT) + 8 * s.BLOCK * last
    flags, end = get64(back, s.FLAGS), get64(back, s.END)
    if address == end:
        return s.PLAIN
    if flags & s.CALLS:
        _push(state, end, int64(0))
        put64(state, s.NOW, _child(state, get64(state, s.NOW), address))
        return s.CALL
    if flags & s.INDIRECT and _returned(state, address):
        return s.RETURN
    function = _function_at(state, address)
    if function == get64(back, s.FUNCTION):
        return s.PLAIN
    table, at = _code_at(state, address)
    if table and get32(table, at * s.CODE + s.MARKS) & s.ENTRY:
        _tail(state, address)
        return s.TAIL
    if flags & s.INDIRECT and function and _unwound(state, function):
        return s.RETURN
    return s.PLAIN


@njit
def _find(state, before, address, size):
    """The row of the edge to a block that none of the edges remembered by the one `before` it leads to."""
    last, kind = get64(before, s.TO), int64(s.PLAIN)
    if last >= 0:
        kind = int64(_kind_of(state, last, address, size))
    block = _block(state, get64(state, s.NOW), address, size)
    at = 8 * s.EDGE * _edge(state, last, block, kind)
    if last >= 0:
        put64(before, s.NEXT_BUT_ONE, get64(before, s.NEXT))
        put64(before, s.NEXT, at)
    return get64(state, s.EDGES_AT) + at


@njit
def _switches(state, edge):
    """Whether an edge that is no plain one leads where it did; brings frames and context up to date if it does."""
    blocks, kind = get64(state, s.BLOCKS_AT), get64(edge, s.KIND)
    context = get64(blocks + 8 * s.BLOCK * get64(edge, s.TO), s.CONTEXT)
    if kind == s.CALL:
        _push(state, get64(blocks + 8 * s.BLOCK * get64(edge, s.FROM), s.END), int64(0))
        put64(state, s.NOW, context)
        return True
    top = get64(state, s.DEPTH) - 1
    if kind == s.RETURN and top >= 0:
        frame = get64(state, s.FRAMES_AT) + 8 * s.FRAME * top
        same = get64(frame, s.RETURNS_TO) == get64(edge, s.KEY) & 0xFFFFFFFF and get64(frame, s.CALLER) == context
        if same and not get64(frame, s.IS_TAIL):
            put64(state, s.DEPTH, top)
            put64(state, s.NOW, context)
            return True
    return False


@njit(inline="always")
def _leads(state, edge, key):
    """Whether an edge leads to this block; brings frames and context up to date if it does."""
    return get64(edge, s.KEY) == key and (get64(edge, s.KIND) == s.PLAIN or _switches(state, edge))


@njit
def _log(state, depth, after):
    """Keep the deepest of each so many cycles; where the log is full, stop before the next block."""
    log = get64(state, s.LOG_AT)
    now = get64(state, s.CLOCK) >> get64(state, s.LOG_SHIFT)
    if now >= s.LOG_SIZE:
        now = int64(s.LOG_SIZE - 1)
        put64(state, s.DEADLINE, 0)
    if get32(log, now) < depth:
        put32(log, now, int32(depth))
    put32(log, s.LOG_SIZE + now, int32(after))


@njit
def _stack_moved(state, block):
    """The last block moved the stack pointer, or this one will."""
    sp = get64(state, s.SP)
    low = sp - get64(block, s.DROP)
    _raise_to(state, s.SP_TOP, sp)
    if low < get64(state, s.SP_LOW):
        put64(state, s.SP_LOW, low)
        put64(state, s.LOWEST_IN, get64(state, s.NOW))
    _log(state, get64(state, s.SP_TOP) - low, get64(state, s.SP_TOP) - sp)
    top = get64(state, s.DEPTH) - 1
    begin = get64(get64(state, s.FRAMES_AT) + 8 * s.FRAME * top, s.ENTRY_SP) if top >= 0 else get64(state, s.SP_TOP)
    _raise_to(get64(state, s.CONTEXTS_AT) + 8 * s.NODE * get64(state, s.NOW), s.STACK, begin - low)


def _on_flow(uc, address, size, state):
    if get64(state, s.CLOCK) >= get64(state, s.DEADLINE):  # the block does not run, and is not counted
        put64(state, s.DEADLINE, s.STOPPED)
        pointers.stop_emulation(get64(state, s.STOP_AT), (get64(state, s.EMULATOR),))
        return
    edges, key = get64(state, s.EDGES_AT), address | int64(size) << 32
    before = edges + get64(state, s.LAST)
    moved = get64(before, s.TO_FLAGS) & s.MOVES_SP
    if moved:
        pointers.read_register(get64(state, s.READ_AT), (get64(state, s.EMULATOR), STACK_POINTER, state + 8 * s.SP))
    edge = edges + get64(before, s.NEXT)
    if not _leads(state, edge, key):
        edge = edges + get64(before, s.NEXT_BUT_ONE)
        if not _leads(state, edge, key):
            edge = _find(state, before, address, int64(size))
    _add(edge, s.COUNT, 1)
    _add(state, s.CLOCK, get64(edge, s.COST))
    put64(state, s.LAST, edge - edges)
    flags = get64(edge, s.TO_FLAGS)
    if moved or flags & s.MOVES_SP:
        _stack_moved(state, get64(state, s.BLOCKS_AT) + 8 * s.BLOCK * get64(edge, s.TO))
    if flags & (s.SWITCHES | s.UNMASKS) and (flags & s.SWITCHES or get64(state, s.MASKED)):
        put64(state, s.DEADLINE, 0)  # who runs the machine looks at it before the next block


def _on_flow_access(uc, kind, address, size, value, state):
    regions = get64(state, s.REGIONS_AT)
    for region in range(0, get64(state, s.REGIONS) * s.REGION, s.REGION):
        if get64(regions, region) <= address < get64(regions, region + 1):
            _add(regions, region + 2 + int64(kind == UC_MEM_WRITE), int64(size))
            return True
    return True


CALLBACKS = {
    "on_flow": (pointers.block_signature, _on_flow),
    "on_flow_access": (pointers.memory_signature, _on_flow_access),
}
