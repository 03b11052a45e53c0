"""Comparisons: the same bytes however many at a time, a failing cell costs its own row, the limit costs none."""

import json
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest

from workbench import frontends, session
from workbench.boards import get
from workbench.errors import InternalError, ModelError, PolicyError, WorkbenchError
from workbench.feeding import Training
from workbench.policy import Optimizer
from workbench.study.compare import Cell, Outcome, cells, compare, compare_cells
from workbench.study.processes import Died

TWO = ("vanilla", "reordered")
WANTED = [*cells(["full"], TWO), *cells(["last-1"], TWO, "input-rows"), *cells(["bias-only"], TWO)]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same comparison one at a time and two at a time: (comparison, folder) each."""
    found = []
    for jobs in (1, 2):
        folder = tmp_path_factory.mktemp(f"jobs{jobs}")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            comparison = compare_cells("mlp", WANTED, jobs=jobs, steps=2, folder="cells")
        found.append((comparison, folder / "cells"))
    return found


def without_seconds(path):
    """A run.json; or a files.json without the digests of those."""
    told = {key: value for key, value in json.loads(path.read_text()).items() if key != "seconds"}
    files = {name: "" if name.endswith("run.json") else digest for name, digest in told["files"].items()}
    return told | {"files": files}


def test_two_at_a_time_give_the_same_bytes_as_one(both):
    (_, alone), (_, together) = both
    files = sorted(path.relative_to(alone) for path in alone.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(together) for path in together.rglob("*") if path.is_file())
    assert {"run.json", "buffers.csv", "accesses.csv", "firmware.elf"} <= {path.name for path in files}
    for path in files:
        if path.suffix == ".json":
            assert without_seconds(alone / path) == without_seconds(together / path)
        else:
            assert (alone / path).read_bytes() == (together / path).read_bytes(), path


def test_outcomes_stand_policy_by_policy(both):
    for comparison, _ in both:
        assert [outcome.cell for outcome in comparison.outcomes] == WANTED
        assert [run.title for run in comparison.runs] == [
            "mlp full vanilla", "mlp full reordered", "mlp bias-only vanilla", "mlp bias-only reordered",
        ]  # fmt: skip
        assert all(run.meta["memory"]["sram_peak"] is not None for run in comparison.runs)


def test_a_cell_that_fails_says_why_and_the_others_go_on(both):
    for comparison, folder in both:
        assert comparison.exit_code == 1 and not comparison.interrupted
        assert [str(outcome.cell) for outcome in comparison.failed] == [
            "last-1 vanilla input-rows", "last-1 reordered input-rows",
        ]  # fmt: skip
        assert "one image can come by rows" in comparison.failed[0].error
        assert not (folder / "last-1-vanilla-input-rows" / "run.json").exists()


def test_reordered_trains_alike_in_less_memory(both):
    full, _, bias, _ = both[0][0].runs
    for vanilla, reordered in (both[0][0].runs[:2], both[0][0].runs[2:]):
        assert vanilla.meta["loss"] == reordered.meta["loss"]
        assert reordered.meta["memory"]["sram_peak"] <= vanilla.meta["memory"]["sram_peak"]
    assert bias.meta["memory"]["sram_peak"] < full.meta["memory"]["sram_peak"]


def test_each_policy_is_trained_once_and_told_as_if_each_cell_had_been(both):
    """The most optimized cell trains; of last-1 every cell fails, and each was asked."""
    for comparison, _ in both:
        vanilla, reordered, *_ = (run.meta for run in comparison.runs)
        assert (reordered["engine"]["emulated_steps"], reordered["trained_by"]) == (2, None)
        assert (vanilla["engine"]["emulated_steps"], vanilla["steps"], len(vanilla["loss"])) == (1, 2, 2)
        assert vanilla["trained_by"] == {"policy": "full", "schedule": "reordered", "passes_changed": []}
        alone = session.run("mlp", schedule="vanilla", steps=2, trace="memory").meta
        same = set(alone) - {"engine", "trained_by", "seconds", "artifacts"}
        assert {key: alone[key] for key in same} == {key: vanilla[key] for key in same}
        assert len(comparison.failed) == 2


def test_where_a_cell_fails_the_next_one_trains(both, monkeypatch):
    run, asked = both[0][0].runs[0], []

    def measured(_, queue, *__):
        for index, job in enumerate(queue):  # it grows
            asked.append((job.cell.schedule, job.like and job.like.meta["schedule"]))
            failed = job.cell.schedule == "optimized"
            own = replace(run, meta=run.meta | {"schedule": job.cell.schedule})
            yield index, Outcome(job.cell, error="no", error_code=1) if failed else Outcome(job.cell, own)

    monkeypatch.setattr("workbench.study.compare.in_processes", measured)
    comparison = compare("mlp", ["full"])
    assert asked == [("optimized", None), ("reordered", None), ("vanilla", "reordered")]
    assert [outcome.run is not None for outcome in comparison.outcomes] == [True, True, False]


@pytest.mark.parametrize(
    ("other", "words"), [({"loss": [2.5, 1.0]}, "losses of"), ({"weights_after_first_step": "0"}, "weights after")]
)
def test_bits_that_differ_after_the_first_step_are_an_error(both, tmp_path, other, words):
    like = both[0][0].runs[1]
    like = replace(like, meta=like.meta | other)
    built = session.build(session.compile(frontends.load("mlp"), schedule="vanilla"), get("nrf52840"), tmp_path)
    with pytest.raises(InternalError, match=f"full: the {words} the first step under vanilla and reordered are not"):
        session.train(built, Training(steps=2), like=like)


def test_what_does_not_fit_is_measured_all_the_same():
    comparison = compare("mlp", ["full"], ["vanilla"], board=get("nrf52840").with_sram(32 * 1024), steps=1)
    (run,) = comparison.runs
    memory = run.meta["memory"]
    assert comparison.exit_code == 0
    assert memory["fits"] is False and memory["sram_peak"] > memory["sram_limit"] == 32 * 1024


def test_a_crash_costs_one_cell(monkeypatch):
    told = []

    def crashed(*_):
        yield 0, Died(-11)

    monkeypatch.setattr("workbench.study.compare.in_processes", crashed)
    comparison = compare("mlp", ["full"], ["vanilla"], arrived=told.append)
    assert comparison.exit_code == 70 and comparison.failed == told
    assert comparison.failed[0].error == "its process was ended by SIGSEGV"


def arriving(monkeypatch, *outcomes, then=None):
    """Comparisons get these outcomes, by index, and end so."""

    def in_processes(*_):
        yield from enumerate(outcomes)
        if then:
            raise then

    monkeypatch.setattr("workbench.study.compare.in_processes", in_processes)


def test_an_interrupt_keeps_what_was_finished_and_forgets_what_was_there_before(both, tmp_path, monkeypatch):
    finished = both[0][0].outcomes[0]
    arriving(monkeypatch, finished, finished)
    compare("mlp", ["full"], folder=tmp_path)
    arriving(monkeypatch, then=KeyboardInterrupt)
    assert compare("mlp", ["full"], folder=tmp_path).exit_code == 130
    assert (tmp_path / "full-reordered" / "run.json").exists()  # nothing was finished: the earlier one is kept
    arriving(monkeypatch, finished, then=KeyboardInterrupt)
    comparison = compare("mlp", ["full"], folder=tmp_path)
    assert comparison.exit_code == 130
    assert [outcome.cell for outcome in comparison.interrupted] == [
        Cell("full", "vanilla"),
        Cell("full", "reordered"),
    ]
    assert (tmp_path / "full-optimized" / "run.json").exists()
    assert not (tmp_path / "full-reordered").exists()


def test_a_fault_between_two_cells_keeps_those_that_were_finished(both, tmp_path, monkeypatch):
    arriving(monkeypatch, both[0][0].outcomes[0], then=OSError(28, "disk full"))
    with pytest.raises(OSError, match="disk full"):
        compare("mlp", ["full"], folder=tmp_path)
    assert pd.read_csv(tmp_path / "compare.csv").error.tolist()[1:] == ["interrupted", "interrupted"]
    assert (tmp_path / "full-optimized" / "run.json").exists() and not list(tmp_path.glob(".*"))


def test_the_cells_of_an_earlier_comparison_are_forgotten_and_nothing_else(both, tmp_path, monkeypatch):
    outcome = both[0][0].outcomes[0]
    arriving(monkeypatch, outcome, outcome)
    compare("mlp", ["full", "last-1"], TWO, folder=tmp_path)
    outcome.run.save(tmp_path / "mlp-full-nrf52840")
    (tmp_path / "full-reordered" / "thesis.tex").write_text("precious")
    arriving(monkeypatch, outcome)
    compare("mlp", ["full"], ["vanilla"], folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "compare.csv", "files.json", "full-reordered", "full-vanilla", "mlp-full-nrf52840",
    ]  # fmt: skip
    assert [path.name for path in (tmp_path / "full-reordered").iterdir()] == ["thesis.tex"]
    assert (tmp_path / "mlp-full-nrf52840" / "run.json").exists()


def test_misspelt_names_are_told_before_anything_runs(monkeypatch):
    monkeypatch.setattr("workbench.study.compare.in_processes", None)
    with pytest.raises(PolicyError, match="'ful' is neither a policy nor a layer"):
        compare("mlp", ["full", "ful"])
    with pytest.raises(PolicyError, match="policy last-9 wants 9 weighted layers"):
        compare("mlp", ["full", "last-9"])
    with pytest.raises(ModelError, match="cross-entropy takes class scores"):
        compare("conv-relu", ["full"], loss="cross-entropy")
    with pytest.raises(PolicyError, match="--no-qas: for int8 weights alone"):
        compare("mlp", ["full"], optimizer=Optimizer(qas=False))
    with pytest.raises(WorkbenchError, match="no schedule is called 'fast'"):
        compare("mlp", ["full"], ["vanilla", "fast"])


@pytest.mark.parametrize("jobs", [0, -1])
def test_no_cell_at_a_time_is_refused(jobs):
    with pytest.raises(WorkbenchError, match=f"jobs is {jobs}: at least one"):
        compare("mlp", ["full"], jobs=jobs)


def test_a_script_needs_no_guard(tmp_path):
    (tmp_path / "script.py").write_text(
        "import workbench\n"
        "found = workbench.compare('mlp', ['full'], ['vanilla', 'optimized'], steps=1, jobs=2)\n"
        "print([str(outcome.error) for outcome in found.outcomes])\n"
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("['None', 'None']\n", "", 0)


def test_each_cell_is_run_once_in_a_folder_of_its_own():
    assert cells(["full", "full"], ["vanilla"]) == [Cell("full", "vanilla")]
    assert Cell("a/b c.toml", "vanilla").folder == "a_b_c.toml-vanilla"
