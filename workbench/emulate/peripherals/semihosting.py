"""Semihosting: what a program asks of its host by `bkpt 0xAB`, with an operation in r0 and its arguments in r1.

Arm's "Semihosting for AArch32 and AArch64", release 2.0. Output goes to where the caller says, input comes from bytes.
No operation touches the host's files unless a folder is allowed, and then none outside it. The clock is the program's
own: its modelled cycles.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from struct import Struct
from typing import BinaryIO

from workbench.emulate.memory import Memory
from workbench.errors import WorkbenchError

BREAKPOINT = 0xBEAB
OPEN, CLOSE, WRITEC, WRITE0, WRITE, READ, READC, ISERROR, ISTTY, SEEK = range(0x01, 0x0B)
FLEN, TMPNAM, REMOVE, RENAME, CLOCK, TIME, SYSTEM, ERRNO = range(0x0C, 0x14)
GET_CMDLINE, HEAPINFO, EXIT, EXIT_EXTENDED, ELAPSED, TICKFREQ = 0x15, 0x16, 0x18, 0x20, 0x30, 0x31
APPLICATION_EXIT = 0x20026  # the one reason of EXIT that means success
TERMINAL, FEATURES = ":tt", ":semihosting-features"
FEATURE_BYTES = b"SHFB\x03"  # EXIT_EXTENDED, and a stderr apart
MODES = ("rb", "rb", "r+b", "r+b", "wb", "wb", "w+b", "w+b", "ab", "ab", "a+b", "a+b")
EPERM, EBADF, EINVAL, ESPIPE = 1, 9, 22, 29
LONGEST = 1 << 20  # bytes of a text or of a transfer
WORDS = Struct("<4I")
FAILED = 0xFFFFFFFF


@dataclass
class Exit(Exception):  # noqa: N818  not an error: how a program ends
    """The program has ended, with the code that it gave to exit(), an int: 0 for success."""

    code: int


@dataclass
class _Stream:
    """An open file: of the host, the terminal, or bytes that are there."""

    file: BinaryIO | None = None
    write: Callable[[bytes], None] | None = None
    content: bytes | None = b""  # None: the terminal's, which is read in one place by all who opened it
    at: int = 0


@dataclass
class Semihosting:
    """The host of one program.

    `write(bytes)` takes its output; `ticks()` tells modelled cycles, of which there are `hz` a second; `heap` is
    (base, end) of what HEAPINFO tells, `stack` likewise. What is unknown or refused is told to `note`.
    """

    memory: Memory
    write: Callable[[bytes], None]
    ticks: Callable[[], int]
    hz: int
    note: Callable[[str], None]
    arguments: Sequence[str] = ()
    stdin: Callable[[], bytes] = bytes
    folder: Path | None = None
    heap: tuple[int, int, int, int] = (0, 0, 0, 0)
    errno: int = 0
    _streams: dict[int, _Stream] = field(default_factory=dict)
    _read: int = 0

    def call(self, operation: int, argument: int) -> int:
        """What the program finds in r0 afterwards. Raises Exit where it has ended."""
        if operation in (EXIT, EXIT_EXTENDED):
            reason, code = argument, 0
            if operation == EXIT_EXTENDED:
                reason, code = self._words(argument)[:2]
            code -= (code >> 31) << 32  # it is an int
            raise Exit(code if reason == APPLICATION_EXIT else 1)
        answer = ANSWERS.get(operation)
        if answer is None:
            self.note(f"semihosting operation 0x{operation:02x} is unknown: answered with -1")
            return FAILED
        try:
            return answer(self, argument) & 0xFFFFFFFF
        except WorkbenchError as error:  # a pointer to nowhere
            self.note(f"semihosting operation 0x{operation:02x}: {error.message}: answered with -1")
            return self._fails(EINVAL)
        except (OSError, ValueError) as error:  # a file that the host cannot have; a name with a zero in it
            return self._fails(getattr(error, "errno", None) or EINVAL)

    def close(self) -> None:
        """Close the host's files."""
        for stream in self._streams.values():
            if stream.file:
                stream.file.close()
        self._streams.clear()

    # ------------------------------------------------------------------ operations

    def _open(self, argument: int) -> int:
        pointer, mode, length, _ = self._words(argument)
        name = self.memory.read(pointer, min(length, LONGEST)).decode(errors="replace")
        if mode >= len(MODES):
            return self._fails(EINVAL)
        if name == TERMINAL:
            stream = _Stream(content=None) if mode < 4 else _Stream(write=self.write)
        elif name == FEATURES:
            stream = _Stream(content=FEATURE_BYTES)
        else:
            found = self._within(name)
            if found is None:
                return self._fails(EPERM)
            stream = _Stream(file=found.open(MODES[mode]))  # type: ignore[arg-type]
        handle = next(number for number in range(1, len(self._streams) + 2) if number not in self._streams)
        self._streams[handle] = stream
        return handle

    def _within(self, name: str) -> Path | None:
        """The file of the allowed folder that is called so, or None."""
        if self.folder is None:
            self.note(f"it may not touch the file {name!r}: no folder is allowed (--allow-files DIR)")
            return None
        place = (self.folder / name).resolve()
        if not place.is_relative_to(self.folder.resolve()):
            self.note(f"it may not touch the file {name!r}: it lies outside the folder that is allowed")
            return None
        return place

    def _close(self, argument: int) -> int:
        stream = self._streams.pop(self._words(argument)[0], None)
        if stream is None:
            return self._fails(EBADF)
        if stream.file:
            stream.file.close()
        return 0

    def _writec(self, argument: int) -> int:
        self.write(self.memory.read(argument, 1))
        return 0

    def _write0(self, argument: int) -> int:
        self.write(self._text(argument))
        return 0

    def _write(self, argument: int) -> int:
        """Gives how many bytes were not written."""
        handle, pointer, length, _ = self._words(argument)
        stream = self._streams.get(handle)
        if stream is None or not (stream.file or stream.write):
            self.errno = EBADF
            return length
        data = self.memory.read(pointer, min(length, LONGEST))
        try:
            (stream.file.write if stream.file else stream.write)(data)  # type: ignore[misc]
        except (OSError, ValueError) as error:
            self.errno = getattr(error, "errno", None) or EBADF
            return length
        return length - len(data)

    def _read_some(self, argument: int) -> int:
        """Gives how many bytes were not read."""
        handle, pointer, length, _ = self._words(argument)
        stream = self._streams.get(handle)
        if stream is None or stream.write:
            self.errno = EBADF
            return length
        if stream.file:
            try:
                data = stream.file.read(min(length, LONGEST))
            except (OSError, ValueError):
                self.errno = EBADF
                return length
        elif stream.content is None:
            data = self._input[self._read : self._read + length]
            self._read += len(data)
        else:
            data = stream.content[stream.at : stream.at + length]
            stream.at += len(data)
        self.memory.write(pointer, data)
        return length - len(data)

    def _readc(self, argument: int) -> int:
        self._read += 1
        return self._input[self._read - 1] if self._read <= len(self._input) else FAILED

    def _iserror(self, argument: int) -> int:
        return int(self._words(argument)[0] >> 31)

    def _istty(self, argument: int) -> int:
        stream = self._streams.get(self._words(argument)[0])
        return self._fails(EBADF) if stream is None else int(stream.write is not None)

    def _seek(self, argument: int) -> int:
        handle, place, _, _ = self._words(argument)
        stream = self._streams.get(handle)
        if stream is None or stream.write:
            return self._fails(EBADF)
        if stream.content is None:
            return self._fails(ESPIPE)
        if stream.file:
            stream.file.seek(place)
        stream.at = place
        return 0

    def _flen(self, argument: int) -> int:
        stream = self._streams.get(self._words(argument)[0])
        if stream is None or stream.write:
            return self._fails(EBADF)
        if stream.file is None:
            return len(self._input if stream.content is None else stream.content)
        here = stream.file.tell()
        length = stream.file.seek(0, 2)
        stream.file.seek(here)
        return length

    def _remove(self, argument: int) -> int:
        pointer, length, _, _ = self._words(argument)
        found = self._within(self.memory.read(pointer, min(length, LONGEST)).decode(errors="replace"))
        return self._fails(EPERM) if found is None else self._tried(found.unlink)

    def _rename(self, argument: int) -> int:
        old, old_length, new, new_length = self._words(argument)
        names = (self.memory.read(at, min(length, LONGEST)).decode(errors="replace")
                 for at, length in ((old, old_length), (new, new_length)))  # fmt: skip
        found, wanted = (self._within(name) for name in names)
        if found is None or wanted is None:
            return self._fails(EPERM)
        return self._tried(lambda: found.rename(wanted))

    def _clock(self, argument: int) -> int:
        """Hundredths of a second."""
        return 100 * self.ticks() // self.hz

    def _time(self, argument: int) -> int:
        """Seconds since the program began: no date, so that two runs are the same."""
        return self.ticks() // self.hz

    def _elapsed(self, argument: int) -> int:
        self.memory.write(argument, self.ticks().to_bytes(8, "little"))
        return 0

    def _tickfreq(self, argument: int) -> int:
        return self.hz

    def _get_errno(self, argument: int) -> int:
        return self.errno

    def _get_cmdline(self, argument: int) -> int:
        pointer, room, _, _ = self._words(argument)
        line = " ".join(self.arguments).encode() + b"\0"
        if len(line) > room:
            return self._fails(EINVAL)
        self.memory.write(pointer, line)
        self.memory.write(argument + 4, (len(line) - 1).to_bytes(4, "little"))
        return 0

    def _heapinfo(self, argument: int) -> int:
        block = int.from_bytes(self.memory.read(argument, 4), "little")
        self.memory.write(block, WORDS.pack(*self.heap))
        return 0

    def _refused(self, argument: int) -> int:
        return self._fails(EPERM)

    # ------------------------------------------------------------------ helpers

    @cached_property
    def _input(self) -> bytes:
        """All that there is to be read, once the program asks for it."""
        return self.stdin()

    def _words(self, argument: int) -> tuple[int, int, int, int]:
        """The four words of an argument block; those that lie beyond memory are 0."""
        for count in (4, 3, 2, 1):
            try:
                return WORDS.unpack(self.memory.read(argument, 4 * count).ljust(16, b"\0"))
            except WorkbenchError:
                if count == 1:
                    raise
        raise AssertionError

    def _text(self, address: int) -> bytes:
        """Up to the first zero."""
        text = b""
        while len(text) < LONGEST:
            byte = self.memory.read(address + len(text), 1)
            if byte == b"\0":
                break
            text += byte
        return text

    def _fails(self, errno: int) -> int:
        self.errno = errno
        return FAILED

    def _tried(self, do: Callable[[], object]) -> int:
        try:
            do()
        except OSError as error:
            self.errno = error.errno or EPERM
            return self.errno
        return 0


ANSWERS: dict[int, Callable[[Semihosting, int], int]] = {
    OPEN: Semihosting._open, CLOSE: Semihosting._close, WRITEC: Semihosting._writec, WRITE0: Semihosting._write0,
    WRITE: Semihosting._write, READ: Semihosting._read_some, READC: Semihosting._readc,
    ISERROR: Semihosting._iserror, ISTTY: Semihosting._istty, SEEK: Semihosting._seek, FLEN: Semihosting._flen,
    TMPNAM: Semihosting._refused, REMOVE: Semihosting._remove, RENAME: Semihosting._rename,
    CLOCK: Semihosting._clock, TIME: Semihosting._time, SYSTEM: Semihosting._refused, ERRNO: Semihosting._get_errno,
    GET_CMDLINE: Semihosting._get_cmdline, HEAPINFO: Semihosting._heapinfo,
    ELAPSED: Semihosting._elapsed, TICKFREQ: Semihosting._tickfreq,
}  # fmt: skip
