"""--pretrain on the command line: once for a whole comparison, told and recorded; slips are told before that."""

import json
import os

import pytest

from workbench import pretraining
from workbench.cli import main

PRETRAIN = ["--pretrain", "digits", "--data", "digits-noisy", "--steps", "2"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def counted(monkeypatch):
    calls, pretrain = [], pretraining.pretrain

    def counting(*args, **options):
        calls.append(options)
        return pretrain(*args, **options, epochs=2)

    monkeypatch.setattr("workbench.pretraining.pretrain", counting)
    return calls


def test_compare_pretrains_once_and_every_cell_starts_from_it(counted, capsys):
    policies = ["--policies", "last-1,bias-only", "--schedules", "reordered"]
    assert main(["compare", "mlp", *policies, *PRETRAIN, "--seed", "3", "--json"]) == 0
    runs = json.loads(capsys.readouterr().out)
    assert [call["seed"] for call in counted] == [3]
    assert runs[0]["pretrained"] == runs[1]["pretrained"]
    told = runs[0]["pretrained"]
    assert (told["data"], told["samples"], told["seed"]) == ("digits", 718, 3) and told["accuracy"] > 0.5
    assert runs[0]["accuracy"]["before"] == runs[1]["accuracy"]["before"] > 0.3
    assert runs[0]["loss"][0] == runs[1]["loss"][0]


def test_lifecycle_pretrains_once_and_run_tells_it(counted, capsys):
    assert main(["lifecycle", "mlp", "--schedules", "vanilla,reordered", *PRETRAIN, "--json"]) == 0
    runs = json.loads(capsys.readouterr().out)
    assert len(counted) == 1 and runs[0]["loss"] == runs[1]["loss"]
    assert main(["run", "mlp", *PRETRAIN]) == 0
    out = capsys.readouterr().out
    assert "pretrain  digits: 718 samples × 2 epochs on the host  held-out " in out
    assert "next: ./workbench.sh lifecycle mlp --data digits-noisy --pretrain digits" in out


@pytest.mark.parametrize("verb", ["run", "lifecycle", "compare"])
@pytest.mark.parametrize(
    ("pretrain", "words"),
    [("imagenet", "no data set is called 'imagenet'"), ("digits", "none is left to pre-train on")],
)
def test_slips_are_told_before_anything_runs(verb, pretrain, words, capsys):
    assert main([verb, "mlp", "--pretrain", pretrain]) == 1
    out, err = capsys.readouterr()
    assert out == "" and words in err
    assert not os.path.exists("out")
