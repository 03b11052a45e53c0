"""Several seeds in parallel: each trains as it would alone; what fails or is interrupted is told, the others stay."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import workbench
from workbench import frontends, load_run, session
from workbench.errors import DataError, RecordError, WorkbenchError
from workbench.feeding import Training, with_data
from workbench.study.compare import Cell, Outcome, compare
from workbench.study.processes import Died
from workbench.study.seeds import networks, run_seeds, same_weights, seeds_of

TWO = ("vanilla", "optimized")


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds") / "cells"
    return compare("mlp", ["last-1"], TWO, steps=2, seed=5, seeds=2, folder=folder, engine="emulated"), folder


def test_each_seed_trains_as_it_would_alone(compared):
    comparison, folder = compared
    assert [str(outcome.cell) for outcome in comparison.outcomes] == [
        "last-1 vanilla seed 5", "last-1 optimized seed 5", "last-1 optimized seed 6",
    ]  # fmt: skip
    for outcome in comparison.outcomes:
        cell, meta = outcome.cell, outcome.run.meta
        alone = session.run("mlp", policy="last-1", schedule=cell.schedule, seed=cell.seed, steps=2, trace="memory")
        for key in ("seed", "loss", "accuracy", "held_out_loss", "instructions_per_step", "memory"):
            assert meta[key] == alone.meta[key]
        kept = load_run(folder / f"last-1-{cell.schedule}" / f"seed-{cell.seed}")
        assert all(np.array_equal(kept.weights[name], values) for name, values in alone.weights.items())
    first, _, second = comparison.runs
    assert first.meta["trained_by"]["schedule"] == "optimized" and first.meta["loss"] != second.meta["loss"]
    assert first.meta["data"] == second.meta["data"]  # the same samples are held out


def test_what_is_kept_tells_cells_and_seeds(compared):
    comparison, folder = compared
    cells, seeds = (pd.read_csv(folder / name) for name in ("compare.csv", "seeds.csv"))
    after = [run.meta["accuracy"]["after"] for run in comparison.runs[1:]]
    assert cells.folder.tolist() == ["last-1-vanilla", "last-1-optimized"] and cells.seeds.tolist() == [2, 2]
    assert cells.accuracy_after.tolist() == pytest.approx([np.mean(after)] * 2)
    assert cells.accuracy_spread.tolist() == pytest.approx([np.std(after, ddof=1)] * 2)
    assert seeds.folder.tolist() == ["last-1-vanilla/seed-5", "last-1-optimized/seed-5", "last-1-optimized/seed-6"]
    assert seeds.accuracy_after.tolist()[1:] == pytest.approx(after) and seeds.seed.tolist() == [5, 5, 6]
    vanilla, optimized = comparison.over_seeds()
    assert [meta["seed"] for meta in optimized["seeds"]] == [5, 6] and [len(vanilla["seeds"]), vanilla["count"]] == [
        1,
        2,
    ]
    assert vanilla["mean"] == optimized["mean"] and optimized["missing"] == []
    assert optimized["mean"]["accuracy"]["after"] == pytest.approx(np.mean(after))
    with pytest.raises(RecordError, match=r"holds no single run but 3\n  help: name one of them: .*seed-5"):
        load_run(folder)


def arriving(monkeypatch, outcome_of, then=None):
    """Comparisons get what `outcome_of` gives for each job; gives the cells that began."""
    begun = []

    def in_processes(_, queue, *__):
        for index, job in enumerate(queue):  # it grows
            begun.append(job.cell)
            yield index, outcome_of(job)
        if then:
            raise then

    monkeypatch.setattr("workbench.study.compare.in_processes", in_processes)
    return begun


def trained(run, job) -> Outcome:
    cell = job.cell
    meta = {"policy": cell.policy, "schedule": cell.schedule, "seed": cell.seed, "artifacts": {}}
    return Outcome(cell, replace(run, meta=run.meta | meta))


def test_of_a_seed_whose_first_cell_fails_the_next_one_trains(compared, monkeypatch):
    run = compared[0].runs[1]

    def outcome(job):
        return Died(-9) if (job.cell.schedule, job.cell.seed) == ("optimized", 1) else trained(run, job)

    begun = arriving(monkeypatch, outcome)
    comparison = compare("mlp", ["last-1"], TWO, steps=2, seeds=2)
    assert [str(cell) for cell in begun] == [
        "last-1 optimized seed 0", "last-1 optimized seed 1", "last-1 vanilla seed 0", "last-1 vanilla seed 1",
    ]  # fmt: skip
    assert [str(outcome.cell) for outcome in comparison.failed] == ["last-1 optimized seed 1"]
    assert [told["count"] for told in comparison.over_seeds()] == [2, 2]
    assert comparison.over_seeds()[1]["missing"] == [{"seed": 1, "error": "its process was ended by SIGKILL"}]
    assert comparison.exit_code == 70


def test_an_interrupt_keeps_the_seeds_that_were_finished(compared, monkeypatch, tmp_path):
    run, finished = compared[0].runs[1], []

    def outcome(job):
        if finished:
            raise KeyboardInterrupt
        finished.append(job)
        return trained(run, job)

    arriving(monkeypatch, outcome)
    comparison = run_seeds("mlp", 3, policy="last-1", steps=2, folder=tmp_path / "out")
    assert comparison.exit_code == 130 and len(comparison.runs) == 1
    assert [outcome.cell.seed for outcome in comparison.interrupted] == [1, 2]
    table = pd.read_csv(tmp_path / "out" / "seeds.csv")
    assert table.folder.fillna("").tolist() == ["seed-0", "", ""] and table.seed.tolist() == [0, 1, 2]
    assert table.error.fillna("").tolist() == ["", "interrupted", "interrupted"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["files.json", "seed-0", "seeds.csv"]
    (told,) = comparison.over_seeds()
    assert told["count"] == 1 and [each["seed"] for each in told["missing"]] == [1, 2]


def test_a_seed_is_the_networks_initial_weights():
    first = frontends.load("mlp", seed=3)
    made = networks("mlp", first, seeds_of(3, 2), Training(seed=3))
    assert list(made) == [3, 4] and made[3] is first and not same_weights(made)
    name = next(iter(first.weights))
    assert np.array_equal(made[4].weights[name], frontends.load("mlp", seed=4).weights[name])
    assert same_weights(networks(first, first, seeds_of(3, 2), Training()))


def test_every_seed_of_a_quantized_network_has_the_ranges_of_its_data():
    how = Training(data=(10 * np.random.default_rng(0).random((40, 1, 8, 8), np.float32), np.arange(40) % 10))
    first = with_data(frontends.load("lenet-int8", seed=0), how, calibrate=True)[0]
    made = networks("lenet-int8", first, seeds_of(0, 2), how)
    want = with_data(frontends.load("lenet-int8", seed=1), replace(how, seed=1), calibrate=True)[0]
    input_type = lambda model: model.graph.types[model.graph.inputs[0]]  # noqa: E731
    assert input_type(made[1]) == input_type(want) != input_type(frontends.load("lenet-int8", seed=1))


@pytest.mark.parametrize("count", [0, -1, 1.5, "3", None])
def test_no_seeds_are_refused(count):
    with pytest.raises(WorkbenchError, match="at least one"):
        seeds_of(0, count)


def test_the_names_in_python():
    assert workbench.run_seeds is run_seeds
    with pytest.raises(DataError, match=r"there is no option 'seeds'\n  help: .*run_seeds"):
        workbench.run("mlp", seeds=3)
    assert Cell("full", "vanilla", seed=0).folder == "full-vanilla/seed-0"
