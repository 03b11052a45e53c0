"""Every operator keeps its own promises: shapes = evaluate, gradients = finite differences, emulated C = evaluate."""

from dataclasses import replace

import numpy as np
import pytest
from checked_pointers import pointers_outside
from samples import dtype_name, evaluate, every_sample, in_dtype, one_project, whole_numbers, with_no_numbers

from workbench import boards
from workbench.codegen import generate
from workbench.emulate.machine import Machine
from workbench.ir.build import Builder
from workbench.ir.interpret import interpret
from workbench.ir.op import registered
from workbench.ir.ranges import Range, exactly
from workbench.ir.types import TensorType
from workbench.ir.verify import verify
from workbench.plan.memory import plan_memory
from workbench.study.findings import beyond
from workbench.toolchain import build

CASES = [pytest.param(op, sample, id=case) for case, op, sample in every_sample()]


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_infer_tells_what_evaluate_gives(op, sample):
    operands = in_dtype(sample.operands, np.float32)
    types = [TensorType(a.shape, dtype_name(a), sample.layouts.get(i, "")) for i, a in enumerate(operands)]
    inferred = op.result_types(types, sample.attrs)
    results = evaluate(op, sample)
    assert [(t.shape, t.dtype) for t in inferred] == [(r.shape, dtype_name(r)) for r in results]


GRADIENTS = [  # real numbers to real numbers; of int8 and what rounds to it: tests/ops/test_straight_through.py
    pytest.param(op, sample, index, id=f"{case}-operand{index}")
    for case, op, sample in every_sample()
    for index, operand in enumerate(sample.operands)
    if op.grad(index) is not None and dtype_name(operand) == dtype_name(evaluate(op, sample)[0]) == "float32"
]


@pytest.mark.parametrize(("op", "sample", "index"), GRADIENTS)
def test_gradient_rule_equals_finite_differences(op, sample, index):
    rng = np.random.default_rng(3)
    sample = type(sample)(sample.operands, {**sample.attrs, **op.training})
    operands = in_dtype(sample.operands, np.float64)
    dy = np.array(1.0) if op.loss else rng.normal(size=evaluate(op, sample)[0].shape)
    along = _smooth_direction(operands[index], rng)

    def projected(step):
        moved = [*operands[:index], operands[index] + step * along, *operands[index + 1 :]]
        return float((evaluate(op, type(sample)(moved, sample.attrs), np.float64)[0] * dy).sum())

    difference = _derivative(projected)
    got = float((_by_rule(op, sample, operands, dy, index) * along).sum())
    scale = max(abs(difference), np.linalg.norm(along) * 1e-3)
    assert abs(got - difference) <= 1e-6 * scale


def _smooth_direction(x, rng):
    """A random direction that leaves alone where nothing is differentiable: at 0 and at ties."""
    values, where, counts = np.unique(x, return_inverse=True, return_counts=True)
    kink = (values[where] == 0) | (counts[where] > 1)
    return np.where(kink.reshape(x.shape), 0, rng.normal(size=x.shape)) / max(1, np.abs(x).max())


def _derivative(function, h=1e-4):
    """Central differences at two steps, extrapolated (Richardson): error of order h⁴."""
    near = (function(h) - function(-h)) / (2 * h)
    far = (function(2 * h) - function(-2 * h)) / (4 * h)
    return (4 * near - far) / 3


def _by_rule(op, sample, operands, dy, index):
    build = Builder()
    values = [build.input(f"x{i}", a.shape, dtype_name(a)) for i, a in enumerate(operands)]
    gradient_in = None if op.loss else build.input("dy", dy.shape)
    results = build.op(op.name, *values, **sample.attrs)
    results = results if isinstance(results, tuple) else (results,)
    gradient = op.grad(index)(build, gradient_in, *values, y=results, **sample.attrs)
    graph = verify(build.graph(gradient))
    feeds = {f"x{i}": a for i, a in enumerate(operands)} | ({} if op.loss else {"dy": dy})
    result = interpret(graph, feeds, np.float64)[gradient.name]
    assert result.shape == operands[index].shape
    return result


BOARDS = [  # the part of the samples, and whether inline: compiling them takes a minute of a core a board
    pytest.param(("virtual-m4", 3, True), id="virtual-m4"),
    pytest.param(("virtual-m7", 10, False), id="virtual-m7"),
    *(
        pytest.param((board, 1, board == "virtual-m4"), id=f"{board} whole", marks=pytest.mark.long)
        for board in ("virtual-m0plus", "virtual-m3", "virtual-m4", "virtual-m7", "virtual-m33")
    ),
]


@pytest.fixture(scope="module", params=BOARDS)
def emulated(request, tmp_path_factory):
    """The samples, and what runs their kernels on the emulated core; that its C compiles inline is the proof of
    -Warray-bounds."""
    name, nth, inline = request.param
    board = boards.get(name)
    project, run = one_project(board, nth=nth, inline=inline)
    elf = build(project, board, tmp_path_factory.mktemp("kernels"), 0).elf
    return every_sample(nth), lambda cases: run(Machine(elf, board), cases)


def test_emulated_c_equals_evaluate(emulated):
    """But for what the order of a sum may change, element by element; and hardly anything of the whole."""
    samples, run = emulated
    results = run(samples)
    for case, op, sample in samples:
        if not op.runs_alone:
            continue
        allowed = op.ranges(*map(exactly, in_dtype(sample.operands, np.float32)), **sample.attrs)
        for got, want, each in zip(results[case], evaluate(op, sample), allowed, strict=True):
            assert beyond(each, got.reshape(want.shape))[1] is None, case
            if got.dtype == np.float32:
                error = np.linalg.norm(got.astype(np.float64) - want.reshape(-1)) / max(np.linalg.norm(want), 1e-30)
                few = max(map(np.size, sample.operands), default=0) < 400
                assert error <= (1e-6 if few else 1e-5), f"{case}: {error:.1e} of its norm"


INEXACT = {"nn.gelu", "nn.avg_pool2d", "nn.avg_pool2d_grad"}  # of whole numbers too


def test_tiles_of_whole_numbers_are_those_of_numpy_to_the_bit(emulated):
    samples, run = emulated
    cases, exact = [], set()
    for case, op, sample in samples:
        inside = {node.op for node in sample.attrs["body"].nodes} if op.name == "region" else INEXACT
        if not inside & INEXACT and not any("_sgd" in name for name in inside):
            exact.add(case)
            sample = replace(sample, operands=tuple(map(whole_numbers, sample.operands)))
        cases.append((case, op, sample))
    results = run(cases)
    for case, op, sample in cases:
        for got, want in zip(results[case], evaluate(op, sample), strict=True) if case in exact else ():
            assert np.array_equal(got, want.reshape(-1)), case


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numpy: infinity less infinity
def test_what_is_no_number_is_none_in_c_where_numpy_has_none(emulated):
    """NaN and infinity among the operands: NaN where numpy has it, the same bits of masks there, the same rest."""
    samples, run = emulated
    cases = [(case, op, with_no_numbers(op, sample)) for case, op, sample in samples]
    results = run(cases)
    for case, op, sample in cases:
        if not op.runs_alone:
            continue
        allowed = op.ranges(*map(exactly, in_dtype(sample.operands, np.float32)), **sample.attrs)
        wanted = [want.reshape(-1) for want in evaluate(op, sample)]
        nan = np.isnan(wanted[0])
        for got, want, each in zip(results[case], wanted, allowed, strict=True):
            assert beyond(each, got.reshape(each.low.shape))[1] is None, case
            assert np.array_equal(np.isnan(got), np.isnan(want)), case
            assert got.shape != nan.shape or np.array_equal(got[nan], want[nan], equal_nan=got.dtype == np.float32), (
                case
            )


KNOWN_ONLY = {  # what takes no ranges
    *("nn.softmax", "nn.softmax_cross_entropy", "nn.softmax_cross_entropy_grad", "qnn.requantization"),
    *("nn.mse", "nn.bce_with_logits", "nn.bce_with_logits_grad"),
    *("nn.softmax_grad", "nn.log_softmax", "nn.log_softmax_grad"),
    *("nn.embedding", "nn.embedding_backward"),
}


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_what_operands_may_be_tells_what_results_may_be(op, sample):
    """Whatever lies in the ranges of the operands, the results lie in theirs; a little more would not."""
    rng = np.random.default_rng(5)
    operands = in_dtype(sample.operands, np.float32)
    widths = [np.abs(a) * np.float32(1e-3) if a.dtype == np.float32 and op.name not in KNOWN_ONLY else None
              for a in operands]  # fmt: skip
    known = [exactly(a) if w is None else Range(a - w, a + w) for a, w in zip(operands, widths, strict=True)]
    allowed = op.ranges(*known, **sample.attrs)
    for _ in range(3):
        moved = [a if w is None else a + w * rng.uniform(-0.99, 0.99, a.shape).astype(np.float32)
                 for a, w in zip(operands, widths, strict=True)]  # fmt: skip
        for got, each in zip(evaluate(op, type(sample)(moved, sample.attrs)), allowed, strict=True):
            assert beyond(each, got)[1] is None


@pytest.mark.parametrize("nth", [4, pytest.param(1, marks=pytest.mark.long)])
def test_no_kernel_forms_a_pointer_outside_its_array(nth, tmp_path):
    board = boards.get("virtual-m4")
    project, run = one_project(board, nth=nth, one_arena=True)
    assert pointers_outside(project, board, tmp_path, lambda machine: run(machine, every_sample(nth))) == []


def test_a_pointer_outside_its_array_is_seen_before_it_is_used(tmp_path):
    """The check checked: `p` is never read through where it lies outside."""
    board, build = boards.get("virtual-m4"), Builder()
    graph = build.graph(build.relu(build.input("x", (1, 5))))
    project = generate(graph, plan_memory(graph), {}, board)
    opening = "clipped_run_f32(int activation, int count, const float *x, float *y)\n{\n"
    before, inside, after = project.files["kernels/clipped_tile_f32.h"].partition(opening)
    kernel = f"{before}{inside}    const float *p = x - 1;\n    x = p + 1;\n{after}"
    project = replace(project, files={**project.files, "kernels/clipped_tile_f32.h": kernel})
    seen = pointers_outside(project, board, tmp_path, lambda machine: (machine.start(), machine.call("wb_train_step")))
    assert seen == [f"clipped_tile_f32.h:{len((before + inside).splitlines()) + 1} in op_000_relu"]


@pytest.mark.parametrize("name", ["nn.softmax_cross_entropy", "nn.softmax_cross_entropy_grad"])
def test_a_sure_network_keeps_its_digits(name):
    """float32 against float64 where the loss is 1e-7 and all but one of its digits could cancel."""
    logits, label = np.array([[16.0, 0.5, -1.0, 1.0]]), np.array([0], np.int32)
    evaluate_in = registered()[name].evaluate
    got, want = evaluate_in(logits.astype(np.float32), label), evaluate_in(logits, label)
    reference = np.log(np.exp(logits - 16).sum()) if want.ndim == 0 else None
    assert np.allclose(got, want, rtol=1e-6, atol=0)
    assert reference is None or np.isclose(want, reference, rtol=1e-6)


def test_relu_has_slope_zero_at_zero():
    build = Builder()
    y, dy = build.input("y", (3,)), build.input("dy", (3,))
    dx = build.relu_grad(dy, y)
    values = {"y": np.array([-0.0, 0.0, 1e-30]), "dy": np.ones(3)}
    assert interpret(build.graph(dx), values)[dx.name].tolist() == [0, 0, 1]


def test_max_pool_takes_the_first_of_equals():
    build = Builder()
    x = build.input("x", (1, 1, 2, 2))
    y, argmax = build.max_pool2d(x, pool_size=(2, 2), strides=(2, 2), argmax=True)
    got = interpret(build.graph(y, argmax), {"x": np.full((1, 1, 2, 2), -5.0)})
    assert (got[y.name].item(), got[argmax.name].item()) == (-5, 0)
