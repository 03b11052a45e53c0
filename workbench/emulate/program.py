"""Any program on an emulated core, from its reset to its end: it need know nothing of the workbench.

    program = Program(elf, board, arguments=["x"], stdin=b"…", output=sys.stdout.buffer.write)
    ended = program.run(flow, seconds=60)

Besides memory there are semihosting, DWT's cycle counter, SysTick, and the exceptions SVC, PendSV and SysTick with
their returns, so that a small RTOS runs. Time is the flow's clock. An exception is taken between two blocks: eight
words are stacked (ENTRY_CYCLES), and unstacked when a value of EXC_RETURN is branched to (EXIT_CYCLES); tail-chaining
is not modelled, and floating-point registers are kept aside instead of being stacked. `WFI` and `WFE` end at the next
interrupt, which then is now. Whatever else is touched between 0x40000000 and 0x5FFFFFFF, or of the core's own
registers, does nothing and is named, with the function that did it; what a chip's maker wrote reads as ones.

Armv7-M Architecture Reference Manual (DDI 0403), B1.5 (exceptions), B3 (system address map).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from time import monotonic
from typing import Any

from workbench.boards import Board
from workbench.emulate.core import NOWHERE, THUMB, Core, arm, unicorn
from workbench.emulate.faults import BREAKPOINT, SUPERVISOR_CALL, Stop, fault
from workbench.emulate.own_board import vectors_of
from workbench.emulate.peripherals import semihosting
from workbench.emulate.peripherals.semihosting import Semihosting
from workbench.emulate.peripherals.system import SVC, System
from workbench.emulate.symbols import Elf
from workbench.emulate.watchdog import Watchdog
from workbench.errors import BoardError, FirmwareFault, WorkbenchError
from workbench.units import address as hexadecimal

PRIVATE = (0xE0000000, 0x100000)  # the private peripheral bus
PERIPHERALS = (0x40000000, 0x20000000)
FACTORY = ((0x10000000, 0x2000), (0x1FFF0000, 0x10000), (0xF0000000, 0x1000))  # identities, calibrations, ROM tables
MANY_READS = 1000
EXC_RETURN = 0xFFFFFF00  # from here on
# Up to the handler's first instruction, at zero wait states: 12, of a Cortex-M0+ 15 (J. Yiu, "A beginner's guide on
# interrupt latency", Arm). Back: 10 (Cortex-M4 TRM, DDI 0439, 3.9), assumed for the other cores, too.
ENTRY_CYCLES, EXIT_CYCLES = {"cortex-m0plus": 15}, 10
USUAL_ENTRY_CYCLES = 12
IT_BITS, ALIGNED, EXCEPTION = 0x0600FC00, 1 << 9, 0x1FF  # of xPSR
FRAME = Struct("<8I")
STACKED = (arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1, arm.UC_ARM_REG_R2, arm.UC_ARM_REG_R3, arm.UC_ARM_REG_R12,
           arm.UC_ARM_REG_LR)  # fmt: skip
FLOATS = (arm.UC_ARM_REG_FPSCR, *range(arm.UC_ARM_REG_D0, arm.UC_ARM_REG_D15 + 1))
WFI, WFE, YIELD = (b"\x30\xbf", b"\xaf\xf3\x03\x80"), (b"\x20\xbf", b"\xaf\xf3\x02\x80"), (b"\x10\xbf",)
SEV_WFE = b"\x40\xbf" + WFE[0]  # the event is there already
MOST_NOTES = 40
SLICE_SECONDS = 0.25  # of the host: as often Python runs, in which alone Ctrl-C is heard


@dataclass(frozen=True)
class Ended:
    """How a program ended: `how` is exit, breakpoint, until, limit or fault; `code`: an exit's, where it has one."""

    how: str
    code: int | None = None
    fault: FirmwareFault | None = None


class Program(Core):
    """See above. `notes`: what was not modelled, or refused."""

    data_rights = unicorn.UC_PROT_WRITE | unicorn.UC_PROT_EXEC

    def __init__(
        self,
        elf: Elf,
        board: Board,
        *,
        arguments: Sequence[str] = (),
        stdin: Callable[[], bytes] = bytes,
        output: Callable[[bytes], Any] = lambda data: None,
        folder: Path | None = None,
    ):
        self.notes: list[str] = []
        self._reads: Counter[int] = Counter()  # of peripherals
        self._flow: Any = None
        table = vectors_of(elf)
        self.system = System(board.core, table or 0, self._clock, self._attend, self._told_of)
        super().__init__(elf, board)
        self.stack_top = board.sram_end if table is None else self.read_u32(table)
        if not board.region_at(self.stack_top - 4):
            raise BoardError(
                f"{elf.path.name} has its stack's top at {hexadecimal(self.stack_top)}: {board.name} has nothing there",
                "name the board that it was linked for: --board B",
            )
        self._begin = elf.entry if table is None else self.read_u32(table + 4) & ~1
        end = max((each.address + each.size for each in elf.sections if each.address in board.region(board.data)),
                  default=board.sram_base)  # fmt: skip
        heap = (-(-end // 8) * 8, self.stack_top, self.stack_top, -(-end // 8) * 8)
        self.host = Semihosting(self, output, self._clock, board.clock_hz, self._note, arguments, stdin, folder, heap)
        self._watchdog = Watchdog(self._attend)
        self._floats: dict[int, list[int]] = {}
        self._sp_outside = 0
        self._number: int | None = None  # of the exception that stopped the emulator
        self._close_clock: int | None = None
        self._instruction: int | None = None  # that began last, where each is looked at

    # ------------------------------------------------------------------ running

    def run(
        self, flow, *, seconds: float = 60.0, until: int | None = None, window=None, close: int | None = None
    ) -> Ended:
        """From reset to the end; `flow` (trace/flows.py) counts and tells the time. `seconds` of emulation at most;
        `until`: an address before which it ends; `window` (profiling.py): what of the run belongs to the profile;
        `close`: the clock from which on each instruction is looked at, so that a fault tells the one that failed and
        not where its block begins."""
        self._flow, self._window, self._inside, self._steps_over, self._close_clock = flow, window, False, False, close
        self.set_frame(self.stack_top, 0xFFFFFFFF)
        flow.attach()
        flow.begin(self._begin, "main")
        try:
            return self._run(self._begin, seconds, until)
        except semihosting.Exit as ended:
            return Ended("exit", ended.code)
        except FirmwareFault as error:
            return Ended("breakpoint") if error.kind == "breakpoint" else Ended("fault", fault=error)
        except WorkbenchError as error:  # no memory to stack registers in, or no vector table
            return Ended("fault", fault=FirmwareFault(f"an exception cannot be taken, or left: {error.message}"))
        finally:
            flow.detach()
            self.host.close()

    def _run(self, pc: int, seconds: float, last: int | None) -> Ended:
        deadline = monotonic() + seconds
        until = self._window.begin if self._window else NOWHERE if last is None else last
        while True:
            on_main = self._number_of(arm.UC_ARM_REG_IPSR) or not self._number_of(arm.UC_ARM_REG_CONTROL) & 2
            if self._flow.on_main != bool(on_main):
                self._flow.change_stack(self._name_at(pc))
            pc = self._take_pending(pc)
            if monotonic() >= deadline:
                self._note_limit(pc, seconds)
                return Ended("limit")
            self._look_closely()
            self._flow.resume(self._next_stop(), masked=bool(self.system.pending))
            if self._steps_over:  # a block that begins where it would stop
                self._flow.resume(self._clock() + 1)
            stop = self._emulate_for(pc, NOWHERE if self._steps_over else until, deadline - monotonic())
            pc, self._steps_over = self.pc, False
            returns = pc >= EXC_RETURN  # where a handler's window ends is no place in memory
            if pc == until != NOWHERE and (returns or (stop is None and self._number is None)):
                if not self._window:
                    return Ended("until")
                until = self._edge_of_window(until)
                continue
            goes_on = self._after(stop, pc)
            if goes_on is None:
                self._note("it waits for an interrupt that never comes")
                return Ended("limit")
            if self.system.reset:
                self._note("it asked for a reset")
                return Ended("exit")
            pc = goes_on

    def _note_limit(self, pc: int, seconds: float) -> None:
        """Where it was when its time was up, and what it may have waited for."""
        where = self.elf.describe(pc) or hexadecimal(pc)
        waited = [f", which read {hexadecimal(address)} {count:,} times and found 0: it may wait for that peripheral"
                  for address, count in self._reads.most_common(1) if count >= MANY_READS]  # fmt: skip
        self.notes.insert(0, f"it was stopped after {seconds:g} s of emulation, in {where}{''.join(waited)}")

    def _edge_of_window(self, here: int) -> int:
        """The window opens or closes here; gives the address of its other end. A function's closes where its first
        call returns, which the stack pointer tells from calls further in."""
        if self._inside and self._window.function and self.sp != self._sp_outside:
            self._steps_over = True
            return here
        self._inside = not self._inside
        if not self._inside:
            self._flow.close_window()
            return self._window.begin
        self._flow.open_window()
        self._sp_outside = self.sp
        return self.lr if self._window.function else self._window.end

    def _look_closely(self) -> None:
        if self._close_clock is not None and self._clock() >= self._close_clock:
            self._close_clock = None
            self._hooks.append(self._uc.hook_add(unicorn.UC_HOOK_CODE, self._on_instruction))

    def _on_instruction(self, uc, address: int, size: int, user) -> None:
        self._instruction = address

    def _emulate_for(self, pc: int, until: int, seconds: float) -> Stop | None:
        """Run on; gives what stopped it, None where that was the flow's clock, or a wait."""
        self._number = self.stopped = None
        for stop in {until, self._last_until}:
            self._uc.ctl_remove_cache(stop, stop + 2)
        self._last_until = until
        try:
            with self._watchdog.limit(min(max(seconds, 0.001), SLICE_SECONDS)):
                self._uc.emu_start(pc | 1, until)
        except unicorn.UcError as error:
            self.stopped = self.stopped or Stop.of_error(error.errno)
        return self.stopped

    def _after(self, stop: Stop | None, pc: int) -> int | None:
        """Where to go on, None where nothing will ever happen. Raises Exit, or FirmwareFault."""
        if pc >= EXC_RETURN & ~1 and self._number_of(arm.UC_ARM_REG_IPSR):
            return self._exception_return(pc)
        if self._number == BREAKPOINT:
            if self.read(pc, 2) != semihosting.BREAKPOINT.to_bytes(2, "little"):
                raise fault(self, Stop("breakpoint"), pc)
            operation, argument = (self._number_of(arm.UC_ARM_REG_R0 + at) for at in (0, 1))
            self._uc.reg_write(arm.UC_ARM_REG_R0, self.host.call(operation, argument))
            return pc + 2
        if self._number == SUPERVISOR_CALL:
            self.system.pending.add(SVC)
            return pc
        if stop is None and self._flow.stopped:
            return pc
        if stop is None or stop.kind == "undefined":
            before = self._code_before(pc)
            if before.endswith(YIELD) or before == SEV_WFE:
                return pc
            if before.endswith(WFI) or before.endswith(WFE):
                return self._wait(pc)
        if pc == NOWHERE:
            raise FirmwareFault(
                "the function that it began with returned, and there is nothing to return to", kind="lost"
            )
        if stop is not None:
            if stop.kind == "undefined" and not self._number_of(arm.UC_ARM_REG_XPSR) & THUMB:
                stop = Stop("invalid-state", pc)
            raise fault(self, stop, pc if self._instruction is None else self._instruction)
        return pc

    def _code_before(self, pc: int) -> bytes:
        return self.read(pc - 4, 4) if self.board.region_at(pc - 4) else b""

    def _wait(self, pc: int) -> int | None:
        """Nothing runs until the next interrupt."""
        if self.system.pending:
            return pc
        due = self.system.next_tick
        if due is None:
            return None
        self._flow.advance(max(0, due - self._clock()), "idle")
        return pc

    # ------------------------------------------------------------------ time

    def _clock(self) -> int:
        return self._flow.clock if self._flow else 0

    def _attend(self) -> None:
        """Something has changed that may make an exception be taken: stop before the next block."""
        if self._flow:
            self._flow.interrupt()

    def _next_stop(self) -> int | None:
        """The clock at which something may happen."""
        stops = [each for each in (self.system.next_tick, self._close_clock) if each is not None]
        return min(stops, default=None)

    # ------------------------------------------------------------------ exceptions

    def _take_pending(self, pc: int) -> int:
        """Where to go on: in a handler, if an exception waits that is more urgent than what runs."""
        system = self.system
        system.tick()
        if not system.pending:
            return pc
        number = min(system.pending, key=lambda each: (system.priority(each), each))
        urgent = system.priority(number) < self._running_priority()
        if number == SVC and not urgent:
            self._note(f"an SVC before {hexadecimal(pc)} that may not be taken there: on silicon a HardFault")
            system.pending.discard(number)
            return pc
        if not urgent:
            return pc
        system.pending.discard(number)
        return self._enter(number, pc)

    def _running_priority(self) -> int:
        """Of what runs: below it nothing is taken."""
        levels = [256, *(self.system.priority(each) for each in self.system.active)]
        if self._number_of(arm.UC_ARM_REG_PRIMASK) & 1:
            levels.append(0)
        if self._number_of(arm.UC_ARM_REG_FAULTMASK) & 1:
            levels.append(-1)
        if base := self._number_of(arm.UC_ARM_REG_BASEPRI):
            levels.append(base)
        return min(levels)

    def _enter(self, number: int, pc: int) -> int:
        """Stack what runs, and go to a handler."""
        status, sp = self._number_of(arm.UC_ARM_REG_XPSR), self.sp
        thread = not status & EXCEPTION
        on_process = thread and bool(self._number_of(arm.UC_ARM_REG_CONTROL) & 2)
        aligned = sp & 4
        frame = sp - aligned - FRAME.size
        saved = [self._number_of(register) for register in STACKED]
        self.write(frame, FRAME.pack(*saved, pc, status & ~ALIGNED | (ALIGNED if aligned else 0)))
        self._uc.reg_write(arm.UC_ARM_REG_SP, frame)
        self._floats[frame] = [self._uc.reg_read(register) for register in self._float_registers]
        self._flow.interrupted(frame, on_process)
        self._uc.reg_write(arm.UC_ARM_REG_XPSR, status & ~(IT_BITS | EXCEPTION | ALIGNED) | THUMB | number)
        back = 0xFFFFFFFD if on_process else 0xFFFFFFF9 if thread else 0xFFFFFFF1
        self._uc.reg_write(arm.UC_ARM_REG_LR, back)
        self.system.active.append(number)
        self._flow.advance(ENTRY_CYCLES.get(self.board.core, USUAL_ENTRY_CYCLES), "exceptions")
        handler = self.read_u32(self.system.vectors + 4 * number) & ~1
        self._flow.enter(handler)
        return handler

    def _exception_return(self, value: int) -> int:
        """Unstack what an exception interrupted, or what an RTOS made look so; gives where it goes on."""
        value |= 1
        if self.system.active:
            self.system.active.pop()
        thread, on_process = bool(value & 8), bool(value & 4) and bool(value & 8)
        frame = self._number_of(arm.UC_ARM_REG_PSP if on_process else arm.UC_ARM_REG_MSP)
        *saved, pc, status = FRAME.unpack(self.read(frame, FRAME.size))
        control = self._number_of(arm.UC_ARM_REG_CONTROL)
        status_now = status & ~ALIGNED if not thread else status & ~(ALIGNED | EXCEPTION)
        self._uc.reg_write(arm.UC_ARM_REG_XPSR, status_now | THUMB)
        if thread:
            self._uc.reg_write(arm.UC_ARM_REG_CONTROL, control & ~2 | (2 if on_process else 0))
        for register, word in zip(STACKED, saved, strict=True):
            self._uc.reg_write(register, word)
        self._uc.reg_write(arm.UC_ARM_REG_SP, frame + FRAME.size + (4 if status & ALIGNED else 0))
        for register, word in zip(self._float_registers, self._floats.pop(frame, ()), strict=False):
            self._uc.reg_write(register, word)
        self._flow.advance(EXIT_CYCLES, "exceptions")
        self._flow.leave_handler(frame if on_process else None, pc & ~1, self._name_at(pc & ~1))
        return pc & ~1

    def _name_at(self, pc: int) -> str:
        place = self.elf.symbol_at(pc)
        return place[0].name if place else hexadecimal(pc)

    @property
    def _float_registers(self) -> tuple[int, ...]:
        return () if self.board.soft_float else FLOATS

    def _number_of(self, register: int) -> int:
        return int(self._uc.reg_read(register))

    # ------------------------------------------------------------------ what is around the core

    def _map_system(self, uc) -> None:
        uc.mmio_map(*PRIVATE, self._read_private, None, self._write_private, None)
        uc.mmio_map(*PERIPHERALS, self._read_peripheral, None, self._write_peripheral, None)
        for base, size in FACTORY:
            if all(region.end <= base or base + size <= region.base for region in self.board.regions):
                uc.mmio_map(base, size, self._read_factory, base, None, None)

    def _read_private(self, uc, offset: int, size: int, user) -> int:
        address = PRIVATE[0] + offset
        return self.system.read(address & ~3) >> 8 * (address & 3) & ((1 << 8 * size) - 1)

    def _write_private(self, uc, offset: int, size: int, value: int, user) -> None:
        address, mask = PRIVATE[0] + offset, (1 << 8 * size) - 1
        if size < 4:  # into the word, the rest of which stays
            shift, word = 8 * (address & 3), self.system.read(address & ~3)
            value = word & ~(mask << shift) | (value & mask) << shift
        self.system.write(address & ~3, value & 0xFFFFFFFF)

    def _read_peripheral(self, uc, offset: int, size: int, user) -> int:
        self._reads[PERIPHERALS[0] + offset] += 1
        self._touched(PERIPHERALS[0] + offset)
        return 0

    def _read_factory(self, uc, offset: int, size: int, base: int) -> int:
        """What a chip's maker wrote: as erased flash."""
        place = self.elf.symbol_at(self.pc)
        where = place[0].name if place else hexadecimal(self.pc)
        self._note(f"{hexadecimal(base + offset)} is the chip's own and reads as ones: read by {where}")
        return (1 << 8 * size) - 1

    def _write_peripheral(self, uc, offset: int, size: int, value: int, user) -> None:
        self._touched(PERIPHERALS[0] + offset)

    def _touched(self, address: int) -> None:
        """A peripheral that is not modelled."""
        self._told_of(f"{hexadecimal(address)} is not modelled and reads as 0")

    def _told_of(self, what: str) -> None:
        self._note(f"{what}: touched by {self._name_at(self.pc)}")

    def _note(self, text: str) -> None:
        if text not in self.notes and len(self.notes) <= MOST_NOTES:
            self.notes.append(text if len(self.notes) < MOST_NOTES else "and more of this kind")

    def _on_interrupt(self, uc, number, user) -> None:
        self._number = number
        if number not in (BREAKPOINT, SUPERVISOR_CALL):
            self.stopped = Stop.of_interrupt(number)
        uc.emu_stop()
