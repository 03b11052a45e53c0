"""The cache of images: an entry that is damaged or another's is none, and is made anew; without a cache all works."""

import errno
import os
import threading
from pathlib import Path

import pytest

from workbench import boards, cache, toolchain
from workbench.codegen import Project
from workbench.toolchain import compiler, sizes

BOARD = boards.get("nrf52840")
SIZES = {"flash": 3000, "static": 40, "stack_reserve": 64}


class Compiler:
    """In place of gcc: its ELF tells the source; `compiled` lists what it was asked for."""

    def __init__(self):
        self.compiled = []

    def __call__(self, files, board):
        self.compiled.append(files["main.c"])
        return SIZES, b"\x7fELF of\n" + files["main.c"].encode() * 100


@pytest.fixture
def gcc(monkeypatch):
    monkeypatch.setattr(toolchain, "_compile", compile_ := Compiler())
    return compile_


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def image(source="a"):
    return toolchain.make_image(Project({"main.c": source}, (), ()), BOARD, 0)


def entry(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


DAMAGES = {
    "empty": lambda whole, other: b"",
    "one byte": lambda whole, other: whole[:1],
    "the digest alone": lambda whole, other: whole[:64],
    "cut in half": lambda whole, other: whole[: len(whole) // 2],
    "a byte short": lambda whole, other: whole[:-1],
    "a byte more": lambda whole, other: whole + b"\0",
    "one bit of the ELF": lambda whole, other: whole[:-9] + bytes([whole[-9] ^ 4]) + whole[-8:],
    "one bit of the digest": lambda whole, other: bytes([whole[0] ^ 1]) + whole[1:],
    "another size": lambda whole, other: whole.replace(b'"static": 40', b'"static": 4'),
    "another's, whole": lambda whole, other: other,
    "another's ELF": lambda whole, other: whole[: whole.index(b"\x7f")] + other[other.index(b"\x7f") :],
    "something else": lambda whole, other: b"{}\n" * 1000,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_a_miss_and_heals(damage, gcc, kept):
    right = image("a")
    path = entry(kept)
    whole = path.read_bytes()
    image("b")
    other = next(other for other in kept.iterdir() if other != path).read_bytes()
    path.write_bytes(DAMAGES[damage](whole, other))
    assert path.read_bytes() != whole
    assert image("a") == right and gcc.compiled == ["a", "b", "a"]
    assert path.read_bytes() == whole
    assert image("a") == right and gcc.compiled == ["a", "b", "a"]


def test_another_linked_elf_in_its_place_is_not_used(gcc, kept):
    image("a")
    path = entry(kept)
    path.unlink()
    path.mkdir()  # nor is what cannot be read at all
    assert image("a").content.endswith(b"a") and gcc.compiled == ["a", "a"]
    assert list(kept.iterdir()) == [path]


def test_warnings_that_are_errors_are_part_of_the_key(gcc, kept, monkeypatch):
    image()
    monkeypatch.delenv("WORKBENCH_WERROR")
    image()
    assert len(gcc.compiled) == len(list(kept.iterdir())) == 2


@pytest.mark.parametrize("place", ["a file", "under a file", "no home"])
def test_without_a_cache_all_is_built(place, gcc, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    if place == "no home":
        for name in ("WORKBENCH_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)

        def home():
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", home)
    else:
        monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / ("file" if place == "a file" else "file/cache")))
    assert image() == image() and gcc.compiled == ["a", "a"]
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("step", ["mkdir", "write_bytes", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_cache_that_cannot_be_written_costs_time_alone(step, code, gcc, kept, monkeypatch):
    with monkeypatch.context() as broken:

        def refuse(*_, **__):
            raise OSError(code, os.strerror(code))

        broken.setattr(Path, step, refuse)
        first = image()
    assert not kept.exists() or not list(kept.iterdir())
    assert image() == first and image() == first and gcc.compiled == ["a", "a"]


def test_an_entry_that_cannot_be_read_is_a_miss(gcc, kept, monkeypatch):
    first, key = image(), entry(kept).stem

    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "read_bytes", lambda path: refuse(path) if path.suffix == ".image" else b"")
    monkeypatch.setattr(toolchain, "_key", lambda files: key)
    assert image() == first and gcc.compiled == ["a", "a"]


def test_two_that_build_the_same_at_once_leave_one_whole_entry(kept, monkeypatch):
    both, plain, made = threading.Barrier(2, timeout=30), Compiler(), []

    def compile_(files, board):
        both.wait()  # neither has found the other's
        return plain(files, board)

    monkeypatch.setattr(toolchain, "_compile", compile_)
    threads = [threading.Thread(target=lambda: made.append(image())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == len(plain.compiled) == 2 and made[0] == made[1]
    assert cache.kept(entry(kept).stem) == (SIZES, made[0].content)


def test_the_key_is_of_sources_compiler_and_who_tells_the_sizes(monkeypatch, tmp_path):
    keys = {toolchain._key({"a": "1", "b": "2"})}
    keys |= {toolchain._key(files) for files in ({"a": "1"}, {"a": "1", "b": "3"}, {"a": "1", "c": "2"}, {"a": "1b2"})}
    monkeypatch.setattr(compiler, "gcc_version", lambda: "another gcc")
    keys.add(toolchain._key({"a": "1", "b": "2"}))
    (tmp_path / "sizes.py").write_text("another version")
    monkeypatch.setattr(sizes, "__file__", str(tmp_path / "sizes.py"))
    keys.add(toolchain._key({"a": "1", "b": "2"}))
    assert len(keys) == 7
