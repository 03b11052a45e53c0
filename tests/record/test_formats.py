"""record/FORMATS.md describes what a run and a profile leave behind: no more and no less."""

import json
import re
from pathlib import Path

import pytest

import workbench
from workbench import record
from workbench.record import profile, profile_tables
from workbench.record.meta import FURTHER, NEEDED
from workbench.record.run import TABLES

PAGE = (Path(record.__file__).parent / "FORMATS.md").read_text()
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
OBJECTS = ("memory", "data")  # of which every key is described too
KNOWN = NEEDED | FURTHER


def described(section: str) -> dict[str, tuple[str, str]]:
    """(kind, what it is) of each key or column that a section's tables describe."""
    rows = re.findall(r"^\| `([\w.]+)` \| ([^|]+?) \| (.*) \|$", SECTIONS[section], re.M)
    table = {name: (kind, words) for name, kind, words in rows}
    assert len(table) == len(rows), "a key is described twice"
    return table


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    workbench.run("mlp", policy="last-1", steps=1, trace="memory").save(path)
    return path


def test_every_key_of_a_run_is_described_and_every_described_one_is_there(folder):
    keys, meta = described("run.json"), json.loads((folder / "run.json").read_text())
    told = {*meta, *(f"{name}.{key}" for name in OBJECTS for key in meta[name])}
    seldom = {name for name, (_, words) in keys.items() if words.startswith("*only ") and "in the file" not in words}
    assert told == set(keys) - seldom - {"trained_by.schedule"}
    assert seldom <= set(KNOWN)


def test_kinds_are_those_that_are_checked_when_a_run_is_read():
    keys = described("run.json")
    assert {name: kind for name, (kind, _) in keys.items() if name in KNOWN} == KNOWN


@pytest.mark.parametrize("name", TABLES)
def test_columns_are_described_in_their_order(folder, name):
    columns = (folder / f"{name}.csv").read_text().splitlines()[0].split(",")
    assert list(described(f"{name}.csv")) == columns == TABLES[name]


def test_every_key_of_a_profile_is_described_with_its_kind():
    keys = described("profile.json")
    del keys["files"]
    assert {name: kind for name, (kind, _) in keys.items()} == profile.NEEDED | profile.FURTHER


@pytest.mark.parametrize("name", profile_tables.TABLES)
def test_columns_of_a_profile_are_described_in_their_order(name):
    section = described(f"{name}.csv" + " of a profile" * (name == "symbols"))
    assert list(section) == profile_tables.TABLES[name]
    assert {column for column, (kind, _) in section.items() if kind == "text"} == set(profile_tables.TEXT[name])


def test_every_file_is_described(folder):
    rows = re.findall(r"^\| `([\w.]+)` \| ", PAGE.partition("\n## ")[0], re.M)
    assert {path.name for path in folder.iterdir() if path.is_file()} <= set(rows)


def test_what_is_written_fits_the_kinds_of_columns(folder):
    """An id list is numbers, a whole number is one or empty."""
    forms = {"whole number": r"-?\d*", "whole numbers": r"[\d ]*", "ids": r"[\d ]*", "text": r".*", "texts": r".*"}
    run = workbench.load_run(folder)
    for name in TABLES:
        lines = getattr(run, name).to_csv(index=False, float_format="%.0f").splitlines()
        kinds = [kind for kind, _ in described(f"{name}.csv").values()]
        for line in lines[1:]:
            for kind, cell in zip(kinds, line.split(","), strict=True):
                assert re.fullmatch(forms[kind], cell), (name, kind, line)
