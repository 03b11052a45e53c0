"""A saved run comes back as it was; a folder that is not one is refused with the file at fault."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_run import synthetic_run

from workbench.errors import RecordError
from workbench.record import Run, load
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


@pytest.mark.parametrize("broken", [name for name in FILES if name != "graph.txt"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"{", b'a,b\n1,"2\n'])
def test_a_truncated_file_is_refused(tmp_path, broken, content):
    synthetic_run().save(tmp_path)
    (tmp_path / broken).write_bytes(content)
    with pytest.raises(RecordError) as error:
        load(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_a_table_cut_in_the_middle_of_its_header_names_the_columns(tmp_path):
    synthetic_run().save(tmp_path)
    (tmp_path / "ops.csv").write_text("position,symbol\n0,op_000\n")
    with pytest.raises(RecordError, match=r"ops\.csv lacks the columns .*cycles"):
        load(tmp_path)


def test_metadata_that_is_no_object_is_refused(tmp_path):
    synthetic_run().save(tmp_path)
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(RecordError, match=r"run\.json"):
        load(tmp_path)


def test_text_where_a_number_belongs_is_refused(tmp_path):
    synthetic_run().save(tmp_path)
    table = pd.read_csv(tmp_path / "buffers.csv", dtype=str)
    table.loc[0, "size"] = "many"
    table.to_csv(tmp_path / "buffers.csv", index=False)
    with pytest.raises(RecordError, match=r"buffers\.csv"):
        load(tmp_path)
