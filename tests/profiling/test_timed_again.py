"""A saved profile under another timing model: what is computed from its tables is what a run would have told."""

import json

import pandas as pd
import pytest
from foreign_firmware import build

from workbench import boards
from workbench.cli import main
from workbench.errors import BoardError, RecordError
from workbench.profiling import load_profile, profile
from workbench.record.profile_tables import TABLES

SOURCE = """
#include "host.h"
NOINLINE int inner(int n) { volatile int sum = 0; for (int i = 0; i < n; ++i) sum += i; return sum; }
NOINLINE int factorial(int n) { return n < 2 ? inner(1) : n * factorial(n - 1); }
int main(void) { return inner(10) + factorial(5) ? 3 : 1; }
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return build(tmp_path_factory.mktemp("plain") / "plain.elf", SOURCE)


@pytest.fixture(scope="module")
def kept(plain, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    profile(plain).save(folder)
    return folder


def assert_same(one, other):
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("name", ["bare", "tasks"])
def test_the_same_model_gives_the_saved_tables_to_the_unit(name, request, tmp_path):
    ran = profile(request.getfixturevalue(name), memory=False)
    ran.save(tmp_path)
    again = load_profile(tmp_path).timed()
    assert_same(again, ran)
    assert json.loads(json.dumps(ran.meta)) == again.meta


def test_so_does_a_part_of_the_run_that_was_told(plain):
    ran = profile(plain, function="factorial")
    assert_same(ran.timed(), ran)


@pytest.mark.parametrize(
    "options", [{"board": "stm32f746"}, {"flash_wait": 5}, {"board": "stm32f407vg", "flash_wait": 2}]
)
def test_another_model_gives_what_a_run_under_it_tells(plain, kept, options):
    """The program asks for no time, so that it does the same on any clock."""
    first = load_profile(kept)
    told, ran = first.timed(**options), profile(plain, **options)
    for name in ("functions", "tree", "calls", "lines", "edges"):
        pd.testing.assert_frame_equal(getattr(told, name), getattr(ran, name))
    keys = ("timing_model", "modelled_cycles", "core", "clock_hz", "instructions")
    assert [told.meta[key] for key in keys] == [ran.meta[key] for key in keys]
    assert told.meta["modelled_cycles"] != first.meta["modelled_cycles"]
    assert "modelled again" in told.meta["notes"][-1] and first.timed().meta == first.meta == told.timed().meta


def test_a_core_will_do(kept):
    told = load_profile(kept).timed("cortex-m0plus")
    assert told.meta["core"] == "cortex-m0plus" and told.meta["timing_model"].startswith("cortex-m0plus")
    assert told.meta["modelled_cycles"] == told.lines.modelled_cycles.sum() == told.functions.modelled_cycles.sum()


def test_on_the_command_line(kept, tmp_path, capsys):
    assert main(["profile", str(kept), "--board", "cortex-m7", "--flash-wait", "3", "-o", str(tmp_path / "seven")]) == 0
    out, err = capsys.readouterr()
    assert "flash 3 wait states" in out and "modelled again" in err
    assert load_profile(tmp_path / "seven").functions.equals(
        load_profile(kept).timed("cortex-m7", flash_wait=3).functions
    )
    assert main(["profile", str(kept), "--against", str(kept), "--flash-wait", "3"]) == 0
    assert "every function took as much" in capsys.readouterr().out


def test_a_profile_does_not_run_again(kept, capsys):
    assert main(["profile", str(kept), "--function", "inner"]) == 1
    assert "--function says what is to run\n  help: name the ELF instead" in capsys.readouterr().err


def edit(folder, **changes):
    meta = json.loads((folder / "profile.json").read_text())
    (folder / "profile.json").write_text(json.dumps(meta | changes))


def test_without_its_firmware_a_profile_is_read_but_not_timed(plain, tmp_path):
    profile(plain).save(tmp_path)
    (tmp_path / "firmware.elf").unlink()
    with pytest.raises(RecordError, match=r"plain\.elf, was not kept with it\n  help: profile it again"):
        load_profile(tmp_path).timed()


def test_another_firmware_is_refused(plain, tmp_path):
    profile(plain).save(tmp_path)
    edit(tmp_path, digest="ab" * 32)
    with pytest.raises(RecordError, match="is not the one that ran"):
        load_profile(tmp_path).timed()
    (tmp_path / "firmware.elf").write_bytes(b"no ELF")
    with pytest.raises(RecordError, match=r"firmware\.elf is not the one this run wrote"):
        load_profile(tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"board": "cortex-m9"}, "no board is called 'cortex-m9'"),
        ({"flash_wait": -1}, "no memory waits -1 cycles"),
        ({"flash_wait": 2000}, "a whole number up to 1000"),
        ({"board": "nrf52840", "flash_wait": 2}, "none of the code that ran lies in flash of nrf52840"),
    ],
)
def test_what_cannot_be_timed_is_refused(kept, options, words):
    with pytest.raises(BoardError) as error:
        load_profile(kept).timed(**options)
    assert words in str(error.value)


def test_edges_that_belong_to_another_tree_are_refused(kept):
    told = load_profile(kept)
    told.edges.loc[3, "to_context"] = 99
    with pytest.raises(RecordError, match=r"edges\.csv does not belong to tree\.csv"):
        told.timed()


LONG_LOOP = """
#include "host.h"
NOINLINE void loop(int n) { do __asm volatile(".rept 256\\n add r3, r3, #0\\n .endr" ::: "r3"); while (--n); }
int main(void) { for (int i = 0; i < 10; ++i) loop(100); return 0; }
"""


def test_a_programs_loop_in_caches_that_it_fits_and_does_not(firmware):
    """256 wide instructions, 1 KB: 64 lines of 16 bytes, and what lies around them."""
    board = boards.virtual_twin(boards.get("stm32f407vg")).with_region("flash", base=0x08000000)
    first = profile(firmware(LONG_LOOP), board=board)
    assert first.meta["miss_cycles"] is None

    def timed(lines):
        slow = board.with_region("flash", wait_states=5, line=16, cache_lines=lines)
        told = first.timed(slow)
        assert "cycles of misses in the cache (estimated)" in told.summary()
        assert (
            told.meta["modelled_cycles"] == first.meta["modelled_cycles"] and "hits alone" in told.meta["timing_model"]
        )
        return told.meta["miss_cycles"]

    assert timed(1024) / 5 < 64 + 20
    assert 64 <= timed(70) / 5 <= 64 + 60
    assert 1000 * 64 <= timed(32) / 5 <= 1000 * 66 + 200
