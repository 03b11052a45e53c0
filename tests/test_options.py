"""The table of options: everything that should know an option does, since it reads the table."""

import inspect
import json
import re
from argparse import ArgumentParser, Namespace
from dataclasses import fields
from functools import cache
from importlib import import_module

import numpy as np
import pytest

import workbench
from workbench import options
from workbench.cli import demo
from workbench.cli import options as typed
from workbench.data import Reading
from workbench.errors import DataError, PolicyError, WorkbenchError
from workbench.feeding import Training
from workbench.objective import Objective
from workbench.options import COLUMN, FOLDER, HEADING, JSON, JSON_KINDS, OPTIONS, Optimizer, rows_of
from workbench.record.meta import FURTHER
from workbench.report import seeds, tables
from workbench.study import compare

TRAINING = ("run", "lifecycle", "compare")  # verbs
COMPILING = (*TRAINING, "build", "show", "plan", "inspect", "policies", "passes", "check")
OF_GROUP = {
    "network": (*COMPILING, "predict"), "compile": COMPILING, "update": COMPILING, "seed": (*COMPILING, "predict"),
    "length": TRAINING, "training": TRAINING, "rates": (*TRAINING, "build"), "engine": (*TRAINING, "predict"),
    "board": (*TRAINING, "build", "check", "predict"),
    "data": (*TRAINING, "check", "predict"), "reading": (*TRAINING, "check", "predict"), "split": (*TRAINING, "check"),
}  # fmt: skip
ANOTHER = {"whole number": 3, "number": 0.5}  # a value that is not the default


@cache
def parser_of(verb) -> ArgumentParser:
    parser = ArgumentParser()
    import_module(f"workbench.cli.{verb}").add_arguments(parser)
    return parser


def another(row):
    """A value other than the option's default."""
    if row.kind is None:
        return "x"
    if row.kind.choices:
        return next(choice for choice in row.kind.choices if choice not in (row.default, row.usual))
    return not row.default if isinstance(row.default, bool) else ANOTHER[row.kind.json]


@pytest.mark.parametrize("row", OPTIONS.values(), ids=lambda row: row.name)
def test_a_verb_takes_every_option_of_what_it_does(row):
    wanted = another(row)
    words = [row.flag] if isinstance(row.default, bool) else [row.flag, str(wanted)]
    for verb in OF_GROUP[row.group]:
        parser = parser_of(verb)
        assert row.flag in parser._option_string_actions, f"{verb} takes no {row.flag}"
        model = [] if verb in ("passes",) else ["mlp"]
        assert getattr(parser.parse_args([*model, *words]), row.name) == wanted
        usual = getattr(parser.parse_args(model), row.name)
        assert usual == row.default or row.name in ("steps", "trace"), f"{verb}: {usual}"  # a verb's own


def test_python_takes_them_all_in_run_compare_and_run_seeds():
    for function in (workbench.run, workbench.compare, workbench.run_seeds):
        taken = inspect.signature(function).parameters
        assert set(OPTIONS) <= set(taken), f"{function.__name__} takes no {set(OPTIONS) - set(taken)}"
        for row in OPTIONS.values():
            if row.name not in ("batch", "trace"):  # None: what the network was made for; a function's own
                assert taken[row.name].default == row.default and taken[row.name].kind.name == "KEYWORD_ONLY"
    run, compare = (inspect.signature(function).parameters for function in (workbench.run, workbench.compare))
    assert set(run) - set(compare) == {"policy", "schedule", "virtual", "progress"}
    assert set(compare) - set(run) == {"policies", "schedules", "jobs", "seeds", "begun", "arrived"}


def test_the_values_hold_what_the_table_has():
    held = {each.name for table in (Optimizer, Training) for each in fields(table)}
    assert set(OPTIONS) - held == {"input", "kernels", "batch", "classes", "shape"} and held - set(OPTIONS) == {
        "evaluate"
    }
    assert {each.name for each in fields(Reading)} == {row.name for row in rows_of(options.Given)}
    assert {each.name for each in fields(options.Minimizing)} <= {each.name for each in fields(Objective)}


@pytest.mark.parametrize("row", [row for row in OPTIONS.values() if row.kind], ids=lambda row: row.name)
@pytest.mark.parametrize("wrong", ["no such", -1, float("nan"), 1e39, [], True, np.array([1, 2])], ids=str)
def test_each_is_checked_in_python_as_on_the_command_line(row, wrong, capsys):
    if row.name in ("batch", "classes", "input") or (wrong is True and row.kind.json == "truth value"):
        return  # the network's
    table, error = (Optimizer, PolicyError) if row in rows_of(Optimizer) else (Training, DataError)
    with pytest.raises(error, match=f"{row.name} is |no {row.kind.words} is called|both|patience counts|a hop goes"):
        table(**{row.name: wrong})
    if isinstance(wrong, str | float | int) and not isinstance(row.default, bool) and wrong is not True:
        with pytest.raises(SystemExit):
            parser_of("run").parse_args(["mlp", f"{row.flag}={wrong}"])
        assert f"argument {row.flag}" in capsys.readouterr().err


def test_a_folder_is_called_after_what_is_not_as_usual():
    args = parser_of("run").parse_args(["mlp"])
    assert options.folder_parts(args) == []
    for row in OPTIONS.values():
        setattr(args, row.name, another(row))
    wanted = [
        "batch3", "accumulate3", "momentum0.5", "weight_decay0.5", "clip0.5", "cross-entropy", "nearest", "no_qas",
        "classes3",
    ]  # fmt: skip
    parts = options.folder_parts(args)
    assert [part for part in parts if part in wanted] == wanted  # in this order
    assert len(parts) == sum(FOLDER in row.shown for row in OPTIONS.values())


def test_run_json_keeps_them_as_json_knows_numbers_and_requires_their_kinds():
    kept = options.recorded(Optimizer(momentum=np.float32(0.5), accumulate=np.int64(2)))
    kept |= options.recorded(Training(lr=np.float64(0.1), warmup=np.int32(3), epochs=np.int64(2), steps=None))
    assert json.loads(json.dumps(kept)) == kept and (kept["accumulate"], kept["momentum"], kept["warmup"]) == (
        2,
        0.5,
        3,
    )
    wanted = {row.name for row in OPTIONS.values() if JSON in row.shown}
    assert set(kept) | {"input", "batch"} == wanted and wanted <= set(FURTHER)
    assert set(kept) - set(options.recorded(Optimizer(), integers=False)) >= {"rounding", "qas"}
    assert set(seeds.SAME) >= wanted - {"seed", "input"}


def test_reports_tell_them():
    told = {row.name: another(row) for row in OPTIONS.values() if HEADING in row.shown}
    wanted = ["momentum 0.5", "weight decay 0.5", "clip 0.5", "cosine decay", "warm-up 3"]
    assert [words for words in options.told(told) if words in wanted] == wanted and len(options.told(told)) == len(told)
    usual = {row.name: row.default for row in OPTIONS.values()}
    assert options.told(usual) == options.told({}) == options.told({"lr_schedule": "constant"}) == []
    assert [row.name for row in OPTIONS.values() if COLUMN in row.shown] == [*tables.MADE[:-1]]


def test_the_optimizer_is_given_whole_or_by_its_options():
    wanted = {"steps": 1, "trace": "off", "evaluate": False}
    whole = workbench.run("mlp", optimizer=Optimizer(momentum=0.5, accumulate=2), **wanted)
    parts = workbench.run("mlp", momentum=0.5, accumulate=2, **wanted)
    assert parts.meta["loss"] == whole.meta["loss"] and parts.meta["momentum"] == 0.5
    assert parts.meta["weights_after_first_step"] == whole.meta["weights_after_first_step"]
    for function in (workbench.run, lambda model, **how: workbench.compare(model, ["full"], **how)):
        with pytest.raises(DataError, match="both optimizer and clip are given"):
            function("mlp", optimizer=Optimizer(momentum=0.5), clip=1.0)
        with pytest.raises(DataError, match=r"there is no option 'momentun'\n.*did you mean momentum"):
            function("mlp", momentun=0.9)
        with pytest.raises(PolicyError, match="momentum is 2, not a fraction"):
            function("mlp", momentum=2)
        with pytest.raises(DataError, match=r"no way to take the image is called 'row'\n.*did you mean rows"):
            function("mlp", input="row")


def test_compare_takes_what_run_takes(monkeypatch):
    monkeypatch.setattr(compare, "in_processes", lambda run, jobs, *_: ((at, run(job)) for at, job in enumerate(jobs)))
    how = {"momentum": 0.5, "clip": 0.1, "accumulate": 2, "batch": 2, "lr_decay": 0.5, "steps": 2, "trace": "off"}
    run = workbench.run("mlp", policy="last-1", **how)
    comparison = workbench.compare("mlp", ["last-1"], ["optimized"], **how)
    (compared,) = comparison.runs
    kept = [*JSON_KINDS.keys() & run.meta.keys(), "loss", "weights_after_first_step", "passes"]
    assert {key: run.meta[key] for key in kept} == {key: compared.meta[key] for key in kept}
    assert repr(comparison) == "<Comparison last-1 optimized>"


def test_by_rows_compare_takes_the_schedule_that_can():
    assert options.usual_schedules("rows") == ("optimized",) and len(options.usual_schedules("whole")) == 3
    assert options.passes_for("-in-place", "rows") == "-in-place,input-rows"
    assert options.passes_for("-in-place", "whole") == "-in-place"


def test_the_demo_is_a_run():
    args = demo.run_arguments(Namespace(json=True, quiet=False))
    assert (args.model, args.epochs, args.lr, args.lr_decay, args.trace) == ("lenet", 5, 0.02, 0.6, "memory")
    training = typed.training(args)
    assert (training.lr_schedule, training.evaluate, args.json) == ("constant", True, True)
    assert typed.optimizer(args) == Optimizer()


def test_what_no_table_has_is_refused():
    with pytest.raises(WorkbenchError, match=re.escape("no loss is called 'l1'")):
        Objective("l1")
