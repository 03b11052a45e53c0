"""Killed at any file-system event, a command leaves old results, new ones, or what `report` calls interrupted."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

KILLS = Path(__file__).parents[1] / "kills.py"
VERBS = ("run", "lifecycle", "compare", "seeds", "build")


def killed(folder, every, verb) -> list[dict]:
    folder = folder / "it's killed"  # as good a name as any
    folder.mkdir()
    command = [sys.executable, KILLS, str(every), verb]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("verb", "every"),
    [(verb, {"seeds": 40, "compare": 40, "lifecycle": 30}.get(verb, 10)) for verb in VERBS]
    + [pytest.param(verb, 1, marks=pytest.mark.long) for verb in (*VERBS, "demo")],
)
def test_what_is_told_after_a_kill(tmp_path, verb, every):
    kills = killed(tmp_path, every, verb)
    told = Counter((kill["before"], kill["told"]) for kill in kills)
    words = {"old", "new", "interrupted", *(["new, the rest interrupted"] if verb in ("compare", "seeds") else [])}
    assert {word for _, word in told} <= words, told
    assert told[False, "old"] == 0 and told[False, "interrupted"] > 0 and told[True, "old"] > 0
    if verb == "build":  # `make` completes nothing, but finds no half of two projects
        assert len(kills) > 5
    else:
        assert told[True, "interrupted"] == 0 and told[True, "new"] > 0 and len(kills) > 9
    assert all(kill["kept"] and kill.get("again", True) and not kill.get("left") for kill in kills)
