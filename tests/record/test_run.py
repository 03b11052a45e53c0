"""A saved run comes back as it was; a folder that is not one is refused with the file at fault."""

import json
import os
from dataclasses import replace
from hashlib import sha256

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_profile import synthetic_profile
from synthetic_run import synthetic_run

from workbench.errors import RecordError
from workbench.record import Run, load, together
from workbench.record.folder import filling
from workbench.record.meta import FURTHER, NEEDED
from workbench.record.profile_tables import STEP
from workbench.record.run import TABLES

FILES = ["run.json", "graph.txt", *(f"{name}.csv" for name in TABLES)]


@settings(max_examples=12, deadline=None)
@given(layers=st.integers(1, 8), trace=st.sampled_from(["off", "ops", "memory"]))
def test_round_trip(tmp_path_factory, layers, trace):
    folder = tmp_path_factory.mktemp("run")
    run = synthetic_run(layers=layers, trace=trace)
    run.save(folder)
    again = load(folder)
    assert (again.meta, again.graph, again.title) == (run.meta, run.graph, run.title)
    again.save(folder / "twice")
    for name in TABLES:
        assert (folder / f"{name}.csv").read_text() == (folder / "twice" / f"{name}.csv").read_text(), name


def test_names_that_look_like_numbers_or_nothing_stay_names(tmp_path):
    run = synthetic_run()
    for row, name in enumerate(["7", "NA", "nan", "1e5", "with, comma", 'a "quote"']):
        run.buffers.loc[row, "name"] = name
    run.save(tmp_path)
    assert load(tmp_path).buffers.name.tolist() == run.buffers.name.tolist()


def test_ids_stay_text_and_missing_numbers_stay_missing(tmp_path):
    run = synthetic_run(trace="off")
    run.save(tmp_path)
    again = load(tmp_path)
    assert again.ops.reads.tolist() == run.ops.reads.tolist()
    assert again.ops.instructions.isna().all()
    assert again.buffers[again.buffers.storage == "sram"].lower.isna().all()


def test_tables_of_before_shapes_and_layers_are_read(tmp_path):
    run = synthetic_run()
    older = replace(run, buffers=run.buffers.drop(columns=["shape", "dtype"]), ops=run.ops.drop(columns="layer"))
    older.save(tmp_path)
    again = load(tmp_path)
    assert all(list(getattr(again, name).columns) == columns for name, columns in TABLES.items())
    assert set(again.ops.layer) | set(again.buffers["shape"]) | set(again.buffers["dtype"]) == {""}
    replace(run, ops=run.ops.drop(columns="phase")).save(tmp_path)
    with pytest.raises(RecordError, match=r"ops\.csv lacks the columns phase"):
        load(tmp_path)


def test_tables_of_its_step_come_back_and_are_whole_or_refused(tmp_path):
    profile = synthetic_profile()
    replace(synthetic_run(), profiled={name: getattr(profile, name) for name in STEP}).save(tmp_path)
    again = load(tmp_path)
    for name in STEP:
        pd.testing.assert_frame_equal(getattr(again, name), getattr(profile, name))
    tree, meta = (tmp_path / name for name in ("tree.csv", "run.json"))
    tree.write_text(tree.read_text().replace("1,0,crc", "1,5,crc"))
    with pytest.raises(RecordError, match=r"tree\.csv is not the one"):
        load(tmp_path)
    told = json.loads(meta.read_text())
    told["files"]["tree.csv"] = sha256(tree.read_bytes()).hexdigest()
    meta.write_text(json.dumps(told))
    with pytest.raises(RecordError, match=r"tree\.csv: context 1 stands before its parent 5"):
        load(tmp_path)


def test_an_empty_run_round_trips(tmp_path):
    Run(synthetic_run().meta, "").save(tmp_path)
    again = load(tmp_path)
    assert all(list(getattr(again, name).columns) == columns for name, columns in TABLES.items())
    assert all(getattr(again, name).empty for name in TABLES)


@pytest.mark.parametrize("missing", FILES)
def test_a_missing_file_is_named(tmp_path, missing):
    synthetic_run().save(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(RecordError, match=missing):
        load(tmp_path)


@pytest.mark.parametrize("lost", ["memory", "policy"])
def test_metadata_no_report_can_do_without_is_named(tmp_path, lost):
    run = synthetic_run()
    del run.meta[lost]
    run.save(tmp_path)
    with pytest.raises(RecordError, match=f"run.json lacks {lost}"):
        load(tmp_path)


def test_a_run_prints_as_one_line():
    assert (
        repr(synthetic_run())
        == "<Run lenet full vanilla · nrf52840 · SRAM 97.4 KB measured · 1.11 M instructions a step>"
    )
    assert repr(synthetic_run(trace="off")) == "<Run lenet full vanilla · nrf52840 · SRAM 97.8 KB planned>"


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RecordError, match=r"run\.json is missing"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("broken", FILES)
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"{", b'a,b\n1,"2\n'])
def test_a_file_of_other_content_is_refused_by_name(tmp_path, broken, content):
    synthetic_run().save(tmp_path)
    (tmp_path / broken).write_bytes(content)
    with pytest.raises(RecordError) as error:
        load(tmp_path)
    assert str(tmp_path) in str(error.value) and broken in str(error.value)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), name=st.sampled_from(FILES))
def test_a_file_cut_anywhere_is_refused(tmp_path_factory, data, name):
    folder = tmp_path_factory.mktemp("cut")
    synthetic_run(layers=2).save(folder)
    whole = (folder / name).read_bytes()
    length = data.draw(st.integers(0, len(whole) - 2))  # a line feed at the end of run.json means nothing
    (folder / name).write_bytes(whole[:length])
    with pytest.raises(RecordError, match=name):
        load(folder)


def test_an_edited_table_is_refused(tmp_path):
    synthetic_run().save(tmp_path)
    path = tmp_path / "buffers.csv"
    path.write_text(path.read_text().replace("3136", "3137"))
    with pytest.raises(RecordError, match=r"buffers\.csv is not the one this run wrote: it is truncated or was edited"):
        load(tmp_path)


def test_a_run_of_before_the_digests_says_so(tmp_path):
    run = synthetic_run()
    run.save(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps(run.meta))
    with pytest.raises(RecordError, match="an older workbench wrote it") as error:
        load(tmp_path)
    assert error.value.hint == "run it again"


def test_saving_again_leaves_no_moment_in_which_half_a_run_passes_for_one(tmp_path, monkeypatch):
    synthetic_run().save(tmp_path)
    monkeypatch.setattr(os, "replace", None)
    with pytest.raises(TypeError):
        synthetic_run("reordered").save(tmp_path)
    assert load(tmp_path).meta["schedule"] == "vanilla"


def with_firmware(folder, run):
    """As a command writes it: the run beside its firmware, in a folder that is being filled."""
    with filling(folder) as new:
        (new / "firmware").mkdir()
        (new / "firmware" / "firmware.elf").write_bytes(b"\x7fELF")
        (new / "firmware" / "main.c").write_text("int main(void);")
        run.save(new)


def test_the_firmware_is_among_the_digests(tmp_path):
    with_firmware(tmp_path, synthetic_run())
    load(tmp_path)
    for name in ("firmware.elf", "main.c"):
        path = tmp_path / "firmware" / name
        whole = path.read_bytes()
        path.write_bytes(whole + b" ")
        with pytest.raises(RecordError, match=f"firmware/{name} is not the one this run wrote"):
            load(tmp_path)
        path.unlink()
        with pytest.raises(RecordError, match=f"{name} is missing"):
            load(tmp_path)
        path.write_bytes(whole)


def test_a_run_saved_over_another_takes_its_place_whole(tmp_path):
    with_firmware(tmp_path, synthetic_run())
    (tmp_path / "firmware" / "main.o").touch()  # by `make`
    (tmp_path / "firmware" / "thesis.tex").touch()
    synthetic_run("reordered").save(tmp_path)
    assert [path.name for path in (tmp_path / "firmware").iterdir()] == ["thesis.tex"]
    assert load(tmp_path).meta["schedule"] == "reordered"


def test_a_digest_of_a_file_elsewhere_is_refused(tmp_path):
    synthetic_run().save(tmp_path / "run")
    meta = json.loads((tmp_path / "run" / "run.json").read_text())
    for name in ("../else", str(tmp_path / "else"), "firmware/../../else"):
        (tmp_path / "run" / "run.json").write_text(json.dumps(meta | {"files": meta["files"] | {name: ""}}))
        with pytest.raises(RecordError, match="is no file of that folder"):
            load(tmp_path / "run")


def test_runs_written_together_are_told_together_or_not_at_all(tmp_path):
    with filling(tmp_path) as new:
        for schedule in ("vanilla", "reordered"):
            synthetic_run(schedule).save(new / schedule)
    assert sorted(path.name for path in together(tmp_path)) == ["reordered", "vanilla"]
    synthetic_run("vanilla", layers=2).save(tmp_path / "vanilla")
    with pytest.raises(RecordError, match=r"is a mixture: vanilla/run\.json is not the one"):
        together(tmp_path)


@pytest.mark.parametrize("columns", [["position", "symbol"], []])
def test_a_table_of_another_version_names_the_columns_it_lacks(tmp_path, columns):
    run = synthetic_run()
    replace(run, ops=run.ops[columns]).save(tmp_path)
    with pytest.raises(RecordError, match=r"ops\.csv"):
        load(tmp_path)


def test_text_where_a_number_belongs_is_refused(tmp_path):
    run = synthetic_run()
    buffers = run.buffers.astype({"size": object})
    buffers.loc[0, "size"] = "many"
    replace(run, buffers=buffers).save(tmp_path)
    with pytest.raises(RecordError, match=r"buffers\.csv: column size"):
        load(tmp_path)


def test_metadata_that_is_no_object_is_refused(tmp_path):
    synthetic_run().save(tmp_path)
    for text in ("[]", "3", "[" * 100_000):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(RecordError, match=r"run\.json"):
            load(tmp_path)


@pytest.mark.parametrize("key", [*NEEDED, *FURTHER])
def test_metadata_of_another_kind_is_refused_by_its_key(tmp_path, key):
    kind = (NEEDED | FURTHER)[key]
    kinds = kind.removesuffix("?").split(" or ")
    for value in (None, "x", 3, 0.5, True, float("nan"), [], [{}], {}, {"x": []}):
        known = {
            "text": isinstance(value, str),
            "whole number": value == 3,
            "number": value in (3, 0.5) and value is not True,
            "truth value": value is True,
            "object": value == {} if key == "trained_by" else isinstance(value, dict) and key in FURTHER,
            "list of objects": value in ([], [{}]),
        }
        fits = any(known.get(one, value == ([] if one.startswith("list") else {})) for one in kinds)
        run = synthetic_run()
        holder, _, name = key.rpartition(".")
        if holder and not isinstance(run.meta.get(holder), dict):
            run.meta[holder] = {}
        (run.meta[holder] if holder else run.meta)[name] = value
        run.save(tmp_path)
        if fits or (value is None and kind.endswith("?")):
            load(tmp_path)
            continue
        with pytest.raises(RecordError, match=r"run\.json") as error:
            load(tmp_path)
        assert key in str(error.value)
