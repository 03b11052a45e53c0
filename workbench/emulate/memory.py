"""What a host does with a board's memory: arrays, scalars and the painted stack, by plain reads and writes."""

from abc import ABC, abstractmethod
from struct import Struct
from typing import Protocol

import numpy as np

from workbench.boards import Board

FLOAT = Struct("<f")
STACK_PATTERN = 0xC5C5C5C5
STACK_LIMIT = "wb_stack_limit"


class Names(Protocol):
    """The symbols of the program that runs."""

    def has(self, name: str, /) -> bool: ...

    def address(self, name: str, /) -> int: ...


class Memory(ABC):
    """Reads and writes by address or symbol.

    A machine defines the abstract methods and `elf`; an emulated one has `board`, and what runs firmware with a painted
    stack `stack_top` too.
    """

    elf: Names
    board: Board
    stack_top: int

    @abstractmethod
    def read(self, where: int | str, size: int) -> bytes:
        """`size` bytes at an address or a symbol."""

    @abstractmethod
    def write(self, where: int | str, data: bytes) -> None:
        """Write bytes at an address or a symbol."""

    def read_array(self, where: int | str, dtype, count: int) -> np.ndarray:
        """`count` values of a numpy dtype (little endian, as the core is)."""
        return np.frombuffer(self.read(where, count * np.dtype(dtype).itemsize), dtype=dtype).copy()

    def write_array(self, where: int | str, values: np.ndarray) -> None:
        """Write a numpy array's bytes, in its own order."""
        self.write(where, np.ascontiguousarray(values).tobytes())

    def read_f32(self, where: int | str) -> float:
        """A float32 scalar."""
        return float(FLOAT.unpack(self.read(where, FLOAT.size))[0])

    def write_f32(self, where: int | str, value: float) -> None:
        """Write a float32 scalar."""
        self.write(where, FLOAT.pack(value))

    def read_u32(self, where: int | str) -> int:
        """An unsigned 32-bit scalar."""
        return int(self.read_array(where, np.uint32, 1)[0])

    def snapshot_sram(self) -> bytes:
        """All of SRAM."""
        return self.read(self.board.sram_base, self.board.sram_size)

    def paint_stack(self) -> None:
        """Fill the free SRAM between wb_stack_limit and the stack's top with a pattern; call between runs."""
        low = self.elf.address(STACK_LIMIT)
        self.write(low, painted(self.stack_top - low))

    def stack_peak(self) -> int:
        """Bytes from the lowest word overwritten since paint_stack to the stack's top."""
        low = self.elf.address(STACK_LIMIT)
        words = self.read_array(low, np.uint32, (self.stack_top - low) // 4)
        used = np.flatnonzero(words != STACK_PATTERN)
        return 4 * (len(words) - int(used[0])) if len(used) else 0


class Target(Memory):
    """What runs our firmware: an emulated board, or this machine."""

    @abstractmethod
    def start(self) -> None:
        """Run from reset to main."""

    @abstractmethod
    def call(self, entry: str) -> None:
        """Call a function and come back."""

    @property
    @abstractmethod
    def takes_rows(self) -> bool:
        """Whether the image is handed over row by row."""

    @abstractmethod
    def feed_image(self, data: bytes) -> None:
        """Take rows from the start of `data` from now on."""


def painted(size: int) -> bytes:
    """`size` bytes of stack as they look untouched."""
    return STACK_PATTERN.to_bytes(4, "little") * (max(0, size) // 4)
