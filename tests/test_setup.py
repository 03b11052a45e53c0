"""workbench.sh in a checkout wherever it lies; nothing is installed here: its environment is there already."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "workbench.sh"


@pytest.fixture
def started(tmp_path):
    """started(folder's name, arguments): workbench.sh there; its python tells what it is given."""

    def start(name: str, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess:
        root = tmp_path / name
        python = root / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text('#!/bin/sh\nprintf "[%s]" "$@"\n')
        python.chmod(0o755)
        (root / "pyproject.toml").write_text("")
        (root / "workbench.sh").write_bytes(SCRIPT.read_bytes())
        empty = subprocess.run(["cksum"], input=b"", capture_output=True, check=True).stdout.decode().strip()
        (python.parents[1] / ".workbench").write_text(f"{root} {empty}")
        (python.parents[1] / ".extras").write_text("test torch onnx")
        command = ["bash", str(root / "workbench.sh"), *arguments]
        env = {"PATH": str(path)} if path else None
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, check=False)

    return start


def test_a_checkout_may_be_called_anything(started):
    """An installed script's first lines quote its path as /bin/sh and Python do not both understand: it is not used."""
    done = started("""o'brien "a" $HOME `ls` #ü=\\%*;""", "run", "a model.tflite", "--policy", "conv1 + head")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "[-m][workbench][run][a model.tflite][--policy][conv1 + head]"


def test_no_verb_is_a_question(started):
    assert started("here").stdout == "[-m][workbench]"


def test_a_colon_is_refused_with_what_to_do(started):
    done = started("a:b", "models")
    assert done.returncode == 1
    assert "a:b: Python makes no environment in a path with a colon\n  help: move the checkout" in done.stderr


@pytest.fixture
def machine(tmp_path):
    """machine(apt-get's exit code, compilers): a PATH with what any machine has, the Arm tools, and these."""

    def make(apt: int | None, *compilers: str) -> Path:
        folder = tmp_path / f"bin-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for tool in ("bash", "sh", "cat", "cksum", "dirname", "readlink", "env"):
            (folder / tool).symlink_to(shutil.which(tool))
        fakes = {"id": "echo 0", "make": "", "arm-none-eabi-gcc": "echo /", **dict.fromkeys(compilers, "")}
        if apt is not None:
            fakes["apt-get"] = f'echo "$@" >>"{tmp_path}/apt.log"; exit {apt}'
        for name, body in fakes.items():
            (folder / name).write_text(f"#!/bin/sh\n{body}\n")
            (folder / name).chmod(0o755)
        return folder

    return make


def test_the_tests_bring_this_machine_s_compilers_and_nothing_else_does(started, machine, tmp_path):
    for verb in ("run", "demo", "setup"):
        assert started(verb, verb, path=machine(0)).returncode == 0
    assert not (tmp_path / "apt.log").exists()
    done = started("a", "test", "-k", "x", path=machine(0))
    assert done.stdout.startswith("[-m][pytest]") and done.stdout.endswith("[-k][x]")
    installed = (tmp_path / "apt.log").read_text().splitlines()[-1].split()
    assert installed[0] == "install" and "gcc" in installed and installed[-1] == "clang"
    started("b", "test", path=machine(0, "gcc"))
    installed = (tmp_path / "apt.log").read_text().splitlines()[-1].split()
    assert "gcc" not in installed and installed[-1] == "clang"


@pytest.mark.parametrize("apt", [1, None])
def test_the_tests_run_without_this_machine_s_compilers(apt, started, machine):
    done = started("a", "test", path=machine(apt, "gcc"))
    assert (done.returncode, done.stdout[:12]) == (0, "[-m][pytest]")
    assert "clang are skipped\n" in done.stderr


def test_extras_are_installed_once_and_kept(started, tmp_path):
    done = started("a", "setup", "torch")
    assert done.stderr == ""
    (tmp_path / "a" / ".venv" / ".extras").write_text("onnx")
    script = ["bash", str(tmp_path / "a" / "workbench.sh")]
    told = subprocess.run([*script, "setup", "torch"], capture_output=True, text=True, check=True).stderr
    assert told.startswith("setting up .venv (once) with onnx torch\n") and "a[onnx,torch]]" in told
    assert subprocess.run([*script, "run"], capture_output=True, text=True, check=True).stderr == ""
