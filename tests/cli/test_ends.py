"""How a command ends when it does not finish: our own bug, Ctrl-C, a reader that has gone."""

import os
import signal
import subprocess
import sys
import time

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
        [sys.executable, "-m", "workbench", "run", "lenet", "--epochs", "50"],
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
    command = [sys.executable, "-m", "workbench", "models"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert (done.returncode, done.stderr) == (130, "error: interrupted\n")


def test_a_closed_pipe_is_no_error(tmp_path):
    command = f"{sys.executable} -m workbench show lenet --stage backward | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stderr == ""
    assert done.stdout.startswith("fn (")
