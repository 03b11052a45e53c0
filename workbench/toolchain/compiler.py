"""Arm's gcc and make: whether they are installed and new enough, and, where they fail, whose fault that is.

C that gcc refuses is a bug of ours. All else is the machine's: a tool that is missing, old or broken, a full disk, too
little memory. Such an error is one line, with what to do.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from workbench.errors import InternalError, ToolchainError, WorkbenchError

GCC = "arm-none-eabi-gcc"
TOOLS = (GCC, "arm-none-eabi-size", "arm-none-eabi-objdump", "make")
OLDEST = 10  # the first gcc with -fcallgraph-info
INSTALL = "`./workbench.sh setup` installs it; or: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi make"
AGAIN = "apt-get install --reinstall gcc-arm-none-eabi binutils-arm-none-eabi libnewlib-arm-none-eabi make"
ROOM = "free some space there, or name another folder: TMPDIR=/path/to/one"
MEMORY = "most often memory ran out: close what needs much of it, or give this machine more"
NO_ROOM = r"No space left on device|Disk quota exceeded"
ENDED = (
    r"^.*(?:\b(?:Killed|Terminated|Segmentation fault|Aborted|Bus error)\b|internal compiler error|out of memory"
    r"|virtual memory exhausted|memory exhausted|Cannot allocate memory|Resource temporarily unavailable).*$"
)
REFUSED = r":\d+: error: |: Error: |undefined reference to|multiple definition of|relocation truncated"
# Variables of a calling make, and of native compilers: they must not reach this make and gcc.
FOREIGN = ("MAKEFLAGS", "MFLAGS", "GNUMAKEFLAGS", "MAKELEVEL", "MAKEFILES", "CPATH", "C_INCLUDE_PATH")


@cache
def gcc_version() -> str:
    """The first line of `arm-none-eabi-gcc --version`. Raises ToolchainError where a tool is missing, broken or old."""
    for name in TOOLS:
        if not shutil.which(name):
            raise ToolchainError(f"{name} is not installed", INSTALL)
    number = tool(GCC, "-dumpversion").strip()
    major = re.match(r"\d+", number)
    if not major:
        raise ToolchainError(f"`{GCC} -dumpversion` says {number[:80]!r}, which is no version", AGAIN)
    if int(major[0]) < OLDEST:
        raise ToolchainError(
            f"{GCC} {number} ({shutil.which(GCC)}) is too old: from gcc {OLDEST} on it tells how much stack code needs",
            "Debian 12 and Ubuntu 22.04 have one, and so has developer.arm.com; the first in PATH is taken",
        )
    return (tool(GCC, "--version").splitlines() or [number])[0]


def tool(*command: str, again: str = AGAIN) -> str:
    """What a tool prints. Raises ToolchainError where it cannot be run or fails."""
    done = run(command)
    if done.returncode:
        words = "".join(f": {line[:200]}" for line in (done.stderr or done.stdout).strip().splitlines()[-1:])
        raise ToolchainError(f"`{shlex.join(command)}` {_end(done.returncode)}{words}", again)
    return done.stdout


def werror() -> str:
    """-Werror where WORKBENCH_WERROR is set, as in the tests: a user's build does not fail on a warning."""
    return "-Werror" if os.environ.get("WORKBENCH_WERROR") else ""


def make(folder: Path, files: Iterable[str]) -> bool:
    """Build the project in `folder`, which wrote these `files`; False where a memory of the board overflows.

    Raises InternalError with gcc's own words where it refuses our C, ToolchainError for whatever else went wrong.
    """
    done = run(("make", f"-j{os.cpu_count() or 1}", f"WERROR={werror()}"), folder)
    if done.returncode == 0:
        return True
    if re.search(r"region .* overflowed", done.stderr):
        return False
    target = re.search(r"\[Makefile:\d+: (\S+?)\]", done.stderr)
    raise why(done, files, f"making {target[1]}" if target else "building the firmware")


def why(
    done: subprocess.CompletedProcess,
    files: Iterable[str],
    doing: str,
    *,
    compiler: str = GCC,
    command: str = "make",
    library: str = "newlib, its C library,",
    install: str = INSTALL,
    again: str = AGAIN,
) -> WorkbenchError:
    """The error for a command that ran `compiler` and failed: whose fault it is, and what to do; `files` are ours."""
    words = done.stderr.strip()
    names = {Path(name).name for name in files}
    missing = re.search(r"fatal error: (\S+): No such file|no include path in which to search for (\S+)", words)
    header = missing and Path(missing[1] or missing[2]).name
    ended = re.search(ENDED, words, re.M)
    if re.search(NO_ROOM, words):
        return ToolchainError(f"no space is left in {tempfile.gettempdir()} for {doing}", ROOM)
    if header and header not in names:
        return ToolchainError(f"{compiler} has no <{header}>: {library} is not installed", install)
    if re.search(r"cannot find -l|cannot find \S+\.(?:o|a)\b", words):
        return ToolchainError(f"{compiler} cannot link: {library} is not installed as a whole", install)
    if ended or done.returncode < 0:
        how = ended[0].strip() if ended else f"{command} {_end(done.returncode)}"
        return ToolchainError(f"the compiler was ended while {doing}: {how[:200]}", MEMORY)
    if header or re.search(REFUSED, words):
        return InternalError(f"{compiler} refused the generated C:\n{words[-2000:]}")
    lines = words.splitlines() or [f"it {_end(done.returncode)} without a word"]
    said = next((line for line in lines if "error" in line.lower()), lines[-1])
    return ToolchainError(f"`{command}` failed {doing}: {said[:300]}", again)


def _end(code: int) -> str:
    return f"failed (exit code {code})" if code > 0 else f"was ended by signal {-code} ({signal.strsignal(-code)})"


def run(command: tuple[str, ...], folder: Path | None = None) -> subprocess.CompletedProcess:
    """Run a command in English, since its messages are parsed. Its temporary files go into `folder`, so that no other
    disk can be full."""
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN} | {"LC_ALL": "C"}
    if folder:
        environment["TMPDIR"] = str(folder)
    program = shutil.which(command[0]) or command[0]
    try:
        return subprocess.run(
            (program, *command[1:]),
            cwd=folder,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise ToolchainError(
            f"{program} cannot be run: {error.strerror}", "is it whole, and for this machine?"
        ) from None
