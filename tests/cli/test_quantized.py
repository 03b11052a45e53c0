"""int8 networks on the command line: by name, from a file, with their own policies, roundings and weights."""

import json

import numpy as np
import pytest
import small_mcu

from workbench import pretraining
from workbench.cli import main


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def one_epoch(monkeypatch):
    pretrain = pretraining.pretrain
    monkeypatch.setattr("workbench.pretraining.pretrain", lambda *args, **how: pretrain(*args, **how, epochs=1))


def out_of(capsys, *arguments):
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_a_float_network_is_pretrained_quantized_and_adapted(one_epoch, capsys):
    asked = ["lenet-int8", "--pretrain", "digits", "--data", "digits-rotated", "--steps", "5", "--policy", "last-1"]
    told = json.loads(out_of(capsys, "run", *asked, "--json"))
    assert (told["model"], told["rounding"], told["qas"]) == ("lenet-int8", "stochastic", True)
    pretrained = told["pretrained"]
    assert pretrained["data"] == "digits" and abs(pretrained["accuracy"] - pretrained["accuracy_float"]) < 0.05
    assert told["accuracy"]["before"] < pretrained["accuracy"]


def test_rounding_and_scaling_are_chosen_and_told(capsys, tmp_path):
    how = ["--rounding", "nearest", "--no-qas", "--steps", "2", "--policy", "last-1"]
    text = out_of(capsys, "run", "lenet-int8", *how)
    assert "next: ./workbench.sh lifecycle lenet-int8 --policy last-1 --rounding nearest --no-qas" in text
    told = json.loads((tmp_path / "out/lenet-int8-last-1-nrf52840-nearest-no_qas/run.json").read_text())
    assert (told["rounding"], told["qas"]) == ("nearest", False)
    assert "rounding" not in json.loads(out_of(capsys, "run", "mlp", "--steps", "1", "--policy", "last-1", "--json"))


def test_int8_weights_go_out_and_come_back(capsys):
    how = ["run", "lenet-int8", "--policy", "last-2", "--steps", "3", "--json"]
    out_of(capsys, *how, "--save-weights", "trained.npz")
    with np.load("trained.npz") as found:
        saved = dict(found)
    assert {str(array.dtype) for array in saved.values()} == {"int8", "int32", "float32"}
    again = json.loads(out_of(capsys, *how, "--load-weights", "trained.npz", "--save-weights", "more.npz"))
    assert again["weights_from"] == "trained.npz"
    with np.load("more.npz") as found:
        assert (found["fc2.weight"] != saved["fc2.weight"]).any()
        assert np.array_equal(found["conv1.weight"], saved["conv1.weight"])
    assert main(["run", "lenet-int8", "--load-weights", "trained.npz", "--pretrain", "digits", "--steps", "1"]) == 1
    err = capsys.readouterr().err
    assert "pre-training takes float32" in err and "others start from a file: --load-weights" in err
    np.savez("broken.npz", **saved | {"fc2.weight": saved["fc2.weight"] + 0.5})
    assert main([*how, "--load-weights", "broken.npz"]) == 1
    assert "fc2.weight holds values that are no int8" in capsys.readouterr().err
    for factor in (0, -1, 1e-30):
        np.savez("broken.npz", **saved | {"fc2.weight_scale": saved["fc2.weight_scale"] * np.float32(factor)})
        assert main([*how, "--load-weights", "broken.npz"]) == 1
        assert "fc2.weight_scale holds scales that int8 cannot have" in capsys.readouterr().err


def test_a_network_from_a_file_with_its_own_policy(capsys, tmp_path):
    path, how = str(small_mcu.write(tmp_path)), ["--classes", "6"]
    out_of(capsys, "run", path, *how, "--policy", "sparse-tiny", "--steps", "2")
    told = json.loads((tmp_path / "out/small-sparse-tiny-nrf52840-classes6/run.json").read_text())
    assert (told["model"], told["policy"], told["weights_from"]) == ("small", "sparse-tiny", "small.json")
    compared = json.loads(out_of(capsys, "compare", path, *how, "--policies", "sparse-tiny", "--schedules", "vanilla",
                                 "--steps", "2", "--jobs", "1", "--json"))  # fmt: skip
    assert compared[0]["loss"] == told["loss"]
    assert "grad_slice=[1, 2]" in out_of(capsys, "show", path, *how, "--policy", "sparse-tiny")
    assert "arena" in out_of(capsys, "plan", path, *how, "--policy", "sparse-tiny")
    table = out_of(capsys, "policies", path, *how)
    assert "extra (formula)" in table and "sparse-tiny" in table and "last-1 " not in table
    layers = out_of(capsys, "policies", path, *how, "--policy", "sparse-tiny")
    assert "b1.expand            16, 50 %" in layers


def test_a_slip_in_a_policy_s_name_is_told(capsys, tmp_path):
    path = str(small_mcu.write(tmp_path))
    for verb in (["run"], ["show"], ["policies"], ["plan"]):
        assert main([*verb, path, "--classes", "6", "--policy", "sparse-teeny"]) == 1
        assert (
            "small has no policy sparse-teeny\n  help: did you mean sparse-tiny? its own are sparse-tiny; "
            in capsys.readouterr().err
        )


def test_what_was_trained_on_and_whose_weights_is_told(capsys, tmp_path):
    path, random = str(small_mcu.write(tmp_path)), "random samples: the loss tells nothing about learning"
    lines = f"data      {random}\nweights   from small.json\n"
    out = out_of(capsys, "run", path, "--classes", "6", "--policy", "last-1", "--steps", "1", "-o", "once")
    assert f"\n{lines}Wrote " in out
    assert f"\n{lines}\n" in out_of(capsys, "report", "once")
    notes = f"note: data: {random}\nnote: weights: from small.json\n"
    how = ["--classes", "6", "--policies", "last-1", "--schedules", "vanilla,reordered", "--steps", "1", "-o", "two"]
    assert notes in out_of(capsys, "compare", path, *how)
    assert notes in out_of(capsys, "report", "two") + "\n"
    assert "\nweights" not in out_of(capsys, "run", "mlp", "--policy", "last-1", "--steps", "1")
