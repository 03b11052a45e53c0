"""Tools that are missing, old, broken or ended: told as such, with what to do; only C that gcc refuses is our bug."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from workbench import boards, toolchain
from workbench.cli import main
from workbench.codegen import Project
from workbench.codegen.build_files import makefile
from workbench.errors import InternalError, ToolchainError
from workbench.toolchain import compiler

BOARD = boards.get("nrf52840")
PROJECT = Project(
    {"Makefile": makefile(BOARD, ["ops_0.c"]), "ops_0.c": "", "board.ld": "", "sections.ld": "", "kernels/own.h": ""},
    (),
    (),
)
ANSWERS = (
    'case "$1" in --version) echo "arm-none-eabi-gcc (fake) 12.2.1"; exit;; -dumpversion) echo 12.2.1; exit;; esac\n'
)
INSTALL, AGAIN, MEMORY = "libnewlib-arm-none-eabi make", "--reinstall", "memory ran out"


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """tools(name, script): a tool of that name, before all others; the first argument of gcc may be --version."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    compiler.gcc_version.cache_clear()

    def tool(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    yield tool
    compiler.gcc_version.cache_clear()


def says(*lines: str, code: int = 1) -> str:
    return "cat >&2 <<'END'\n" + "\n".join(lines) + f"\nEND\nexit {code}"


# What gcc and make really said, where it can be brought about here; the first line is gcc's.
FAILURES = {
    "newlib's headers": (
        says("In file included from model.h:16,", "                 from ops_0.c:2:",
             "/usr/lib/gcc/arm-none-eabi/include/stdint.h:9:16: fatal error: stdint.h: No such file or directory",
             "compilation terminated."),
        "arm-none-eabi-gcc has no <stdint.h>: newlib, its C library, is not installed", INSTALL,
    ),
    "no headers at all": (
        says("main.c:6:20: error: no include path in which to search for stdint.h",
             "main.c:24:73: error: unknown type name 'uint8_t'"),
        "arm-none-eabi-gcc has no <stdint.h>", INSTALL,
    ),
    "newlib's libraries": (
        says("/usr/lib/gcc/../arm-none-eabi/bin/ld: cannot find -lc: No such file or directory",
             "collect2: error: ld returned 1 exit status"),
        "arm-none-eabi-gcc cannot link: newlib, its C library, is not installed as a whole", INSTALL,
    ),
    "gcc is killed": ("kill -9 $$", "the compiler was ended while making ops_0.o: Killed", MEMORY),
    "gcc crashes": ("kill -11 $$", "the compiler was ended while making ops_0.o: Segmentation fault", MEMORY),
    "cc1 is killed": (
        says("arm-none-eabi-gcc: fatal error: Killed signal terminated program cc1", "compilation terminated."),
        "the compiler was ended while making ops_0.o: arm-none-eabi-gcc: fatal error: Killed signal terminated", MEMORY,
    ),
    "out of memory": (
        says("cc1: out of memory allocating 65536 bytes after a total of 29896704 bytes"),
        "making ops_0.o: cc1: out of memory allocating 65536 bytes after", MEMORY,
    ),
    "no memory to begin with": (
        says("virtual memory exhausted: Cannot allocate memory"), "virtual memory exhausted: Cannot allocate", MEMORY,
    ),
    "gcc's own bug": (
        says("during RTL pass: reload", "ops_0.c:40:1: internal compiler error: Segmentation fault",
             "Please submit a full bug report, with preprocessed source."),
        "making ops_0.o: ops_0.c:40:1: internal compiler error: Segmentation fault", MEMORY,
    ),
    "a full disk": (
        says("ops_0.c:9:1: fatal error: error writing to /tmp/cc1.s: No space left on device"),
        f"no space is left in {tempfile.gettempdir()} for making ops_0.o", "TMPDIR=/path/to/one",
    ),
    "a full disk, to the assembler": (
        says("/tmp/cc.s: Assembler messages:", "/tmp/cc.s: Fatal error: can't close ops_0.o: No space left on device"),
        f"no space is left in {tempfile.gettempdir()}", "TMPDIR=/path/to/one",
    ),
    "a full disk, to the linker": (
        says("ld: final link failed: Disk quota exceeded", "collect2: error: ld returned 1 exit status"),
        f"no space is left in {tempfile.gettempdir()}", "TMPDIR=/path/to/one",
    ),
    "half an installation": (
        says("arm-none-eabi-gcc: fatal error: cannot execute 'cc1': execvp: No such file or directory",
             "compilation terminated."),
        "`make` failed making ops_0.o: arm-none-eabi-gcc: fatal error: cannot execute 'cc1'", AGAIN,
    ),
    "another compiler": (
        says("arm-none-eabi-gcc: error: unrecognized command-line option '-fcallgraph-info=su'"),
        "`make` failed making ops_0.o: arm-none-eabi-gcc: error: unrecognized command-line option", AGAIN,
    ),
    "no word": ("exit 4", "`make` failed making ops_0.o: make: *** [Makefile:14: ops_0.o] Error 4", AGAIN),
    "nothing made": ("exit 0", "`arm-none-eabi-size -A ", AGAIN),
}  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES)
def test_a_compiler_that_fails_is_not_our_bug(failure, tools):
    script, words, help_ = FAILURES[failure]
    tools("arm-none-eabi-gcc", ANSWERS + script)
    with pytest.raises(ToolchainError) as caught:
        toolchain.make_image(PROJECT, BOARD, 0)
    assert words in caught.value.message and help_ in caught.value.hint
    assert caught.value.exit_code == 1 and len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    "line",
    [
        "ops_0.c:12:5: error: array subscript -3 is outside array bounds of 'uint8_t[64]' [-Werror=array-bounds]",
        "ops_0.c:2:10: fatal error: kernels/own.h: No such file or directory",  # a header of ours
        "ld: ops_0.o: in function `op_000_dense': ops_0.c:9: undefined reference to `dense_f33'",
        "ld: ops_1.o:(.bss.s_w+0x0): multiple definition of `s_w'; ops_0.o:(.bss.s_w+0x0): first defined here",
        "/tmp/cc1.s:20: Error: bad instruction `vfmaq r0'",
    ],
)
def test_c_that_is_refused_is_our_bug(line, tools):
    tools("arm-none-eabi-gcc", ANSWERS + says(line, "make is told no more"))
    with pytest.raises(InternalError) as caught:
        toolchain.make_image(PROJECT, BOARD, 0)
    assert line in caught.value.message and caught.value.exit_code == 70


@pytest.mark.parametrize(
    ("name", "script", "words", "help_"),
    [
        ("arm-none-eabi-gcc", "echo 9.2.1", r"arm-none-eabi-gcc 9.2.1 (", "Debian 12 and Ubuntu 22.04 have one"),
        ("arm-none-eabi-gcc", "echo 9", "is too old: from gcc 10 on", "the first in PATH is taken"),
        ("arm-none-eabi-gcc", "echo hello", "gcc -dumpversion` says 'hello', which is no version", AGAIN),
        ("arm-none-eabi-gcc", "", "says '', which is no version", AGAIN),
        ("arm-none-eabi-gcc", says("libmpc.so.3: cannot open shared object file", code=127),
         "-dumpversion` failed (exit code 127): libmpc.so.3: cannot open shared object file", AGAIN),
        ("arm-none-eabi-gcc", 'test $1 = -dumpversion && echo 12 || exit 3', "--version` failed (exit code 3)", AGAIN),
        ("arm-none-eabi-gcc", "kill -9 $$", "-dumpversion` was ended by signal 9 (Killed)", AGAIN),
        ("make", says("make: *** internal error", code=2), "`make` failed building the firmware: make: ***", AGAIN),
        ("make", "exit 3", "building the firmware: it failed (exit code 3) without a word", AGAIN),
        ("make", "kill -15 $$", "ended while building the firmware: make was ended by signal 15", MEMORY),
    ],
)  # fmt: skip
def test_tools_that_are_old_or_broken_are_told(name, script, words, help_, tools):
    tools(name, script)
    with pytest.raises(ToolchainError) as caught:
        toolchain.make_image(PROJECT, BOARD, 0)
    assert words in caught.value.message and help_ in caught.value.hint and caught.value.exit_code == 1


@pytest.mark.parametrize("name", compiler.TOOLS)
def test_a_missing_tool_is_told(name, tools, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda wanted, known=shutil.which: None if wanted == name else known(wanted))
    with pytest.raises(ToolchainError, match=f"{name} is not installed") as caught:
        toolchain.make_image(PROJECT, BOARD, 0)
    assert "workbench.sh setup" in caught.value.hint


@pytest.mark.parametrize("content", [b"\x7fELF of another machine", b""])
def test_a_tool_that_cannot_run_is_told(content, tools, tmp_path):
    tools("arm-none-eabi-gcc", "")
    (tmp_path / "tools" / "arm-none-eabi-gcc").write_bytes(content)
    with pytest.raises(ToolchainError, match=r"tools/arm-none-eabi-gcc cannot be run: Exec format error"):
        toolchain.make_image(PROJECT, BOARD, 0)


def test_a_caller_s_make_and_native_gcc_change_nothing(tools, monkeypatch, tmp_path):
    """MAKEFLAGS=-n would make nothing, CPATH bring the host's headers, and another language hide what is looked for."""
    for name in ("MAKEFLAGS", "CPATH", "WERROR", "LC_ALL", "TMPDIR"):
        monkeypatch.setenv(name, "-n")
    tools("arm-none-eabi-gcc", f'{ANSWERS}echo "[$CPATH][$WERROR][$LC_ALL][$TMPDIR]$*" >"{tmp_path}/seen"; exit 1')
    with pytest.raises(ToolchainError):
        toolchain.make_image(PROJECT, BOARD, 0)
    seen = (tmp_path / "seen").read_text()
    assert seen.startswith("[][-Werror][C][/") and " -Wextra -Werror -f" in seen


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_where_nothing_can_be_built_it_is_told(code, tools, monkeypatch):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(ToolchainError) as caught:
        toolchain.make_image(PROJECT, BOARD, 0)
    assert caught.value.message == f"the firmware cannot be built in {tempfile.gettempdir()}: {os.strerror(code)}"
    assert "TMPDIR=/path/to/one" in caught.value.hint


def test_the_command_line_ends_with_1(tools, tmp_path, capsys):
    tools("arm-none-eabi-gcc", "echo 9.2.1")
    for verb in (["run"], ["check"], ["build", "-o", str(tmp_path / "firmware")]):
        assert main([*verb, "mlp", "--policy", "last-1"]) == 1
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("error: arm-none-eabi-gcc 9.2.1") and "Traceback" not in err
