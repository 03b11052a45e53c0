"""`workbench profile` as a person and a script meet it: text, JSON, folders, refusals, and interruptions."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from foreign_firmware import build

from workbench.cli import main
from workbench.profiling import profile
from workbench.record.profile import load_profile

SOURCE = """
#include "host.h"
NOINLINE int inner(int n) { volatile int sum = 0; for (int i = 0; i < n; ++i) sum += i; return sum; }
NOINLINE int outer(int n) { return inner(n) + inner(TIMES * n); }
int main(void) { put("it ran\\n"); return outer(10) + outer(20) ? END : 1; }
"""


@pytest.fixture(scope="module")
def elves(tmp_path_factory):
    folder = tmp_path_factory.mktemp("elves")
    for name, times in (("one", 2), ("two", 3)):
        build(folder / f"{name}.elf", SOURCE, flags=("-O1", "-g", f"-DTIMES={times}", "-DEND=5"))
    build(folder / "bare.elf", SOURCE, flags=("-O1", "-DTIMES=2", "-DEND=0"))
    build(folder / "fails.elf", SOURCE, flags=("-O1", "-DTIMES=2", "-DEND=*(volatile int *)0x30000000"))
    build(folder / "forever.elf", '#include "host.h"\nint main(void) { put("begun\\n"); for (;;); }')
    return folder


@pytest.fixture
def there(elves, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for each in elves.glob("*.elf"):
        (tmp_path / each.name).symlink_to(each)
    return tmp_path


@pytest.fixture
def plain(monkeypatch):
    """No figure is drawn."""
    monkeypatch.setattr("workbench.report.figure.save_figure", lambda figure, path: None)


def test_the_json_is_as_it_is_promised(there, plain, capsys):
    assert main(["profile", "one.elf", "--json"]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (told["ended"], told["exit_code"]) == ("exit", 5) and err.startswith("it ran\n")
    assert type(told["instructions"]) is type(told["modelled_cycles"]) is int
    assert set(told["functions"][0]) >= {"name", "calls", "instructions", "modelled_cycles", "instructions_inclusive",
                                         "modelled_cycles_inclusive", "stack"}  # fmt: skip
    rows = {row["name"]: row for row in told["functions"]}
    assert rows["inner"]["calls"] == 4 and rows["outer"]["calls"] == 2 and rows["outer"]["stack"] == 16
    for name in ("instructions", "modelled_cycles"):
        assert sum(row[name] for row in told["functions"]) == told[name]
        assert rows["outer"][f"{name}_inclusive"] == rows["outer"][name] + rows["inner"][name]
    figures = [value for row in told["functions"] for key, value in row.items() if key not in ("name", "file")]
    assert all(type(value) is int for value in figures)
    assert {"tree", "calls", "lines", "stack", "memory", "notes", "core", "timing_model"} <= set(told)


def test_without_an_exit_code_the_json_says_null(there, plain, capsys):
    assert main(["profile", "forever.elf", "--json", "--max-seconds", "0.2"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["ended"], told["exit_code"]) == ("limit", None)


@pytest.mark.parametrize("option", [[], ["--json"], ["--csv"]])
def test_a_fault_ends_with_1_and_all_that_was_counted(there, plain, capsys, option):
    assert main(["profile", "fails.elf", "-o", "kept", *option]) == 1
    out, err = capsys.readouterr()
    assert "read from 0x30000000, beyond SRAM, in main" in err
    found = load_profile("kept")
    assert found.meta["ended"] == "fault" and {"inner", "outer"} <= set(found.functions.name)
    assert (json.loads(out)["ended"] == "fault") if option == ["--json"] else "inner" in out


def test_two_programs_side_by_side(there, plain, capsys):
    assert main(["profile", "two.elf", "--against", "one.elf", "--json", "-o", "two"]) == 0
    told = json.loads(capsys.readouterr().out)
    rows = {row["name"]: row for row in told["against"]}
    before, now = (told["against_memory"][each] for each in ("before", "now"))
    assert set(before) == set(now) == {"flash", "sram_static", "stack_peak"} and before["stack_peak"] > 0
    assert rows["inner"]["calls"] == rows["outer"]["cycles"] == 0 and rows["inner"]["cycles"] > 0
    assert main(["profile", "one.elf", "-o", "one"]) == 0
    assert main(["profile", "two", "--against", "one"]) == 0
    text = capsys.readouterr().out
    one, two = load_profile("one"), load_profile("two")
    cycles = [int(each.functions.set_index("name").modelled_cycles["inner"]) for each in (one, two)]
    assert rows["inner"]["cycles"] == cycles[1] - cycles[0]
    flash = [each.meta["memory"]["flash"] for each in (one, two)]
    assert f"flash {flash[0]:,} B → {flash[1]:,} B" in text and "static SRAM 0 B → 0 B" in text and "stack " in text
    assert "two.elf against one.elf" in text and f"{cycles[1] - cycles[0]:+,}" in text
    assert main(["profile", "two", "--against", "two"]) == 0
    assert "every function took as much as before" in capsys.readouterr().out


def test_a_saved_profile_is_told_again(there, plain, capsys):
    assert main(["profile", "one.elf", "-o", "kept"]) == 0
    first = capsys.readouterr().out
    assert main(["profile", "kept"]) == 0
    again = capsys.readouterr().out
    assert first.removeprefix("it ran\n\n").replace("Wrote", "Read from") == again


def test_functions_as_csv(there, plain, capsys):
    assert main(["profile", "one.elf", "--csv"]) == 0
    table = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert set(table.name) == {"inner", "outer", "main", "leave", "Reset_Handler"}
    assert list(table)[:1] == ["name"] and table.instructions.sum() > 100


@pytest.mark.parametrize("name", ["one", "bare"])
def test_the_figure_is_drawn_with_and_without_lines(there, capsys, name):
    assert main(["profile", f"{name}.elf", "-o", "kept"]) == 0
    out = capsys.readouterr().out
    assert ("source line" in out) == (name == "one")
    assert (there / "kept" / "profile.png").read_bytes().startswith(b"\x89PNG")


HOSTILE = {
    "empty": lambda elf: b"",
    "text": lambda elf: b"int main(void) { return 0; }\n",
    "cut in its header": lambda elf: elf[:40],
    "cut in a segment": lambda elf: elf[: len(elf) // 9],
    "without sections at the end": lambda elf: elf[: len(elf) - 400],
    "of this machine": lambda elf: Path(os.path.realpath(sys.executable)).read_bytes(),
    "of 64 bits": lambda elf: elf[:4] + b"\x02" + elf[5:],
    "big-endian": lambda elf: elf[:5] + b"\x02" + elf[6:],
    "an entry to nowhere": lambda elf: elf[:24] + b"\xff" * 8 + elf[32:],
    "headers beyond its end": lambda elf: elf[:28] + b"\xff\xff\xff\x7f" + elf[32:],
    "sections beyond its end": lambda elf: elf[:32] + b"\xff\xff\xff\x7f" + elf[36:],
    "sixty thousand segments": lambda elf: elf[:44] + b"\xff\xff" + elf[46:],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_firmware_is_refused_in_a_line(there, plain, capsys, name):
    (there / "odd.elf").write_bytes(HOSTILE[name]((there / "one.elf").read_bytes()))
    assert main(["profile", "odd.elf", "-o", "kept", "--max-seconds", "1"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: odd.elf") and len(err.splitlines()) <= 2, err
    assert not any((there / "kept").iterdir())


def test_a_folder_that_holds_no_profile_and_an_object_file_are_refused(there, plain, capsys):
    (there / "nothing").mkdir()
    assert main(["profile", "nothing"]) == 1
    assert "no complete profile" in capsys.readouterr().err
    source = there / "it.c"
    source.write_text("int f(void) { return 1; }")
    subprocess.run(["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-c", source, "-o", "it.o"], check=True)
    assert main(["profile", "it.o"]) == 1
    assert "it.o" in capsys.readouterr().err
    assert main(["profile", "none.elf"]) == 1
    assert "none.elf is missing" in capsys.readouterr().err
    assert main(["profile", "one.elf", "--board", "nrf52840"]) == 1
    assert "outside the memory of nrf52840" in capsys.readouterr().err


def begun(there, *arguments):
    """The process of a profile of forever.elf, once the program has said that it runs."""
    command = [sys.executable, "-m", "workbench", "profile", "forever.elf", "-o", "kept", *arguments]
    process = subprocess.Popen(command, cwd=there, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"begun\n"
    return process


def test_ctrl_c_ends_it_soon_with_nothing_written(there):
    process = begun(there)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and time.monotonic() - sent < 15
    assert b"Traceback" not in err and out == b""
    assert not any((there / "kept").iterdir())


def test_the_limit_holds_while_the_program_is_busy(there, plain, capsys):
    before = time.monotonic()
    assert main(["profile", "forever.elf", "--max-seconds", "0.5"]) == 0
    assert "its time was up" in capsys.readouterr().out and time.monotonic() - before < 20


def test_somebody_elses_folder_is_not_overwritten(there, plain, capsys):
    (there / "kept").mkdir()
    (there / "kept" / "thesis.txt").write_text("years of work")
    assert main(["profile", "one.elf", "-o", "kept"]) == 1
    assert "--force" in capsys.readouterr().err
    assert [each.name for each in (there / "kept").iterdir()] == ["thesis.txt"]


def killed_at(folder, found, at):
    """A fork saves the profile, and dies at its `at`th event on files; whether it did."""
    child = os.fork()
    if child == 0:
        events = iter(range(1000))
        sys.addaudithook(lambda event, _: next(events) == at and os._exit(9) if event in EVENTS else None)
        found.save(folder)
        os._exit(0)
    return os.waitpid(child, 0)[1] != 0


EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir")


def test_a_kill_while_it_is_written_leaves_the_old_profile_or_the_new(there):
    old, new = profile("one.elf"), profile("two.elf")
    seen, at = set(), 0
    while True:
        old.save("kept")
        if not killed_at("kept", new, at):
            break
        told = load_profile("kept")
        seen.add(told.meta["firmware"])
        assert told.functions.equals((old if told.meta["firmware"] == "one.elf" else new).functions)
        at += 9
    assert at > 50 and "one.elf" in seen


def test_two_at_once_into_one_folder_leave_one_of_them(there):
    one, two = profile("one.elf"), profile("two.elf")
    children = []
    for found in (one, two):
        child = os.fork()
        if child == 0:
            for _ in range(10):
                found.save("kept")
            os._exit(0)
        children.append(child)
    ends = [os.waitpid(child, 0)[1] for child in children]
    assert 0 in ends
    assert load_profile("kept").meta["firmware"] in ("one.elf", "two.elf")
