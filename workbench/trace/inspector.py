"""Says of a fault which operator ran and which buffer is nearest, and tells a stack overflow from an arena overflow.

    Inspector(machine, buffers, ops)      from now on the machine's faults are LocatedFaults

It costs a look at the stack's lowest painted words after each call. Whatever it finds suspicious it repeats on a second
machine, from the state before the call, watched at every instruction: so an untraced step's fault says as much as a
traced one's, and names the first access that went wrong before it.

After each call the guard, the painted words between the arena and the stack's reserve, must be intact. Where it is
not, the replay tells why: the stack pointer went below the limit; or something else wrote there, past the arena's end;
or the stack is deeper than its reserve, but has the room: then the guard shrinks, and `violations` tells of it. A frame
that leaps over the guard without touching it is found where its accesses are traced: they are some buffer's.

    | arena | guard ...  (at most GUARD_BYTES)      free      | reserve | stack's top |
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.emulate.faults import Stop, fault
from workbench.emulate.machine import Machine
from workbench.emulate.memory import STACK_LIMIT, STACK_PATTERN
from workbench.errors import FirmwareFault
from workbench.tables import BufferRow, OpRow
from workbench.trace import locate
from workbench.trace.attribution import Placed
from workbench.trace.locate import LocatedFault
from workbench.trace.tracer import BUDGET, Tracer
from workbench.units import address as hexadecimal
from workbench.units import quantity

if TYPE_CHECKING:
    import pandas as pd

    from workbench.trace.stack_watch import Reach, StackWatch

GUARD_BYTES = 256 * 1024  # of a virtual board's megabytes: comparing them after each call would take longer than it
SMALLEST_GUARD = 1024  # where the reserve is not known, or leaves less
BEYOND_RESERVE = "beyond-reserve"
WORDS = {"undeclared-write": "undeclared write to", "undeclared-read": "undeclared read from",
         "unwritten-read": "read of never-written bytes at", "outside": "access outside every buffer, at"}  # fmt: skip


class Inspector:
    """Explains the faults of a machine. `budget`: the instructions an operator may need when a runaway is repeated.

    `reserve`: the bytes of stack that were promised to be enough (None: nothing was promised).
    """

    def __init__(self, machine: Machine, buffers: list[BufferRow], ops: list[OpRow], budget: int = BUDGET,
                 reserve: int | None = None):  # fmt: skip
        self.machine, self.buffers, self.ops, self.budget = machine, buffers, ops, budget
        self._op, self._by_symbol = {op.position: op for op in ops}, {op.symbol: op for op in ops}
        self._limit = machine.elf.address(STACK_LIMIT)
        room = max(0, machine.stack_top - self._limit)
        self._reserve = room if reserve is None else reserve
        self._guard = np.zeros(min(room, GUARD_BYTES, max(SMALLEST_GUARD, room - self._reserve)) // 4, np.uint32)
        self._watched = (self._limit, self._limit + self._guard.nbytes)
        self._deepest: Reach | None = None
        self._seen = 0
        if not len(self._guard):
            raise LocatedFault(
                f"no SRAM is left for the stack: the arena ends at {hexadecimal(self._limit)}, the stack's top",
                kind="stack-overflow",
                address=self._limit,
            )
        machine.inspector = self

    def check(self) -> None:
        """After a run: raises LocatedFault if the stack outgrew its room, or something wrote past the arena's end."""
        found = self.machine.counter.found if self.machine.counter else 0
        self.machine.read_into(self._limit, self._guard)
        touched = self._guard != STACK_PATTERN
        if not touched.any() and found <= self._seen:
            return
        self._seen = found
        if touched.any():
            self._guard = self._guard[: int(touched.argmax())]
        tracer, watch, _ = self._replay()
        if error := self._overflow(tracer, watch):
            raise error
        if not self._deepest or watch.stack.address < self._deepest.address:
            self._deepest = watch.stack

    def violations(self, found: pd.DataFrame) -> pd.DataFrame:
        """What a tracer found, and a row for a stack that outgrew its reserve: address is where it ended, size the
        bytes beyond."""
        import pandas as pd

        lowest, limit = self.machine.stack_top - self.machine.stack_peak(), self.machine.stack_top - self._reserve
        if lowest >= limit:
            return found
        deepest = self._deepest
        if deepest is None or deepest.address >= limit:  # it was beyond GUARD_BYTES
            from workbench.trace.stack_watch import Reach

            deepest = Reach(lowest, 0, -1)
        op, function = self._op.get(deepest.position), self.machine.elf.symbol_at(deepest.pc)
        row = {
            "kind": BEYOND_RESERVE, "position": deepest.position, "op": op.symbol if op else "", "buffer": pd.NA,
            "address": deepest.address, "size": limit - deepest.address, "pc": deepest.pc,
            "symbol": function[0].name if function else "", "count": 1,
        }  # fmt: skip
        return pd.concat([found, pd.DataFrame([row]).astype({"buffer": "Int64"})], ignore_index=True)

    def explain(self, error: FirmwareFault) -> FirmwareFault:
        """The fault with its operator and the nearest buffer; what went wrong before it, if anything did."""
        if error.kind == "runaway":
            return self._runaway(error)
        tracer, watch, twin = self._replay()
        if twin.stopped is None:
            return error
        if located := self._overflow(tracer, watch):
            last: str | None = f"then {error.message}"
        else:
            located, last = self._located(error, tracer.position, tracer), self._before(tracer)
        if last:
            located.message += f"\n  {last}"
        return located

    # ------------------------------------------------------------------ replays

    def _replay(self) -> tuple[Tracer, StackWatch, Machine]:
        """The last run once more, watched at every instruction and access."""
        from workbench.trace.stack_watch import StackWatch  # loads numba

        watchers: list[tuple[Tracer, StackWatch]] = []

        def prepare(twin: Machine) -> None:
            level = "memory" if self.machine.from_entry else "ops"  # halfway, who is written is not known
            tracer = Tracer(twin, self.buffers, self.ops, level, budget=self.budget)
            tracer.attach()
            tracer.begin_call()
            for buffer in tracer.placed:
                if buffer.row.role in ("input", "label"):
                    tracer.host_wrote(buffer.begin, buffer.row.size)
            watchers.append((tracer, StackWatch(twin, tracer.state, self._watched)))

        twin = self.machine.replay(prepare)
        ((tracer, watch),) = watchers
        return tracer, watch, twin

    def _runaway(self, error: FirmwareFault) -> FirmwareFault:
        """The operator that does not end: the tracer that stopped it knows; else it is found by counting."""
        counter = self.machine.counter
        if counter:
            return self._located(error, counter.position, counter)
        counters = []

        def prepare(twin: Machine) -> None:
            twin.seconds_limit = math.inf  # the budget ends it, wherever it runs
            counters.append(Tracer(twin, self.buffers, self.ops, "ops", budget=self.budget))
            counters[0].attach()

        twin = self.machine.replay(prepare)
        (counter,) = counters
        if twin.stopped is None:
            located, count = self._located(error, -1, counter), quantity(counter.totals().instructions)
            located.hint = f"repeated, it does come back, after {count} instructions: a slow host?"
            return located
        again = fault(
            twin, Stop("runaway", detail=self.machine.stopped.detail if self.machine.stopped else ""), twin.pc
        )
        return self._located(again, counter.position, counter)

    # ------------------------------------------------------------------ words

    def _located(self, error: FirmwareFault, position: int, tracer: Tracer) -> LocatedFault:
        """With the operator (its own symbol tells, else where the tracer stood) and the nearest buffer alive."""
        op = self._by_symbol.get(error.symbol) or self._op.get(position)
        buffer, lines = None, [error.message + (f", {locate.operator(op, error.symbol)}" if op else "")]
        if error.address is not None and error.kind != "invalid-state":
            buffer = locate.nearest(locate.alive(tracer.placed, op.position if op else position), error.address)
        if buffer:
            lines.append(locate.place(buffer, error.address))
        return _fault(lines, error, op, buffer)

    def _overflow(self, tracer: Tracer, watch: StackWatch) -> LocatedFault | None:
        """Whether the stack left its room, or something else entered it."""
        stack, written = watch.stack, watch.written
        if stack.address < self._limit:
            what = f"grew to {hexadecimal(stack.address)}, {self._limit - stack.address} bytes below its limit"
            error = self._error("stack-overflow", f"stack overflow: {what}", stack)
            living = locate.alive(tracer.placed, stack.position)
            hit = locate.overrun(living, stack.address, self._limit)
            if not hit:
                return self._located(error, stack.position, tracer)
            op, more = self._op.get(stack.position), f" and {len(hit) - 1} more" if hit[1:] else ""
            first = error.message + (f", {locate.operator(op, error.symbol)}" if op else "")
            return _fault([first, f"into {locate.extent(hit[0])}{more}"], error, op, hit[0])
        if written and written.address < stack.address:
            past = f"{written.address - self._limit} bytes past" if written.address > self._limit else "just past"
            what = f"write to {hexadecimal(written.address)}, {past} the arena's end"
            return self._located(
                self._error("arena-overflow", f"arena overflow: {what}", written), written.position, tracer
            )
        return None

    def _error(self, kind: str, what: str, reach: Reach) -> FirmwareFault:
        found = self.machine.elf.symbol_at(reach.pc)
        return FirmwareFault(
            f"{what}, in {self._where(reach.pc)}", kind=kind, pc=reach.pc, address=reach.address,
            symbol=found[0].name if found else None,
        )  # fmt: skip

    def _before(self, tracer: Tracer) -> str | None:
        """The first access that the plan did not promise: 'before it, undeclared write to 0x2003f004 in op_003_dense
        (dense_f32.h:9), 4 bytes past buffer h [...)', the nearest one that its operator declared."""
        table = tracer.violations()
        if table.empty:
            return None
        row = table.iloc[0]
        op, address = self._op.get(row.position), int(row.address)
        buffer = locate.declared(tracer.placed, op, address)
        words = [f"before it, {WORDS[row.kind]} {hexadecimal(address)} in {self._where(int(row.pc))}"]
        return ", ".join(words + ([locate.place(buffer, address)] if buffer else []))

    def _where(self, pc: int) -> str:
        return self.machine.elf.describe(pc) or hexadecimal(pc)


def _fault(lines: list[str], error: FirmwareFault, op: OpRow | None, buffer: Placed | None) -> LocatedFault:
    return LocatedFault(
        "\n  ".join(lines), None if buffer else error.hint, op=op, buffer=buffer and buffer.row,
        kind=error.kind, pc=error.pc, address=error.address, symbol=error.symbol,
    )  # fmt: skip
