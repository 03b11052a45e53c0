"""What a long command says while it works, where nobody sits at a terminal: lines as they happen, on stderr."""

import os
import re
import select
import subprocess
import sys
import time
from argparse import Namespace

import pytest

from workbench.cli import main, progress


@pytest.fixture(autouse=True)
def impatient(tmp_path, monkeypatch, patient_progress):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "PATIENCE", 0.0)


def said(capsys, *arguments) -> list[str]:
    assert main(list(arguments)) == 0
    return capsys.readouterr().err.splitlines()


STEPS = ["mlp: loading", *(f"mlp full optimized: {what}" for what in ("compiling", "building", "training"))]


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ("run mlp --steps 2", STEPS),
        ("run mlp --steps 2 --json", STEPS),  # stdout alone is the JSON
        ("build mlp", STEPS[:3]),
        ("check mlp", [*STEPS[:3], "mlp full optimized: checking"]),
        ("show mlp --stage planned", STEPS[:2]),
        ("policies mlp --policies full,last-1", [STEPS[0], "full: compiling (1 of 2)", "last-1: compiling (2 of 2)"]),
        (
            "lifecycle mlp --schedules vanilla,optimized",
            [STEPS[0], *(line.replace("optimized", "vanilla") for line in STEPS[1:]), *STEPS[1:], "drawing"],
        ),
    ],
)
def test_a_line_a_stage(capsys, arguments, lines):
    assert said(capsys, *arguments.split()) == lines


@pytest.mark.parametrize("arguments", ["run mlp --steps 2", "compare mlp --policies last-1 --steps 1 --jobs 1"])
def test_quiet_is_silent(capsys, arguments):
    assert said(capsys, *arguments.split(), "-q") == []


def test_a_line_a_cell(capsys):
    how = ["--schedules", "vanilla", "--steps", "1", "--jobs", "1"]
    lines = said(capsys, "compare", "mlp", "--policies", "last-1,bias-only", *how)
    told = [re.sub(r"[\d.]+ s", "# s", line) for line in lines[1:-1]]
    assert (lines[0], lines[-1]) == ("mlp: loading", "drawing")
    assert told == [
        "last-1 vanilla: begun", "last-1 vanilla: # s emulated (1 of 2)",
        "bias-only vanilla: begun", "bias-only vanilla: # s emulated (2 of 2)",
    ]  # fmt: skip


def test_an_ablation_tells_its_cells_too(capsys):
    lines = said(capsys, "compare", "mlp", "--ablate", "--policies", "last-1")
    begun, done = ([line for line in lines if re.search(end, line)] for end in (": begun$", r"\(\d+ of \d+\)$"))
    assert len(begun) == len(done) > 5


def test_training_says_now_and_then_how_far_it_is(capsys, monkeypatch):
    now = 0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    args = Namespace(quiet=False, started=0)
    with progress.steps(args, "lenet full optimized") as step:
        for done in range(1, 11):
            now = 4 * done
            step(done, 10, 2 / done)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "lenet full optimized: training",
        *(f"lenet full optimized: step {done} of 10, loss {2 / done:.2f}" for done in (3, 6, 9)),
    ]  # once in 10 seconds


def test_a_quick_command_says_nothing_and_a_slow_stage_is_told_while_it_lasts(capsys, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 0.2)
    args = Namespace(quiet=False, started=time.monotonic())
    with progress.stage(args, "quick"):
        pass
    with progress.stage(args, "slow"):
        deadline = time.monotonic() + 10
        seen = ""
        while not seen and time.monotonic() < deadline:
            time.sleep(0.02)
            seen = capsys.readouterr().err
    assert seen == "slow\n"
    progress.tell(args, "done")
    assert capsys.readouterr().err == "done\n"


def test_a_pipe_s_reader_sees_each_line_when_it_is_said(tmp_path):
    code = "from workbench.cli.output import say; say('first'); import sys; sys.stdin.read()"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": buffered}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as process:
        assert select.select([process.stdout], [], [], 30)[0], "nothing came while the command went on"
        assert process.stdout.readline() == b"first\n"
