"""Read files that others wrote, believing nothing they claim: a bounded part of a regular file, or an error.

    a pipe, a device, a folder, more bytes than it may have        OSError, its strerror in words
    no text, no JSON, nested too deep, no arrays, objects inside   ValueError, in words

Nothing is unpickled, and nothing is unpacked before its size is known.
"""

import csv
import errno
import io
import json
import math
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError

import numpy as np

from workbench.units import size

MB = 1 << 20
SPARE = MB  # bytes that an array or an archive may have beyond what is needed: headers, wider numbers, another shape
WIDEST = 8  # bytes of a number
HEADER = 1 << 16  # bytes, the most that numpy writes before the values


def read(path: str | Path, most: int) -> bytes:
    """What a regular file of at most `most` bytes holds."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # never wait for a pipe's writer
    except ValueError:  # a NUL, a half of a surrogate pair
        raise OSError(errno.EINVAL, "no file can be called so", str(path)) from None
    with open(handle, "rb") as file:
        kind = os.fstat(handle)
        if stat.S_ISDIR(kind.st_mode):
            raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
        if not stat.S_ISREG(kind.st_mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
        content = b"" if kind.st_size > most else file.read(most + 1)
    if max(kind.st_size, len(content)) > most:
        has = size(max(kind.st_size, len(content)))
        raise OSError(errno.EFBIG, f"it has {has}; at most {size(most)} of such a file are read", str(path))
    return content


def read_text(path: str | Path, most: int) -> str:
    try:
        return read(path, most).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not text: byte {error.start} is no UTF-8") from None


def read_json(path: str | Path, most: int):
    try:
        return json.loads(read_text(path, most))
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def read_rows(path: str | Path, most: int, most_rows: int) -> list[list[str]]:
    """The rows of a CSV file."""
    rows = []
    try:
        for row in csv.reader(io.StringIO(read_text(path, most).removeprefix("\ufeff"), newline="")):
            rows.append(row)
            if len(rows) > most_rows:
                raise ValueError(f"it has more than {most_rows} rows")
    except csv.Error as error:
        raise ValueError(f"it is no table: {error}") from None
    return rows


def read_arrays(path: str | Path, elements: Mapping[str, int]) -> dict[str, np.ndarray]:
    """The arrays of an .npz that `elements` names, each of about so many elements; others are not even unpacked."""
    arrays = Arrays(path, sum(elements.values()))
    return {name: arrays.read(name, count) for name, count in elements.items() if name in arrays}


class Arrays(Mapping):
    """The arrays of an .npz by name, each read when asked for; `most` elements bound each one and all together."""

    def __init__(self, path: str | Path, most: int):
        self.most, content = most, read(path, WIDEST * most + 4 * SPARE)
        with _whole():
            self.archive = zipfile.ZipFile(io.BytesIO(content))
            self.members = {info.filename.removesuffix(".npy"): info for info in self.archive.infolist()}

    def __iter__(self):
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)

    def __contains__(self, name) -> bool:  # Mapping's own would read the array
        return name in self.members

    def __getitem__(self, name: str) -> np.ndarray:
        return self.read(name, self.most)

    def read(self, name: str, count: int) -> np.ndarray:
        """The array of this name, which has about `count` elements at most."""
        with _whole():
            return _array(self.archive, self.members[name], count)


def packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """An .npz of these, whatever they are called: the same arrays give the same bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, values in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(values), allow_pickle=False)
    return content.getvalue()


def unpacked(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of an .npz that `packed` or numpy.savez wrote: uncompressed, so no larger than `content`."""
    with _whole():
        archive = zipfile.ZipFile(io.BytesIO(content))
        members = archive.infolist()
        if any(info.compress_type != zipfile.ZIP_STORED for info in members):
            raise ValueError("it is compressed")
        if sum(info.file_size for info in members) > len(content):
            raise ValueError("its arrays would take more than the file does")
        return {info.filename.removesuffix(".npy"): _array(archive, info, len(content)) for info in members}


@contextmanager
def _whole():
    """Turn the errors that only a damaged archive raises into a ValueError that says so."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, struct.error) as error:
        raise ValueError(f"it is damaged: {error}") from None


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, count: int) -> np.ndarray:
    what, most = info.filename, WIDEST * count + SPARE
    if info.file_size > most:
        raise ValueError(f"{what} takes {size(info.file_size)} unpacked; {size(WIDEST * count)} are needed at most")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{what} is compressed in a way that numpy does not write")
    with archive.open(info) as member:
        begin = io.BytesIO(member.read(HEADER))
        try:
            shape, dtype = _header(begin)
        except (ValueError, SyntaxError, TokenError, TypeError, RecursionError, MemoryError):  # parsed as Python is
            raise ValueError(f"{what} has a header that is none of .npy") from None
        if dtype.hasobject:
            raise ValueError(f"{what} holds Python objects, which are not read")
        claimed, held = math.prod(shape) * dtype.itemsize, info.file_size - begin.tell()
        if claimed != held:  # before it is unpacked
            raise ValueError(f"{what} claims {size(claimed)}; it has {size(max(held, 0))}")
        content = begin.getvalue() + member.read(most + 1)  # never more than the directory says
    if len(content) != info.file_size:
        raise ValueError(f"{what} claims {size(info.file_size)}; it has {size(len(content))}")
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)


def _header(stored: io.BytesIO) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype, as versions 1 and 2 of .npy tell them."""
    version = np.lib.format.read_magic(stored)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, _, dtype = read_header.get(version, np.lib.format.read_array_header_2_0)(stored)
    if min(shape, default=0) < 0:
        raise ValueError
    return shape, dtype
