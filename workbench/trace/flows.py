"""Flow: counts the control flow of any program, block by block and edge by edge, with the functions that call.

    flow = Flow(machine, timing)
    flow.attach()
    flow.resume(clock); … the machine runs, and stops where the clock is this, or where a table needs room …
    flow.detach(); flow.counted()

Beside a Tracer, of which it takes the tables of code, it counts calls of our own firmware; attached first, it is asked
first at each block, so that neither counts a block before which it stops the machine:

    flow = Flow(machine, timing, code=tracer.code); flow.attach(); tracer.attach(); machine.call("wb_train_step")

The running clock is the board's timing model, a cost an edge, so its granularity is a block: what reads it in a block
finds it as it will be at that block's end, ahead by the block's cycles at most. So is what is counted, but that a fault
may `cut` the last block. Stacks are switched by whoever switches them (emulate/program.py): each has frames and a
log of its own.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from workbench.emulate.core import Core
from workbench.emulate.timing import CodeTables, TimingModel, code_tables
from workbench.trace import flow_state as s
from workbench.trace.callbacks import FLOW, addresses_of
from workbench.trace.counted import Counted, Sums
from workbench.trace.flow_code import rows_of
from workbench.trace.stacks import ROOM, UNMOVED, Stack

NEVER = (1 << 62) - 1
SOME_CYCLES = 32  # so that a look begins some blocks before
WIDE = 0b11101 << 3  # from here on in the second byte of an instruction of 4


class Flow:
    """See above. `memory`: count the bytes of accesses, too, by region of the board. `code`: that of the machine's ELF
    under the timing model, where it is there already. `windowed`: stacks are logged in windows alone.

    entered  how often each function was entered that nothing called: threads, handlers, calls of the host; by address
    """

    def __init__(self, machine: Core, timing: TimingModel, memory: bool = False, code: CodeTables | None = None,
                 windowed: bool = False):  # fmt: skip
        self.machine, self.timing, self.memory = machine, timing, memory
        self._windowed, self._logs, self._unread_log = windowed, not windowed, np.zeros(2 * s.LOG_SIZE, np.int32)
        self.state = np.zeros(s.SIZE, np.int64)
        self.state[[s.STOP_AT, s.EMULATOR]] = machine.stop_function
        self.state[s.READ_AT] = machine.read_function
        self.state[s.DEADLINE] = NEVER
        self._handles: list[int] = []
        self._tables: dict[int, np.ndarray] = {}
        self.code = code or code_tables(machine.elf, timing)
        self._prepare_code()
        for at, width, hashed in GROWING:
            self._point(at, np.zeros((ROOM, width), np.int64))
            self.state[at + s.ROOM] = ROOM
            if hashed:
                self._point(at + s.HASH_AT, np.zeros(2 * ROOM, np.int32))
                self.state[at + s.HASH_MASK] = 2 * ROOM - 1
        self._tables[s.EDGES_AT][0, [s.FROM, s.TO, s.KEY]] = -1
        self.state[s.EDGES] = 1
        self._regions = [(each.base, each.end, 0, 0) for each in machine.board.regions]
        self._point(s.REGIONS_AT, np.array(self._regions, np.int64))
        self.state[s.REGIONS] = len(self._regions)
        self.stacks: list[Stack] = []
        self.windows = 0
        self._opened: Sums | None = None
        self._within: Sums | None = None
        self._passed = {"idle": 0, "exceptions": 0}
        self.entered: Counter[int] = Counter()  # how often each handler, and each thread, began, by its address

    # ------------------------------------------------------------------ control

    def begin(self, address: int, name: str) -> Stack:
        """A thread begins at an address: a stack of its own, whose root is the function there."""
        stack = Stack(name, context=self._root(address))
        self.stacks.append(stack)
        self.entered[address] += 1
        self.switch(stack)
        self._sp_moved(self.machine.sp)
        return stack

    def switch(self, stack: Stack) -> None:
        """Go on on a stack; `leave` it first."""
        self._stack = stack
        self._point(s.FRAMES_AT, stack.frames)
        self._point(s.LOG_AT, stack.log if self._logs else self._unread_log)
        self.state[[s.DEPTH, s.FRAME_ROOM, s.NOW, s.LAST]] = stack.depth, len(stack.frames), stack.context, stack.last
        self.state[[s.SP_TOP, s.SP_LOW, s.LOWEST_IN]] = stack.top, stack.low, stack.lowest_in
        self.state[[s.LOG_SHIFT, s.SP]] = stack.log_shift, self.machine.sp

    def leave(self) -> Stack:
        """Keep where the stack stands that runs; gives it."""
        stack = self._stack
        stack.depth, stack.context, stack.last = (int(self.state[at]) for at in (s.DEPTH, s.NOW, s.LAST))
        stack.top, stack.low, stack.lowest_in = (int(self.state[at]) for at in (s.SP_TOP, s.SP_LOW, s.LOWEST_IN))
        return stack

    def call(self, address: int) -> None:
        """The host calls a function, on the one stack that there is; the stack pointer is set already."""
        if not self.stacks:
            self.begin(address, "main")
            return
        self.state[[s.DEPTH, s.NOW, s.LAST]] = 0, self._root(address), 0
        self.entered[address] += 1
        self._sp_moved(self.machine.sp)

    def attach(self) -> None:
        """Begin to count."""
        user, (on_block, on_access) = self.state.ctypes.data, addresses_of(FLOW)
        self.machine.flow = self
        self._handles = [self.machine.add_native_hook("block", on_block, user)]
        if self.memory:
            self._handles.append(self.machine.add_native_hook("memory", on_access, user))

    def detach(self) -> None:
        """Stop counting; the tables stay."""
        for handle in self._handles:
            self.machine.remove_hook(handle)
        self._handles, self.machine.flow = [], None
        if self.stacks:
            self.leave()

    @property
    def on_main(self) -> bool:
        """Whether what runs uses the main stack."""
        return self._stack is self.stacks[0]

    def change_stack(self, name: str) -> None:
        """The thread that runs has by itself gone from the main stack to the process's, which is new, or back."""
        process, was = self.on_main, self.leave()
        stack = Stack(name) if process else self.stacks[0]
        stack.frames, stack.depth, stack.context, stack.last = was.frames.copy(), was.depth, was.context, was.last
        if process:
            self.stacks.append(stack)
        self.switch(stack)
        self._sp_moved(self.machine.sp)

    def interrupted(self, frame: int, on_process: bool) -> None:
        """Registers were stacked at `frame`, and a handler will run; `on_process`: it was a thread with a stack of its
        own that was interrupted, so that what comes runs on the main stack."""
        self._sp_moved(frame)
        if on_process:
            self.leave().frame = frame
            self.switch(self.stacks[0])

    def enter(self, handler: int) -> None:
        """An exception's handler begins."""
        sp = self.machine.sp
        self._sp_moved(sp)
        depth, table = int(self.state[s.DEPTH]), self._tables[s.FRAMES_AT]
        table[depth] = s.HANDLER, self.state[s.NOW], 0, sp, self.state[s.LAST]
        self.state[s.DEPTH] += 1
        self.state[[s.NOW, s.LAST]] = self._root(handler), 0
        self.entered[handler] += 1

    def leave_handler(self, frame: int | None, pc: int, name: str) -> None:
        """An exception's handler ends; the thread goes on whose registers were stacked at `frame`, a new one where none
        were; None: on the main stack."""
        depth, table = int(self.state[s.DEPTH]), self._tables[s.FRAMES_AT]
        while depth > 0:
            depth -= 1
            if table[depth, s.RETURNS_TO] == s.HANDLER and not table[depth, s.IS_TAIL]:
                self.state[[s.NOW, s.LAST]] = table[depth, [s.CALLER, s.INTERRUPTED]]
                break
        self.state[s.DEPTH] = depth
        if frame is None:
            self._sp_moved(self.machine.sp)
            return
        self.leave()
        known = next((each for each in self.stacks[1:] if each.frame == frame), None)
        if known is None:
            self.begin(pc, name)
        else:
            known.frame = None
            self.switch(known)
            self._sp_moved(self.machine.sp)

    def _sp_moved(self, sp: int) -> None:
        """An exception, or its return, moved the stack pointer to here: as flow._stack_moved has it."""
        state = self.state
        state[s.SP], state[s.SP_TOP] = sp, max(state[s.SP_TOP], sp)
        if sp < state[s.SP_LOW]:
            state[[s.SP_LOW, s.LOWEST_IN]] = sp, state[s.NOW]
        if self._logs:
            self._stack.put(self.clock, int(state[s.SP_TOP]) - sp)
        self._halve_log()

    def _halve_log(self) -> None:
        self._stack.halve(self.clock)
        self.state[s.LOG_SHIFT] = self._stack.log_shift

    def resume(self, until: int | None, masked: bool = False) -> None:
        """Before the machine runs on: room for what may come, and the clock at which it stops before the next block;
        `masked`: it stops, too, behind whatever may let exceptions be taken."""
        self.state[s.MASKED] = masked
        self._grow()
        self._halve_log()
        self.state[s.DEADLINE] = NEVER if until is None else until

    def makes_room(self) -> bool:
        """Whether it was for room in a table that the machine stopped; then there is more, and it may run on."""
        asked = self.stopped
        if asked:
            self.resume(None)
        return asked

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
        edges = self._tables[s.EDGES_AT]
        return int(edges[:, s.COUNT] @ edges[:, s.STEPS])

    @property
    def clock_before(self) -> int:
        """A clock at which the block that ran last had not begun."""
        edge = self._tables[s.EDGES_AT][self.state[s.LAST] // (8 * s.EDGE)]
        return self.clock - int(edge[s.COST]) - SOME_CYCLES

    @property
    def stopped(self) -> bool:
        """Whether it was this that stopped the machine last: before a block, which will run."""
        return bool(self.state[s.DEADLINE] == s.STOPPED)

    def advance(self, cycles: int, why: str) -> None:
        """Time passes in which no instruction runs: in "exceptions", when they are taken and left, or "idle"."""
        self.state[s.CLOCK] += cycles
        self._passed[why] += cycles

    def cut(self, at: int | None) -> None:
        """The block that ran last ended with the instruction at an address, which failed; nothing runs afterwards."""
        blocks, edges = self._tables[s.BLOCKS_AT], self._tables[s.EDGES_AT]
        edge = edges[self.state[s.LAST] // (8 * s.EDGE)]
        block, part, way = blocks[edge[s.TO]], self.state[s.BLOCKS], self.state[s.EDGES]
        begin = int(block[s.BEGIN_SIZE] & 0xFFFFFFFF)
        if at is None or block[s.FLAGS] & s.UNKNOWN or not begin <= at < block[s.END]:
            return
        end = at + (4 if self.machine.elf.code(at, at + 2)[1] >= WIDE else 2)
        blocks[part], edges[way] = block, edge
        issued, cycles = self.code.instructions(begin, end), self.code.cycles(begin, end)
        left = block[s.STATIC] - cycles
        blocks[part, [s.BEGIN_SIZE, s.END, s.ISSUED, s.STATIC]] = begin | end - begin << 32, end, issued, cycles
        edges[way, [s.TO, s.COUNT, s.COST, s.STEPS]] = part, 1, edge[s.COST] - left, issued
        edge[s.COUNT] -= 1
        self.state[s.CLOCK] -= left
        self.state[[s.BLOCKS, s.EDGES]] += 1

    # ------------------------------------------------------------------ results

    def open_window(self) -> None:
        """What runs from here on belongs to the profile; until this is called the first time all does."""
        if self._opened is None:
            self._opened = self._sums()
            self.windows += 1
            self.leave()
            for stack in self.stacks:
                stack.low = UNMOVED
            self._logs = True
            self.switch(self._stack)
            self._sp_moved(self.machine.sp)

    def close_window(self) -> None:
        """What runs from here on does not belong to it."""
        if self._opened is not None:
            within = self._sums().less(self._opened)
            self._within, self._opened = within if self._within is None else within.plus(self._within), None
            self.leave()
            for stack in self.stacks:
                stack.keep()
                stack.put(self.clock, 0)
            self._logs = False
            self.switch(self._stack)

    def _sums(self) -> Sums:
        edges = self._tables[s.EDGES_AT][: self.state[s.EDGES], s.COUNT].copy()
        return Sums(edges, self._tables[s.REGIONS_AT][:, 2:].copy(), Counter(self.entered), dict(self._passed))

    def counted(self, windows: bool = False) -> Counted:
        """Copies of the tables, as they now stand; `windows`: with what was counted within these alone."""
        self.close_window()
        if not self._windowed:
            self.leave()
            for stack in self.stacks:
                stack.keep()
        blocks, edges, contexts = (self._tables[at][: self.state[at + s.ROWS]].copy()
                                   for at in (s.BLOCKS_AT, s.EDGES_AT, s.CONTEXTS_AT))  # fmt: skip
        sums = self._sums()
        if windows:
            sums = self._within or sums.less(sums)
        edges[:, s.COUNT] = 0
        edges[: len(sums.edges), s.COUNT] = sums.edges
        return Counted(blocks, edges, contexts, sums.accesses, dict(sums.entered), sums.passed["idle"],
                       sums.passed["exceptions"])  # fmt: skip

    # ------------------------------------------------------------------ tables

    def _point(self, index: int, table: np.ndarray) -> None:
        self._tables[index] = table
        self.state[index] = table.ctypes.data

    def _root(self, address: int) -> int:
        """The context of a function that nothing called."""
        node, table = int(self.state[s.CONTEXTS]), self._tables[s.CONTEXTS_AT]
        same = np.flatnonzero((table[:node, s.PARENT] < 0) & (table[:node, s.ADDRESS] == address))
        if len(same):
            return int(same[0])
        table[node] = -1, address, 0
        self.state[s.CONTEXTS] += 1
        _put(self._tables[s.CONTEXTS_AT + s.HASH_AT], -1, address, node)
        return node

    def _grow(self) -> None:
        for at, _, hashed in GROWING:
            if 2 * self.state[at + s.ROWS] <= self.state[at + s.ROOM]:
                continue
            table = np.concatenate([self._tables[at], np.zeros_like(self._tables[at])])
            self._point(at, table)
            self.state[at + s.ROOM] = len(table)
            if hashed:
                self._point(at + s.HASH_AT, np.zeros(2 * len(table), np.int32))
                self.state[at + s.HASH_MASK] = 2 * len(table) - 1
                for row in range(self.state[at + s.ROWS]):
                    _put(self._tables[at + s.HASH_AT], int(table[row, 0]), int(table[row, 1]), row)
            if at == s.FRAMES_AT:
                self._stack.frames = table

    def _prepare_code(self) -> None:
        spans, self._code = [], []
        for span, table in zip(self.code.spans, rows_of(self.machine.elf, self.code), strict=True):
            self._code.append(table)  # keeps it alive
            spans.append((span.base, len(table) - 1, table.ctypes.data))
        self._point(s.SPANS_AT, np.array(spans, np.int64))
        self.state[s.SPANS] = len(spans)


GROWING = (
    (s.BLOCKS_AT, s.BLOCK, True),
    (s.EDGES_AT, s.EDGE, True),
    (s.CONTEXTS_AT, s.NODE, True),
    (s.FRAMES_AT, s.FRAME, False),
)  # fmt: skip  of each: address, numbers of a row, and whether it has a hash table


def _put(hashes: np.ndarray, a: int, b: int, row: int) -> None:
    """As flow._place_of looks for it."""
    wrapped = (1 << 64) - 1
    mixed = (a ^ (b << 20) ^ (b >> 7)) * 0x9E3779B97F4A7C1 & wrapped
    signed = mixed - (1 << 64) if mixed >> 63 else mixed
    place = ((signed >> 29) ^ signed) & (len(hashes) - 1)
    while hashes[place]:
        place = (place + 1) & (len(hashes) - 1)
    hashes[place] = row + 1
