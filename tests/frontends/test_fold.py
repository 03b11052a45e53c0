"""Batch normalization folded into a layer gives what the two give one after the other."""

import numpy as np
import pytest

from workbench.errors import ModelError
from workbench.frontends.fold import fold_batch_norm
from workbench.ir import op as ops

CASES = {
    "ordinary": ((2, 3, 6, 6), (4, 3, 3, 3), 1),
    "depthwise": ((1, 4, 5, 5), (4, 1, 3, 3), 4),
    "grouped": ((1, 4, 5, 5), (6, 2, 1, 1), 2),
}


def statistics(channels, rng):
    """gamma (of both signs), beta, mean, var: as a trained layer has them."""
    return (
        rng.normal(size=channels),
        rng.normal(size=channels),
        rng.normal(size=channels),
        rng.uniform(0.1, 3, channels),
    )


def normalized(y, gamma, beta, mean, var, epsilon):
    gamma, beta, mean, var = (a.reshape(1, -1, *[1] * (y.ndim - 2)) for a in (gamma, beta, mean, var))
    return gamma * (y - mean) / np.sqrt(var + epsilon) + beta


def relative(got, want):
    return np.linalg.norm(got - want) / np.linalg.norm(want)


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_folded_convolution_equals_convolution_and_batch_norm(name, with_bias):
    shape, w_shape, groups = CASES[name]
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=shape), rng.normal(size=w_shape)
    bias = rng.normal(size=w_shape[0]) if with_bias else None
    gamma, beta, mean, var = statistics(w_shape[0], rng)
    conv2d = ops.get("nn.conv2d")
    attrs = conv2d.complete(
        {"channels": w_shape[0], "kernel_size": w_shape[2:], "padding": (1, 1, 1, 1), "groups": groups}
    )
    y = conv2d.evaluate(x, w, **attrs) + (bias.reshape(1, -1, 1, 1) if with_bias else 0)
    want = normalized(y, gamma, beta, mean, var, 1e-3)
    weight, folded_bias = fold_batch_norm(w, bias, gamma, beta, mean, var, epsilon=1e-3)
    assert weight.dtype == folded_bias.dtype == np.float32
    got = conv2d.evaluate(x, weight.astype(np.float64), **attrs) + folded_bias.reshape(1, -1, 1, 1)
    assert relative(got, want) <= 1e-6


def test_folded_dense_equals_dense_and_batch_norm():
    rng = np.random.default_rng(2)
    x, w, bias = rng.normal(size=(3, 5)), rng.normal(size=(4, 5)), rng.normal(size=4)
    numbers = statistics(4, rng)
    weight, folded_bias = fold_batch_norm(w, bias, *numbers)
    assert relative(x @ weight.T + folded_bias, normalized(x @ w.T + bias, *numbers, 1e-5)) <= 1e-6


def test_without_scale_and_shift_only_the_statistics_count():
    weight, bias = fold_batch_norm(np.ones((2, 1)), None, None, None, np.array([1.0, 2.0]), np.array([4.0, 1.0]), 0.0)
    assert weight.tolist() == [[0.5], [1.0]]
    assert bias.tolist() == [-0.5, -2.0]


def test_wrong_shapes_and_dead_variances_are_refused():
    w, ones = np.ones((2, 3)), np.ones(2)
    with pytest.raises(ModelError, match=r"2 output channels, so mean is \(2,\); got \(3,\)"):
        fold_batch_norm(w, None, ones, ones, np.ones(3), ones)
    with pytest.raises(ModelError, match="the smallest is 0"):
        fold_batch_norm(w, None, ones, ones, ones, np.array([1.0, 0.0]), 0.0)
