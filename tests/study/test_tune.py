"""The search for kernels' schedules: what it measures, that it goes on where it was cut off, and what it chooses."""

import json
import os
import subprocess
from types import SimpleNamespace

import pytest

import workbench
from workbench import boards, session
from workbench.cli import main
from workbench.errors import ScheduleError, WorkbenchError
from workbench.report.tuning import WAYS, tuning_figure, tuning_text
from workbench.schedule.places import places
from workbench.schedule.tuned import load
from workbench.study import tune, tuning, tuning_store
from workbench.study.tuning import search, spaces
from workbench.study.tuning_choice import Choice, front
from workbench.study.tuning_store import Space, Store, Trial

BOARD = boards.get("nrf52840")


@pytest.fixture(scope="module")
def compiled():
    return session.compile("lenet-int8", "bias-only")


class Bench:
    """In the place of a measurement: cycles by a rule of its own. It counts what is asked of it."""

    def __init__(self, stop_at=None):
        self.rounds, self.stop_at = [], stop_at

    def __call__(self, round_):
        if len(self.rounds) == self.stop_at:
            raise KeyboardInterrupt
        self.rounds.append(dict(round_.schedules))
        found = {place.literals: place for place in places(round_.compiled.graph)}
        return [Trial(literals, schedule, 10, _cycles(schedule), found[literals].scratch(schedule))
                for literals, schedule in round_.schedules.items()]  # fmt: skip


def _cycles(schedule):
    number = int(schedule.partition("=")[2] or 3)
    return 1000 - number if number else 2000


@pytest.fixture
def bench(monkeypatch):
    bench = Bench()
    monkeypatch.setattr(tuning, "_run", bench)
    return bench


def asked(bench):
    return [(literals, schedule) for schedules in bench.rounds for literals, schedule in schedules.items()]


def test_all_candidates_are_measured_once_the_rule_first(compiled, bench, tmp_path):
    wanted = spaces(compiled.graph)
    store, told = Store(tmp_path, compiled, BOARD, "cycles", 32, 0), []
    search(compiled, BOARD, store, wanted, progress=lambda *counts: told.append(counts))
    every = {(space.literals, "") for space in wanted} | {
        (space.literals, f"{name}={n}") for space in wanted for name, of in space.choices.items() for n in of
    }
    assert sorted(asked(bench)) == sorted(every)
    assert set(bench.rounds[0].values()) == {""}
    assert told[-1] == (len(every), len(every))
    assert all({trial.schedule for trial in store.told(space)} >= {""} for space in wanted)


def test_few_trials_are_the_rule_what_takes_all_as_it_lies_and_what_a_sampler_proposes(
    compiled, bench, monkeypatch, tmp_path
):
    wanted = spaces(compiled.graph)
    search(compiled, BOARD, Store(tmp_path, compiled, BOARD, "cycles", 3, 0), wanted)
    for space in wanted:
        schedules = [schedule for literals, schedule in asked(bench) if literals == space.literals]
        ((name, numbers),) = space.choices.items()
        assert len(schedules) == 3 and schedules[:2] == ["", f"{name}={numbers[0]}"]
    again = Bench()
    monkeypatch.setattr(tuning, "_run", again)
    search(compiled, BOARD, Store(tmp_path / "again", compiled, BOARD, "cycles", 3, 0), wanted)
    assert asked(again) == asked(bench)  # the same seed
    one = Bench()
    monkeypatch.setattr(tuning, "_run", one)
    search(compiled, BOARD, Store(tmp_path / "one", compiled, BOARD, "cycles", 1, 0), wanted)
    assert asked(one) == [(space.literals, "") for space in wanted]


def test_a_search_that_is_interrupted_goes_on(compiled, monkeypatch, tmp_path):
    wanted, first, second = spaces(compiled.graph), Bench(stop_at=2), Bench()
    monkeypatch.setattr(tuning, "_run", first)
    with pytest.raises(KeyboardInterrupt):
        search(compiled, BOARD, Store(tmp_path, compiled, BOARD, "cycles", 32, 0), wanted)
    monkeypatch.setattr(tuning, "_run", second)
    search(compiled, BOARD, Store(tmp_path, compiled, BOARD, "cycles", 32, 0), wanted)
    both = asked(first) + asked(second)
    assert len(first.rounds) == 2 and len(both) == len(set(both)) == sum(space.size + 1 for space in wanted)


def test_two_workers_share_one_study(compiled, tmp_path):
    """Each asks in turn; nothing is asked for twice, and both know in the end what the other measured."""
    (space, *_), seen = spaces(compiled.graph), []
    workers = [Store(tmp_path, compiled, BOARD, "cycles", 32, 0) for _ in range(2)]
    while pair := [(store, *found) for store in workers if (found := store.ask(space))]:
        for store, trial, schedule in pair:
            seen.append(schedule)
            store.tell(space, trial, Trial(space.literals, schedule, 1, 1, 0))
    assert len(seen) == len(set(seen)) == space.size + 1
    assert workers[0].told(space) == workers[1].told(space)


def test_what_another_worker_is_measuring_is_waited_for(compiled, bench, monkeypatch, tmp_path):
    """Or it would be missing, the rule's most of all."""
    wanted, pauses = spaces(compiled.graph), []
    other = Store(tmp_path, compiled, BOARD, "cycles", 32, 0)
    held = [(space, *other.ask(space)) for space in wanted]

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            for space, trial, schedule in held:
                other.tell(space, trial, Trial(space.literals, schedule, 1, 1, 0))

    monkeypatch.setattr(tuning, "time", SimpleNamespace(sleep=pause))  # the journal's lock sleeps too
    store = Store(tmp_path, compiled, BOARD, "cycles", 32, 0)
    search(compiled, BOARD, store, wanted)
    assert len(pauses) == 2 and [schedule for *_, schedule in held] == [""] * len(wanted)
    assert all(len(store.told(space)) == space.size + 1 for space in wanted)


def test_a_trial_that_two_have_measured_counts_once(compiled, tmp_path):
    (space, *_) = spaces(compiled.graph)
    store = Store(tmp_path, compiled, BOARD, "cycles", 32, 0)
    trial, schedule = store.ask(space)
    store.give_back(space, trial)  # as another process does with what it takes for dead
    store.tell(space, trial, Trial(space.literals, schedule, 1, 1, 0))
    assert not store.told(space) and store.ask(space)[1]


def test_a_journal_that_was_cut_goes_on_and_a_damaged_one_is_told(compiled, bench, tmp_path):
    wanted = spaces(compiled.graph)[:1]
    search(compiled, BOARD, Store(tmp_path, compiled, BOARD, "cycles", 4, 0), wanted)
    journal = tmp_path / "studies.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])
    os.utime(journal, (1, 1))
    Store(tmp_path, compiled, BOARD, "cycles", 4, 0).told(wanted[0])
    assert journal.read_bytes().endswith(b"\n")
    journal.write_bytes(b"{]\n" + whole)
    with pytest.raises(ScheduleError, match=r"studies\.log is damaged"):
        Store(tmp_path, compiled, BOARD, "cycles", 4, 0).told(wanted[0])


def test_what_a_killed_worker_had_asked_for_is_asked_again(compiled, monkeypatch, tmp_path):
    (space, *_) = spaces(compiled.graph)
    ended = subprocess.Popen(["true"])
    ended.wait()
    monkeypatch.setattr(tuning_store, "_me", lambda: f"{os.uname().nodename}:{ended.pid}")
    _, lost = Store(tmp_path, compiled, BOARD, "cycles", 32, 0).ask(space)
    monkeypatch.undo()
    store, schedules = Store(tmp_path, compiled, BOARD, "cycles", 32, 0), []
    while found := store.ask(space):
        schedules.append(found[1])
        store.tell(space, found[0], Trial(space.literals, found[1], 1, 1, 0))
    every = [f"{name}={number}" for name, numbers in space.choices.items() for number in numbers]
    assert lost == "" and sorted(schedules) == sorted(["", *every])


def test_other_kernels_are_another_search(compiled, bench, monkeypatch, tmp_path):
    wanted = spaces(compiled.graph)[:1]
    search(compiled, BOARD, Store(tmp_path, compiled, BOARD, "cycles", 4, 0), wanted)
    monkeypatch.setattr(tuning_store, "_sources", lambda: "others")
    search(compiled, BOARD, Store(tmp_path, compiled, BOARD, "cycles", 4, 0), wanted)
    assert len(bench.rounds) == 8


def test_layers_are_chosen_by_globs(compiled):
    (one,) = spaces(compiled.graph, ["conv2"])
    assert one.layers == ("conv2",) and len(spaces(compiled.graph, ["conv*"])) == 2
    with pytest.raises(ScheduleError, match="no layer called conv3 has a kernel to tune") as refused:
        spaces(compiled.graph, ["conv3"])
    assert "conv2" in refused.value.hint


# ---------------------------------------------------------------- the choice


def test_the_choice_is_the_quickest_within_the_bound(compiled):
    wanted = spaces(compiled.graph)
    found = {place.literals: place for place in places(compiled.graph)}
    told = {}
    for space in wanted:
        ((name, numbers),) = space.choices.items()
        schedules = ["", *(f"{name}={n}" for n in numbers)]
        told[space.literals] = [Trial(space.literals, each, 10, _cycles(each), found[space.literals].scratch(each))
                                for each in schedules]  # fmt: skip
    choice = Choice(compiled.graph, told, "cycles")
    rule, trades = choice.by_rule(), choice.trades()
    assert rule.peak == max(choice.live)
    within = choice.within(rule.peak)
    assert within.peak <= rule.peak and within.cost <= rule.cost
    assert [point.cost for point in trades] == sorted(point.cost for point in trades)
    assert [point.peak for point in trades] == sorted((point.peak for point in trades), reverse=True)
    assert trades[-1].peak == min(point.peak for point in trades) <= rule.peak
    for point in trades:
        assert choice.within(point.peak).cost == point.cost
        many = session.build(compiled, boards.get("virtual-m4"), kernels=_tuned(point)).compiled.memory
        assert many.liveness.peak == point.peak


def _tuned(point):
    from workbench.schedule.tuned import Tuned

    return Tuned("point", "cortex-m4", schedules={name: (each,) for name, each in point.schedules.items()})


def test_a_front_has_no_trial_that_another_beats():
    trials = [Trial("a", *each) for each in (("", 1, 9, 8), ("x=1", 1, 7, 16), ("x=2", 1, 7, 12), ("x=3", 1, 12, 8),
                                             ("x=0", 1, 20, 0))]  # fmt: skip
    assert [trial.schedule for trial in front(trials, "cycles")] == ["x=2", "", "x=0"]


# ---------------------------------------------------------------- the verb


def test_the_verb_measures_chooses_tells_and_its_file_is_taken(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["tune", "lenet-int8", "--policy", "bias-only", "--trials", "3", "-o", "it's tuned"]
    assert main([*command, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert all(kernel["rule"]["schedule"] == "" and len(kernel["trials"]) == 3 for kernel in record["kernels"])
    whole = record["whole"]
    cycles = [whole[way]["cycles"] for way in ("tuned", "rule", "as-it-lies", "naive", "naive-shapes")]
    assert cycles == sorted(cycles)
    assert whole["tuned"]["sram"] <= whole["rule"]["sram"]
    for kernel in record["kernels"]:
        assert kernel["tuned"]["cycles"] <= kernel["rule"]["cycles"] and kernel["rule"]["cycles"] > 1000
        assert kernel["rule"]["cycles"] < kernel["naive"]["cycles"] < kernel["naive-shapes"]["cycles"]
    assert main([*command, "--report"]) == 0
    told = capsys.readouterr().out
    assert (
        "4 kernels, 12 schedules measured" in told
        and "\nnaive loops, shapes at run time" in told
        and "SRAM planned" in told
    )
    folder = tmp_path / "it's tuned"
    assert load(folder / "kernels.toml").core == "cortex-m4" and (folder / "tuning.png").stat().st_size > 10_000
    run = workbench.run("lenet-int8", policy="bias-only", steps=1, kernels=folder / "kernels.toml")
    assert (
        abs(run.meta["instructions_per_step"] - whole["tuned"]["instructions"]) < 100
    )  # exp takes what its numbers do
    measured = []
    monkeypatch.setattr(tuning, "_run", measured.append)
    assert main(command) == 0 and not measured  # all is known: it goes on with nothing left


def test_an_interrupt_tells_how_to_go_on(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tuning, "_run", Bench(stop_at=1))
    assert main(["tune", "lenet-int8"]) == 130
    assert "the same command goes on with what is measured" in capsys.readouterr().err


def test_wrong_words_are_told(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["tune", "lenet-int8", "--report"]) == 1
    assert "tuning.json cannot be read: No such file" in capsys.readouterr().err
    assert main(["tune", "mlp"]) == 1
    assert "no kernel has a choice" in capsys.readouterr().err
    folder = tmp_path / "out/lenet-int8-full-nrf52840-tuning"
    folder.mkdir(parents=True)
    for text, told in (("{", "it is no JSON"), ("[]", "no record of a tuning"),
                       ('{"whole": 1, "kernels": [3], "trades": 0, "metric": ""}', "is damaged")):  # fmt: skip
        (folder / "tuning.json").write_text(text)
        assert main(["tune", "lenet-int8", "--report"]) == 1
        assert told in capsys.readouterr().err
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    assert main(["tune", "lenet-int8", "-o", "full"]) == 1
    assert "full is not empty" in capsys.readouterr().err
    with pytest.raises(WorkbenchError, match="no objective is called 'speed'"):
        tune.tune("lenet-int8", objective="speed", folder=tmp_path / "none")


def test_the_figure_and_the_text_are_of_the_record_alone(compiled, bench, tmp_path):
    record = _record(compiled)
    figure = tuning_figure(record)
    assert len(figure.axes) == 2 and figure.axes[0].get_yticklabels()
    assert "conv2d_s8 3x3 1-8" in tuning_text(record)
    one = Space("conv2d_s8 groups=4 channels=1 filters=1 kh=3 kw=3 sh=2 out_height=1 out_width=1", {}, ("a",))
    alone = {**record, "kernels": [{**record["kernels"][0], "literals": one.literals}], "trades": record["trades"][:1]}
    assert "3x3 s2 4 alone, 1x1" in tuning_text(alone) and tuning_figure(alone).axes


def _record(compiled):
    kernels, measured = [], (("", 900, 64), ("pixels=16", 800, 128), ("pixels=0", 2000, 0))
    for space in spaces(compiled.graph):
        rule, tuned, naive = trials = [vars(Trial(space.literals, schedule, 10, *each)) for schedule, *each in measured]
        kernels.append({"literals": space.literals, "layers": list(space.layers), "rule": rule, "tuned": tuned,
                        "naive": naive, "naive-shapes": naive, "trials": trials})  # fmt: skip
    whole = {"instructions": 1000, "cycles": 2000, "sram": 4000, "flash": 9000}
    trades = [{"sram": 4000, "cost": 1600}, {"sram": 3000, "cost": 1800}]
    return {
        "model": "lenet-int8", "policy": "bias-only", "schedule": "optimized", "board": "nrf52840",
        "metric": "cycles", "objective": "cycles", "clock_hz": 64_000_000, "kernels": kernels,
        "whole": dict.fromkeys(WAYS, whole), "trades": trades,
        "at": {"rule": trades[0], "tuned": trades[0]},
    }  # fmt: skip
