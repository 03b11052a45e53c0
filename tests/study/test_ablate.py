"""What each pass is worth: the waterfall ends at optimized, and every row is a run of its own."""

import json

from workbench.cli import main
from workbench.passes.pipeline import SCHEDULES
from workbench.study.ablate import ablation_cells


def test_cells_go_from_vanilla_to_optimized():
    cells = ablation_cells("full")
    waterfall = [cell.passes for cell in cells if cell.schedule == "vanilla"]
    added = [name for name in SCHEDULES["optimized"] if name not in SCHEDULES["vanilla"]]
    assert waterfall[0] == ""
    assert waterfall[-1].split(",") == added
    assert [cell.passes for cell in cells if cell.schedule == "optimized"] == [f"-{n}" for n in SCHEDULES["optimized"]]


def test_the_verb(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "mlp", "--ablate", "--policies", "last-2", "--jobs", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
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
    assert (tmp_path / "out/mlp-ablate-last-2-nrf52840/ablation.csv").exists()


def test_it_takes_one_policy(capsys):
    assert main(["compare", "mlp", "--ablate", "--policies", "full,last-1"]) == 1
    assert "one policy" in capsys.readouterr().err
