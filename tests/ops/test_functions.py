"""Functions of one element in float32 keep their digits wherever they have any, and go to their limits beyond."""

import numpy as np
import pytest

import workbench.ops  # noqa: F401  registers the operators
from workbench.ir import op as ops

RNG = np.random.default_rng(0)
BOTH = np.concatenate([RNG.uniform(-87, 88, 20000), RNG.normal(size=20000), *(10.0 ** RNG.uniform(-30, 0, (2, 9999)))])
BOTH[-9999:] *= -1
ABOVE = 10.0 ** RNG.uniform(-44, 38, 40000)
EXACT = {  # x, and the function in float64
    "exp": (BOTH, np.exp),
    "log": (np.concatenate([ABOVE, RNG.uniform(0.5, 2, 40000)]), np.log),
    "sqrt": (ABOVE, np.sqrt),
    "rsqrt": (ABOVE, lambda x: x**-0.5),
    "silu": (BOTH, lambda x: x / (1 + np.exp(-x))),
    "elu": (BOTH, lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    "softplus": (BOTH[BOTH > -80], lambda x: np.logaddexp(0, x)),
}


def evaluate(name, x):
    op = ops.get(f"nn.{name}")
    return op.evaluate(x.astype(np.float32), **op.complete({}))


@pytest.mark.parametrize("name", EXACT)
def test_a_function_keeps_its_digits(name):
    x, exactly = EXACT[name]
    want = exactly(x.astype(np.float32).astype(np.float64))
    error = np.abs(evaluate(name, x) - want) / np.maximum(np.abs(want), np.finfo(np.float32).tiny)
    assert error.max() <= 4 * np.finfo(np.float32).eps


LIMITS = {  # of -inf, -0.0, 0.0, inf
    "exp": (0, 1, 1, np.inf),
    "log": (np.nan, -np.inf, -np.inf, np.inf),
    "sqrt": (np.nan, 0, 0, np.inf),
    "silu": (0, 0, 0, np.inf),
    "elu": (-1, 0, 0, np.inf),
    "abs": (np.inf, 0, 0, np.inf),
    "hard_sigmoid": (0, 0.5, 0.5, 1),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_function_goes_to_its_limits(name):
    got = evaluate(name, np.array([-np.inf, -0.0, 0.0, np.inf, np.nan]))
    assert np.array_equal(got, [*LIMITS[name], np.nan], equal_nan=True)


def test_clamp_passes_gradients_at_both_ends():
    x, dy = np.array([-1.5, -1.0, 0.0, 2.0, 2.5, np.nan]), np.arange(1.0, 7)
    assert ops.get("nn.clamp_grad").evaluate(dy, x, min=-1.0, max=2.0).tolist() == [0, 2, 3, 4, 0, 0]


def test_an_index_beyond_the_table_is_held_to_it():
    op, table = ops.get("nn.embedding"), np.arange(3.0)[:, None]
    got = op.evaluate(np.array([-np.inf, -1, 0, 2, 3, np.inf, np.nan]), table)
    assert got[:, 0].tolist() == [0, 0, 0, 2, 2, 2, 0]
