"""Our own firmware on an emulated core: the part of its protocol that the machine takes (DESIGN: Firmware protocol).

wb_breakpoint   where a call comes back to: its `bkpt` gives control to the host
0x5F000000      a FIFO, for firmware that takes its image row by row (wb_read_rows): a read gives the next bytes of
                `feed_image`; beyond the last one it is a fault
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from workbench.boards import Board, Region
from workbench.emulate.core import EVERY_INSTRUCTION, REGISTERS, Core
from workbench.emulate.faults import Stop, fault
from workbench.emulate.memory import STACK_LIMIT, Target
from workbench.emulate.symbols import Elf
from workbench.errors import BoardError, WorkbenchError
from workbench.units import address as hexadecimal
from workbench.units import kilobytes

BREAKPOINT = "wb_breakpoint"
IMAGE_FIFO = (0x5F000000, 0x1000)  # firmware_templates/main.c
READ_ROWS = "wb_read_rows"  # the function that reads it


class Machine(Core, Target):
    """An emulated board with our firmware in its flash.

    inspector  says more of a fault (`explain`), and looks at the memory after every run (`check`)
    """

    def __init__(self, elf_path: Path | Elf, board: Board, *, seconds_limit: float = 600.0):
        super().__init__(elf_path, board, seconds_limit=seconds_limit)
        self.inspector: Any = None  # an Inspector: its package imports this one
        self.home = self._last_until = self.elf.address(BREAKPOINT)
        self.stack_top = self.read_u32(board.flash_base)
        if not self.stack_top:
            raise BoardError(
                f"{self.elf.path.name} has no vectors at {hexadecimal(board.flash_base)}, where the flash of "
                f"{board.name} begins",
                "it was linked for another board",
            )
        if self.stack_top > board.sram_end:
            raise BoardError(
                f"{self.elf.path.name} has its stack's top at {hexadecimal(self.stack_top)}, beyond the SRAM of "
                f"{board.name}, which ends at {hexadecimal(board.sram_end)}",
                f"it was linked for more than {kilobytes(board.sram_size)} of SRAM",
            )
        self._registers = self._uc.context_save()
        self._checkpoint: tuple[list[tuple[int, bytearray]], int, int] | None = None
        self._image, self._image_at, self._image_before = b"", 0, 0
        if self.takes_rows:
            self._uc.mmio_map(*IMAGE_FIFO, self._next_of_image, None, None, None)

    def _regions(self) -> Iterable[Region]:
        return (self.board.region(self.board.code), self.board.region(self.board.data))

    # ------------------------------------------------------------------ running

    def start(self) -> None:
        """From reset to main: start-up copies .data, zeroes .bss. Raises FirmwareFault."""
        self.set_frame(self.stack_top, 0xFFFFFFFF)
        self._run(self.read_u32(self.board.flash_base + 4), self.elf.address("main"))

    def call(self, entry: str) -> None:
        """Call a function of the firmware and come back. Raises FirmwareFault, or WorkbenchError if there is none."""
        pc = self.elf.address(entry)
        self._enter(entry)
        self._run(pc, self.home)

    def calls_by_operator(self, entry: str, addresses: Sequence[int]) -> Iterator[int]:
        """Call `entry`, pausing where it reaches each address, in order (it must reach all); yields each one's index.

        In a pause the host may read and write memory. After the last pause the call runs to its end.
        """
        pc = self.elf.address(entry)
        self._enter(entry)
        for index, address in enumerate(address & ~1 for address in addresses):
            if pc != address:
                self._run(pc, address)
            yield index
            pc = address
        self._run(pc, self.home)

    def _enter(self, entry: str) -> None:
        self.entry = entry
        self.set_frame(self.stack_top, self.home | 1)
        if self.flow:
            self.flow.call(self.elf.address(entry))

    def _run(self, pc: int, until: int) -> None:
        """Run from pc until control reaches `until`; whatever else ends it becomes a FirmwareFault."""
        self._checkpoint = (self._save_state(), pc, until)
        self._image_before = self._image_at
        stop = self._emulate(pc, until)
        if stop is not None:
            error = fault(self, stop, self._exact_pc(stop))
            raise self.inspector.explain(error) if self.inspector else error
        if self.inspector:
            self.inspector.check()

    def replay(self, prepare: Callable[["Machine"], None] = lambda twin: None, count: int = 0) -> "Machine":
        """Repeat the last run on a second machine, which `prepare` may hook first; its `stopped` says how it ended."""
        if self._checkpoint is None:
            raise WorkbenchError("nothing has run yet that could be repeated")
        memory, pc, until = self._checkpoint
        twin = Machine(self.elf, self.board, seconds_limit=20 * self.seconds_limit)
        twin.entry = self.entry
        for register in REGISTERS:
            twin._uc.reg_write(register, self._registers.reg_read(register))
        for address, data in memory:
            twin._uc.mem_write(address, bytes(data))
        twin.feed_image(self._image[self._image_before :])
        prepare(twin)
        twin._emulate(pc, until, count)
        return twin

    def _exact_pc(self, stop: Stop) -> int:
        """The pc of the faulting instruction. A plain run knows only where its block starts, so the run is repeated
        with a count: that makes Unicorn keep the pc of every instruction."""
        if stop.kind in ("runaway", "lost", "missing"):
            return self.pc
        twin = self.replay(count=EVERY_INSTRUCTION)
        return twin.pc if twin.stopped and twin.stopped.kind == stop.kind else self.pc

    def _save_state(self):
        """Save the registers, and give the SRAM in use (everything below the stack's limit, and the live stack)."""
        sp = self.sp
        base, end = self.board.sram_base, self.board.sram_end
        limit = self.elf.labels.get(STACK_LIMIT, end)
        ranges = [(base, min(limit, end)), (max(base, sp), min(self.stack_top, end))]
        self._uc.context_update(self._registers)
        return [(low, self._uc.mem_read(low, high - low)) for low, high in ranges if low < high]

    @property
    def from_entry(self) -> bool:
        """Whether the last run began at its entry's first instruction, not at an operator on the way."""
        return self._checkpoint is not None and self._checkpoint[1] == self.elf.labels.get(self.entry)

    # ------------------------------------------------------------------ images by rows

    @property
    def takes_rows(self) -> bool:
        """Whether its firmware takes the image row by row."""
        return self.elf.has(READ_ROWS)

    def feed_image(self, data: bytes) -> None:
        """Have the FIFO give `data` from now on."""
        self._image, self._image_at = data, 0

    def _next_of_image(self, uc, offset: int, size: int, user) -> int:
        begin, self._image_at = self._image_at, self._image_at + size
        if self._image_at > len(self._image):
            self.stopped = Stop("read", IMAGE_FIFO[0] + offset, size)
            uc.emu_stop()
        return int.from_bytes(self._image[begin : begin + size], "little")
