"""How a command ends when it does not finish: our own bug, Ctrl-C, a reader that has gone."""

import errno
import os
import shlex
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
    from workbench.emulate.machine import UNICORN

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
