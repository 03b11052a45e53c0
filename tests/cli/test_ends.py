"""How a command ends when it does not finish: our own bug, Ctrl-C, a reader that has gone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import workbench
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


def test_ctrl_c_ends_quietly(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "run", "lenet", "--epochs", "50", "-q"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True,
    )  # fmt: skip
    deadline = time.time() + 60
    while not (tmp_path / "out/lenet-full-nrf52840/firmware/firmware.elf").exists() and time.time() < deadline:
        time.sleep(0.1)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "error: interrupted\n")


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
