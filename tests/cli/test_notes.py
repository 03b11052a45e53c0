"""Notes beside runs: what they were trained on, and which of several runs a note is about."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from synthetic_run import synthetic_run

from workbench.cli import main
from workbench.cli import run as run_verb
from workbench.cli.notes import notes_of, origins
from workbench.report.text import report_text
from workbench.report.training_notes import ANOTHER_RATE, SMALLER_RATE

EXPLODED = "loss rose to 650 at step 2; at the end 2.56, a guess is 2.30, the first ten steps 3.10"
TRY = "a smaller --lr often helps: this was lr 1"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def cell(policy, schedule, *notes, **meta):
    run = synthetic_run(schedule, policy=policy)
    run.meta.update(notes=list(notes), data="digits", **meta)
    return run


def test_random_samples_and_foreign_weights_are_told():
    random = "random samples: the loss tells nothing about learning"
    digits, made_up = {"data": "digits", "model": "mcunet-5fps"}, {"data": None, "model": "mcunet-5fps", "seed": 3}
    assert origins(digits) == {}
    assert origins(made_up) == {"data": random, "weights": "synthetic, of seed 3"}
    assert origins(made_up | {"model": "mine"}) == {"data": random}
    assert origins(made_up | {"weights_from": "a.tflite"}) == {"data": random, "weights": "from a.tflite"}
    assert origins(digits | {"weights_from": "mine.npz"}) == {"weights": "from mine.npz"}


def test_samples_set_aside_are_told_beside_the_others():
    own = {"source": "mine.npz", "train": 64, "validation": 16, "test": 20, "normalize": {"kind": "none"}}
    told = "mine.npz: 64 to train on, 16 to validate on, 20 held out · normalize none"
    assert origins({"data": own}) == {"data": told}
    assert origins({"data": own | {"validation": 0}}) == {"data": told.replace(" 16 to validate on,", "")}


def test_a_note_on_some_cells_names_them_and_one_on_all_does_not():
    both = ("vanilla", "reordered")
    full, last = ([cell(policy, schedule, EXPLODED, TRY) for schedule in both] for policy in ("full", "last-2"))
    good = [cell("bias-only", schedule) for schedule in both]
    assert notes_of(full + last) == [EXPLODED, TRY]
    assert notes_of(full + good) == [f"full: {EXPLODED}", f"full: {TRY}"]
    assert notes_of(full + good + last) == [f"full, last-2: {EXPLODED}", f"full, last-2: {TRY}"]
    assert notes_of(good + full[:1] + [cell("full", "reordered")]) == [
        f"full vanilla: {each}" for each in (EXPLODED, TRY)
    ]
    assert notes_of(good) == []
    alike = [cell("full", "vanilla", TRY), cell("full", "vanilla")]
    assert notes_of(alike) == [f"1 of 2 runs: {TRY}"]


def test_a_run_of_an_older_workbench_has_no_notes():
    run = synthetic_run()
    assert "notes" not in run.meta
    assert notes_of([run, cell("full", "reordered", TRY)]) == [f"reordered: {TRY}"]
    assert "note" not in report_text(run)


def test_a_saved_run_tells_its_notes_again(tmp_path, capsys):
    cell("full", "vanilla", EXPLODED, TRY, weights_from="mine.npz").save(tmp_path / "run")
    assert main(["report", "run"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[6:9] == ["weights   from mine.npz", f"note      {EXPLODED}", f"note      {TRY}"]
    assert main(["report", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == [EXPLODED, TRY]


def test_a_comparison_tells_them_by_cell(tmp_path, capsys):
    for run, name in ((cell("full", "vanilla", EXPLODED), "a"), (cell("last-2", "vanilla"), "b")):
        run.save(tmp_path / "both" / name)
    assert main(["report", "both"]) == 0
    assert f"note: full: {EXPLODED}\n" in capsys.readouterr().out


def test_training_that_exploded_says_so_and_recommends_something_else(capsys):
    assert main(["run", "mlp", "--lr", "8", "--lr-bias", "0.1", "--steps", "3", "--trace", "off", "-o", "mine"]) == 0
    out = capsys.readouterr().out
    meta = json.loads(Path("mine/run.json").read_text())
    largest = max(meta["loss"])
    assert largest > 1000 * meta["loss"][0]
    told = f"loss rose to {largest:.0f} at step {meta['loss'].index(largest) + 1}; at the end "
    assert meta["notes"][0].startswith(told) and meta["notes"][0].endswith("a guess is 2.30, the first step 2.44")
    assert meta["notes"][1].startswith("dead, the same for each of 32 samples: fc1 ")
    assert meta["notes"][2:] == ["a smaller --lr often helps: this was lr 8, 0.1 of biases"]
    assert [line[10:] for line in out.splitlines() if line.startswith("note")] == meta["notes"]
    assert out.endswith("next: ./workbench.sh run mlp --steps 3 --trace off --lr 0.02 --lr-bias 0.01\n")


def test_weights_that_are_no_numbers_are_written_only_by_force(capsys):
    broken = ["run", "mlp", "--lr", "1e30", "--steps", "3", "--trace", "off", "--save-weights", "w.npz"]
    assert main([*broken, "--json"]) == 1
    out, err = capsys.readouterr()
    meta = json.loads(out, parse_constant=pytest.fail)
    help_line = "  help: a smaller --lr often helps; --force writes them all the same\n"
    assert err == f"error: w.npz is not written: {meta['notes'][1]}\n{help_line}"
    assert " of 6,570 weights are no numbers: fc" in err
    assert meta["notes"][0] == "loss stopped being a number at step 2; a guess is 2.30, the first step 2.44"
    assert "weights" not in meta["artifacts"] and not Path("w.npz").exists()
    assert main(["report", meta["artifacts"]["run"]]) == 0  # the run is whole
    assert f"note      {meta['notes'][1]}\n" in capsys.readouterr().out
    assert main([*broken, "--force", "-q"]) == 0
    assert "note" not in capsys.readouterr().out
    assert main(["run", "mlp", "--load-weights", "w.npz"]) == 1
    assert "no finite float32" in capsys.readouterr().err


def test_int8_weights_driven_to_the_end_of_their_range_are_told_with_the_rate(capsys):
    assert main(["run", "mlp-int8", "--lr", "200", "--steps", "1", "--trace", "off", "--json"]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert notes[0].startswith("values at the end of their range (int8 ±127, int32 ±2³⁰): fc")
    assert "a smaller --lr often helps: this was lr 200 with QAS" in notes
    assert notes[-1].endswith("a sample a step: 250000 times as large here")
    assert main(["run", "mlp-int8", "--steps", "1", "--trace", "off", "--json"]) == 0
    assert not any("values at the end" in note for note in json.loads(capsys.readouterr().out)["notes"])


def test_a_rate_that_moves_nothing_is_followed_by_a_larger_one(capsys):
    x = np.random.default_rng(0).random((40, 64), np.float32)
    np.savez("mine.npz", x=x, y=np.arange(40) % 10)
    assert main(["run", "mlp", "--data", "mine.npz", "--epochs", "1", "--lr", "1e-7", "--trace", "off"]) == 0
    out = capsys.readouterr().out
    assert "note      a larger --lr may help: this was lr 1e-07\n" in out
    assert out.endswith("next: ./workbench.sh run mlp --epochs 1 --data mine.npz --trace off --lr 1e-06\n")


@pytest.mark.parametrize(
    ("words", "remedy", "found", "wanted"),
    [
        (["--lr", "0.1"], ANOTHER_RATE, {}, "--epochs 2 --lr auto"),  # the sweep is what tells which
        (["--lr", "auto"], ANOTHER_RATE, {}, "report mine"),
        (["--lr", "auto"], SMALLER_RATE, {"lr": 0.1}, "--epochs 2 --lr 0.01"),  # of the rate that it found
        (["--lr", "2000", "--no-qas"], SMALLER_RATE, {"lr": 2000, "qas": False}, "--epochs 2 --no-qas --lr 200"),
        (["--lr", "8", "--lr-bias", "4"], SMALLER_RATE, {"lr": 8.0}, "--epochs 2 --lr 0.02 --lr-bias 0.02"),
    ],
)
def test_what_to_type_next_after_a_rate_that_was_wrong(words, remedy, found, wanted):
    parser = argparse.ArgumentParser()
    run_verb.add_arguments(parser)
    args = parser.parse_args(["mlp", "--epochs", "2", *words])
    told = run_verb._next(args, {"notes": [f"{remedy}: this was it"], "lr": 0.1, **found}, Path("mine"))
    assert sorted(told.split()) == sorted((wanted if "mine" in wanted else f"run mlp {wanted}").split())
