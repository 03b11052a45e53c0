"""The host's C compiler: which one there is, and a project's C as a shared library. Built once, cached by content."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from workbench.errors import InternalError, ToolchainError
from workbench.toolchain import cache as images

COMPILERS = ("gcc", "clang", "cc")
INSTALL = "apt-get install gcc libc6-dev, or clang; --engine emulated needs none"
FLAGS = ("-std=c11", "-O2", "-fPIC", "-ffp-contract=off", "-fno-strict-aliasing", "-fwrapv", "-w")
FIRMWARE_ONLY = ("startup.c", "main.c")
HOST = """/* host.c - what main.c is on the board: the image, where the network takes it row by row. */
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
    """The path of the host's compiler. Raises ToolchainError where there is none."""
    for name in (os.environ.get("WORKBENCH_CC"), *COMPILERS):
        if name and (found := shutil.which(name)):
            return found
    raise ToolchainError("no C compiler for this machine is installed", INSTALL)


@cache
def version(compiler: str) -> str:
    """The first line of `compiler --version`."""
    done = subprocess.run((compiler, "--version"), capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or [compiler])[0]


def called(compiler: str) -> str:
    """Its name and version in short: 'gcc 12.2.0'."""
    number = re.search(r"\d+\.\d+(\.\d+)?", version(compiler))
    return " ".join([Path(compiler).name, *([number[0]] if number else [])])


def library(files: Mapping[str, str], compiler: str | None = None) -> bytes:
    """The shared library of a project's C files (name -> text). Raises ToolchainError, InternalError."""
    compiler = compiler or host_compiler()
    sources = {name: text for name, text in files.items() if name.endswith((".c", ".h")) and name not in FIRMWARE_ONLY}
    if "wb_read_rows" in sources["model.h"]:
        sources["host.c"] = HOST
    digest = hashlib.sha256("\0".join((version(compiler), *FLAGS)).encode())
    for name, text in sorted(sources.items()):
        digest.update(f"{name}\0{len(text)}\0{text}".encode())
    key = f"native-{digest.hexdigest()[:32]}"
    if found := images.kept(key):
        return found[1]
    made = _compiled(sources, compiler)
    images.keep(key, {}, made)
    return made


def _compiled(sources: Mapping[str, str], compiler: str) -> bytes:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        work = Path(name)
        for file, text in sources.items():
            (work / file).parent.mkdir(exist_ok=True)
            (work / file).write_text(text, encoding="utf-8")
        units = [file for file in sources if file.endswith(".c")]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda unit: _run(work, compiler, *FLAGS, "-c", unit, "-o", f"{unit}.o"), units))
        objects = [f"{unit}.o" for unit in units]
        _run(work, compiler, "-shared", "-Wl,-Bsymbolic", *objects, "-o", "twin.so")
        return (work / "twin.so").read_bytes()


def _run(work: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise InternalError(f"{command[0]} refused the generated C:\n{done.stderr[-2000:]}")
