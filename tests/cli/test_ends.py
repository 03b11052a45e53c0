"""How a command ends when it does not finish: our own bug, Ctrl-C, a reader that has gone."""

import errno
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

import workbench
from workbench import load_run, training
from workbench.cli import main


def test_our_own_bugs_are_called_so(capsys, monkeypatch):
    import workbench.frontends

    monkeypatch.setattr(workbench.frontends, "names", lambda: 1 / 0)
    assert main(["models"]) == 70
    err = capsys.readouterr().err
    assert "ZeroDivisionError" in err
    assert "bug of the workbench" in err
    assert "Traceback" not in err
    assert main(["models", "-vv"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_a_stream_of_python_takes_the_output():
    """Not every stream can be told what to do with a character it does not know."""
    with redirect_stdout(StringIO()) as told:
        assert main(["boards"]) == 0
    assert "nrf52840" in told.getvalue()


def test_ctrl_c_ends_quietly_and_keeps_what_was_learned(tmp_path):
    """As a terminal does it: the whole group gets the signal."""
    (tmp_path / "sitecustomize.py").write_text(
        "from pathlib import Path\n"
        "from workbench import training\n"
        "train_step = training.Step.run\n"
        "def run(*arguments, **options):\n    Path('begun').touch()\n    return train_step(*arguments, **options)\n"
        "training.Step.run = run\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "run", "mlp", "--epochs", "500", "--trace", "off", "-q"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(workbench.__file__).parents[1])])},
    )  # fmt: skip
    while not (tmp_path / "begun").exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    meta = json.loads((tmp_path / "out/mlp-full-nrf52840/run.json").read_text())
    steps, asked = meta["steps"], 500 * 1437
    assert 0 < steps < asked == meta["steps_asked"] and meta["interrupted"]
    assert process.returncode == 130 and f"train     {steps} of {asked} steps, then interrupted  " in out
    assert err == f"stopping; Ctrl-C again ends at once\nerror: interrupted after step {steps} of {asked}\n"


@pytest.fixture
def pressed(monkeypatch, tmp_path):
    """pressed(step, times): Ctrl-C comes so often in that step of the training to come; what `run` gives then."""
    monkeypatch.chdir(tmp_path)

    def after(step, times, *arguments):
        train_step, begun = training.Step.run, []

        def run(*arguments, **options):
            loss = train_step(*arguments, **options)
            begun.append(loss)
            for _ in range(times if len(begun) == step else 0):
                os.kill(os.getpid(), signal.SIGINT)
            return loss

        with monkeypatch.context() as patch:
            patch.setattr(training.Step, "run", run)
            return main(["run", "mlp", "--policy", "last-1", "--trace", "off", "--steps", "9", "-q", *arguments])

    return after


def test_a_run_interrupted_after_some_steps_is_one_of_so_many_steps(pressed, capsys, tmp_path):
    assert pressed(4, 1, "-o", "cut", "--save-weights", "cut.npz") == 130
    out, err = capsys.readouterr()
    assert "train     4 of 9 steps, then interrupted  cross-entropy " in out
    assert err == "error: interrupted after step 4 of 9\n"  # after what the handler itself wrote
    assert main(["report", "cut"]) == 0
    assert "\ntrain     4 of 9 steps, then interrupted  cross-entropy " in capsys.readouterr().out
    assert pressed(9, 0, "--steps", "4", "-o", "whole", "--save-weights", "whole.npz") == 0
    cut, whole = load_run("cut"), load_run("whole")
    assert (cut.meta["steps"], cut.meta["steps_asked"], cut.meta["interrupted"]) == (4, 9, True)
    assert (whole.meta["steps"], whole.meta["steps_asked"], whole.meta["interrupted"]) == (4, 4, False)
    assert cut.meta["loss"] == whole.meta["loss"] and cut.meta["accuracy"] == whole.meta["accuracy"]
    with np.load("cut.npz") as got, np.load("whole.npz") as want:
        assert all(np.array_equal(got[name], want[name]) for name in want.files) and got.files == want.files


def test_a_second_ctrl_c_ends_at_once_and_leaves_the_earlier_run(pressed, capsys, tmp_path):
    assert pressed(9, 0) == 0
    before = load_run("out/mlp-last-1-nrf52840").meta
    capsys.readouterr()
    assert pressed(4, 2, "--seed", "1", "--save-weights", "w.npz") == 130
    assert capsys.readouterr() == ("", "error: interrupted\n")
    assert load_run("out/mlp-last-1-nrf52840").meta == before and sorted(os.listdir()) == ["out"]


def test_ctrl_c_in_the_first_step_ends_at_once(pressed, capsys, tmp_path):
    """There is nothing to keep; and while it compiles and builds, nobody asks after a step."""
    assert pressed(1, 1, "-o", "new") == 130
    assert capsys.readouterr() == ("", "error: interrupted\n")
    assert list((tmp_path / "new").iterdir()) == []


def test_the_accuracy_of_an_interrupted_run_is_left_out_where_it_takes_long(pressed, capsys, monkeypatch):
    monkeypatch.setattr(training, "PATIENCE", 0)
    assert pressed(4, 1) == 130
    assert re.search(r"held-out [\d.]+ % → –", capsys.readouterr().out)
    accuracy = load_run("out/mlp-last-1-nrf52840").meta["accuracy"]
    assert accuracy["before"] > 0 and accuracy["after"] is None


def test_ctrl_c_inside_an_exec_keeps_the_exit_code(tmp_path):
    """As where it strikes while a dataclass is being made: `python -m` alone would die by the signal instead."""
    (tmp_path / "sitecustomize.py").write_text(
        "import workbench.cli\n"
        "def models(args):\n    exec('raise KeyboardInterrupt')\n"
        "import workbench.cli.models\nworkbench.cli.models.execute = models\n"
    )
    assert ended(tmp_path, "-m", "workbench", "models") == (130, "error: interrupted\n")


INSTALLED = "import sys; from workbench.__main__ import main; sys.exit(main())"  # as pip's script begins


@pytest.mark.parametrize("start", [["-m", "workbench", "models"], ["-c", INSTALLED, "models"]])
@pytest.mark.parametrize("imported", ["workbench.cli", "numpy", "workbench.cli.models", "workbench.frontends"])
def test_ctrl_c_during_imports_ends_quietly(tmp_path, start, imported):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Interrupting:\n    def find_spec(self, name, *_):\n"
        f"        if name == {imported!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
    )
    assert ended(tmp_path, *start) == (130, "error: interrupted\n")


def ended(folder, *arguments):
    """(exit code, stderr) of Python there, with the modules of `folder` besides."""
    path = os.pathsep.join([str(folder), str(Path(workbench.__file__).parents[1])])
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    return done.returncode, done.stderr


def test_a_closed_pipe_is_no_error(tmp_path):
    command = f"{sys.executable} -m workbench show lenet --stage backward | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stderr == ""
    assert done.stdout.startswith("fn (")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("import unicorn\nunicorn.__version__ = '2.1.4'", "Unicorn 2.1.4 is installed, and cannot be used"),
        ("import sys\nsys.modules['unicorn'] = None", "Unicorn cannot be loaded (import of unicorn halted"),
        ("import sys\nsys.modules['numba'] = None", "a Python package cannot be loaded: import of numba halted"),
        ("import sys\nsys.modules['numpy'] = None", "a Python package cannot be loaded: import of numpy halted"),
    ],
)
def test_packages_that_are_others_or_missing_are_told_at_once(lines, words, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(lines + "\n")
    code, err = ended(tmp_path, "-m", "workbench", "run", "mlp")
    assert code == 1 and f"error: {words}" in err and err.count("\n") == 2
    if "unicorn" in lines:
        assert err.endswith(f"  help: {shlex.quote(sys.executable)} -m pip install unicorn==2.1.3\n")
    assert list(tmp_path.glob("out")) == []


def test_the_emulator_s_version_is_the_one_that_is_installed_by_default():
    from workbench.emulate.core import UNICORN

    assert f'"unicorn=={UNICORN}"' in (Path(workbench.__file__).parents[1] / "pyproject.toml").read_text()


def test_where_numba_can_keep_nothing_it_works_without(tmp_path):
    """A package that only root can write, used by one without a home."""
    (tmp_path / "sitecustomize.py").write_text(
        "from numba.core import caching\n"
        "for kind in (caching.CacheImpl, *caching.CacheImpl.__subclasses__()): kind._locator_classes = []\n"
    )
    assert ended(tmp_path, "-c", "from workbench.jit import CACHED; assert not CACHED") == (0, "")
    sources = {path: path.read_text() for path in Path(workbench.__file__).parent.rglob("*.py")}
    assert [path.name for path, text in sources.items() if "cache=True" in text] == ["jit.py"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES])
@pytest.mark.parametrize("place", [None, "out/x"])
def test_a_disk_that_takes_nothing_is_not_our_bug(number, place, capsys, monkeypatch):
    def refuse():
        raise OSError(number, os.strerror(number), place)

    monkeypatch.setattr("workbench.frontends.names", refuse)
    assert main(["models"]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"error: {place + ': ' if place else ''}{os.strerror(number)}\n  help: ")
    assert "write elsewhere: -o DIR; TMPDIR=DIR" in err


def test_memory_that_is_used_up_is_not_our_bug(capsys, monkeypatch):
    def refuse():
        raise MemoryError

    monkeypatch.setattr("workbench.frontends.names", refuse)
    assert main(["models"]) == 1
    assert "error: this machine's memory is used up\n  help: " in capsys.readouterr().err


def test_output_that_cannot_be_written_is_told_once(tmp_path):
    command = f"{sys.executable} -m workbench models >/dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: No space left on device\n  help: ") and done.stderr.count("\n") == 2


def test_a_terminal_of_few_letters_gets_question_marks(tmp_path):
    command = [sys.executable, "-m", "workbench", "models"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "") and "1?1?8?8" in done.stdout


def test_a_full_disk_is_told_with_the_folder(tmp_path):
    from workbench.codegen import Project
    from workbench.errors import naming

    with pytest.raises(OSError) as caught, naming(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path)
    with pytest.raises(NotADirectoryError) as caught, naming(tmp_path):
        Project({"model.h": ""}, (), ()).save(Path("/dev/null/firmware"))
    assert caught.value.filename.startswith("/dev/null")
