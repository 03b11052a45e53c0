"""`workbench plan --buffers`: what it says where greedy is not enough, and where nothing is."""

import json
import time
from importlib import import_module

import pytest

from workbench.cli import main
from workbench.plan.problem import read_buffers

# 8 bytes are alive at most; the least arena is 9 (see test_exact.py)
LIVES = ["0,1,3", "1,2,2", "0,3,3", "1,3,2", "0,4,1", "2,4,1", "2,5,1", "3,5,1", "3,6,3", "4,6,3"]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "buffers.csv"
    path.write_text("id,lower,upper,size\n" + "".join(f"b{at},{life}\n" for at, life in enumerate(LIVES)))
    return str(path)


@pytest.mark.parametrize(
    ("capacity", "code", "message"),
    [
        (9, 0, "10 buffers in 9 bytes (at most 1 above the optimum, 8 are alive at once"),
        (8, 3, "no plan fits 8 bytes: proven by search, at least 9 are needed"),
        (7, 3, "no plan fits 7 bytes: 8 are alive at once, at position 1"),
        (None, 0, "10 buffers in 9 bytes (optimal: proven by search"),
    ],
)
def test_what_was_proven_is_told(capsys, path, capacity, code, message):
    assert main(["plan", "--buffers", path, *(["--capacity", str(capacity)] if capacity else [])]) == code
    captured = capsys.readouterr()
    assert message in captured.out + captured.err


def test_json_tells_the_proven_bytes_beside_the_bound(capsys, path):
    assert main(["plan", "--buffers", path, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["bytes"], found["bound"], found["proven"], found["optimal"]) == (9, 8, 9, True)


def test_no_time_is_no_plan_but_no_proof_either(capsys, path):
    assert main(["plan", "--buffers", path, "--capacity", "8", "--time-limit", "0"]) == 3
    error = capsys.readouterr().err
    assert "no plan found in 0.0 s that fits 8 bytes: the best one takes 11, 8 are alive at once" in error
    assert "--time-limit" in error


def test_a_network_has_no_time_limit(capsys):
    assert main(["plan", "mlp", "--time-limit", "1"]) == 1
    assert "--time-limit goes with --buffers" in capsys.readouterr().err


def test_the_time_told_is_the_time_taken(capsys, path, monkeypatch):
    module = import_module("workbench.plan.greedy")

    def slow(buffers, seconds):
        time.sleep(0.2)
        return greedy(buffers)

    greedy = module.greedy
    monkeypatch.setattr(module, "greedy", slow)
    assert main(["plan", "--buffers", path, "--capacity", "8", "--time-limit", "0.1"]) == 3
    assert "no plan found in 0.2 s that" in capsys.readouterr().err


def test_a_limit_holds_for_many_buffers(capsys, tmp_path):
    """5000 of them took 17 seconds whatever the limit."""
    rows = [f"b{at},{at},{at + 1 + 37 * at % 60},{1 + 61 * at % 1999}" for at in range(5000)]
    (tmp_path / "many.csv").write_text("\n".join(["id,lower,upper,size", *rows]))
    start = time.process_time()
    assert main(["plan", "--buffers", str(tmp_path / "many.csv"), "--time-limit", "0"]) == 0
    assert time.process_time() - start < 6
    assert capsys.readouterr().out.endswith("-o FILE writes the offsets\n")


def test_offsets_are_printed(capsys, path):
    assert main(["plan", "--buffers", path]) == 0
    heads, *rows = capsys.readouterr().out.splitlines()[1:]
    assert heads.split() == ["offset", "end", "positions", "bytes", "buffer"]
    assert len(rows) == len(LIVES)
    assert {tuple(row.split()[2:]) for row in rows} >= {("[0,", "1)", "3", "b0"), ("[4,", "6)", "3", "b9")}


@pytest.mark.parametrize("asked", ["--schedule vanilla", "--passes=-in-place", "--batch 2"])
def test_what_a_network_is_compiled_with_is_no_part_of_a_buffer_file(capsys, path, asked):
    assert main(["plan", "--buffers", path, *asked.split()]) == 1
    assert f"{asked} goes with a MODEL" in capsys.readouterr().err


def test_a_time_is_told_from_a_rate(capsys, path):
    with pytest.raises(SystemExit):
        main(["plan", "--buffers", path, "--time-limit", "-1"])
    assert "-1 is not a time: seconds, 0 or more" in capsys.readouterr().err


def test_a_written_plan_is_planned_again(capsys, path, tmp_path):
    written = tmp_path / "plan.csv"
    assert main(["plan", "--buffers", path, "-o", str(written)]) == 0
    assert f"Wrote {written}" in capsys.readouterr().out
    assert read_buffers(written) == read_buffers(path)
    assert written.read_text().startswith("id,lower,upper,size,offset\nb0,0,1,3,")
