"""Data made to do harm, or broken by chance, however it is named: one line on it, exit 1, and nothing is written."""

import resource

import hostile_folders
import hostile_tables
import pytest

from workbench.cli import main

MEMORY = 300 << 10  # KB that one command may take beside what the tests before it took


@pytest.mark.parametrize(("make", "words", "options"), [*hostile_tables.CASES, *hostile_folders.CASES])
def test_hostile_data_is_refused_in_a_line(make, words, options, tmp_path, monkeypatch, capsys):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    name = make()
    there, before = set(tmp_path.rglob("*")), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert main(["run", "mlp", "--steps", "1", "--data", name, *options]) == 1
    out, err = capsys.readouterr()
    assert words in err and out == ""
    lines = err.rstrip("\n").split("\n")
    assert len(lines) <= 2 and lines[0].startswith("error: ") and all(line.isprintable() for line in lines)
    assert max(map(len, lines)) < 1200 and (len(lines) == 1 or lines[1].startswith("  help: "))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY
    assert set(tmp_path.rglob("*")) == there
