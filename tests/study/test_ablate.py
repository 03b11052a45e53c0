"""What each pass is worth: the waterfall ends at optimized, every row is a run of its own, report tells it again."""

import json
import os

import pandas as pd
import pytest

from workbench.cli import main
from workbench.passes.pipeline import SCHEDULES
from workbench.study.ablate import ablation_cells, change

FOLDER = "out/mlp-ablate-last-2-nrf52840"


def test_cells_go_from_vanilla_to_optimized():
    cells = ablation_cells("full")
    waterfall = [cell.passes for cell in cells if cell.schedule == "vanilla"]
    added = [name for name in SCHEDULES["optimized"] if name not in SCHEDULES["vanilla"]]
    assert waterfall[0] == ""
    assert waterfall[-1].split(",") == added
    assert [cell.passes for cell in cells if cell.schedule == "optimized"] == [f"-{n}" for n in SCHEDULES["optimized"]]
    assert [change(cell) for cell in cells[:2]] == ["vanilla", "+ early-update"]
    assert [change(cell) for cell in cells[-2:]] == ["− in-place", "− order-search"]


def test_the_verb(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "mlp", "--ablate", "--policies", "last-2", "--jobs", "2", "--json"]) == 0
    told = capsys.readouterr().out
    found = json.loads(told)
    waterfall = found["waterfall"]
    assert tuple(waterfall[0]["passes"]) == SCHEDULES["vanilla"]
    assert tuple(waterfall[-1]["passes"]) == SCHEDULES["optimized"]
    arenas = [row["arena_planned"] for row in waterfall]
    assert arenas == sorted(arenas, reverse=True)
    assert arenas[-1] < arenas[0]
    assert all(row["sram_peak"] <= row["sram_planned"] for row in (*waterfall, *found["without"]))
    for row in found["without"]:
        assert row["change"].removeprefix("− ") not in row["passes"]
        assert row["arena_planned"] >= arenas[-1]
    assert pd.read_csv(f"{FOLDER}/ablation.csv").change.tolist()[:2] == ["vanilla", "+ early-update"]
    assert os.path.exists(f"{FOLDER}/ablation.png") and os.path.exists(f"{FOLDER}/ablation.svg")
    assert main(["report", FOLDER, "--json"]) == 0
    assert capsys.readouterr().out == told
    assert main(["report", FOLDER]) == 0
    text = capsys.readouterr().out
    assert "each pass added in turn" in text and "\n− order-search " in text
    os.remove(f"{FOLDER}/last-2-vanilla/run.json")
    assert main(["report", FOLDER]) == 1
    assert "run.json is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--policies", "full,last-1"], "one policy"),
        (["--epochs", "2", "--schedules", "vanilla"], "it takes no --schedules, --epochs"),
        (["--passes=-in-place"], "it takes no --passes"),
        (["--lr-decay", "0.5", "--pretrain", "digits"], "it takes no --lr-decay, --pretrain"),
    ],
)
def test_it_takes_nothing_it_would_ignore(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "mlp", "--ablate", *arguments]) == 1
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
