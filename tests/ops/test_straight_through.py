"""Gradients of int8 operators, straight through their rounding, against real numbers (see straight_through.py)."""

from dataclasses import replace

import numpy as np
import pytest
from samples import SEED, dtype_name
from straight_through import gradients

import workbench.ops  # noqa: F401  registers the operators
from workbench.autodiff import differentiate
from workbench.ir import op as ops
from workbench.ir.build import Builder
from workbench.ir.interpret import interpret
from workbench.ops import qnn_sgd

OPERATORS = (
    *("qnn.conv2d", "qnn.transposed_conv2d", "qnn.add", "qnn.subtract", "qnn.multiply"),
    *("qnn.avg_pool2d", "qnn.quantize", "qnn.dequantize"),
)
CASES = [
    pytest.param(name, number, id=f"{name}-{number}")
    for name in OPERATORS
    for number, sample in enumerate(ops.get(name).samples(np.random.default_rng(SEED)))
    if not sample.attrs.get("packed")  # such weights are frozen, and packed once the graph is differentiated
]


def alone(name, number):
    """The graph of one operator, as an operator of its own sample; (graph, feeds, gradient of its result)."""
    op, rng = ops.get(name), np.random.default_rng(number)
    sample = op.samples(np.random.default_rng(SEED))[number]
    attrs, arrays = {**op.complete(sample.attrs), **op.training}, list(sample.operands)
    build, feeds = Builder(), {}

    def argument(name, array):
        array = np.asarray(array, np.float32) if array.dtype == np.float64 else array
        feeds[name] = array
        return (build.input if name == "in0" else build.parameter)(name, array.shape, dtype_name(array))

    values = [argument(f"in{index}", array) for index, array in enumerate(arrays[:3])]
    if len(arrays) > 3:  # of a layer; its factors are made from scales here, as in a network
        w = arrays[1]
        reach = 74 * 74 * np.sqrt(np.prod(w.shape[1:])) * attrs["x_scale"] / attrs["y_scale"]
        s = argument("s", (60 / reach * rng.uniform(0.2, 2, len(w))).astype(np.float32))
        how = {key: attrs[key] for key in ("x_scale", "y_scale", "form")}
        values.append(build.op("qnn.requantization", s, **how))
        attrs |= {"wide": ()}  # its bias has no delta
    result = build.op(name, *values, **attrs)
    y = result[0] if isinstance(result, tuple) else result
    return build.graph(y), feeds, rng.normal(size=y.shape).astype(np.float32)


def wrong(name, number) -> float:
    """How far the rules' gradients are from the reference's, the worst operand, of its norm."""
    graph, feeds, dy = alone(name, number)
    wanted = [operand for operand in graph.arguments if operand != "s"]
    backward, called = differentiate(graph, wanted)
    got = interpret(backward, feeds | {"grad_output": dy})
    want = gradients(graph, feeds, dy.astype(np.float64))
    assert any(np.abs(want[operand]).max() > 0 for operand in wanted)
    return max(distance(got[called[operand]], want[operand]) for operand in wanted)


def distance(got, want) -> float:
    return float(np.linalg.norm(got.astype(np.float64) - want) / max(np.linalg.norm(want), 1e-30))


@pytest.mark.parametrize(("name", "number"), CASES)
def test_gradients_are_those_of_the_real_numbers(name, number):
    assert wrong(name, number) <= 1e-5


@pytest.mark.parametrize("case", ops.get("qnn.table").samples(None), ids=lambda case: case.attrs["function"])
def test_gradients_of_an_activation_are_those_of_the_real_numbers(case):
    """At each of the 256."""
    build, every = Builder(), np.arange(-128, 128).astype(np.int8)
    x = build.input("x", (256,), "int8")
    graph = build.graph(build.op("qnn.lookup", x, build.op("qnn.table", **case.attrs)))
    dy = np.random.default_rng(0).normal(size=256)
    backward, called = differentiate(graph, ["x"])
    got = interpret(backward, {"x": every, "grad_output": dy.astype(np.float32)})[called["x"]]
    want = gradients(graph, {"x": every}, dy)["x"]
    assert distance(got, want) <= 1e-6


def test_a_weight_gradient_that_forgets_the_zero_point_is_seen(monkeypatch):
    op = ops.get("qnn.conv2d_backward_weight")
    forgetful = replace(op, evaluate=lambda *operands, **attrs: op.evaluate(*operands, **{**attrs, "x_zero_point": 0}))
    monkeypatch.setitem(ops._REGISTRY, op.name, forgetful)
    assert wrong("qnn.conv2d", 0) > 1e-2


@pytest.mark.parametrize("name", ["qnn.conv2d", "qnn.add"])
def test_a_mask_that_lets_everything_pass_is_seen(name, monkeypatch):
    mask = "qnn.through_clip" if name == "qnn.conv2d" else "nn.apply_mask"
    op = ops.get(mask)
    monkeypatch.setitem(
        ops._REGISTRY, mask, replace(op, evaluate=lambda dy, bits, *rest: op.evaluate(dy, np.ones_like(bits), *rest))
    )
    assert wrong(name, 0) > 1e-2


def extreme(name, zero):
    """The graph of one operator on x (1, 2, 3, 3), of zero points at an end of int8; its feeds but x."""
    build = Builder()
    x = build.input("x", (1, 2, 3, 3), "int8")
    of_x, of_y = {"x_scale": 0.02, "x_zero_point": zero}, {"y_scale": 0.1, "y_zero_point": zero}
    if name == "qnn.add":
        both = {f"{who}_{what}": of_x[f"x_{what}"] for who in "ab" for what in ("scale", "zero_point")}
        return build.graph(build.op(name, x, x, **both, **of_y)), {}
    if name == "qnn.avg_pool2d":
        return build.graph(build.op(name, x, pool_size=(3, 3), **of_x, **of_y)), {}
    feeds = {"w": np.full((2, 2, 3, 3), 127, np.int8), "b": np.array([2**16, -(2**16)], np.int32),
             "s": np.array([2**-11, 2**-12], np.float32)}  # fmt: skip
    w, b, s = (build.parameter(key, value.shape, dtype_name(value)) for key, value in feeds.items())
    m = build.op("qnn.requantization", s, x_scale=0.02, y_scale=0.1)
    how = {"channels": 2, "kernel_size": (3, 3), "padding": (1, 1, 1, 1)}
    return build.graph(build.op(name, x, w, b, m, **how, **of_x, **of_y)), feeds


@pytest.mark.parametrize(("zero", "edge"), [(-128, 127), (127, -128), (127, -127)])
@pytest.mark.parametrize("name", ["qnn.conv2d", "qnn.add", "qnn.avg_pool2d"])
def test_extreme_zero_points_never_overflow(name, zero, edge):
    """x - zero_point reaches ±255; in int8 it would wrap to -1 or 1."""
    graph, feeds = extreme(name, zero)
    wanted = ["x", *(key for key in feeds if key != "s")]
    feeds["x"] = np.full((1, 2, 3, 3), edge, np.int8)
    dy = np.ones(graph.types[graph.outputs[0]].shape, np.float32)
    with np.errstate(all="raise"):
        backward, called = differentiate(graph, wanted)
        got = interpret(backward, feeds | {"grad_output": dy})
    want = gradients(graph, feeds, dy.astype(np.float64))  # which holds the forward against real numbers, too
    assert all(distance(got[called[key]], want[key]) <= 1e-5 and want[key].any() for key in wanted)


def test_subtracting_zero_points_in_int8_would_be_seen():
    x = np.array([127, -128], np.int8)
    with np.errstate(all="ignore"):
        assert (x - np.int8(-128)).tolist() == [-1, 0]  # what the test above would meet


def updated(w, dw, rounding="stochastic", seed=0, lr=1.0, **attrs):
    w, dw = np.asarray(w), np.asarray(dw, np.float32)
    attrs = ops.get("qnn.sgd").complete({"rounding": rounding, "qas": False, **attrs})
    counters = (np.asarray(seed, np.int32), np.asarray(3, np.int32)) if rounding == "stochastic" else ()
    return qnn_sgd.evaluate(w, dw, np.ones(len(w), np.float32), np.asarray(lr, np.float32), *counters, **attrs)


@pytest.mark.parametrize("rounding", qnn_sgd.ROUNDINGS)
def test_updates_saturate(rounding):
    """127 + 2 stays 127, -127 - 2 stays -127: -128 is no weight."""
    ends = np.array([[127], [-127], [126], [-126]], np.int8)
    assert updated(ends, [[-2], [2], [-300], [300]], rounding).tolist() == [[127], [-127], [127], [-127]]
    limit = qnn_sgd.BIAS_LIMIT
    biases = np.array([limit, -limit, limit - 1, 0, 0], np.int32)
    moved = updated(biases, [-64.0, 64.0, -np.inf, -3e38, 3e38], rounding)
    assert moved.tolist() == [limit, -limit, limit, limit, -limit]


MOVES = np.array([[-1.75, -1.0, -0.75, -0.5, -0.25, -0.01], [0.01, 0.25, 0.5, 0.75, 1.0, 1.75]])


def mean_move(seeds=4000) -> np.ndarray:
    """Of a weight whose update is MOVES, over many seeds."""
    w = np.array([[5] * 6, [-5] * 6], np.int8)
    moves = [updated(w, -MOVES, seed=seed).astype(np.int64) - w for seed in range(seeds)]
    assert all(set((move - np.floor(MOVES)).reshape(-1).astype(int)) <= {0, 1} for move in moves)
    return np.mean(moves, axis=0)


def test_stochastic_rounding_is_unbiased(monkeypatch):
    error = np.abs(mean_move() - MOVES)
    assert error.max() < 5 * 0.5 / np.sqrt(4000)
    assert (error[MOVES % 1 == 0] == 0).all()
    monkeypatch.setattr(qnn_sgd, "uniform", lambda *key: np.float32(0.5))  # to nearest instead
    assert np.abs(mean_move(10) - MOVES).max() >= 0.25


def test_what_the_other_roundings_do():
    w = np.array([[5] * 6, [-5] * 6], np.int8)
    assert (updated(w, -MOVES, "nearest") - w).tolist() == [[-2, -1, -1, 0, 0, 0], [0, 0, 1, 1, 1, 2]]
    assert updated(w, -MOVES, "truncate").tolist() == [[3, 4, 4, 4, 4, 4], [-4, -4, -4, -4, -4, -3]]


def test_randomness_depends_on_each_key_alone():
    places = np.arange(64)
    draws = {key: qnn_sgd.uniform(*key, places).tobytes() for key in
             ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2**31, 0, 0))}  # fmt: skip
    assert len(set(draws.values())) == len(draws)
    some = qnn_sgd.uniform(0, 0, 0, places[10:20])
    assert some.tobytes() == qnn_sgd.uniform(0, 0, 0, places)[10:20].tobytes()
