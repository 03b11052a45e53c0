"""A machine of the host: the functions and arrays of a project's shared library, driven as the emulated core is."""

import ctypes
import tempfile
from functools import cached_property
from pathlib import Path

from workbench.emulate.memory import Memory


class Host(Memory):
    """One network's state on the host, apart from any other's. No limit of memory is kept, and no fault is told."""

    def __init__(self, content: bytes):
        with tempfile.TemporaryDirectory() as folder:  # a file of its own: one that is loaded twice shares its arrays
            path = Path(folder, "twin.so")
            path.write_bytes(content)
            self._library = ctypes.CDLL(str(path))
        self.elf = Symbols(self._library)
        self._image = b""

    def close(self) -> None:
        """Let go of its memory."""
        library, self._library, self.elf = self._library, None, None
        ctypes.CDLL(None).dlclose(ctypes.c_void_p(library._handle))

    def start(self) -> None:
        """Nothing: a library starts as its initial values are."""

    def paint_stack(self) -> None:
        """Nothing: its stack is the host's."""

    def call(self, entry: str) -> None:
        """Call a function of the library."""
        getattr(self._library, entry)()

    def read(self, where: int | str, size: int) -> bytes:
        return ctypes.string_at(self._address(where), size)

    def write(self, where: int | str, data: bytes) -> None:
        ctypes.memmove(self._address(where), bytes(data), len(data))

    @cached_property
    def takes_rows(self) -> bool:
        """Whether its image is handed over row by row."""
        return self.elf.has("wb_read_rows")

    def feed_image(self, data: bytes) -> None:
        """What the rows are taken from, from now on."""
        self._image = data
        ctypes.c_char_p.in_dll(self._library, "wb_image").value = data

    def _address(self, where: int | str) -> int:
        return self.elf.address(where) if isinstance(where, str) else where


class Symbols:
    """The library's symbols, by the names that the plan tables know."""

    def __init__(self, library: ctypes.CDLL):
        self._library, self._known = library, {}

    def has(self, symbol: str) -> bool:
        return hasattr(self._library, symbol)

    def address(self, symbol: str) -> int:
        if symbol not in self._known:
            self._known[symbol] = ctypes.addressof(ctypes.c_char.in_dll(self._library, symbol))
        return self._known[symbol]
