"""compare on the command line: what is printed and written, failing cells, and Ctrl-C in the middle."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from workbench import load_run
from workbench.cli import main

FOLDER = "out/mlp-compare-nrf52840"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def without_numbers(text) -> str:
    """Every better kernel changes them, and with them the columns; tests/report holds both against made-up runs."""
    return re.sub(" +", " ", re.sub(r"(?<= )[−+]?[\d.]+(?= |$)", "#", text, flags=re.M))


def test_table_csv_and_figure(capsys, golden, tmp_path):
    code = main(["compare", "mlp", "--policies", "full,last-1", "--steps", "2"])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    golden("cli_compare_mlp.txt", without_numbers(out))
    table = pd.read_csv(tmp_path / FOLDER / "compare.csv")
    assert table.policy.tolist() == ["full"] * 3 + ["last-1"] * 3
    assert table.schedule.tolist() == ["vanilla", "reordered", "optimized"] * 2
    made = table[["accumulate", "momentum", "weight_decay", "lr", "seed", "steps"]]
    assert made.drop_duplicates().values.tolist() == [[1, 0, 0, 0.02, 0, 2]]
    for measure, total in (("planned_", "sram_planned"), ("measured_", "sram_peak")):
        roles = [column for column in table if column.startswith(measure)]
        assert table[roles].sum(axis=1).tolist() == table[total].tolist()
    assert (tmp_path / FOLDER / "compare.png").exists()
    assert main(["report", FOLDER]) == 0
    assert out.startswith(capsys.readouterr().out.rstrip())


BY_ROWS = ["compare", "lenet", "--policies", "last-1", "--input", "rows", "--steps", "1"]
NO_ROWS = "schedule reordered: the image cannot come by rows: no region begins at it"


def test_a_row_that_failed_is_told_and_the_others_go_on(capsys):
    assert main([*BY_ROWS, "--schedules", "reordered,optimized"]) == 1
    out, err = capsys.readouterr()
    assert err.startswith(f"error: last-1 reordered input-rows: {NO_ROWS}\n  help: ")
    folder = out.split("report ")[-1].strip()
    table = pd.read_csv(f"{folder}/compare.csv")
    assert table.schedule.tolist() == ["optimized", "reordered"] and table.error.isna().tolist() == [True, False]
    assert main(["report", folder]) == 0
    assert capsys.readouterr().out.endswith(f"\nmissing\n  last-1 reordered: {NO_ROWS}\n")


def test_json_is_a_list_of_runs_and_errors(capsys):
    code = main([*BY_ROWS, "--schedules", "optimized,reordered", "--json"])
    out, err = capsys.readouterr()
    first, second = json.loads(out)
    assert (code, err) == (1, "")
    assert first["policy"] == "last-1" and first["trace"] == "memory" and first["memory"]["fits"] is True
    assert first["artifacts"]["run"] == "out/lenet-compare-nrf52840-input-rows/last-1-optimized-input-rows"
    assert second.keys() == {"policy", "schedule", "error"} and NO_ROWS in second["error"]


def test_by_rows_only_the_schedule_that_can_is_compared(capsys):
    assert main([*BY_ROWS, "--json"]) == 0
    assert [meta["schedule"] for meta in json.loads(capsys.readouterr().out)] == ["optimized"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--policies", "ful"], 1, "'ful' is neither a policy nor a layer"),
        (["--policies", "full,last-9"], 1, "policy last-9 wants 9 weighted layers; the network has 3"),
        (["--policies", ","], 1, "--policies names nothing"),
        (
            ["--policies", "full,,last-1"],
            1,
            "nothing beside a comma: full,,last-1\n  help: such as --policies full,last-1",
        ),
        (["--rounding", "nearest"], 1, "--rounding nearest: for int8 weights alone"),
        (["--schedules", "vanilla,fast"], 1, "no schedule is called 'fast'"),
        (["--jobs", "0"], 2, "not a positive whole number"),
        (["--board", "esp32"], 1, "no board is called 'esp32'"),
    ],
)
def test_slips_are_told_before_anything_runs(arguments, code, words, capsys):
    try:
        got = main(["compare", "mlp", *arguments])
    except SystemExit as stop:
        got = stop.code
    out, err = capsys.readouterr()
    assert (got, out) == (code, "") and words in err
    assert not os.path.exists("out")


def test_ctrl_c_keeps_tables_and_draws_what_was_finished(tmp_path):
    """As a terminal does it: the whole group gets the signal, workers and compilers too."""
    command = [sys.executable, "-m", "workbench", "compare", "mlp", "--policies", "full,last-1", "--jobs", "1"]
    process = subprocess.Popen(
        [*command, "--schedules", "vanilla,reordered", "--steps", "5000"], cwd=tmp_path, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    begun = f"{FOLDER}/.filling-*/full-reordered/run.json"
    while not list(tmp_path.glob(begun)) and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    said = [line for line in err.splitlines() if not re.match(r"(full|last-1) \w+: |mlp: |drawing", line)]  # progress
    assert said == ["stopping", "error: interrupted before full vanilla, last-1 vanilla, last-1 reordered"]
    assert "mlp · full" in out and "compare.png" in out
    table = pd.read_csv(tmp_path / FOLDER / "compare.csv")
    assert table.error.fillna("").tolist() == ["", "interrupted", "interrupted", "interrupted"]
    assert load_run(tmp_path / FOLDER / "full-reordered").meta["steps"] == 5000
    assert (tmp_path / FOLDER / "compare.svg").exists() and not list(tmp_path.glob(begun))
    with pytest.raises(ProcessLookupError):  # nobody is left
        for _ in range(100):
            os.killpg(process.pid, 0)
            time.sleep(0.1)


def test_ctrl_c_before_anything_is_finished_leaves_nothing(tmp_path):
    command = [sys.executable, "-m", "workbench", "compare", "mlp", "--policies", "full", "--jobs", "1", "-o", "mine"]
    process = subprocess.Popen(
        [*command, "--steps", "100000", "-q"], cwd=tmp_path, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not list(tmp_path.glob("mine/.filling-*/compare.csv")) and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "stopping\nerror: interrupted\n")
    assert list((tmp_path / "mine").iterdir()) == []  # so that the next one needs no --force


def test_where_that_was_measured_which_does_not_fit(capsys):
    arguments = ["--policies", "full", "--schedules", "vanilla,reordered", "--steps", "1", "--sram", "44K"]
    assert main(["compare", "mlp", *arguments, "--passes=-in-place,-early-update"]) == 0
    out, err = capsys.readouterr()
    assert "vanilla, reordered do not fit nrf52840 with 44 KB: measured on virtual-m4\n" in out
    assert err == "note: no in-place to leave out of vanilla, reordered; optimized has it\n"
