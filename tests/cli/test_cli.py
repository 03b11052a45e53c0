"""The command line as a person meets it: what is printed, where, the exit codes, and what is left on disk."""

import errno
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from workbench import frontends
from workbench.cli import main
from workbench.ir.text import parse_graph


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(capsys, *arguments):
    """(exit code, stdout, stderr)."""
    try:
        code = main(list(arguments))
    except SystemExit as stop:  # argparse's usage errors
        code = stop.code
    out, err = capsys.readouterr()
    return code, out, err


def masked(text: str) -> str:
    """Seconds differ from run to run."""
    return re.sub(r" +\d+\.\d s$", "  # s", text, flags=re.M)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("models", ["models"]),
        ("boards", ["boards"]),
        ("show_forward", ["show", "conv-relu"]),
        ("show_backward", ["show", "conv-relu", "--stage", "backward"]),
        ("show_planned", ["show", "mlp", "--stage", "planned", "--policy", "last-1"]),
        ("plan_mlp", ["plan", "mlp", "--policy", "last-2", "--schedule", "vanilla"]),
        ("run_mlp", ["run", "mlp", "--steps", "3", "--trace", "memory"]),
        ("build_mlp", ["build", "mlp", "--policy", "last-1", "--board", "stm32f746"]),
        ("lifecycle_mlp", ["lifecycle", "mlp"]),
    ],
)
def test_what_is_printed(name, arguments, capsys, golden):
    code, out, err = run(capsys, *arguments)
    assert (code, err) == (0, "")
    golden(f"cli_{name}.txt", masked(out))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "resnet152"], 1, ["no network is called 'resnet152'", "mlp"]),
        (["run", "mlp", "--policy", "some"], 1, ["'some' is neither a policy nor a layer", "fc1", "full"]),
        (["run", "mlp", "--policy", "last-9"], 1, ["the network has 3"]),
        (["run", "mlp", "--board", "esp32"], 1, ["no board is called 'esp32'", "`workbench boards` lists them"]),
        (["run", "mlp", "--sram", "lots"], 1, ["'lots' is not a size"]),
        (["run", "mlp", "--sram", "100"], 1, ["multiple of 1 KB"]),
        (
            ["run", "mlp", "--sram", "8K"],
            3,
            [
                "mlp needs 26.6 KB of SRAM, and its stack on top; --sram gives nrf52840 8 KB instead of its 256 KB",
                "worst",
            ],
        ),
        (["run", "mlp", "--data", "imagenet"], 1, ["no data set", "digits"]),
        (["run", "mlp", "--load-weights", "none.npz"], 1, ["none.npz is missing"]),
        (["run", "conv-relu", "--loss", "cross-entropy"], 1, ["cross-entropy takes class scores", "--loss mse"]),
        (["run", "mlp", "--loss", "mse"], 1, ["digits has class labels; mse takes numbers", "--loss cross-entropy"]),
        (["run", "mlp", "--steps", "0"], 2, ["not a positive whole number"]),
        (["run", "mlp", "--lr", "-1"], 2, ["not a rate"]),
        (["run"], 2, ["MODEL"]),
        (["run", "mlp", "--lr", "abc"], 2, ["abc is not a rate: a number of 0 or more"]),
        (["run", "mlp", "-o", "/dev/null/foo"], 1, ["/dev/null/foo cannot be made", "another folder"]),
        (["fly"], 2, ["no verb is called 'fly'; there are demo, run"]),
        (["rnu", "mlp"], 2, ["did you mean run?"]),
        (["plan"], 1, ["either a MODEL or --buffers"]),
        (["plan", "mlp", "--capacity", "512"], 3, ["no plan fits 512 bytes", "alive at once"]),
        (["plan", "--buffers", "none.csv"], 1, ["none.csv cannot be read"]),
        (["lifecycle", "mlp", "--schedules", "vanilla,fast"], 1, ["no schedule is called 'fast'"]),
        (["lifecycle", "mlp", "--schedules", "vanilla,"], 1, ["--schedules names nothing beside a comma"]),
        (["run", "mlp", "--rounding", "nearest", "--no-qas"], 1, ["--rounding nearest and --no-qas: for int8 weights"]),
        (["check", "mlp", "--no-qas"], 1, ["--no-qas: for int8 weights alone; these are float32", "NAME-int8"]),
        (["show", "mlp", "--stage", "backward", "--no-qas"], 1, ["--no-qas: for int8 weights alone"]),
        (["lifecycle", "mlp", "--passes=-in-plaice"], 1, ["no pass is called 'in-plaice'"]),
    ],
)
def test_errors_say_what_where_and_what_to_do(arguments, code, words, capsys):
    got, out, err = run(capsys, *arguments)
    assert (got, out) == (code, "")
    assert all(word in err for word in words), err
    assert "Traceback" not in err
    if code != 2:
        assert err.startswith("error: ")


@pytest.mark.parametrize("verb", ["run", "lifecycle", "show", "plan", "build", "policies"])
def test_a_misspelt_name_is_told_before_anything_slow_is_loaded(verb):
    code = f"import sys; from workbench.cli import main; main(['{verb}', 'lnet']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "no network is called 'lnet'" in done.stderr
    assert not {"pandas", "unicorn", "numba"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "nope"], "no data set is called 'nope'"),
        (["--epochs", "1", "--batch", "1438", "--board", "virtual-m4"], "a batch of 1438 needs as many samples"),
        (["--batch", "100", "--accumulate", "20"], "20 batches of 100 a step need 2000 samples; digits has 1437"),
        (["--policy", "last-9"], "the network has 3"),
        (["--load-weights", "none.npz"], "none.npz is missing"),
    ],
)
@pytest.mark.parametrize("verb", [["run", "mlp", "--save-weights", "w.npz"], ["lifecycle", "mlp"], ["compare", "mlp"]])
def test_a_slip_leaves_no_file(capsys, tmp_path, verb, arguments, words):
    if verb[0] == "compare" and "--policy" in arguments:
        return
    code, out, err = run(capsys, *verb, *arguments, "-o", "mine")
    assert (code, out) == (1, "") and words in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("option", "value"), [("--lr", "1e39"), ("--lr", "1e-60"), ("--weight-decay", "1e39")])
def test_rates_that_float32_cannot_hold_are_refused(capsys, option, value):
    code, _, err = run(capsys, "run", "mlp", option, value)
    assert code == 2 and f"{value} is not a rate that float32 can hold" in err


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (lambda w: w.astype(str), "fc1.weight holds str"),
        (lambda w: w.astype(complex), "fc1.weight holds complex128, not real numbers"),
        (lambda w: w + 1e300, "fc1.weight holds values that are no finite float32"),
        (lambda w: w * np.nan, "fc1.weight holds values that are no finite float32"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_weights_that_are_none_are_named(capsys, values, words):
    weights = dict(frontends.load("mlp").weights)
    np.savez("odd.npz", **weights | {"fc1.weight": values(weights["fc1.weight"].astype(float))})
    np.save("one.npy", weights["fc1.weight"])
    code, _, err = run(capsys, "run", "mlp", "--load-weights", "odd.npz")
    assert code == 1 and words in err
    code, _, err = run(capsys, "run", "mlp", "--load-weights", "one.npy")
    assert code == 1 and "one.npy is not a whole .npz" in err


def test_a_run_tells_how_it_was_made(capsys):
    np.savez("my start.npz", **frontends.load("mlp").weights)
    options = [
        "--batch", "3", "--accumulate", "2", "--momentum", "0.9", "--lr", "0.05", "--load-weights", "my start.npz",
        "--board", "stm32f746",
    ]  # fmt: skip
    code, out, _ = run(capsys, "run", "mlp", "--steps", "2", *options)
    assert code == 0
    header, *_, last = out.splitlines()
    assert "full optimized · batch 3 × 2 accumulated · momentum 0.9 · stm32f746" in header
    typed = shlex.split(last.split("next: ./workbench.sh ")[1])
    assert typed[:2] == ["lifecycle", "mlp"]
    assert sorted(zip(typed[2::2], typed[3::2], strict=True)) == sorted(zip(options[::2], options[1::2], strict=True))
    folder = re.search(r"Wrote (\S+)/ ", last)[1]
    _, out, _ = run(capsys, "report", folder)
    assert out.splitlines()[0] == header
    meta = json.loads(run(capsys, "report", folder, "--json")[1])
    made = {
        "lr": 0.05,
        "lr_bias": 0.05,
        "lr_decay": 1.0,
        "epochs": None,
        "weights_from": "my start.npz",
    }
    assert made.items() <= meta.items() and meta["data"]["source"] == "digits"


@pytest.mark.parametrize("typed", [["--passes", "-in-place"], ["--passes=-in-place"]])
def test_other_passes_leave_their_trace(capsys, typed):
    code, out, _ = run(capsys, "run", "mlp", "--steps", "1", "--schedule", "reordered", "--trace", "off",
                       *(word.replace("-in-place", "-early-update,regions") for word in typed))  # fmt: skip
    header, *_, last = out.splitlines()
    assert code == 0 and " · full reordered −early-update +regions · " in header
    assert "Wrote out/mlp-full-nrf52840-reordered-no_early-update-regions/ " in last
    assert "lifecycle mlp --passes=-early-update,regions" in last
    folder = "out/mlp-full-nrf52840-reordered-no_early-update-regions"
    assert run(capsys, "report", folder)[1].splitlines()[0] == header


def test_a_layer_is_counted_from_the_end(capsys):
    assert "%fc3.weight, %" in run(capsys, "show", "mlp", "--policy", "-1", "--stage", "backward")[1]
    assert run(capsys, "show", "mlp", "--policy", "-1+fc1")[0] == 0


def test_a_folder_is_called_after_the_policy_not_its_file(capsys, tmp_path):
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "file.toml").write_text('name = "mine"\nbiases = "all"\n')
    code, out, _ = run(capsys, "run", "mlp", "--steps", "1", "--trace", "off", "--policy", "some/file.toml")
    assert code == 0 and "Wrote out/mlp-mine-nrf52840/ " in out
    assert "mlp · mine · optimized" in run(capsys, "build", "mlp", "--policy", "some/file.toml")[1]


def test_run_json_has_the_contract_s_keys(capsys):
    code, out, _ = run(capsys, "run", "mlp", "--steps", "2", "--trace", "memory", "--json")
    meta = json.loads(out)
    assert code == 0
    assert set(meta) >= {
        "model", "policy", "schedule", "passes", "board", "core", "batch", "accumulate", "seed", "steps", "trace",
        "nodes", "loss", "accuracy", "instructions_per_step", "modelled_cycles_per_step", "milliseconds_per_step",
        "timing_model", "memory", "flash", "seconds", "artifacts", "steps_asked", "interrupted",
    }  # fmt: skip
    assert set(meta["memory"]) == {
        "arena_planned", "arena_lower_bound", "arena_touched", "static", "stack_reserve", "stack_peak", "sram_planned",
        "sram_peak", "sram_limit", "fits", "planned_by_role", "touched_by_role", "fragmentation",
    }  # fmt: skip
    assert len(meta["loss"]) == meta["steps"] == meta["steps_asked"] == 2 and meta["interrupted"] is False
    others = {"fits", "planned_by_role", "touched_by_role", "fragmentation"}
    assert all(isinstance(v, int) for k, v in meta["memory"].items() if k not in others)
    assert meta["memory"]["fragmentation"] is None  # there is no heap
    assert set(meta["accuracy"]) == {"before", "after"}
    assert set(meta["seconds"]) == {"compile", "build", "emulate"}
    assert Path(meta["artifacts"]["elf"]).exists()


def test_a_folder_of_yours_is_not_overwritten(capsys, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    code, _, err = run(capsys, "run", "mlp", "--steps", "1", "-o", "mine")
    assert code == 1
    assert "mine is not empty" in err
    assert "--force" in err
    assert run(capsys, "run", "mlp", "--steps", "1", "-o", "mine", "--force")[0] == 0
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "precious"
    assert run(capsys, "run", "mlp", "--steps", "1", "-o", "new")[0] == 0
    assert (tmp_path / "new" / "run.json").exists()
    for _ in range(2):  # its own, under out/, may be written again
        assert run(capsys, "run", "mlp", "--steps", "1")[0] == 0
    (tmp_path / "weights.npz").write_text("mine")
    code, _, err = run(capsys, "run", "mlp", "--steps", "1", "--save-weights", "weights.npz")
    assert code == 1
    assert (tmp_path / "weights.npz").read_text() == "mine"


def test_weights_go_out_and_come_back(capsys, tmp_path):
    first = ["run", "mlp", "--epochs", "1", "--trace", "off", "--json"]
    _, out, _ = run(capsys, *first, "--save-weights", "trained.npz")
    after = json.loads(out)["accuracy"]["after"]
    _, out, _ = run(capsys, "run", "mlp", "--steps", "1", "--trace", "off", "--json", "--load-weights", "trained.npz")
    assert json.loads(out)["accuracy"]["before"] == after > 0.5
    whole = (tmp_path / "trained.npz").read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 40):
        (tmp_path / "cut.npz").write_bytes(whole[:length])
        code, _, err = run(capsys, "run", "mlp", "--load-weights", "cut.npz")
        assert (code, "not a whole .npz" in err) == (1, True)
    code, _, err = run(capsys, "run", "lenet", "--load-weights", "trained.npz")
    assert code == 1
    assert "conv1.weight is missing" in err


def test_plan_of_a_buffer_file(capsys, tmp_path):
    (tmp_path / "b.csv").write_text("id,lower,upper,size\na,0,1,40\nb,0,3,10\nc,1,3,40\n")
    code, out, _ = run(capsys, "plan", "--buffers", "b.csv", "--capacity", "50", "-o", "plan.csv")
    assert code == 0
    assert "3 buffers in 50 bytes (optimal" in out
    rows = (tmp_path / "plan.csv").read_text().splitlines()
    assert rows[0] == "id,lower,upper,size,offset"
    assert len(rows) == 4
    code, _, err = run(capsys, "plan", "--buffers", "b.csv", "--capacity", "49")
    assert code == 3
    assert "no plan fits 49 bytes: 50 are alive at once" in err


def test_the_next_command_of_a_run_by_rows_works(capsys):
    how = ["--policy", "last-1", "--input", "rows"]
    code, out, _ = run(capsys, "run", "lenet", *how, "--steps", "1", "--trace", "off")
    typed = shlex.split(out.split("next: ./workbench.sh ")[1])
    assert (code, typed) == (0, ["lifecycle", "lenet", *how])
    code, out, err = run(capsys, *typed, "--trace", "off", "--json")
    assert (code, err) == (0, "") and [meta["schedule"] for meta in json.loads(out)] == ["optimized"]


def test_lifecycle_leaves_its_files(capsys, tmp_path):
    code, out, _ = run(capsys, "lifecycle", "mlp", "--sram", "32K", "--schedules", "vanilla,reordered", "--json")
    assert code == 0
    vanilla, reordered = json.loads(out)
    assert vanilla["memory"]["fits"] is reordered["memory"]["fits"] is False  # drawn all the same, on the twin
    folder = tmp_path / "out" / "mlp-full-nrf52840-lifecycle"
    assert {p.name for p in folder.iterdir()} == {
        "lifecycle.png",
        "lifecycle.svg",
        "lifecycle.pdf",
        "lifecycle.csv",
        "files.json",
        "vanilla",
        "reordered",
    }


def test_show_json(capsys):
    code, out, _ = run(capsys, "show", "mlp", "--stage", "planned", "--json")
    shown = json.loads(out)
    assert (code, shown["model"], shown["stage"]) == (0, "mlp", "planned")
    assert parse_graph(shown["ir"]).outputs
    assert {"id", "lower", "upper", "size", "offset"} == set(shown["plan"][0])
    assert "plan" not in json.loads(run(capsys, "show", "conv-relu", "--json")[1])


@pytest.mark.parametrize("verb", ["models", "boards", "ops"])
def test_lists_as_json(verb, capsys):
    code, out, _ = run(capsys, verb, "--json")
    assert code == 0
    assert all("name" in row for row in json.loads(out)[verb])


def test_diverged_training_is_valid_json(capsys):
    code, out, _ = run(capsys, "run", "mlp", "--lr", "1e30", "--steps", "5", "--json")
    losses = json.loads(out, parse_constant=pytest.fail)["loss"]
    assert code == 0
    assert losses[0] > 0
    assert losses[-1] is None
    assert "NaN" not in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "mlp"], "out/mlp-full-nrf52840 cannot be made: "),
        (["run", "mlp", "-o", "mine"], "mine cannot be made: "),
        (["lifecycle", "mlp"], "out/mlp-full-nrf52840-lifecycle cannot be made: "),
        (["run", "mlp", "--save-weights", "w.npz"], "w.npz cannot be written: Read-only file system"),
        (["plan", "mlp", "-o", "plan.csv"], "plan.csv cannot be written: Read-only file system"),
    ],
)
def test_where_nothing_can_be_written_it_is_told_before_any_work(arguments, words, capsys, monkeypatch):
    """As root, every folder that is not on a read-only disk can be written: this one pretends."""

    def refuse(path, mode="r", **_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    if "--save-weights" in arguments or "plan" in arguments:
        monkeypatch.setattr(Path, "open", refuse)
    else:
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr("workbench.session.compile", pytest.fail)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (1, "")
    assert words in err and "another f" in err


def test_quiet_tells_the_result_alone(capsys, tmp_path):
    code, out, err = run(capsys, "run", "mlp", "--steps", "3", "-q")
    assert (code, err) == (0, "") and out.splitlines()[-1].startswith("SRAM ")
    assert not any(word in out for word in ("Wrote", "next:", "note"))
    assert "Wrote" not in run(capsys, "report", "out/mlp-full-nrf52840", "--lifecycle", "again.png", "-q")[1]
    assert (tmp_path / "again.png").exists()


def test_demo_learns_the_digits(capsys, tmp_path):
    """The demo itself: at least 95 % of the held-out digits, and what it leaves behind."""
    code, out, _ = run(capsys, "demo")
    assert code == 0
    after = float(re.search(r"(\d+\.\d) % after training", out)[1])
    assert after >= 95
    assert {p.name for p in (tmp_path / "out/demo").iterdir()} >= {"lifecycle.png", "lifecycle.svg", "weights.npz"}
    (shown,) = re.findall(r"^```\n(lenet · .*?)```", (Path(__file__).parents[2] / "README.md").read_text(), re.M | re.S)
    assert [line for line in shown.splitlines() if line not in out] == []
