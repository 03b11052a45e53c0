"""--seeds on the command line: what is printed and written, odd cases, and an interrupt in the middle."""

import json
import os
import re

import numpy as np
import pandas as pd
import pytest

from workbench.cli import main
from workbench.study.compare import Outcome

FOLDER = "out/mlp-last-1-nrf52840-seeds2"
RUN = ["run", "mlp", "--policy", "last-1", "--steps", "3", "--seeds", "2", "--engine", "emulated"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def told(capsys, *arguments) -> tuple[int, str, str]:
    try:
        code = main(list(arguments))
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


def without_seconds(text: str) -> str:
    return re.sub(r" +\d+\.\d s$", "  # s", text, flags=re.M)


def test_a_line_a_seed_and_what_they_came_to(capsys, golden, tmp_path):
    code, out, err = told(capsys, *RUN)
    assert (code, err) == (0, "")
    golden("cli_run_seeds.txt", without_seconds(out))
    assert {"seed-0", "seed-1", "seeds.csv", "seeds.png"} <= set(os.listdir(FOLDER))
    told_again = told(capsys, "report", FOLDER)[1]
    assert out.startswith(told_again.rstrip()) and "seeds     held-out accuracy" in told_again
    one = told(capsys, "report", f"{FOLDER}/seed-1")[1]
    assert "train     3 steps" in one
    code, _, err = told(capsys, "predict", FOLDER)
    assert code == 1 and f"there are {FOLDER}/seed-0, {FOLDER}/seed-1" in err
    assert told(capsys, "predict", f"{FOLDER}/seed-1")[0] == 0


@pytest.fixture
def in_this_process(monkeypatch):
    """Cells run one after the other, without the seconds that processes take to begin."""
    one_by_one = lambda function, queue, *_: ((at, function(job)) for at, job in enumerate(queue))  # noqa: E731
    monkeypatch.setattr("workbench.study.compare.in_processes", one_by_one)


@pytest.mark.usefixtures("in_this_process")
def test_json_is_the_object_of_each_seed_with_mean_and_spread(capsys):
    out = told(capsys, *RUN, "--seed", "4", "--json")[1]
    found = json.loads(out)
    assert [meta["seed"] for meta in found["seeds"]] == [4, 5] and found["count"] == 2 and found["missing"] == []
    for figure in ("accuracy", "held_out_loss"):
        for end in ("before", "after"):
            values = [meta[figure][end] for meta in found["seeds"]]
            assert found["mean"][figure][end] == pytest.approx(np.mean(values))
            assert found["spread"][figure][end] == pytest.approx(np.std(values, ddof=1))
    assert json.loads(told(capsys, "report", FOLDER, "--json")[1]) == found


@pytest.mark.usefixtures("in_this_process")
def test_one_seed_is_laid_out_like_several_and_has_no_spread(capsys):
    found = json.loads(told(capsys, *RUN, "--seeds", "1", "--json")[1])
    assert found["count"] == 1 and found["spread"]["accuracy"] == {"before": None, "after": None}
    folder = "out/mlp-last-1-nrf52840-seeds1"
    assert "\ntrain     3 steps  " in told(capsys, "report", folder)[1] and os.path.exists(f"{folder}/seed-0/run.json")
    assert json.loads(told(capsys, "report", folder, "--json")[1]) == found


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "mlp", "--seeds", "0"], 2, "--seeds: 0 is not a positive whole number"),
        (["run", "mlp", "--seeds", "1000000000000"], 1, "at most 100 at once"),
        (["run", "mlp", "--jobs", "2"], 1, "--jobs is for several seeds: one run takes one process"),
        (["run", "mlp", "--seeds", "2", "--save-weights", "w.npz"], 1, "each seed keeps its own: seed-S/weights.npz"),
        (["run", "mlp", "--seeds", "2", "--policy", "ful"], 1, "'ful' is neither a policy nor a layer"),
        (["compare", "mlp", "--ablate", "--seeds", "2"], 1, "it takes no --seeds"),
        (["compare", "mlp", "--ablate", "--lr", "auto"], 1, "it takes no --lr auto"),
    ],
)
def test_slips_are_told_before_anything_runs(arguments, code, words, capsys):
    got, out, err = told(capsys, *arguments)
    assert (got, out) == (code, "") and words in err and not os.path.exists("out")


@pytest.mark.usefixtures("in_this_process")
def test_what_fits_nowhere_is_told_once_and_leaves_the_earlier_runs(capsys):
    assert told(capsys, *RUN)[0] == 0
    before = pd.read_csv(f"{FOLDER}/seeds.csv")
    code, out, err = told(capsys, *RUN, "--sram", "1K")
    assert (code, out) == (3, "") and err.startswith("error: mlp needs ") and err.count("error: ") == 1
    assert pd.read_csv(f"{FOLDER}/seeds.csv").equals(before)


@pytest.mark.usefixtures("in_this_process")
def test_one_start_for_all_seeds_is_told(capsys):
    assert told(capsys, "run", "mlp", "--steps", "1", "--policy", "last-1", "--save-weights", "w.npz")[0] == 0
    code, out, err = told(capsys, *RUN, "--load-weights", "w.npz", "--json")
    assert (
        code == 0 and err == "note: every seed begins with the same weights; the order of samples tells seeds apart\n"
    )
    first, second = json.loads(out)["seeds"]
    assert first["accuracy"]["before"] == second["accuracy"]["before"] and first["loss"] != second["loss"]


@pytest.fixture
def second_seed(monkeypatch):
    """second_seed(outcome): what comes of seed 1; an exception that it is comes instead."""

    def becomes(outcome):
        def arriving(function, queue, *_):
            yield 0, function(queue[0])
            if isinstance(outcome, BaseException):
                raise outcome
            yield 1, outcome(queue[1].cell)

        monkeypatch.setattr("workbench.study.compare.in_processes", arriving)

    return becomes


def test_an_interrupt_keeps_and_tells_what_was_finished(second_seed, capsys):
    second_seed(KeyboardInterrupt())
    code, out, err = told(capsys, *RUN)
    assert (code, err) == (130, "error: interrupted before seed 1\n")
    assert "over 1 seed, " in out and os.path.exists(f"{FOLDER}/seed-0/run.json")
    assert told(capsys, "report", FOLDER)[1].endswith("\nmissing\n  last-1 optimized seed 1: interrupted\n")
    found = json.loads(told(capsys, "report", FOLDER, "--json")[1])
    assert found["count"] == 1 and found["missing"] == [{"seed": 1, "error": "interrupted"}]


def test_a_seed_that_fails_is_told_and_the_others_count(second_seed, capsys):
    second_seed(lambda cell: Outcome(cell, error="no such luck", error_code=70))
    code, out, err = told(capsys, *RUN)
    assert (code, err) == (70, "error: seed 1: no such luck\n") and "over 1 seed, " in out


def test_a_comparison_tells_mean_and_spread_of_each_policy(capsys):
    arguments = ["compare", "mlp", "--policies", "last-1", "--schedules", "reordered,optimized", "--steps", "2",
                 "--engine", "emulated"]  # fmt: skip
    code, out, err = told(capsys, *arguments, "--seeds", "2", "--jobs", "2")
    assert (code, err) == (0, "")
    assert len(re.findall(r"^(?:reordered|optimized) .* ± [\d.]+ +[\d.]+ % → [\d.]+ ± [\d.]+ %$", out, re.M)) == 2
    assert "loss, held-out: mean ± standard deviation over 2 seeds; all else is of the first\n" in out
    folder = "out/mlp-compare-nrf52840-seeds2"
    assert out.startswith(told(capsys, "report", folder)[1].rstrip())
    cells = json.loads(told(capsys, "report", folder, "--json")[1])
    assert [(cell["schedule"], len(cell["seeds"]), cell["count"]) for cell in cells] == [
        ("reordered", 1, 2), ("optimized", 2, 2),
    ]  # fmt: skip
