"""Flow: counts the control flow of any program, block by block and edge by edge, with the functions that call.

    flow = Flow(machine, timing)
    flow.attach()
    flow.resume(clock); … the machine runs, and stops where the clock is this, or where a table needs room …
    flow.detach(); flow.counted()

The running clock is the board's timing model, a cost an edge, so its granularity is a block. Stacks are switched by
whoever switches them (emulate/program.py): each has frames and a log of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from workbench.emulate.core import Core
from workbench.emulate.symbols import Elf
from workbench.emulate.timing import CodeTables, TimingModel, code_tables
from workbench.emulate.timing.decode import instruction_words
from workbench.trace import flow_state as s
from workbench.trace.callbacks import FLOW, addresses_of
from workbench.trace.flow_marks import drops_of, marks_of

ROOM = 1 << 12  # of each table at first
NEVER = (1 << 62) - 1
HANDLER = -1  # where an exception's handler returns to
FIRST_LOG_CYCLES = 16


@dataclass
class Stack:
    """The stack of a thread: its frames, where it stands, and the log of its depth."""

    name: str
    root: int  # its context
    frames: np.ndarray = field(default_factory=lambda: np.zeros((ROOM, s.FRAME), np.int64))
    depth: int = 0
    context: int = -1
    top: int = 0
    low: int = 1 << 40
    log: np.ndarray = field(default_factory=lambda: np.full(2 * s.LOG_SIZE, -1, np.int32))
    log_every: int = FIRST_LOG_CYCLES
    frame: int | None = None  # where its registers are stacked while it is interrupted


@dataclass(frozen=True)
class Counted:
    """The raw tables, as flow_state.py describes them: int64 rows."""

    blocks: np.ndarray
    edges: np.ndarray
    contexts: np.ndarray


class Flow:
    """See above. `memory`: count the bytes of accesses, too, by region of the board."""

    def __init__(self, machine: Core, timing: TimingModel, memory: bool = False):
        self.machine, self.timing, self.memory = machine, timing, memory
        self.state = np.zeros(s.SIZE, np.int64)
        self.state[[s.STOP_AT, s.EMULATOR]] = machine.stop_function
        self.state[s.READ_AT] = machine.read_function
        self.state[s.LAST], self.state[s.DEADLINE] = -1, NEVER
        self._handles: list[int] = []
        self._tables: dict[int, np.ndarray] = {}
        self.code = code_tables(machine.elf, timing)
        self._prepare_code()
        for at, width, hashed in GROWING:
            self._point(at, np.zeros((ROOM, width), np.int64))
            self.state[at + 2] = ROOM
            if hashed:
                self._point(at + 3, np.zeros(2 * ROOM, np.int32))
                self.state[at + 4] = 2 * ROOM - 1
        self._regions = [(each.base, each.end, 0, 0) for each in machine.board.regions]
        self._point(s.REGIONS_AT, np.array(self._regions, np.int64))
        self.state[s.REGIONS] = len(self._regions)
        self.stacks: list[Stack] = []
        self.windows = 0
        self._opened: np.ndarray | None = None
        self._within = np.zeros(0, np.int64)
        self.handled: dict[int, int] = {}  # how often each exception's handler was entered, by its address

    # ------------------------------------------------------------------ control

    def begin(self, address: int, name: str) -> Stack:
        """A thread begins at an address: a stack of its own, whose root is the function there."""
        root = self._new_context(-1, address)
        stack = Stack(name, root, context=root)
        self.stacks.append(stack)
        self.switch(stack)
        return stack

    def switch(self, stack: Stack) -> None:
        """Go on on a stack; `leave` it first."""
        self._stack = stack
        self._point(s.FRAMES_AT, stack.frames)
        self._point(s.LOG_AT, stack.log)
        self.state[[s.DEPTH, s.FRAME_ROOM, s.NOW]] = stack.depth, len(stack.frames), stack.context
        self.state[[s.SP_TOP, s.SP_LOW, s.LOG_EVERY]] = stack.top, stack.low, stack.log_every
        self.state[s.SP] = self.machine.sp
        self.state[s.LAST] = -1

    def leave(self) -> Stack:
        """Keep where the stack stands that runs; gives it."""
        stack = self._stack
        stack.depth, stack.context = int(self.state[s.DEPTH]), int(self.state[s.NOW])
        stack.top, stack.low = int(self.state[s.SP_TOP]), int(self.state[s.SP_LOW])
        stack.log_every = int(self.state[s.LOG_EVERY])
        return stack

    def attach(self) -> None:
        """Begin to count."""
        user, (on_block, on_access) = self.state.ctypes.data, addresses_of(FLOW)
        self._handles = [self.machine.add_native_hook("block", on_block, user)]
        if self.memory:
            self._handles.append(self.machine.add_native_hook("memory", on_access, user))

    def detach(self) -> None:
        """Stop counting; the tables stay."""
        for handle in self._handles:
            self.machine.remove_hook(handle)
        self._handles = []
        if self.stacks:
            self.leave()

    def suspend(self) -> Stack:
        """The thread that runs is interrupted, and what comes runs on the main stack; gives its stack."""
        stack = self.leave()
        self.switch(self.stacks[0])
        return stack

    def enter(self, handler: int, suspended: Stack | None, frame: int) -> None:
        """An exception's handler begins; `frame`: where the registers of `suspended` are stacked."""
        if suspended is not None:
            suspended.frame = frame
        self.state[s.SP] = self.machine.sp
        depth, table = int(self.state[s.DEPTH]), self._tables[s.FRAMES_AT]
        table[depth] = HANDLER, self.state[s.NOW], 0, self.state[s.SP]
        self.state[s.DEPTH] += 1
        root = next((node for node, row in enumerate(self._tables[s.CONTEXTS_AT][: self.state[s.CONTEXTS]])
                     if row[0] < 0 and row[1] == handler), None)  # fmt: skip
        self.state[s.NOW] = self._new_context(-1, handler) if root is None else root
        self.state[s.LAST] = -1
        self.handled[handler] = self.handled.get(handler, 0) + 1

    def leave_handler(self, frame: int | None, pc: int, name: str) -> None:
        """An exception's handler ends; the thread goes on whose registers were stacked at `frame`, a new one where none
        were; None: on the main stack."""
        depth, table = int(self.state[s.DEPTH]), self._tables[s.FRAMES_AT]
        while depth > 0:
            depth -= 1
            if table[depth, s.RETURNS_TO] == HANDLER:
                self.state[s.NOW] = table[depth, s.CALLER]
                break
        self.state[s.DEPTH], self.state[s.LAST] = depth, -1
        if frame is None:
            self.state[s.SP] = self.machine.sp
            return
        self.leave()
        known = next((each for each in self.stacks[1:] if each.frame == frame), None)
        if known is None:
            self.begin(pc, name)
        else:
            known.frame = None
            self.switch(known)

    def resume(self, until: int | None) -> None:
        """Before the machine runs on: room for what may come, and the clock at which it stops before the next block."""
        self._grow()
        self.state[s.DEADLINE] = NEVER if until is None else until

    def interrupt(self) -> None:
        """Stop the machine before the next block."""
        self.state[s.DEADLINE] = 0

    @property
    def clock(self) -> int:
        """Modelled cycles so far."""
        return int(self.state[s.CLOCK])

    @property
    def issued(self) -> int:
        """Instructions so far."""
        return int(self.state[s.ISSUED_SO_FAR])

    def advance(self, cycles: int) -> None:
        """Time passes in which nothing runs."""
        self.state[s.CLOCK] += cycles

    # ------------------------------------------------------------------ results

    def open_window(self) -> None:
        """What runs from here on belongs to the profile; until this is called the first time all does."""
        if self._opened is None:
            self._opened = self._counts()
            self.windows += 1

    def close_window(self) -> None:
        """What runs from here on does not belong to it."""
        if self._opened is not None:
            now = self._counts()
            for then, sign in ((self._opened, -1), (self._within, 1)):
                now[: len(then)] += sign * then
            self._within, self._opened = now, None

    def _counts(self) -> np.ndarray:
        return self._tables[s.EDGES_AT][: self.state[s.EDGES], s.COUNT].copy()

    def counted(self) -> Counted:
        """Copies of the tables, as they now stand; where windows were opened, with the counts of these alone."""
        self.close_window()
        blocks, edges, contexts = (self._tables[at][: self.state[at + 1]].copy()
                                   for at in (s.BLOCKS_AT, s.EDGES_AT, s.CONTEXTS_AT))  # fmt: skip
        if self.windows:
            edges[:, s.COUNT] = 0
            edges[: len(self._within), s.COUNT] = self._within
        return Counted(blocks, edges, contexts)

    def root_of(self, stack: Stack) -> int:
        """The address at which a thread began."""
        return int(self._tables[s.CONTEXTS_AT][stack.root, s.ADDRESS])

    def accesses(self) -> list[tuple[int, int]]:
        """Bytes read and written, by region of the board."""
        return [(int(row[2]), int(row[3])) for row in self._tables[s.REGIONS_AT]]

    # ------------------------------------------------------------------ tables

    def _point(self, index: int, table: np.ndarray) -> None:
        self._tables[index] = table
        self.state[index] = table.ctypes.data

    def _new_context(self, parent: int, address: int) -> int:
        node, table = int(self.state[s.CONTEXTS]), self._tables[s.CONTEXTS_AT]
        table[node] = parent, address, 0
        self.state[s.CONTEXTS] += 1
        _put(self._tables[s.CONTEXT_HASH_AT], parent, address, node)
        return node

    def _grow(self) -> None:
        for at, _, hashed in GROWING:
            if 2 * self.state[at + 1] <= self.state[at + 2]:
                continue
            table = np.concatenate([self._tables[at], np.zeros_like(self._tables[at])])
            self._point(at, table)
            self.state[at + 2] = len(table)
            if hashed:
                self._point(at + 3, np.zeros(2 * len(table), np.int32))
                self.state[at + 4] = 2 * len(table) - 1
                for row in range(self.state[at + 1]):
                    _put(self._tables[at + 3], int(table[row, 0]), int(table[row, 1]), row)
            if at == s.FRAMES_AT:
                self._stack.frames = table

    def _prepare_code(self) -> None:
        spans, self._code = [], []
        functions = functions_of(self.machine.elf)
        for span, table in zip(self.code.spans, rows_of(self.machine.elf, self.code, functions), strict=True):
            self._code.append(table)  # keeps it alive
            spans.append((span.base, len(table) - 1, table.ctypes.data))
        self._point(s.SPANS_AT, np.array(spans, np.int64))
        self.state[s.SPANS] = len(spans)


GROWING = (
    (s.BLOCKS_AT, s.BLOCK, True),
    (s.EDGES_AT, s.EDGE, True),
    (s.CONTEXTS_AT, s.NODE, True),
    (s.FRAMES_AT, s.FRAME, False),
)  # fmt: skip  of each: address, rows, room, and of a hash table behind them address and mask


def _put(hashes: np.ndarray, a: int, b: int, row: int) -> None:
    """As flow._place_of looks for it."""
    wrapped = (1 << 64) - 1
    mixed = (a ^ (b << 20) ^ (b >> 7)) * 0x9E3779B97F4A7C1 & wrapped
    signed = mixed - (1 << 64) if mixed >> 63 else mixed
    place = ((signed >> 29) ^ signed) & (len(hashes) - 1)
    while hashes[place]:
        place = (place + 1) & (len(hashes) - 1)
    hashes[place] = row + 1


def functions_of(elf: Elf) -> list[tuple[int, int]]:
    """[begin, end) of each function, by address; one of no size reaches to the next one."""
    begins = sorted({symbol.address for symbol in elf.symbols if symbol.kind == "function"})
    sizes = {symbol.address: symbol.size for symbol in elf.symbols if symbol.kind == "function"}
    ends = [*begins[1:], 1 << 32] if begins else []
    return [(at, at + sizes[at] if sizes[at] else after) for at, after in zip(begins, ends, strict=True)]


def rows_of(elf: Elf, code: CodeTables, functions: list[tuple[int, int]]) -> list[np.ndarray]:
    """For each span of code int32 [halfwords + 1, CODE]: see flow_state.py."""
    tables = []
    for span in code.spans:
        table = np.zeros((len(span.cycles), s.CODE), np.int32)
        table[:, s.INSTRUCTIONS_BEFORE], table[:, s.CYCLES_BEFORE] = span.instructions, span.cycles
        table[:, s.ENDS] = span.edges
        for number, (begin, end) in enumerate(functions, 1):
            if begin < span.end and end > span.base:
                low, high = max(0, begin - span.base) // 2, (min(end, span.end) - span.base + 1) // 2
                table[low:high, s.FUNCTION_OF] = number
                if begin >= span.base:
                    table[low, s.MARKS] |= s.ENTRY
        tables.append(table)
    for begin, end in elf.code_ranges:
        address, word, wide = instruction_words(elf, begin, end)
        for span, table in zip(code.spans, tables, strict=True):
            if len(address) and span.base <= begin < span.end:
                behind = (address + np.where(wide, 4, 2) - span.base) // 2
                table[behind, s.MARKS] |= marks_of(word, wide)
                table[behind, s.DROPS] += drops_of(word, wide)
    return tables
