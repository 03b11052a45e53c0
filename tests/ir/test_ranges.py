"""Ranges hold what rounding may do to a sum, whatever cancels in it, and not a bit more of anything else."""

import numpy as np
import pytest

import workbench.schedule  # noqa: F401  registers the operators
from workbench.ir.op import get
from workbench.ir.ranges import EPSILON, Range, exactly
from workbench.study.findings import beyond


def ranges(name, *operands, **attrs):
    op = get(name)
    known = [each if isinstance(each, Range) else exactly(each) for each in operands]
    return op.ranges(*known, **op.complete(attrs))


def test_what_is_left_of_large_terms_may_be_off_by_their_rounding():
    x = np.array([[1e4, 1.5e-3, -1e4]], np.float32)
    w = np.ones((1, 3), np.float32)
    (allowed,) = ranges("nn.dense", x, w)
    forwards = ((x[0, 0] + x[0, 1]) + x[0, 2]).reshape(1, 1)
    value = np.float64(x[0, 1])
    assert abs(forwards - value) > 0.3 * value  # one third of what is left of them
    assert beyond(allowed, forwards)[1] is None
    terms = 2e4 + value
    for times, right in ((15.9, True), (-15.9, True), (16.1, False), (-16.1, False)):
        got = np.array([[value + times * EPSILON * terms]], np.float32)
        assert (beyond(allowed, got)[1] is None) == right


@pytest.mark.parametrize("name", ["add", "nn.bias_add", "nn.relu", "nn.max_pool2d", "nn.global_avg_pool2d", "sum"])
def test_what_is_rounded_alike_must_have_the_same_bits(name):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 3, 5, 5)).astype(np.float32)
    more = {"add": [x[..., ::-1].copy()], "nn.bias_add": [x[0, :, 0, 0]]}.get(name, [])
    attrs = {"nn.max_pool2d": {"pool_size": (2, 2)}, "sum": {"axis": (0, 2, 3)}}.get(name, {})
    (allowed,) = ranges(name, x, *more, **attrs)
    right = get(name).evaluate(x, *more, **get(name).complete(attrs))
    assert beyond(allowed, right) == (0.0, None)
    wrong = right.copy()
    wrong.flat[2] = np.nextafter(wrong.flat[2], np.float32(9))
    difference = beyond(allowed, wrong)[1]
    assert difference.count == 1 and difference.index == np.unravel_index(2, right.shape)
    assert (difference.expected, difference.got) == (right.flat[2], wrong.flat[2])


def test_equal_terms_round_the_same_way():
    """A flat image under a uniform gradient: added up in order it is beyond 16 ε, and right."""
    dy, x = np.full((1, 1, 20, 20), np.float32(0.11)), np.full((1, 1, 20, 20), np.float32(0.7))
    window = {"kernel_size": (1, 1)}
    in_order = np.float32(0)
    for _ in range(400):
        in_order += dy[0, 0, 0, 0] * x[0, 0, 0, 0]
    exact = 400 * float(dy[0, 0, 0, 0]) * float(x[0, 0, 0, 0])
    assert abs(in_order - exact) > 16 * EPSILON * exact
    (allowed,) = ranges("nn.conv2d_backward_weight", dy, x, **window)
    assert beyond(allowed, in_order.reshape(1, 1, 1, 1))[1] is None
    assert allowed.high - allowed.low < 100 * EPSILON * exact


def test_a_sum_inside_an_operator_leaves_its_update_the_few_bits_it_may_change():
    """A step of 1e-6 must be right to a few of the weight's last digits, though the gradient is a sum."""
    rng = np.random.default_rng(0)
    dy, x, w = (rng.normal(size=shape).astype(np.float32) for shape in ((4, 3), (4, 5), (3, 5)))
    rate = np.float32(1e-6)
    (allowed,) = ranges("nn.matmul_sgd", w, dy, x, np.asarray(rate), transpose_a=True)
    assert np.max((allowed.high - allowed.low) / np.spacing(np.abs(w))) <= 1
    assert beyond(allowed, w - rate * (dy.T @ x))[1] is None
    assert beyond(allowed, w - 2 * rate * (dy.T @ x))[1].count > 10
    assert beyond(allowed, w + rate * (dy.T @ x))[1].count > 10


def test_a_stochastic_rounding_may_fall_either_way_only_where_the_sum_tells():
    rng = np.random.default_rng(0)
    dy, x = (rng.normal(size=shape).astype(np.float32) for shape in ((1, 40, 3, 3), (1, 20, 3, 3)))
    w = rng.integers(-127, 128, (40, 20, 1, 1)).astype(np.int8)
    scales, scalars = np.full(40, np.float32(0.1)), [np.asarray(v, np.int32) for v in (3, 1)]
    attrs = {"kernel_size": (1, 1), "x_scale": 0.02}
    operands = w, dy, (50 * x).astype(np.int8), scales, np.asarray(np.float32(0.1)), *scalars
    (allowed,) = ranges("qnn.conv2d_backward_weight_sgd", *operands, **attrs)
    assert np.mean(allowed.low != allowed.high) < 0.01 and (allowed.high - allowed.low <= 1).all()


def test_the_place_of_the_largest_is_known_but_for_what_may_be_as_large():
    low = np.array([[1.0, 2.0], [2.0, 0.0]], np.float32).reshape(1, 1, 2, 2)
    close = Range(low.astype(np.float64), low + 1e-6)
    values, places = ranges("nn.max_pool2d", close, pool_size=(2, 2), argmax=True)
    assert (places.low.item(), places.high.item()) == (1, 2)
    assert values.low.item() == 2 and 2 < values.high.item() < 2.00001
    _, places = ranges("nn.max_pool2d", low, pool_size=(2, 2), argmax=True)
    assert (places.low.item(), places.high.item()) == (1, 1)  # of equals the first


def test_infinite_parts_make_anything_right():
    x = np.array([[3e38, 3e38, -3e38]], np.float32)
    (allowed,) = ranges("nn.dense", x, np.ones((1, 3), np.float32))
    for got in (np.nan, np.inf, 3e38):
        assert beyond(allowed, np.array([[got]], np.float32))[1] is None
