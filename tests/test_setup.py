"""workbench.sh in a checkout wherever it lies; nothing is installed here: its environment is there already."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "workbench.sh"


@pytest.fixture
def started(tmp_path):
    """started(folder's name, arguments): workbench.sh there; its python tells what it is given."""

    def start(name: str, *arguments: str) -> subprocess.CompletedProcess:
        root = tmp_path / name
        python = root / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text('#!/bin/sh\nprintf "[%s]" "$@"\n')
        python.chmod(0o755)
        (root / "pyproject.toml").write_text("")
        (root / "workbench.sh").write_bytes(SCRIPT.read_bytes())
        empty = subprocess.run(["cksum"], input=b"", capture_output=True, check=True).stdout.decode().strip()
        (python.parents[1] / ".workbench").write_text(f"{root} {empty}")
        command = ["bash", str(root / "workbench.sh"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

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
