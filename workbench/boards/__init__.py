"""The boards: real chips by their data sheets (chips.toml), and a virtual twin of each core with 16 MB of flash and of
SRAM, to measure what does not fit. Others are read from files of one's own."""

from dataclasses import replace
from typing import Any

from workbench.boards import files
from workbench.boards.board import FPUS, MB, NO_FPU, Board, Region
from workbench.errors import BoardError, meant
from workbench.units import parse_bytes

VIRTUAL = "virtual-"


def _virtual(core: str, clock_hz: int, flash_base: int) -> Board:
    regions = Region("flash", flash_base, 16 * MB), Region("sram", 0x20000000, 16 * MB)
    fpu = FPUS[core][0] if FPUS[core] else NO_FPU
    return Board(VIRTUAL + core.removeprefix("cortex-"), core, clock_hz, fpu, regions, source="no chip")


TWINS_OF = {board.core: board for board in (
    _virtual("cortex-m0plus", 64_000_000, 0x00000000),
    _virtual("cortex-m3", 64_000_000, 0x00000000),
    _virtual("cortex-m4", 64_000_000, 0x00000000),
    _virtual("cortex-m7", 216_000_000, 0x08000000),
    _virtual("cortex-m33", 64_000_000, 0x00000000),
)}  # fmt: skip
BOARDS = files.shipped() | {board.name: board for board in TWINS_OF.values()}
REAL = tuple(board for board in BOARDS.values() if not board.name.startswith(VIRTUAL))
DEFAULT = "nrf52840"
REFERENCE = tuple(BOARDS[name] for name in (DEFAULT, "stm32f746"))  # those that estimates are told for


def get(name: str) -> Board:
    """The board called `name`, or that of a file `NAME.toml`. Raises BoardError."""
    if isinstance(name, str) and name.lower().endswith(files.ENDING):
        board = files.read(name)
        if board.name in BOARDS:
            raise BoardError(f"{name}: {board.name} is a board that there is already", 'give it its own: name = "…"')
        return board
    if not isinstance(name, str) or name not in BOARDS:
        listed = f"{meant(name, BOARDS)}`workbench boards` lists them; or a file, like my-board.toml"
        raise BoardError(f"no board is called {name!r}", listed)
    return BOARDS[name]


def chosen(board: str | Board, sram: int | str | None = None) -> Board:
    """A board, or the one of this name or file; `sram`: another limit of its SRAM, in bytes or like "96K"."""
    board = board if isinstance(board, Board) else get(board)
    return board if sram is None else board.with_sram(parse_bytes(sram) if isinstance(sram, str) else sram)


def virtual_twin(board: Board) -> Board:
    """The virtual board of the same core, clock and floating-point unit, with room for everything."""
    return replace(TWINS_OF[board.core], clock_hz=board.clock_hz, fpu=board.fpu)


def of_run(meta: dict[str, Any]) -> Board | None:
    """The board that a saved run names: its core, clock and unit as the run tells them, its regions those that its
    firmware was linked for. None where it tells no board."""
    try:
        return replace(Board.of_plain(meta.get("linked_for")), name=meta["board"])
    except BoardError:
        return BOARDS.get(meta["board"])


__all__ = ["BOARDS", "DEFAULT", "MB", "REAL", "REFERENCE", "Board", "Region", "chosen", "get", "of_run", "virtual_twin"]
