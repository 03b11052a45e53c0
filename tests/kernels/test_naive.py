"""Naive loops: what numpy says, whether their sizes are literals or come at run time; and where they have the library's
bits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from samples import evaluate, every_sample, in_dtype, one_project, whole_numbers

import workbench
from workbench import boards, session
from workbench.cli import main
from workbench.emulate.machine import Machine
from workbench.emulate.symbols import parse_elf
from workbench.errors import GraphError
from workbench.ir import op as ops
from workbench.ir.op import registered
from workbench.ir.ranges import exactly
from workbench.kernels import declared
from workbench.kernels.call import Call
from workbench.kernels.naive import LITERALS, NAIVE, SHAPES, has_naive, naive_call
from workbench.on_board import on_board
from workbench.options import LOOPS
from workbench.schedule.tuned import tuned_for
from workbench.study.findings import beyond
from workbench.toolchain import make_image

BOARD = boards.get("virtual-m4")
SAME_BITS = ("backward_weight", "dense", "matmul")  # of float32, as their headers say


def inside(op, sample):
    """The operators that a sample runs."""
    return [ops.get(node.op) for node in sample.attrs["body"].nodes] if op.name == "region" else [op]


def naive_samples(nth):
    """Of each operator with naive loops, and of regions with such, every so-many-th sample, each from another on."""
    chosen = {}
    for case, op, sample in every_sample():
        naive = [each for each in inside(op, sample) if each.kernel and has_naive(each.kernel)]
        if op.runs_alone and naive and not sample.attrs.get("packed"):
            chosen.setdefault(op.name, []).append((case, op, sample))
    return [case for at, cases in enumerate(chosen.values()) for case in cases[at % min(nth, len(cases)) :: nth]]


def in_whole_numbers(sample):
    return replace(sample, operands=tuple(map(whole_numbers, sample.operands)))


@pytest.fixture(scope="module", params=[24, pytest.param(1, marks=pytest.mark.long)])
def results_of(request):
    """From the loops, and what becomes of each sample, each case's results on the emulated core, by its id."""
    cases, known = naive_samples(request.param), {}

    def results(loops, changed=lambda sample: sample):
        if loops not in known:
            project, run = one_project(BOARD, cases=cases, loops=loops)
            image = make_image(project, BOARD, 0)
            known[loops] = run, Machine(parse_elf(image.content, Path("naive.elf")), image.board)
        run, machine = known[loops]
        return run(machine, [(case, op, changed(sample)) for case, op, sample in cases])

    return cases, results


@pytest.mark.parametrize("loops", LOOPS)
def test_naive_loops_give_what_numpy_says(results_of, loops):
    """int8, and masks of it, to the bit; float32 but for what the order of a sum may change."""
    cases, results = results_of
    got_of = results(loops)
    for case, op, sample in cases:
        allowed = op.ranges(*map(exactly, in_dtype(sample.operands, np.float32)), **sample.attrs)
        for got, want, each in zip(got_of[case], evaluate(op, sample), allowed, strict=True):
            assert beyond(each, got.reshape(want.shape))[1] is None, case
            if want.dtype == np.float32:
                assert np.linalg.norm(got - want.reshape(-1)) <= 1e-5 * max(np.linalg.norm(want), 1e-30), case


def test_literal_and_run_time_sizes_give_the_same_bits_and_some_are_the_librarys(results_of):
    cases, results = results_of
    literals, shapes, library = (results(loops) for loops in (LITERALS, SHAPES, ""))
    for case, op, _ in cases:
        same = op.name != "region" and any(word in op.name for word in SAME_BITS)
        for one, other, own in zip(literals[case], shapes[case], library[case], strict=True):
            assert one.tobytes() == other.tobytes(), case
            assert not same or one.tobytes() == own.tobytes(), case


def test_in_whole_numbers_they_are_the_librarys_to_the_bit(results_of):
    """Where no order of a sum loses a bit, nothing is left out and nothing counts twice: tiles of regions as well."""
    cases, results = results_of
    shapes, library = (results(loops, in_whole_numbers) for loops in (SHAPES, ""))
    for case, op, sample in cases:
        if not any("_sgd" in each.name for each in inside(op, sample)):
            for one, own in zip(shapes[case], library[case], strict=True):
                assert one.tobytes() == own.tobytes(), case


# ---------------------------------------------------------------- what calls them


def test_naive_loops_take_what_their_kernel_takes():
    """Record, operands and results; without scratch, which would come last."""
    headers = {
        function: op.kernel.header for op in registered().values() if op.kernel for function in op.kernel.functions
    }
    for function, (name, loops) in NAIVE.items():
        kinds = declared.header(headers[function]).functions[function]
        assert declared.header(name).functions[loops] == kinds[: -1 if kinds[-1] == "void*" else None]


def test_packed_weights_are_refused():
    with pytest.raises(GraphError, match="conv2d_s8 read no packed weights"):
        naive_call(Call("conv2d_s8", "conv2d_s8.h", "(wb_conv2d_s8){ .packed = 1 }", ()))


@pytest.mark.parametrize("engine", [("lenet-int8", "emulated"), ("lenet", "native")], ids=" ".join)
def test_a_step_trains_to_the_kernels_weights(engine):
    """int8 to the bit, a region among them; float32 but for the order of sums. The native twin has the emulated core's
    bits, or it would raise."""
    model, engine = engine
    steps = 1 if engine == "emulated" else 3
    rule = workbench.run(model, steps=steps, kernels="rule")
    loops = {each: workbench.run(model, steps=steps, kernels=each, engine=engine)
             for each in (LOOPS if engine == "emulated" else [SHAPES])}  # fmt: skip
    for each, run in loops.items():
        assert (run.meta["kernels"]["name"], run.meta["kernels"]["tuned"]) == (each, 0)
        assert run.meta["memory"]["arena_planned"] <= rule.meta["memory"]["arena_planned"]
        for name, want in rule.weights.items():
            difference = np.abs(run.weights[name].astype(np.float64) - want).max()
            assert difference <= (0 if "int8" in model else 1e-6 * np.abs(want).max()), name
    counted = [run.meta["instructions_per_step"] for run in (rule, *loops.values())]
    assert counted == sorted(counted) and counted[1] > 2 * counted[0]


def test_weights_that_kernels_read_packed_are_as_they_lie():
    compiled = session.compile("lenet-int8", "last-1")
    assert any(node.attrs.get("packed") for node in compiled.graph.nodes)
    step = on_board(compiled, BOARD, tuned_for(BOARD.core, LITERALS))
    assert not any(node.attrs.get("packed") for node in step.graph.nodes)
    assert step.memory.plan.bytes < compiled.memory.plan.bytes  # no scratch holds the peak any more


def test_the_command_line_takes_them_and_tells_the_words_that_there_are(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "lenet-int8", "--steps", "1", "--kernels", "naive-shapes"]) == 0
    assert "naive loops, shapes at run time" in capsys.readouterr().out
    assert main(["run", "lenet-int8", "--steps", "1", "--kernels", "naiv"]) == 1
    told = capsys.readouterr().err
    assert "naiv cannot be read: No such file" in told and "--kernels rule, naive, or naive-shapes" in told
