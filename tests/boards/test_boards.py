"""Boards: files of one's own, what is wrong in them, what runs tell of them, and the table of chips."""

import json
from dataclasses import asdict

import pytest

from workbench import boards
from workbench.boards.board import FPUS, MOST, PERIPHERALS, Region, board_of
from workbench.errors import BoardError

OWN = """
core = "cortex-m4"
clock_hz = 168_000_000
fpu = "fpv4-sp-d16"
source = "RM0090"
data = "main"
[regions]
flash = { base = 0x08000000, size = "1M", wait_states = 5 }
main = { base = 0x20000000, size = "128K" }
ccm = { base = 0x10000000, size = 65536 }
"""


def written(folder, text=OWN, name="my-board.toml"):
    (folder / name).write_text(text)
    return str(folder / name)


def test_a_board_of_a_file(tmp_path):
    board = boards.chosen(written(tmp_path), "96K")
    assert (board.name, board.core_title, board.clock_hz, board.source) == (
        "my-board", "Cortex-M4F", 168_000_000, "RM0090",
    )  # fmt: skip
    assert (board.flash_base, board.flash_size, board.sram_base, board.sram_size) == (
        0x08000000, 1 << 20, 0x20000000, 96 << 10,
    )  # fmt: skip
    assert board.regions[0].wait_states == 5
    assert board.region_at(0x1000FFFF) == Region("ccm", 0x10000000, 65536)
    assert board.region_at(0x10010000) is None
    twin = boards.virtual_twin(board)
    assert (twin.name, twin.clock_hz, twin.sram_size) == ("virtual-m4", 168_000_000, 16 << 20)


def test_a_core_that_has_no_unit_needs_no_fpu(tmp_path):
    small = OWN.replace("cortex-m4", "cortex-m0plus").replace('fpu = "fpv4-sp-d16"\n', "")
    board = boards.get(written(tmp_path, small))
    assert (board.core_title, board.soft_float, board.flags[-1]) == ("Cortex-M0+", True, "-mfloat-abi=soft")
    assert str(board) == "my-board, Cortex-M0+ 168 MHz, soft float, 128 KB SRAM"


@pytest.mark.parametrize(("old", "new", "words"), [
    ('core = "cortex-m4"', "", "core is missing"),
    ("cortex-m4", "cortex-m5", "the core 'cortex-m5' is not known\n  help: did you mean cortex-m"),
    ("clock_hz = 168_000_000", "", "clock_hz is missing\n  help: in Hz, like 64_000_000"),
    ("168_000_000", "0", "clock_hz is 0"),
    ("168_000_000", '"168 MHz"', "clock_hz is '168 MHz'\n  help: it is a whole number"),
    ('fpu = "fpv4-sp-d16"', "", "fpu is missing\n  help: of a cortex-m4 it is 'fpv4-sp-d16' or 'none'"),
    ("fpv4-sp-d16", "fpv5-d16", "cortex-m4 has no fpu 'fpv5-d16'"),
    ("source", "sorce", "sorce is no key of a board\n  help: did you mean source?"),
    ("[regions]", "[memory]", "memory is no key of a board"),
    ("[regions]", 'name = "a b"\n[regions]', "no board can be called 'a b'"),
    ("[regions]", 'name = "nrf52840"\n[regions]', "nrf52840 is a board that there is already"),
    ('"main"', '"sram"', "no region is called 'sram', which holds the data"),
    ('"main"', '"flash"', "code and data are in one region"),
    (', size = "128K"', "", "the region main has no size"),
    ('"128K"', '"128Q"', "the size of the region main: '128Q' is not a size\n  help: write bytes (98304)"),
    ('"128K"', "1000", "no region has size 1000, as main"),
    ('"128K"', "0", "no region has size 0, as main"),
    ('"128K"', '"128M"', "no region has size '128M', as main\n  help: it is a multiple of 1 KB up to 64 MB"),
    ("0x10000000", "0x2001fc00", "the regions main (up to 0x20020000) and ccm (from 0x2001fc00) overlap"),
    ("0x10000000", "0x40000000", "the region ccm lies where peripherals are"),
    ("0x10000000", "0x3fffc000", "the region ccm lies where peripherals are"),
    ("0x10000000", "0xdffffc00", "the region ccm lies where peripherals are"),
    ("wait_states", "waits", "waits is no key of a region"),
    ("wait_states = 5", "wait_states = -1", "no region has wait_states -1, as flash"),
    ("wait_states = 5", "line = 12", "no region has line 12, as flash\n  help: it is bytes: 4, 8, 16"),
    ("wait_states = 5", "prefetch = 1", "no region has prefetch 1, as flash\n  help: it is true or false"),
    ("wait_states = 5", "cache_lines = 0.5", "no region has cache_lines 0.5, as flash\n  help: it is a whole number"),
    ("{ base = 0x10000000, size = 65536 }", "65536", "'ccm' is no region"),
    ("[regions]", "[regions", "cannot be read"),
])  # fmt: skip
def test_what_is_wrong_in_a_file_is_told_with_its_name(tmp_path, old, new, words):
    assert old in OWN
    path = written(tmp_path, OWN.replace(old, new))
    with pytest.raises(BoardError) as told:
        boards.get(path)
    assert str(told.value).startswith(path)
    assert words in str(told.value)


def test_a_file_that_is_missing_or_no_text(tmp_path):
    with pytest.raises(BoardError, match=r"none\.toml is missing"):
        boards.get(str(tmp_path / "none.toml"))
    (tmp_path / "x.toml").write_bytes(b"\xff")
    with pytest.raises(BoardError, match="cannot be read: it is not text"):
        boards.get(str(tmp_path / "x.toml"))
    with pytest.raises(BoardError, match=r"(?s)no board is called 'my-board'.*or a file, like my-board.toml"):
        boards.get("my-board")


def test_another_limit_of_sram_does_not_reach_into_the_next_region(tmp_path):
    path = written(tmp_path, OWN.replace("0x10000000", "0x20020000"))
    assert boards.chosen(path, "128K").sram_size == 128 << 10
    with pytest.raises(BoardError, match=r"main .* and ccm .* overlap"):
        boards.chosen(path, "129K")


def test_a_run_tells_its_board_and_old_ones_do_too(tmp_path):
    board = boards.get(written(tmp_path))
    assert boards.Board.of_plain(json.loads(json.dumps(asdict(board)))) == board
    old = {
        "name": "nrf52840", "core": "cortex-m4", "clock_hz": 64_000_000, "flash_base": 0, "flash_size": 1 << 20,
        "sram_base": 0x20000000, "sram_size": 96 << 10, "fpu": "fpv4-sp-d16",
    }  # fmt: skip
    told = boards.Board.of_plain(old)
    assert (told.flash_size, told.sram_base, told.sram_size) == (1 << 20, 0x20000000, 96 << 10)
    assert boards.of_run({"board": "my-board", "linked_for": asdict(boards.virtual_twin(board))}).title == (
        "my-board, Cortex-M4F 168 MHz"
    )
    assert boards.of_run({"board": "nrf52840"}) == boards.get("nrf52840")
    assert boards.of_run({"board": "gone"}) is None


@pytest.mark.parametrize("board", boards.BOARDS.values(), ids=str)
def test_every_board_of_the_table_is_whole(board):
    """A file of its figures says the same, so nothing overlaps; its source is named; its core has a twin."""
    told = asdict(board)
    regions = {each.pop("name"): each for each in told["regions"]}
    assert board_of({**told, "regions": regions}, board.name) == board
    assert board.source
    assert boards.virtual_twin(board).core == board.core
    assert board.flash_size <= MOST
    assert not PERIPHERALS[0] <= board.flash_base < PERIPHERALS[1]


def test_every_core_has_its_twin():
    assert {board.core for board in boards.TWINS_OF.values()} == set(FPUS)
    assert boards.DEFAULT == "nrf52840"
