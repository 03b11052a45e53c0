"""Tracer: watches a machine's run and tells, per operator and per buffer, what it did.

    tracer = Tracer(machine, buffers, ops, level="memory")
    tracer.attach(); tracer.begin_call()
    machine.write("wb_arena", image); tracer.host_wrote("wb_arena", len(image))
    machine.call("wb_train_step"); tracer.detach()
    tracer.op_profile(), tracer.accesses(), tracer.violations()

Levels: `off` attaches nothing; `ops` counts instructions and cycles (a callback a block); `memory` also attributes
every access to a buffer at a position and holds it against what the operator declared (a callback an access).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.emulate.machine import Machine
from workbench.emulate.timing import CodeTables, TimingModel, code_tables, model_of
from workbench.errors import WorkbenchError, there_are
from workbench.options import LEVELS
from workbench.tables import BufferRow, OpRow
from workbench.trace import attribution, results
from workbench.trace import state as s
from workbench.trace.callbacks import callbacks
from workbench.units import quantity

if TYPE_CHECKING:
    import pandas as pd

BUDGET = 20_000_000_000  # instructions: half a minute of emulation, and minutes of a real Cortex-M


@dataclass(frozen=True)
class Totals:
    """Sums over all positions and the code outside operators; cycles are modelled, the rest counted.

    arena_touched is the extent in bytes from the arena's start to the highest byte touched, stack_touched the bytes
    from the lowest stack access to the stack's top; both None below level `memory`. violations counts accesses.
    """

    instructions: int | None
    cycles: int | None
    arena_touched: int | None
    stack_touched: int | None
    violations: int | None


class Tracer:
    """Counts what a machine does, operator by operator. Results add up over the calls made while attached.

    `budget`: instructions that one operator may run in one call; past them the machine stops as a runaway, at the same
    instruction every time.
    """

    def __init__(self, machine: Machine, buffers: list[BufferRow], ops: list[OpRow], level: str = "ops",
                 timing: TimingModel | None = None, budget: int = BUDGET):  # fmt: skip
        if level not in LEVELS:
            hint = there_are(level, LEVELS)
            raise WorkbenchError(f"no trace level is called {level!r}", hint)
        self.machine, self.level, self.ops, self.budget = machine, level, ops, budget
        self.timing = timing or model_of(machine.board)
        self._handles: list[int] = []
        board = machine.board
        self.placed = attribution.place(machine.elf, buffers, board.sram_base)
        self._rows = 1 + max((op.position + 1 for op in ops), default=0)
        self.state = np.zeros(s.SIZE, np.int64)
        self.state[[s.STOP_AT, s.EMULATOR]] = machine.stop_function
        self.state[s.READ_AT] = machine.read_function
        self._tables: dict[int, np.ndarray] = {}  # keeps alive what the callbacks point to, as do the tables of code
        self._code: list[np.ndarray] = []
        self.code: CodeTables | None = None
        if level != "off":
            self._prepare_code()
        if level == "memory":
            self._prepare_memory()

    # ------------------------------------------------------------------ control

    def attach(self) -> None:
        """Begin to watch; costs a fresh translation of the firmware (milliseconds)."""
        if self.level == "off" or self._handles:
            return
        user = self.state.ctypes.data
        self._renew_budget()
        self.machine.counter = self
        self._handles = [self.machine.add_native_hook("block", callbacks().on_block, user)]
        if self.level == "memory":
            self._handles.append(self.machine.add_native_hook("memory", callbacks().on_access, user))

    def detach(self) -> None:
        """Stop watching: the machine runs at full speed again. Results stay."""
        for handle in self._handles:
            self.machine.remove_hook(handle)
        if self._handles:
            self.machine.counter = None
        self._handles = []
        self.state[s.ROW] = 0

    def begin_call(self) -> None:
        """Before each call, and before the host writes inputs: what lives from position 0 is born, unwritten."""
        if self.level != "off":
            self._renew_budget()
            callbacks().begin_call(self.state.ctypes.data)

    def host_wrote(self, where: int | str, size: int) -> None:
        """The host wrote `size` bytes: they count as written, at position -1."""
        if self.level == "memory":
            address = self.machine.elf.address(where) if isinstance(where, str) else where
            callbacks().host_wrote(self.state.ctypes.data, address, size)

    @property
    def position(self) -> int:
        """Where the attached run stands (-1 outside operators): in a fault, the operator that was running."""
        return int(self.state[s.ROW]) - 1

    @property
    def halted(self) -> str | None:
        """What made the tracer stop the machine: a budget that was used up."""
        return f"{quantity(self.budget)} instructions" if self.state[s.HALTED] else None

    @property
    def found(self) -> int:
        """How many accesses so far were none that the plan promised."""
        rows = self._tables.get(s.VIOLATIONS_AT)
        return 0 if rows is None else int(rows[: self.state[s.VIOLATIONS], 6].sum() + self.state[s.VIOLATIONS_LOST])

    # ------------------------------------------------------------------ results

    def op_profile(self) -> pd.DataFrame:
        """position (-1 outside operators), instructions, cycles, bytes_read, bytes_written; <NA> where not traced."""
        return results.op_profile(self._rows, self._counts(), self._accesses())

    def accesses(self) -> pd.DataFrame:
        """position, buffer (id), bytes_read, bytes_written, low, high (addresses, high exclusive; level `memory`)."""
        return results.accesses(self.placed, self._accesses())

    def buffer_profile(self) -> pd.DataFrame:
        """id, address, first_write, last_read, bytes_read, bytes_written, touched: one row a buffer."""
        return results.buffer_profile(self.placed, self.accesses(), self.level == "memory")

    def violations(self) -> pd.DataFrame:
        """Undeclared accesses: kind, position, op, buffer, address, size, pc (of the block), symbol, count.

        The first access of each (kind, position, buffer); `count` says how many there were. At most 64 rows. `outside`
        is what lies in no buffer alive: then the buffer is the one that died there last, else the nearest that the
        operator declared.
        """
        rows = self._tables.get(s.VIOLATIONS_AT)
        found: Any = rows[: self.state[s.VIOLATIONS]] if rows is not None else []
        return results.violations(self.placed, {op.position: op for op in self.ops}, found, self.machine.elf)

    def totals(self) -> Totals:
        """Sums over the whole run; None where the level does not tell."""
        counts = self._counts()
        instructions, cycles = (None, None) if counts is None else map(int, counts.sum(axis=0))
        accesses = self._accesses()
        if accesses is None:
            return Totals(instructions, cycles, None, None, None)
        begin = int(self.state[s.ARENA_BEGIN])
        high = max([begin, int(self.state[s.STRAY_HIGH])] + [
            int(accesses[:, at, 3].max())
            for at, buffer in enumerate(self.placed) if buffer.row.storage == "arena"
        ])  # fmt: skip
        stack = max(0, self.machine.stack_top - int(self.state[s.STACK_LOW]))
        return Totals(instructions, cycles, high - begin, stack, self.found)

    def _counts(self) -> np.ndarray | None:
        return self._past + self._tables[s.COUNTS_AT] + (self.budget, 0) if s.COUNTS_AT in self._tables else None

    def _accesses(self) -> np.ndarray | None:
        return self._tables.get(s.ACCESSES_AT)

    # ------------------------------------------------------------------ set-up

    def _renew_budget(self) -> None:
        """From here on every operator may run its budget once more."""
        self._past = self._counts()
        self._tables[s.COUNTS_AT][:] = -self.budget, 0
        self.state[s.HALTED] = 0

    def _point(self, index: int, table: np.ndarray) -> None:
        """Hand a table to the callbacks."""
        table = np.ascontiguousarray(table)
        self._tables[index] = table
        self.state[index] = table.ctypes.data

    def _prepare_code(self) -> None:
        self.code = code_tables(self.machine.elf, self.timing)
        self._code = attribution.code_table(self.code, self.machine.elf, self.ops)
        each = zip(self.code.spans, self._code, strict=True)
        spans = [(span.base, len(table) - 1, table.ctypes.data) for span, table in each]
        self._point(s.SPANS_AT, np.array(spans, np.int64))
        self._past = np.zeros((self._rows, 2), np.int64)  # counted before the budget was renewed
        self._point(s.COUNTS_AT, np.tile(np.array((-self.budget, 0), np.int64), (self._rows, 1)))
        self.state[s.SPANS], self.state[[s.CODE_BASE, s.CODE_HALFWORDS, s.CODE_AT]] = len(spans), spans[0]

    def _prepare_memory(self) -> None:
        board, elf = self.machine.board, self.machine.elf
        top = self.machine.stack_top
        owners = attribution.sram_owners(elf, self.placed, board.sram_base, board.sram_size, top)
        flash = attribution.flash_owners(elf, self.placed, board.flash_base, board.flash_size)
        events = attribution.events(self.placed, board.sram_base, board.sram_size)
        may = attribution.permissions(self.placed, self.ops, self._rows)
        self._point(s.OWNERS_AT, owners)
        self._point(s.FLASH_OWNERS_AT, flash)
        self._point(s.EVENTS_AT, events)
        self._point(s.PERMISSIONS_AT, may)
        self._point(s.ACCESSES_AT, np.zeros((*may.shape, 4), np.int64))
        self._point(s.VIOLATIONS_AT, np.zeros((s.VIOLATION_LIMIT, s.VIOLATION_FIELDS), np.int64))
        values = {
            s.MEMORY: 1, s.SRAM_BASE: board.sram_base, s.SRAM_SIZE: board.sram_size,
            s.FLASH_BASE: board.flash_base, s.FLASH_SIZE: len(flash), s.FLASH_END: board.flash_base + board.flash_size,
            s.BUFFERS: may.shape[1], s.EVENTS: len(events), s.STACK_LOW: top,
        }  # fmt: skip
        self.state[list(values)] = list(values.values())
        self.state[[s.ARENA_BEGIN, s.ARENA_END]] = np.minimum(attribution.arena(elf, self.placed), board.sram_end)
        self.state[[s.ROW_PERMISSIONS_AT, s.ROW_ACCESSES_AT]] = self.state[[s.PERMISSIONS_AT, s.ACCESSES_AT]]
