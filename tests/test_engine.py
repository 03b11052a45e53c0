"""The native twin in a training: the same run as emulated, the checks that see other bits, and no compiler at all."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import workbench
from tests.seeded_faults import dense, int8, pooled, text
from workbench import boards, data, engine, native, session
from workbench.cli import main
from workbench.emulate.device import Device
from workbench.errors import DataError, InternalError, ToolchainError
from workbench.feeding import Training
from workbench.native import compiler
from workbench.policy import Optimizer
from workbench.record.run import TABLES
from workbench.trace.tracer import Tracer


def without_twin() -> str:
    """Why this machine has no native twins; '' where it has."""
    try:
        return native.host_compiler() and ""
    except ToolchainError as error:
        return error.message


needs_compiler = pytest.mark.skipif(bool(without_twin()), reason=without_twin() or "it has one")
OWN = {"engine", "seconds", "artifacts"}
BOARD = boards.get("nrf52840")


def trained(network, how=None, **training):
    """The run of a tiny network; `how` it is compiled."""
    built = session.build(session.compile(network(), **(how or {})), BOARD)
    return session.train(built, Training(**{"trace": "off", "evaluate": False, **training}))[0]


@pytest.fixture
def spoilt(monkeypatch):
    """spoilt(edit): from then on the twin, and it alone, is compiled of edited files."""

    def spoil(edit):
        library = native.library
        monkeypatch.setattr(native, "library", lambda files, *how: library(edit(files, None), *how))

    return spoil


@pytest.fixture
def eager(monkeypatch):
    """Auto takes the twin as soon as it can."""
    for name in ("SECONDS", "AN_OPERATOR", "KNOWN"):
        monkeypatch.setattr(engine, name, 0.0)
    monkeypatch.setattr(engine.Outlook, "seconds", property(lambda outlook: outlook.left * (outlook.done > 1)))


@needs_compiler
@pytest.mark.parametrize(
    ("model", "how"),
    [
        ("mlp", {"batch": 7, "lr_decay": 0.5, "lr_bias": 0.001, "policy": "fc2:0.5+bias-only", "trace": "memory"}),
        (pooled, {"optimizer": Optimizer(momentum=0.9, weight_decay=1e-3, accumulate=3)}),
        ("mlp-int8", {"optimizer": Optimizer(accumulate=2), "seed": 3}),
        (dense, {"lr": 1e30}),  # no numbers at the end
        (int8, {"policy": "last-1", "trace": "ops"}),
    ],
)
def test_native_and_emulated_leave_the_same_run(model, how, eager):
    network = model if isinstance(model, str) else model()
    one, *others = (
        workbench.run(network, engine=each, **{"steps": 7, "trace": "off", **how})
        for each in ("emulated", "native", "auto")
    )
    assert [run.meta["engine"]["used"] for run in (one, *others)] == ["emulated", "native", "native"]
    assert one.meta["engine"] == {"asked": "emulated", "used": "emulated", "compiler": None, "emulated_steps": 7,
                                  "native_steps": 0, "verified": None}  # fmt: skip
    for run in others:
        assert {key: run.meta[key] for key in run.meta.keys() - OWN} == {
            key: one.meta[key] for key in one.meta.keys() - OWN
        }
        assert all(np.array_equal(run.weights[name], one.weights[name], equal_nan=True) for name in one.weights)
        for table in TABLES:
            pd.testing.assert_frame_equal(getattr(run, table), getattr(one, table))
    batches = 4 if one.meta["accuracy"] else 0
    asked, auto = (run.meta["engine"] for run in others)
    assert (asked["emulated_steps"], asked["native_steps"]) == (4, 7)  # 1, 2, 4 and the last
    assert asked["verified"] == {"steps": 4, "batches": batches}
    assert asked["compiler"] == native.called(native.host_compiler())
    if not batches:
        assert (auto["emulated_steps"], auto["native_steps"], auto["verified"]["steps"]) == (6, 5, 4)


@needs_compiler
def test_a_training_that_stops_early_and_goes_back_does_so_natively_too():
    how = {"batch": 64, "epochs": 8, "validation": 0.2, "patience": 1, "lr": 8.0, "lr_schedule": "constant",
           "warmup": 3, "trace": "off", "optimizer": Optimizer(momentum=0.5, clip=2.0)}  # fmt: skip
    emulated, natively = (workbench.run("mlp", engine=each, **how) for each in ("emulated", "native"))
    assert emulated.meta["best_epoch"] < len(emulated.meta["epochs_done"])
    assert {key: natively.meta[key] for key in natively.meta.keys() - OWN} == {
        key: emulated.meta[key] for key in emulated.meta.keys() - OWN
    }
    assert all(np.array_equal(natively.weights[name], emulated.weights[name]) for name in emulated.weights)


def test_auto_leaves_what_is_short_to_the_emulated_core(monkeypatch):
    monkeypatch.delattr(native, "library")
    assert workbench.run("mlp", steps=3, trace="off").meta["engine"]["used"] == "emulated"


def test_how_long_the_rest_takes_is_told_by_the_mean_without_the_first():
    outlook = engine.Outlook(100)
    for seconds in (0.0, engine.KNOWN / 2, engine.KNOWN * 1.5):
        assert outlook.seconds == 0
        with outlook.one():
            pass
        outlook.spent += seconds
    assert outlook.seconds == pytest.approx(97 * engine.KNOWN, rel=0.01)


# ---------------------------------------------------------------------- other bits

HALF = "+ ((int64_t)1 << 31)"


@needs_compiler
def test_a_portable_form_that_rounds_otherwise_is_caught(spoilt):
    spoilt(text("kernels/requantize_s8.h", HALF, "+ ((int64_t)0 << 31)"))
    with pytest.raises(
        InternalError, match=r"step \d, run natively, differs from the emulated core's: its loss is"
    ) as caught:
        trained(int8, steps=3, engine="native")
    assert caught.value.exit_code == 70
    assert "--engine emulated needs no twin; this is a bug of the workbench or of " in str(caught.value)


@needs_compiler
def test_what_differs_is_told_with_how_much_of_it(spoilt, eager):
    """From its third step on auto is native; steps count from the training's beginning."""
    spoilt(text("schedule.c", "    ++wb_step;", "    ++wb_step;\n    p_fc1_weight[7] += 1.0f;"))
    for asked, step in (("native", 1), ("auto", 3)):
        with pytest.raises(InternalError, match=rf"step {step}, run .*: fc1\.weight in 1 of 30 values\n"):
            trained(dense, steps=5, engine=asked)


@needs_compiler
@pytest.mark.parametrize(("begins", "found"), [(3, 4), (5, 6), (1, 2)])
def test_a_difference_that_begins_late_is_caught(begins, found, spoilt):
    """By the 4th step, by the last, by the 2nd; steps count from 0 there."""
    late = f"    p_fc2_bias[0] *= wb_step < {begins} ? 1.0f : -1.0f;\n    ++wb_step;"
    spoilt(text("schedule.c", "    ++wb_step;", late))
    with pytest.raises(InternalError, match=rf"step {found}, run .*: fc2\.bias in 1 of 3 values"):
        trained(dense, steps=6, engine="native")
    assert trained(dense, steps=begins, engine="native").meta["engine"]["used"] == "native"


@needs_compiler
def test_a_state_that_is_not_copied_whole_is_caught(monkeypatch):
    restore = Device.restore

    def without_momentum(device, state):
        kept = {symbol: bits for symbol, bits in device.state().items() if symbol.startswith("s_")}
        assert kept
        restore(device, {**state, **kept})

    monkeypatch.setattr(Device, "restore", without_momentum)
    with pytest.raises(
        InternalError, match=r"step 4, run .*: fc1.weight in 18 of 30 values"
    ):  # at the 2nd it still had step 1's
        trained(dense, {"optimizer": Optimizer(momentum=0.9)}, steps=4, engine="native")


@needs_compiler
def test_outputs_that_differ_are_caught(spoilt):
    forward = "void wb_forward(void)\n{\n    op_000_dense();\n    op_001_dense();\n    op_002_dense();\n"
    late = f"static int calls;\n{forward}    if (++calls == 360) wb_logits[3] += 1.0f;\n"
    spoilt(text("schedule.c", forward, late))
    with pytest.raises(InternalError, match=r"the last batch of samples, run .*: outputs in 1 of 10 values"):
        workbench.run("mlp", steps=1, trace="off", engine="native")


@needs_compiler
@pytest.mark.parametrize("begins", [9, 2])
def test_the_step_that_an_interrupt_makes_the_last_is_verified_too(begins, spoilt):
    late = f"    p_fc2_bias[0] *= wb_step < {begins} ? 1.0f : -1.0f;\n    ++wb_step;"
    spoilt(text("schedule.c", "    ++wb_step;", late))
    built, stops = session.build(session.compile(dense()), BOARD), iter([False, False, True])
    how = Training(steps=9, trace="off", evaluate=False, engine="native")
    if begins == 2:
        with pytest.raises(InternalError, match="step 3, run"):
            session.train(built, how, None, lambda: next(stops))
    else:
        meta = session.train(built, how, None, lambda: next(stops))[0].meta
        assert meta["interrupted"] and (meta["steps"], meta["engine"]["verified"]["steps"]) == (3, 3)


# ---------------------------------------------------------------------- who needs no twin


def test_what_breaks_the_plan_is_not_run_on_the_host(monkeypatch):
    monkeypatch.delattr(native, "library")
    monkeypatch.setattr(Training, "__post_init__", lambda options: None)  # nor needs it a compiler
    monkeypatch.setattr(Tracer, "found", True)
    meta = trained(dense, steps=2, engine="native").meta
    assert meta["engine"]["used"] == "emulated"
    assert "everything was emulated: the step broke the plan" in meta["notes"]


@needs_compiler
def test_another_schedule_of_a_training_needs_no_twin(monkeypatch):
    run = trained(dense, steps=5, engine="native")
    monkeypatch.delattr(native, "library")
    other = session.build(session.compile(dense(), schedule="vanilla"), BOARD)
    same, _ = session.train(other, Training(steps=5, trace="off", engine="native"), like=run)
    assert same.meta["loss"] == run.meta["loss"]
    assert same.meta["engine"] == {"asked": "native", "used": "emulated", "compiler": None, "emulated_steps": 1,
                                   "native_steps": 0, "verified": None}  # fmt: skip


# ---------------------------------------------------------------------- no compiler


@pytest.fixture
def no_compiler(monkeypatch):
    which = shutil.which
    monkeypatch.setattr(compiler.shutil, "which", lambda name, *how: ("arm" in name and which(name, *how)) or None)
    compiler.host_compiler.cache_clear()
    yield
    compiler.host_compiler.cache_clear()


def test_native_without_a_compiler_is_an_error_and_auto_emulates(no_compiler, eager, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in (["run", "mlp"], ["compare", "mlp"], ["predict", "mlp"], ["lifecycle", "mlp"]):
        assert main([*command, "--engine", "native", "-q"]) == 1
        assert "error: no C compiler for this machine is installed\n  help: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(ToolchainError, match="no C compiler"):
        workbench.run("mlp", engine="native")
    meta = trained(dense, steps=4)
    assert (meta.meta["engine"]["used"], meta.meta["engine"]["emulated_steps"]) == ("emulated", 4)
    (note,) = [note for note in meta.meta["notes"] if "emulated" in note]
    assert note.startswith("everything was emulated: no C compiler for this machine is installed (")


@needs_compiler
def test_a_compiler_that_fails(eager, tmp_path, monkeypatch):
    broken = tmp_path / "mycc"
    broken.write_text("#!/bin/sh\necho mycc 9.9.9 has no licence >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("WORKBENCH_CC", str(broken))
    compiler.host_compiler.cache_clear()
    try:
        with pytest.raises((ToolchainError, InternalError), match="has no licence"):
            trained(dense, steps=2, engine="native")
        notes = trained(dense, steps=4).meta["notes"]
    finally:
        compiler.host_compiler.cache_clear()
    assert any("everything was emulated: " in note and "has no licence" in note for note in notes)


def test_an_engine_there_is_not():
    with pytest.raises(DataError, match="no engine is called 'nativ'\n  help: did you mean native"):
        Training(engine="nativ")


# ---------------------------------------------------------------------- predictions


@pytest.fixture(scope="module")
def digits():
    return data.load("digits").test_x[:9]


@needs_compiler
def test_a_saved_run_predicts_natively_what_it_does_emulated(digits, tmp_path, monkeypatch, capsys, eager):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "mlp-int8", "--steps", "3", "--trace", "off", "-q", "-o", "run"]) == 0
    run = workbench.load_run("run")
    emulated = replace(run, files=None).predict(digits)
    library, asked = native.library, []
    monkeypatch.setattr(native, "library", lambda *how: (asked.append(how), library(*how))[1])
    assert np.array_equal(run.predict(digits), emulated) and len(asked) == 1


@needs_compiler
def test_predict_says_who_computed(spoilt, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["predict", "mlp", "--engine", "native", "-q"]) == 0
    told = (
        f"native ({native.called(native.host_compiler())}), the first and the last batch emulated too, equal to the bit"
    )
    assert told in capsys.readouterr().out
    assert main(["predict", "mlp", "-q"]) == 0
    assert "wb_forward, emulated\n" in capsys.readouterr().out


def test_the_c_of_a_stranger_s_run_does_not_run_on_this_machine(digits, tmp_path, monkeypatch, capsys, eager):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "mlp", "--steps", "1", "--trace", "off", "-q", "-o", "run"]) == 0
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "empty"))  # as on another machine
    monkeypatch.delattr(native, "library")
    assert workbench.load_run("run").files is None
    capsys.readouterr()
    if not without_twin():
        assert main(["predict", "run", "--engine", "native"]) == 1
        assert "error: the C of this run was not built on this machine\n" in capsys.readouterr().err
    assert main(["predict", "run"]) == 0
    assert "note: everything was emulated: the C of this run was not built on this machine" in capsys.readouterr().out
