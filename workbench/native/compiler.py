"""The host's C compiler: which one there is, and a project's C as a shared library. Built once, cached by content.

WORKBENCH_CC names another compiler than the first of COMPILERS that is installed.
"""

import hashlib
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from workbench import cache as images
from workbench.errors import ToolchainError
from workbench.toolchain.compiler import ROOM, run, tool, why

COMPILERS = ("gcc", "cc", "clang")
INSTALL = "apt-get install gcc libc6-dev; --engine emulated needs none"
OTHER = "WORKBENCH_CC=/path/to/another names another; --engine emulated needs none"
MACHINES = {
    "x86_64": ("x86_64", "amd64"),
    "aarch64": ("aarch64", "arm64"),
}  # little endian, single precision in hardware
# No -march=native: another machine may load what is cached. Vectorized code needs arrays aligned for vectors, as the
# board's are not: hence -Daligned.
FLAGS = (
    "-std=c11", "-O3", "-fPIC", "-ffp-contract=off", "-fno-strict-aliasing", "-fwrapv", "-w",
    "-Daligned(bytes)=aligned(64)",
)  # fmt: skip
FIRMWARE_ONLY = ("startup.c", "main.c")
HOST = """/* host.c - what main.c is on the board. */
#include <fenv.h>

void wb_host_call(void (*entry)(void));

/* As the board computes, whatever this thread has been told: to nearest, subnormal numbers as they are. */
void wb_host_call(void (*entry)(void))
{
    fenv_t callers;
    fegetenv(&callers);
    fesetenv(FE_DFL_ENV);
    entry();
    fesetenv(&callers);
}
"""
ROWS = """/* rows.c - the image, where the network takes it row by row. */
#include <stdint.h>
#include <string.h>

const uint8_t *wb_image; /* the next bytes of it */

void wb_read_rows(int first, int end, int channels, int plane, int row, uint8_t *to);

void wb_read_rows(int first, int end, int channels, int plane, int row, uint8_t *to)
{
    for (int i = 0; i < end - first; ++i)
        for (int c = 0; c < channels; ++c, wb_image += row)
            memcpy(to + c * plane + i * row, wb_image, (size_t)row);
}
"""


@cache
def host_compiler() -> str:
    """The path of the host's compiler. Raises ToolchainError where there is none, or none for a machine like this."""
    _machine()
    if named := os.environ.get("WORKBENCH_CC"):
        if found := shutil.which(named):
            return found
        raise ToolchainError(f"WORKBENCH_CC names no compiler: {named}", "unset it, or give the path of gcc or clang")
    for name in COMPILERS:
        if found := shutil.which(name):
            return found
    raise ToolchainError("no C compiler for this machine is installed", INSTALL)


@cache
def version(compiler: str) -> str:
    """The first line of `compiler --version`, and which machine it compiles for. Raises ToolchainError."""
    target = tool(compiler, "-dumpmachine", again=OTHER).strip()
    if not target.lower().startswith(MACHINES[_machine()]):
        raise ToolchainError(f"{compiler} compiles for {target[:60]!r}, not for this machine", OTHER)
    return f"{(tool(compiler, '--version', again=OTHER).splitlines() or [compiler])[0]} for {target}"


def called(compiler: str) -> str:
    """The compiler's name and version in short: 'gcc 12.2.0'."""
    number = re.search(r"\d+\.\d+(\.\d+)?", version(compiler))
    return " ".join([Path(compiler).name, *([number[0]] if number else [])])


def library(files: Mapping[str, str], compiler: str | None = None) -> bytes:
    """The shared library of a project's C files (name -> text). Raises ToolchainError, InternalError."""
    compiler = compiler or host_compiler()
    sources = {name: text for name, text in files.items() if name.endswith((".c", ".h")) and name not in FIRMWARE_ONLY}
    sources["host.c"] = HOST
    if "wb_read_rows" in sources["model.h"]:
        sources["rows.c"] = ROWS
    if "clang" in version(compiler):  # it obeys these pragmas: a minute for a mobilenet instead of 3 s
        sources = {name: re.sub(r"(?m)^ *#pragma GCC unroll.*\n", "", text) for name, text in sources.items()}
    flags = (*FLAGS, *_fused())
    digest = hashlib.sha256("\0".join((version(compiler), *flags)).encode())
    for name, text in sorted(sources.items()):
        digest.update(f"\0{name}\0{len(text)}\0{text}".encode())
    key = f"native-{digest.hexdigest()[:32]}"
    if entry := images.kept(key):
        return entry[1]
    content = _compiled(sources, compiler, flags)
    images.keep(key, {}, content)
    return content


def _machine() -> str:
    """This machine's key in MACHINES. Raises ToolchainError for others: nobody compared their bits with a board's."""
    name, system = platform.machine().lower(), platform.system()
    machine = next((key for key, names in MACHINES.items() if name in names), None)
    if machine is None or system != "Linux" or sys.byteorder != "little" or sys.maxsize < 2**32:
        raise ToolchainError(
            f"the generated C trains natively on Linux on x86-64 and AArch64; this is {system} on {name}",
            "--engine emulated needs none of that",
        )
    return machine


@cache
def _fused() -> tuple[str, ...]:
    """The flag that makes fmaf an instruction on a machine that has it, and not a call; AArch64 needs none."""
    known = Path("/proc/cpuinfo")
    flags = re.search(r"^flags\s*:(.*)", known.read_text(encoding="utf-8"), re.M) if known.is_file() else None
    return ("-mfma",) if flags and "fma" in flags[1].split() else ()


def _compiled(sources: Mapping[str, str], compiler: str, flags: tuple[str, ...]) -> bytes:
    """The shared library of these sources, compiled in parallel, the longest first."""
    units = sorted((file for file in sources if file.endswith(".c")), key=lambda file: -len(sources[file]))
    objects = [f"{unit}.o" for unit in units]
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:  # Ctrl-C: it may still be writing
            work = Path(name)
            for file, text in sources.items():
                (work / file).parent.mkdir(exist_ok=True)
                (work / file).write_text(text, encoding="utf-8")

            def make(doing: str, *arguments: str) -> None:
                done = run((compiler, *arguments), work)
                if done.returncode:
                    own = {"compiler": compiler, "command": compiler, "install": INSTALL, "again": OTHER}
                    raise why(done, sources, doing, library="libc6-dev, its C library,", **own)

            with ThreadPoolExecutor(os.cpu_count()) as pool:
                jobs = [pool.submit(make, f"compiling {unit}", *flags, "-c", unit, "-o", f"{unit}.o") for unit in units]
                try:
                    for job in jobs:
                        job.result()
                finally:
                    pool.shutdown(cancel_futures=True)
            make("linking", "-shared", "-Wl,-Bsymbolic", *objects, "-lm", "-o", "twin.so")
            content = (work / "twin.so").read_bytes() if (work / "twin.so").exists() else b""
            if not content.startswith(b"\x7fELF"):  # must not be cached
                raise ToolchainError(f"{compiler} has failed without a word: what it made is no library", OTHER)
            return content
    except OSError as error:
        raise ToolchainError(
            f"the native twin cannot be built in {tempfile.tempdir or 'TMPDIR'}: {error.strerror or error}", ROOM
        ) from None
