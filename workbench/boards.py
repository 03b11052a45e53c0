"""The boards: core, clock, and where flash and SRAM lie.

Sources: nRF52840 Product Specification v1.7 (memory map, 64 MHz); STM32F746 reference manual RM0385
(flash at 0x08000000 on the AXIM bus; DTCM, SRAM1 and SRAM2 lie side by side from 0x20000000: 64 + 240 + 16 KB).
The virtual twins are the same cores with 16 MB of each, to measure what does not fit.
"""

from dataclasses import dataclass, fields, replace
from numbers import Integral

from workbench.errors import BoardError, shown, there_are
from workbench.units import KB, frequency, parse_bytes, size

MB = 1024 * KB
MOST = 64 * MB  # of flash, and of SRAM, on any board
LIMITS = {"flash_base": 1 << 32, "flash_size": MOST, "sram_base": 1 << 32, "sram_size": MOST}


@dataclass(frozen=True)
class Board:
    """A microcontroller as the toolchain and the emulator need it. Addresses and sizes in bytes, clock in Hz."""

    name: str
    core: str  # gcc's -mcpu name, and the name of the timing model
    clock_hz: int
    flash_base: int
    flash_size: int
    sram_base: int
    sram_size: int
    fpu: str  # gcc's -mfpu name

    @property
    def sram_end(self) -> int:
        return self.sram_base + self.sram_size

    @property
    def fuses(self) -> bool:
        """Whether a fused multiply-add pays on its core: 1.5 instead of 2.4 cycles a product of a float32 matrix on a
        Cortex-M7; 4.9 instead of 3.9 on a Cortex-M4, where VFMA takes 3 and VMUL and VADD 1 each."""
        return self.core == "cortex-m7"

    @property
    def core_title(self) -> str:
        """'Cortex-M4F': the field's name for the core with its floating-point unit."""
        return self.core.replace("cortex-m", "Cortex-M") + "F"

    def with_sram(self, limit: int) -> "Board":
        """The same board with another SRAM limit (the emulator maps whole KB)."""
        if not isinstance(limit, Integral) or limit <= 0 or limit % KB or limit > 16 * MB:
            raise BoardError(
                f"SRAM of {limit!r} bytes cannot be mapped", "use a multiple of 1 KB up to 16 MB, like --sram 96K"
            )
        return replace(self, sram_size=int(limit))

    @classmethod
    def of_plain(cls, told) -> "Board":
        """The board that a saved run tells. Raises BoardError for one that no firmware was linked for."""
        if not isinstance(told, dict) or set(told) != {field.name for field in fields(cls)}:
            raise BoardError("it does not tell the board that it was linked for")
        kinds = {field.name: field.type for field in fields(cls)}
        wrong = [name for name, value in told.items() if type(value) is not kinds[name]]
        wrong += [name for name, value in told.items() if name not in wrong and name in LIMITS
                  and (not 0 <= value <= LIMITS[name] or value % KB)]  # fmt: skip
        if wrong:
            raise BoardError(f"no board has {wrong[0]} {shown(told[wrong[0]])}")
        return cls(**told)

    def __str__(self) -> str:
        return f"{self.name}, {self.core_title} {frequency(self.clock_hz)}, {size(self.sram_size)} SRAM"


def _m4(name, clock_hz, flash_base, flash_size, sram_size):
    return Board(name, "cortex-m4", clock_hz, flash_base, flash_size, 0x20000000, sram_size, "fpv4-sp-d16")


def _m7(name, clock_hz, flash_base, flash_size, sram_size):
    return Board(name, "cortex-m7", clock_hz, flash_base, flash_size, 0x20000000, sram_size, "fpv5-sp-d16")


BOARDS = {
    board.name: board
    for board in (
        _m4("nrf52840", 64_000_000, 0x00000000, 1 * MB, 256 * KB),
        _m7("stm32f746", 216_000_000, 0x08000000, 1 * MB, 320 * KB),
        _m4("virtual-m4", 64_000_000, 0x00000000, 16 * MB, 16 * MB),
        _m7("virtual-m7", 216_000_000, 0x08000000, 16 * MB, 16 * MB),
    )
}
REAL = tuple(board for board in BOARDS.values() if not board.name.startswith("virtual-"))
DEFAULT = "nrf52840"


def get(name: str) -> Board:
    """The board called `name`. Raises BoardError that lists what there is."""
    if not isinstance(name, str) or name not in BOARDS:
        raise BoardError(f"no board is called {name!r}", there_are(name, BOARDS))
    return BOARDS[name]


def chosen(board: str | Board, sram: int | str | None = None) -> Board:
    """A board, or the one of this name; `sram`: another limit of its SRAM, in bytes or like "96K"."""
    board = board if isinstance(board, Board) else get(board)
    return board if sram is None else board.with_sram(parse_bytes(sram) if isinstance(sram, str) else sram)


def virtual_twin(board: Board) -> Board:
    """The virtual board of the same core, with room for everything."""
    return BOARDS["virtual-" + board.core.removeprefix("cortex-")]
