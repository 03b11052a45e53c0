"""The host's compiler: found, named, missing, of another machine, failing; what it made is kept, and healed."""

import os
import platform
import shutil

import pytest

from workbench import cache, native
from workbench.errors import InternalError, ToolchainError
from workbench.native import compiler

FILES = {
    "model.h": "#include <stdint.h>\nextern uint8_t wb_arena[32];\nvoid wb_train_step(void);\n",
    "schedule.c": '#include "model.h"\n'
    '__attribute__((section(".bss..arena"), aligned(8))) uint8_t wb_arena[32];\n'
    "void wb_train_step(void)\n{\n    ++wb_arena[0];\n}\n",
    "startup.c": "no C at all",
    "Makefile": "nor this",
}
ANSWERS = (
    f'case "$1" in -dumpmachine) echo {platform.machine()}-linux-gnu; exit;; --version) echo cc 9.1; exit;; esac\n'
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("WORKBENCH_CC", raising=False)
    compiler.host_compiler.cache_clear()
    yield
    compiler.host_compiler.cache_clear()


@pytest.fixture
def fake(tmp_path):
    """fake(script): the path of a compiler that says its version, and else does that."""

    def make(script: str, answers: str = ANSWERS) -> str:
        path = tmp_path / "fakecc"
        path.write_text(f"#!/bin/sh\n{answers}{script}\n")
        path.chmod(0o755)
        compiler.version.cache_clear()
        return str(path)

    return make


def says(words: str, code: int = 1) -> str:
    return f"cat >&2 <<'END'\n{words}\nEND\nexit {code}"


def steps_done(content: bytes, count: int) -> int:
    host = native.Host(content)
    for _ in range(count):
        host.call("wb_train_step")
    done = host.read("wb_arena", 1)[0]
    host.close()
    return done


def test_what_was_built_is_kept_and_built_anew_where_it_is_damaged(tmp_path):
    content = native.library(FILES)
    assert steps_done(content, 3) == 3
    (kept,) = (tmp_path / "cache").glob("native-*.image")
    modified = kept.stat().st_mtime_ns
    assert native.library(FILES) == content and kept.stat().st_mtime_ns == modified
    whole = kept.read_bytes()
    for damaged in (whole[:-100], whole.replace(b"wb_arena", b"wb_arenb"), b""):
        kept.write_bytes(damaged)
        assert steps_done(native.library(FILES), 2) == 2
        assert cache.kept(kept.stem)


def test_other_c_another_compiler_and_other_flags_are_kept_apart(tmp_path, fake, monkeypatch):
    native.library(FILES)
    native.library({**FILES, "schedule.c": FILES["schedule.c"] + "/* other */"})
    native.library(FILES, fake(f'exec {shutil.which(native.host_compiler())} "$@"'))
    monkeypatch.setattr(compiler, "FLAGS", (*compiler.FLAGS, "-O1"))
    native.library(FILES)
    assert len(list((tmp_path / "cache").glob("native-*.image"))) == 4


def test_a_compiler_that_is_named_is_taken_and_none_instead_of_it(monkeypatch, fake):
    monkeypatch.setenv("WORKBENCH_CC", fake("exit 1"))
    assert native.host_compiler().endswith("fakecc")
    assert native.called(native.host_compiler()) == "fakecc 9.1"
    compiler.host_compiler.cache_clear()
    monkeypatch.setenv("WORKBENCH_CC", "/nowhere/gcc")
    with pytest.raises(ToolchainError, match="WORKBENCH_CC names no compiler: /nowhere/gcc"):
        native.host_compiler()


def test_no_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainError, match="no C compiler for this machine is installed") as caught:
        native.host_compiler()
    assert "apt-get install gcc libc6-dev" in caught.value.hint


@pytest.mark.parametrize(
    ("machine", "system", "order"),
    [("riscv64", "Linux", "little"), ("s390x", "Linux", "big"), ("arm64", "Darwin", "little"),
     ("x86_64", "Linux", "big")],
)  # fmt: skip
def test_other_machines_are_refused(machine, system, order, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr("sys.byteorder", order)
    with pytest.raises(ToolchainError, match=f"this is {system} on {machine}") as caught:
        native.host_compiler()
    assert "--engine emulated" in caught.value.hint


@pytest.mark.parametrize(
    ("script", "words", "hint"),
    [
        (says("host.c:2:10: fatal error: fenv.h: No such file"), "fakecc has no <fenv.h>: libc6-dev", "libc6"),
        (says("ld: cannot find -lm: No such file"), "fakecc cannot link: libc6-dev", "libc6"),
        (says("ld: cannot find crti.o: No such file"), "fakecc cannot link: libc6-dev", "libc6"),
        ("kill -9 $$", "the compiler was ended while compiling", "memory ran out"),
        (says("gcc: fatal error: Killed signal terminated program cc1"), "compiler was ended", "memory ran out"),
        (says("/tmp/x.s: No space left on device"), "no space is left in", "TMPDIR"),
        (says("error: unknown argument: '-fwrapv'"), "fakecc` failed compiling", "WORKBENCH_CC"),
        ("exit 4", "fakecc` failed compiling", "WORKBENCH_CC"),
        ("exit 0", "fakecc has failed without a word: what it made is no library", "WORKBENCH_CC"),
        ('for last; do made=$last; done; echo garbage > "$made"', "what it made is no library", "WORKBENCH_CC"),
    ],
)  # fmt: skip
def test_a_compiler_that_fails_is_not_our_bug(script, words, hint, fake):
    with pytest.raises(ToolchainError) as caught:
        native.library(FILES, fake(script))
    assert words in caught.value.message and hint in caught.value.hint
    assert len(str(caught.value).splitlines()) == 2
    assert not list(cache.folder().glob("*.image"))  # the next compiler with this name starts anew


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ("case $1 in -dumpmachine) echo arm-none-eabi; exit;; esac", "for 'arm-none-eabi', not for this"),
        ("exit 127", "-dumpmachine` failed (exit code 127)"),
        ("exit 0", "compiles for '', not for this machine"),
    ],
)  # fmt: skip
def test_what_is_no_compiler_of_this_machine(answers, words, fake):
    with pytest.raises(ToolchainError) as caught:
        native.library(FILES, fake("", answers))
    assert words in caught.value.message


def test_c_that_is_refused_is_our_bug():
    with pytest.raises(InternalError, match="refused the generated C:"):
        native.library({**FILES, "schedule.c": "int wb_train_step(void { }\n"})


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    os.mkdir(tmp_path / "temporary")
    host = native.Host(native.library(FILES))
    assert not list((tmp_path / "temporary").iterdir())
    host.close()


def test_a_library_that_is_none_is_told():
    with pytest.raises(ToolchainError, match="the native twin cannot be loaded"):
        native.Host(b"no library")
