"""A saved profile comes back as it was; a folder that is not one is refused with the file at fault."""

import json
from hashlib import sha256

import pandas as pd
import pytest
from synthetic_profile import synthetic_profile
from synthetic_run import synthetic_run

from workbench import record
from workbench.errors import RecordError
from workbench.record import Profile, load_profile
from workbench.record.folder import filling
from workbench.record.profile_tables import TABLES

FILES = ["profile.json", *(f"{name}.csv" for name in TABLES)]


@pytest.fixture
def folder(tmp_path):
    synthetic_profile().save(tmp_path / "profile")
    return tmp_path / "profile"


def edit(folder, name, before, after):
    """Change a table, and its digest with it: as one who writes such folders by other means might."""
    content = (folder / name).read_text()
    assert before in content
    (folder / name).write_text(content.replace(before, after, 1))
    meta = json.loads((folder / "profile.json").read_text())
    meta["files"][name] = sha256((folder / name).read_bytes()).hexdigest()
    (folder / "profile.json").write_text(json.dumps(meta))


@pytest.mark.parametrize("options", [{}, {"roots": ()}, {"timed": False}, {"lines": False}, {"exit_code": None}])
def test_round_trip(tmp_path, options):
    profile = synthetic_profile(**options)
    profile.save(tmp_path)
    again = load_profile(tmp_path)
    assert (again.meta, repr(again)) == (profile.meta, repr(profile))
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(again, name), getattr(profile, name))


def test_numbers_are_whole_and_what_is_not_known_is_empty(tmp_path):
    profile = synthetic_profile(lines=False)
    profile.functions["line"] = [12.0, None, None, None, None, 40.0]  # as pandas has them where one is missing
    profile.save(tmp_path)
    rows = (tmp_path / "functions.csv").read_text().splitlines()
    assert rows[1].startswith("main,134217728,,12,1,100,") and rows[2].startswith("crc,134217984,,,6,4025,")
    again = load_profile(tmp_path).functions
    assert again.line.tolist() == [12, *[pd.NA] * 4, 40] and str(again.line.dtype) == "Int64"
    assert {str(again[column].dtype) for column in ("address", "calls", "stack")} == {"int64"}
    assert again.file.tolist() == [""] * 6


def test_any_name_comes_back_on_one_line(tmp_path):
    profile = synthetic_profile()
    names = ["NA", 'a "quote", comma', "std::map<T, U>::at(T&&)", "line\nbreak", "x" * 4000, "operator()"]
    profile.functions["name"] = names
    profile.save(tmp_path)
    assert load_profile(tmp_path).functions.name.tolist() == [*names[:3], "line\\nbreak", *names[4:]]


def test_a_profile_replaces_what_was_there(tmp_path):
    synthetic_run().save(tmp_path)
    synthetic_profile().save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "files.json"}
    synthetic_profile(()).save(tmp_path)
    assert load_profile(tmp_path).functions.empty


def test_a_profile_inside_a_folder_that_is_filled_is_whole_by_itself(tmp_path):
    with filling(tmp_path) as new:
        synthetic_profile().save(new / "crc")
    assert load_profile(tmp_path / "crc").meta["firmware"] == "toy.elf"
    with pytest.raises(RecordError, match=r"holds no single profile but 1\n  help: name one of them: .*/crc"):
        load_profile(tmp_path)


@pytest.mark.parametrize("missing", FILES)
def test_a_missing_file_is_named(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(RecordError, match=rf"no complete profile: {missing} is missing\n  help: .*`workbench profile"):
        load_profile(folder)


@pytest.mark.parametrize("cut", FILES)
def test_a_file_that_was_cut_is_named(folder, cut):
    (folder / cut).write_text((folder / cut).read_text()[:-20])
    with pytest.raises(RecordError, match=cut):
        load_profile(folder)


@pytest.mark.parametrize(
    ("name", "before", "after", "words"),
    [
        ("functions.csv", ",instructions,", ",instructons,", "functions.csv lacks the columns instructions"),
        ("functions.csv", ",100,", ",-100,", "instructions holds -100, no whole number between 0 and"),
        ("functions.csv", ",100,", ",1.5,", "instructions holds 1.5, no whole number"),
        ("functions.csv", ",100,", ",many,", "column instructions holds something that is not a number"),
        ("functions.csv", "main,134217728,", "main,,", "functions.csv: address is empty in a row"),
        ("memory.csv", "536870912", "99999999999", "base holds 99999999999"),
        ("tree.csv", "1,0,crc", "1,5,crc", "context 1 stands before its parent 5, or has none"),
        ("tree.csv", "1,0,crc", "1,1,crc", "context 1 stands before its parent 1, or has none"),
        ("tree.csv", "1,0,crc", "0,-1,crc", "two contexts have one id"),
        ("tree.csv", "1,0,crc", "1,,crc", "tree.csv: parent is empty in a row"),
        ("stack.csv", "main", "x" * 20_000, "a text of more than 16384 letters"),
    ],
)
def test_a_table_no_report_could_use_is_refused(folder, name, before, after, words):
    edit(folder, name, before, after)
    with pytest.raises(RecordError, match="holds no readable profile") as error:
        load_profile(folder)
    assert words in error.value.message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"instructions": "many"}, "profile.json: instructions is no whole number"),
        ({"exit_code": 1.5}, "profile.json: exit_code is no whole number"),
        ({"memory": 7}, "profile.json: memory is no object"),
        ({"memory": {"flash": 1}}, "profile.json lacks memory.sram_static, memory.stack_peak"),
        ({"files": None}, "nothing to check its files by"),
    ],
)
def test_metadata_no_report_could_use_is_refused(folder, change, words):
    meta = json.loads((folder / "profile.json").read_text())
    (folder / "profile.json").write_text(json.dumps(meta | change))
    with pytest.raises(RecordError) as error:
        load_profile(folder)
    assert words in error.value.message


def test_a_run_is_no_profile_and_a_profile_no_run(tmp_path, folder):
    synthetic_run().save(tmp_path / "run")
    with pytest.raises(RecordError, match=r"no complete profile: profile\.json is missing"):
        load_profile(tmp_path / "run")
    with pytest.raises(RecordError, match=r"no complete run: run\.json is missing"):
        record.load(folder)


def test_an_empty_profile_needs_its_metadata_alone(tmp_path):
    Profile(synthetic_profile().meta).save(tmp_path)
    assert all(list(getattr(load_profile(tmp_path), name).columns) == columns for name, columns in TABLES.items())
