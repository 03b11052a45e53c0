"""What can be typed: help and version, one line for one slip, and what may have been meant."""

import re

import pytest

from workbench.cli import main
from workbench.cli.grammar import VERBS


def said(capsys, *arguments):
    """(exit code, stdout, stderr)."""
    try:
        code = main(list(arguments))
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"], ["-h"]])
def test_alone_it_tells_what_there_is(capsys, arguments):
    code, out, err = said(capsys, *arguments)
    assert (code, err) == (0, "")
    assert all(re.search(rf"^  {verb} +\S", out, re.M) for verb in VERBS)
    assert "workbench help run" in out


def test_help_of_a_verb_is_its_own(capsys):
    code, out, err = said(capsys, "help", "run")
    assert (code, err) == (0, "") and out.startswith("usage: workbench run [-h]") and "--lr-decay" in out
    assert said(capsys, "run", "--help") == (0, out, "")
    assert said(capsys, "help", "rnu")[0] == 2


@pytest.mark.parametrize("asked", ["--version", "-V"])
def test_version(capsys, asked):
    code, out, err = said(capsys, asked)
    assert (code, err) == (0, "") and re.fullmatch(r"workbench \d+\.\d+\.\d+\n", out)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("run", "missing: MODEL"),
        ("run mlp --lr abc", "--lr: abc is not a rate: a number of 0 or more, such as 0.02"),
        ("run mlp lenet", "'lenet' is one argument too many"),
        ("run mlp --polcy full", "there is no option --polcy; did you mean --policy?"),
        ("run mlp --polcy=full", "there is no option --polcy; did you mean --policy?"),
        ("run mlp --frobnicate", "there is no option --frobnicate"),
        ("run mlp --schedule optimised", "--schedule: 'optimised' is not a choice; did you mean optimized? there are"),
        ("show mlp --stage bakward", "--stage: 'bakward' is not a choice; did you mean backward? there are forward"),
        ("run mlp --trace mem", "--trace: 'mem' is not a choice; did you mean memory?"),
        ("run mlp --rounding up", "--rounding: 'up' is not a choice; there are stochastic"),
        ("run mlp --steps 1 --epochs 1", "--epochs: not allowed with argument --steps"),
        ("lifecyle mlp", "no verb is called 'lifecyle'; did you mean lifecycle? there are demo"),
        ("--json run mlp", "--json stands before the verb"),
        ("-v run mlp", "-v stands before the verb"),
    ],
)
def test_one_slip_is_one_line_and_one_of_usage(capsys, typed, words):
    code, out, err = said(capsys, *typed.split())
    assert (code, out) == (2, "")
    slip, usage = err.splitlines()
    assert slip.startswith(f"error: {words}")
    assert re.fullmatch(r"  help: workbench .*…\]?; `workbench help.*` lists the (verbs|options)", usage)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("run lent", "lenet"),
        ("run LeNet", "lenet"),
        ("run lenet-in8", "lenet-int8"),
        ("run mbv2", "mbv2-w0.35"),
        ("run model.tflit", ".tflite"),
        ("run mlp --policy ful", "full"),
        ("run mlp --policy biasonly", "bias-only"),
        ("run mlp --policy last3", "last-3"),
        ("run mlp --policy last-0", "last-1"),
        ("run lenet --policy bias-only+convv2:0.5", "conv2"),
        ("compare lenet --policies full,fc1.wieght", "fc1.weight"),
        ("policies mcunet-5fps --policy spares-49kb", "sparse-49kb"),
        ("policies mcunet-5fps --policy sparse", "sparse-49kb"),
        ("run mlp --board nrf5280", "nrf52840"),
        ("run mlp --data digit-rotated", "digits-rotated"),
        ("run mlp --pretrain digit", "digits"),
        ("run mlp --passes=-in-plaice", "in-place"),
        ("lifecycle mlp --schedules vanila", "vanilla"),
    ],
)
def test_what_may_have_been_meant(capsys, tmp_path, monkeypatch, typed, name):
    monkeypatch.chdir(tmp_path)
    code, out, err = said(capsys, *typed.split())
    assert (code, out) == (1, "")
    assert f"\n  help: did you mean {name}? " in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('bias = "all"', "biases"),
        ('biases = "all"\nchannels = "larges"', "largest"),
        ("[weights]\nconv22 = 1", "conv2"),
    ],
)
def test_the_same_in_a_policy_file(capsys, tmp_path, monkeypatch, text, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some.toml").write_text(text)
    code, _, err = said(capsys, "policies", "lenet", "--policy", "some.toml")
    assert code == 1 and f"\n  help: did you mean {name}?" in err


def test_what_resembles_nothing_is_not_guessed(capsys):
    code, _, err = said(capsys, "run", "yolo")
    assert code == 1 and "help: there are conv-relu" in err
