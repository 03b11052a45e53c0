"""The two programs of tests/firmware, built once."""

import pytest
from foreign_firmware import FIRMWARE, NEWLIB, build


@pytest.fixture(scope="session")
def hello(tmp_path_factory):
    return build(tmp_path_factory.mktemp("hello") / "hello.elf", FIRMWARE / "hello.c", library=NEWLIB)


@pytest.fixture(scope="session")
def bare(tmp_path_factory):
    """The same without DWARF, of which newlib brings much."""
    flags = ("-O1", "-Wl,--strip-debug")
    return build(tmp_path_factory.mktemp("bare") / "hello.elf", FIRMWARE / "hello.c", library=NEWLIB, flags=flags)


@pytest.fixture(scope="session")
def tasks(tmp_path_factory):
    return build(tmp_path_factory.mktemp("tasks") / "tasks.elf", FIRMWARE / "tasks.c")


@pytest.fixture
def firmware(tmp_path):
    """firmware(C, …): the ELF of these lines, built as foreign_firmware.build does."""

    def make(*sources, name="it", **kinds):
        return build(tmp_path / f"{name}.elf", *sources, **kinds)

    return make
