"""The core's own registers: DWT's cycle counter, SysTick, and what of the System Control Block exceptions are made by.

Armv7-M Architecture Reference Manual (DDI 0403): B3.2 (System Control Space), B3.3 (SysTick), C1.8 (DWT). Time is the
clock that runs along, modelled cycles, whose granularity is a block. Registers that do nothing here keep what is
written to them; one that would do something is named when it is touched. The NVIC's are kept too, enables as they are
set and cleared, but no peripheral's interrupt ever comes. A Cortex-M0+ has no cycle counter (DDI 0484).
"""

from collections.abc import Callable

from workbench.units import address as hexadecimal

DWT_CTRL, DWT_CYCCNT = 0xE0001000, 0xE0001004
CSR, RVR, CVR, CALIB = 0xE000E010, 0xE000E014, 0xE000E018, 0xE000E01C
CPUID, ICSR, VTOR, AIRCR, SCR, CCR = 0xE000ED00, 0xE000ED04, 0xE000ED08, 0xE000ED0C, 0xE000ED10, 0xE000ED14
SHPR2, SHPR3, CPACR, DEMCR = 0xE000ED1C, 0xE000ED20, 0xE000ED88, 0xE000EDFC
STORED = {  # what start-up code writes, and nothing follows from
    SCR, CCR, CPACR, DEMCR, SHPR2, SHPR3, 0xE000ED18, 0xE000ED24, 0xE000ED28, 0xE000ED2C, 0xE000ED34, 0xE000ED38,
    0xE000EF34, 0xE000EF38, 0xE000EF3C, 0xE000EF50, 0xE000ED84, 0xE000ED80, 0xE000EDF0, 0xE0001FB0, 0xE000E008,
}  # fmt: skip
IDS = {"cortex-m0plus": 0x410CC601, "cortex-m3": 0x412FC231, "cortex-m4": 0x410FC241, "cortex-m7": 0x411FC272,
       "cortex-m33": 0x410FD213}  # fmt: skip
NVIC, CLEARING = range(0xE000E100, 0xE000E500), (range(0xE000E180, 0xE000E200), range(0xE000E280, 0xE000E300))
NO_INTERRUPTS = f"the NVIC at {hexadecimal(NVIC.start)} is kept, but no interrupt of a peripheral ever comes"
NO_COUNTER = "DWT's CYCCNT reads as 0, as a Cortex-M0+ has none"
STANDS = "DWT's CYCCNT does not count: {} is not set"
TRCENA, CYCCNTENA = 1 << 24, 1  # of DEMCR; of DWT_CTRL
SVC, PENDSV, SYSTICK = 11, 14, 15
MASK_24 = 0xFFFFFF


class System:
    """See above. `clock()` tells modelled cycles; `pend()` is called when an exception may have come to wait; `note`
    hears what a register that is touched does not do. `pending`: exceptions that wait, by number."""

    def __init__(self, core: str, vectors: int, clock: Callable[[], int], pend: Callable[[], None],
                 note: Callable[[str], None]):  # fmt: skip
        self._clock, self._pend, self._note = clock, pend, note
        self._registers = {CPUID: IDS[core], VTOR: vectors, DWT_CTRL: 0x40000000, AIRCR: 0xFA050000, CCR: 0x200}
        self._has_counter = core != "cortex-m0plus"
        self._counter = 0  # what CYCCNT is ahead of the clock
        self._counted = False  # whether it ever did
        self._started = 0  # the clock at which SysTick counted from its reload value, last
        self._flag = False
        self._kept = 0  # of CVR, while it stands
        self.pending: set[int] = set()
        self.active: list[int] = []
        self.reset = False

    @property
    def vectors(self) -> int:
        """Where the vector table lies."""
        return self._registers[VTOR] & ~0x7F

    def priority(self, number: int) -> int:
        """Lower is more urgent."""
        place = {SVC: (SHPR2, 24), PENDSV: (SHPR3, 16), SYSTICK: (SHPR3, 24)}.get(number)
        return self._registers.get(place[0], 0) >> place[1] & 0xFF if place else -1

    # ------------------------------------------------------------------ SysTick

    @property
    def _period(self) -> int:
        return self._registers.get(RVR, 0) + 1

    @property
    def next_tick(self) -> int | None:
        """The clock at which SysTick's interrupt is next, or None."""
        if self._registers.get(CSR, 0) & 3 != 3 or self._period == 1:
            return None
        return self._started + self._period

    def tick(self) -> None:
        """Let SysTick come to wait, if it is time."""
        due = self.next_tick
        if due is not None and self._clock() >= due:
            self._flag = True
            self._started += (self._clock() - self._started) // self._period * self._period
            self.pending.add(SYSTICK)

    def _elapsed(self) -> int:
        return self._clock() - self._started

    def _current(self) -> int:
        return (self._registers.get(RVR, 0) - self._elapsed() % self._period) & MASK_24

    # ------------------------------------------------------------------ the cycle counter

    @property
    def _counts(self) -> bool:
        enabled = self._registers[DWT_CTRL] & CYCCNTENA and self._registers.get(DEMCR, 0) & TRCENA
        return bool(enabled) and self._has_counter

    def _cyccnt(self) -> int:
        if not self._has_counter:
            self._note(NO_COUNTER)
            return 0
        if not self._counts and not self._counted:
            missing = "DEMCR.TRCENA" if not self._registers.get(DEMCR, 0) & TRCENA else "DWT_CTRL.CYCCNTENA"
            self._note(STANDS.format(missing))
        return (self._clock() + self._counter if self._counts else self._counter) & 0xFFFFFFFF

    # ------------------------------------------------------------------ registers

    def read(self, address: int) -> int:
        """A word."""
        if address == DWT_CYCCNT:
            return self._cyccnt()
        if address in NVIC:
            self._note(NO_INTERRUPTS)
            return self._registers.get(_setting(address), 0)
        if address == CVR:
            running = self._registers.get(CSR, 0) & 1
            return self._current() if running else self._kept
        if address == CSR:
            wrapped = self._registers.get(CSR, 0) & 1 and self._elapsed() >= self._period
            flag, self._flag = self._flag or bool(wrapped), False
            if wrapped and not self._registers.get(CSR, 0) & 2:
                self._started += self._elapsed() // self._period * self._period
            return self._registers.get(CSR, 0) | flag << 16
        if address == ICSR:
            waiting = min(self.pending, default=0)
            bits = (PENDSV in self.pending) << 28 | (SYSTICK in self.pending) << 26
            return bits | waiting << 12 | (self.active[-1] if self.active else 0)
        if address == CALIB:
            return 0xC0000000  # no reference clock, no calibration
        if address not in self._registers and address not in STORED:
            self._note(f"{hexadecimal(address)} is not modelled and does nothing")
        return self._registers.get(address, 0)

    def write(self, address: int, value: int) -> None:
        """A word."""
        if address == DWT_CYCCNT:
            self._counter = value - self._clock() if self._counts else value
        elif address in (DWT_CTRL, DEMCR):
            before = self._counts
            self._registers[address] = 0x40000000 | value & CYCCNTENA if address == DWT_CTRL else value
            if self._counts != before:
                self._counter += self._clock() if before else -self._clock()
                self._counted = True
        elif address in NVIC:
            self._note(NO_INTERRUPTS)
            kept, here = self._registers.get(_setting(address), 0), _setting(address)
            sets = address < NVIC.start + 0x200  # enables, and what waits
            self._registers[here] = kept & ~value if here != address else kept | value if sets else value
        elif address in (CSR, CVR):
            ran, runs = self._registers.get(CSR, 0) & 1, value & 1
            if address == CVR:  # any value clears it, and it counts from the reload value on
                self._started, self._flag, self._kept = self._clock(), False, 0
            elif ran and not runs:
                self._kept = self._current()
            elif runs and not ran:  # it goes on from where it stood
                gone = self._registers.get(RVR, 0) - self._kept if self._kept else 0
                self._started = self._clock() - gone
            if address == CSR:
                self._registers[CSR] = value & 7 | 4
            self._pend()  # when it ticks has changed
        elif address == RVR:
            self._registers[RVR] = value & MASK_24
        elif address == ICSR:
            for bit, number, add in (
                (28, PENDSV, True),
                (27, PENDSV, False),
                (26, SYSTICK, True),
                (25, SYSTICK, False),
            ):
                if value >> bit & 1:
                    (self.pending.add if add else self.pending.discard)(number)
            self._pend()
        elif address == AIRCR:
            self.reset = bool(value & 4)
            if self.reset:
                self._pend()
        elif address not in (CPUID, CALIB):
            if address not in self._registers and address not in STORED:
                self._note(f"{hexadecimal(address)} is not modelled and does nothing")
            self._registers[address] = value
            if self.pending:  # it may be more urgent now
                self._pend()


def _setting(address: int) -> int:
    """Of an NVIC register that clears bits the one that sets them."""
    return address - 0x80 if any(address in each for each in CLEARING) else address
