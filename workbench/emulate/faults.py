"""Why the emulated core stopped where it must not, as a FirmwareFault a person can act on.

Exception numbers are those of QEMU's Arm target (target/arm/cpu.h), which Unicorn hands on.
"""

from dataclasses import dataclass

from workbench.errors import FirmwareFault
from workbench.units import address as hexadecimal

UNDEFINED, SUPERVISOR_CALL, DATA_ABORT, BREAKPOINT, NO_COPROCESSOR, INVALID_STATE = 1, 2, 4, 7, 17, 18

INTERRUPTS = {UNDEFINED: "undefined", BREAKPOINT: "breakpoint", SUPERVISOR_CALL: "supervisor-call",
              DATA_ABORT: "unaligned", NO_COPROCESSOR: "no-coprocessor", INVALID_STATE: "invalid-state"}  # fmt: skip
ERRORS = {  # numbers of unicorn.h's uc_err
    6: "read", 7: "write", 8: "fetch", 10: "undefined", 12: "write-protected", 13: "read", 14: "fetch",
}  # fmt: skip
LANDINGS = ("fetch", "invalid-state")  # the pc is where a jump ended, not where it was made
WORDS = {
    "undefined": "undefined instruction",
    "breakpoint": "stray breakpoint",
    "unaligned": "access to an unaligned address",
    "supervisor-call": "unexpected supervisor call",
    "no-coprocessor": "floating-point instruction without a floating-point unit",
    "invalid-state": "call of an address without its Thumb bit,",
    "exception": "unexpected exception",
    "lost": "stopped before coming back",
}


@dataclass(frozen=True)
class Stop:
    """Why a run ended: kind (the keys above, read, write, write-protected, fetch, runaway,
    missing), address and size in bytes."""

    kind: str
    address: int | None = None
    size: int | None = None
    detail: str = ""

    @classmethod
    def of_interrupt(cls, number: int) -> "Stop":
        return cls(INTERRUPTS.get(number, "exception"), detail=f"exception {number}")

    @classmethod
    def of_error(cls, number: int) -> "Stop":
        return cls(ERRORS.get(number, "exception"), detail=f"emulator error {number}")


def fault(machine, stop: Stop, pc: int) -> FirmwareFault:
    """The error that says what, the address and the symbol: 'write to 0x20040004, beyond SRAM, in conv (conv.h:41)'."""
    place = machine.elf.describe(pc)
    if stop.kind in LANDINGS:  # the jump is over; the link register tells where it most likely came from
        located, caller = machine.elf.symbol_at(machine.lr - 2), machine.elf.describe(machine.lr - 2)
        where = f"last call from {caller}" if caller and machine.lr != machine.home else f"during {machine.entry}"
    else:
        located, where = machine.elf.symbol_at(pc), f"in {place}" if place else f"at {hexadecimal(pc)}"
    return FirmwareFault(
        f"{_what(machine, stop, pc)}, {where}",
        _hint(machine, stop),
        kind=stop.kind,
        pc=pc,
        address=stop.address,
        symbol=located[0].name if located else None,
    )


def _what(machine, stop: Stop, pc: int) -> str:
    if stop.kind == "runaway":
        return f"still running after {stop.detail}"
    if stop.kind == "missing":
        return f"{machine.entry} came back without reaching {stop.detail}"
    if stop.kind in LANDINGS and not stop.address:
        return "call of a null pointer"
    if stop.address is None or stop.kind in WORDS:
        return f"{WORDS[stop.kind]} at {hexadecimal(pc)}"
    verb = {"write-protected": "write", "fetch": "execution"}.get(stop.kind, stop.kind)
    board = machine.board
    held = board.region_at(stop.address)
    if held is not None:
        region = {board.code: "flash", board.data: "SRAM"}.get(held.name, held.name)
    elif board.sram_end <= stop.address < 0x40000000:
        region = "beyond SRAM"
    elif stop.address + (stop.size or 1) > board.sram_base > stop.address:
        region = "across the start of SRAM"
    else:
        region = "not mapped"
    preposition = {"execution": "at", "write": "to", "read": "from"}[verb]
    return f"{verb} {preposition} {hexadecimal(stop.address)}, {region}"


def _hint(machine, stop: Stop) -> str | None:
    if stop.kind in ("read", "write") and 0 <= (stop.address or 0) - machine.board.sram_end < 1024:
        past = stop.address - machine.board.sram_end
        return f"{past} bytes past the end of the {machine.board.sram_size} bytes of SRAM"
    return None
