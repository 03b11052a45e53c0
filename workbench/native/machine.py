"""A machine of the host: the functions and arrays of a project's shared library, driven as the emulated core is."""

import ctypes
import os
import weakref
from functools import cached_property

from workbench.emulate.memory import Names, Target
from workbench.errors import ToolchainError, WorkbenchError


class Host(Target):
    """One network's state on the host, apart from any other's. It enforces no memory limit and reports no fault.

    The library is an unnamed file in memory: nothing is left behind, however this process ends, and a library loaded
    twice has two states. Its descriptor stays open while it is loaded, for the loader tells libraries apart by it.
    """

    def __init__(self, content: bytes):
        self._file = os.memfd_create("native_twin")
        try:
            with os.fdopen(os.dup(self._file), "wb") as file:
                file.write(content)
            self._library = ctypes.CDLL(f"/proc/self/fd/{self._file}")
        except OSError as error:
            os.close(self._file)
            raise ToolchainError(f"the native twin cannot be loaded: {error}", "--engine emulated needs none") from None
        self.elf: Names = Symbols(self._library)
        self._image = b""
        self._let_go = weakref.finalize(self, _unload, self._library._handle, self._file)
        self._let_go.atexit = False

    def close(self) -> None:
        """Unload the library; a second call does nothing. Garbage collection unloads it too, since an error may end a
        training anywhere.
        """
        if self._let_go.alive:
            del self._library, self.elf
            self._let_go()

    def start(self) -> None:
        """Nothing to do: a loaded library holds its initial values."""

    def paint_stack(self) -> None:
        """Nothing to do: the stack is the host's."""

    def call(self, entry: str) -> None:
        """Call a function of the library. Ctrl-C waits for its end."""
        self._library.wb_host_call(ctypes.c_void_p(self.elf.address(entry)))

    def read(self, where: int | str, size: int) -> bytes:
        return ctypes.string_at(self._address(where), size)

    def write(self, where: int | str, data: bytes) -> None:
        ctypes.memmove(self._address(where), bytes(data), len(data))

    @cached_property
    def takes_rows(self) -> bool:
        """Whether its image is handed over row by row."""
        return self.elf.has("wb_read_rows")

    def feed_image(self, data: bytes) -> None:
        """Take rows from the start of `data` from now on."""
        self._image = data
        ctypes.c_char_p.in_dll(self._library, "wb_image").value = data

    def _address(self, where: int | str) -> int:
        return self.elf.address(where) if isinstance(where, str) else where


def _unload(library: int, file: int) -> None:
    ctypes.CDLL(None).dlclose(ctypes.c_void_p(library))
    os.close(file)


class Symbols:
    """The library's symbols, by the names that the plan tables know."""

    def __init__(self, library: ctypes.CDLL):
        self._library = library
        self._known: dict[str, int | None] = {}

    def has(self, symbol: str) -> bool:
        """Whether the name is defined."""
        return self._find(symbol) is not None

    def address(self, symbol: str) -> int:
        """Where a function or an array is. Raises WorkbenchError for a name that is not defined."""
        address = self._find(symbol)
        if address is None:
            raise WorkbenchError(f"the native twin has no symbol {symbol}")
        return address

    def _find(self, symbol: str) -> int | None:
        if symbol not in self._known:
            try:
                self._known[symbol] = ctypes.addressof(ctypes.c_char.in_dll(self._library, symbol))
            except ValueError:
                self._known[symbol] = None
        return self._known[symbol]
