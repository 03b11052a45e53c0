"""The first step of a run, by function, context, line and stack: the same figures as the tracer's, otherwise parted."""

import pickle

import pandas as pd
import pytest
from tiny_firmware import compile_firmware

import workbench
from workbench.emulate.symbols import load_elf
from workbench.errors import FirmwareFault
from workbench.record.profile_tables import STEP
from workbench.trace import flows

INCLUSIVE = {"instructions": "instructions_inclusive", "cycles": "modelled_cycles_inclusive"}


def trained(**options):
    return workbench.run("lenet", policy="last-2", steps=1, evaluate=False, **options)


@pytest.fixture(scope="module")
def run():
    return trained()


@pytest.mark.parametrize(
    "options", [{}, {"trace": "memory"}, {"accumulate": 3}, {"board": "stm32f746"}, {"board": "rp2040"}], ids=str
)
def test_totals_are_the_tracer_s_to_the_unit(options, monkeypatch):
    monkeypatch.setattr(flows, "ROOM", 8)  # so that the machine stops for more, again and again
    run = trained(**options)
    counted = [run.meta["instructions_per_step"], run.meta["modelled_cycles_per_step"]]
    for table in (run.functions, run.tree, run.lines):
        assert table[["instructions", "modelled_cycles"]].sum().tolist() == counted
    functions = run.functions.set_index("name")
    for op in run.ops.itertuples():
        assert [functions[of][op.symbol] for of in INCLUSIVE.values()] == [op.instructions, op.cycles], op.symbol
    memory = run.meta["memory"]  # of what is pushed the last word may never be written, which a pattern cannot see
    assert memory["stack_peak"] <= run.stack.depth.max() <= min(memory["stack_reserve"], memory["stack_peak"] + 4)


def test_operators_are_called_by_the_step_and_call_kernels(run):
    tree = run.tree.set_index("id")
    called = tree[tree.parent >= 0]
    above = dict(zip(called.name, tree.name[called.parent], strict=True))
    assert {above[op] for op in run.ops.symbol} == {"wb_train_step"}
    instances = [name for name in called.name if name.startswith("k_")]
    assert instances and all(above[name].startswith("op_") for name in instances)


def test_a_root_is_entered_as_often_as_the_host_calls_it():
    tree = trained(accumulate=3).tree
    roots = tree[tree.parent < 0]
    assert dict(zip(roots.name, roots.calls, strict=True)) == {"wb_accumulate": 2, "wb_train_step": 1}


def test_functions_stand_where_they_are_written(run):
    files = run.functions.set_index("name").file
    assert {files[op].rstrip("0123456789.c") for op in run.ops.symbol} == {"ops_"}
    assert {file.rstrip("0123456789.c") for name, file in files.items() if name.startswith("k_")} == {"instances_"}
    assert run.lines.file.str.endswith(("_f32.h", ".c", ".h")).all() and (run.lines.executions > 0).all()


def test_a_saved_run_has_the_same_tables_and_an_untraced_one_none(run, tmp_path):
    run.save(tmp_path)
    for again in (workbench.load_run(tmp_path), pickle.loads(pickle.dumps(run))):
        for name in STEP:
            pd.testing.assert_frame_equal(getattr(again, name), getattr(run, name))
    trained(trace="off").save(tmp_path)
    again = workbench.load_run(tmp_path)
    assert all(getattr(again, name).empty for name in STEP)
    assert list(again.tree.columns) == list(run.tree.columns)
    assert not any((tmp_path / f"{name}.csv").exists() for name in STEP)


def test_a_step_that_runs_away_is_told_even_while_tables_grow(monkeypatch):
    monkeypatch.setattr(flows, "ROOM", 8)
    monkeypatch.setattr("workbench.trace.tracer.Tracer.__init__.__defaults__", ("ops", None, 1000))
    with pytest.raises(FirmwareFault, match="1 k instructions"):
        trained()


def test_what_was_not_linked_names_no_lines(tmp_path):
    """Its lines stand at 0 and on, where a board's flash may begin and other code lies."""
    dropped = "int dropped(int *x) {\n" + "x[1] ^= x[0] * 3;\n" * 60 + "return x[1]; }\n"
    source = f"{dropped}char wb_arena[8] ARENA;\nvoid wb_train_step(void)\n{{ wb_arena[0] += 1; }}\n"
    flags = ["-ffunction-sections", "-Wl,--gc-sections,-u,wb_train_step"]
    elf = load_elf(compile_firmware(tmp_path, source, flags=flags))
    first = min(begin for begin, _ in elf.code_ranges)
    assert not elf.has("dropped") and 0 < first < 0x100
    assert elf.source_line(first - 2) is None
    told = {elf.source_line(address) for address in range(first, first + 0x100, 2)}
    assert not told & {f"tiny.c:{line}" for line in range(3, 3 + 62)}
    assert elf.head_line(elf.address("wb_train_step")).startswith("tiny.c:")
