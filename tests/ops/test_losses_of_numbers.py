"""mse and bce against their textbook formulas in float64, where these hold, and where they would overflow."""

import numpy as np
import pytest

import workbench.ops  # noqa: F401  registers the operators
from workbench.errors import ShapeError
from workbench.ir.op import get
from workbench.ir.types import TensorType

RNG = np.random.default_rng(11)
X, T = 3 * RNG.normal(size=(4, 5)), RNG.random((4, 5))


def textbook(x, t):
    p = 1 / (1 + np.exp(-x))
    return {
        "nn.mse": (np.mean((x - t) ** 2), 2 * (x - t) / x.size),
        "nn.bce_with_logits": (-np.mean(t * np.log(p) + (1 - t) * np.log(1 - p)), (p - t) / x.size),
    }


@pytest.mark.parametrize("name", ["nn.mse", "nn.bce_with_logits"])
def test_they_are_what_the_textbook_says(name):
    value, gradient = textbook(X, T)[name]
    assert get(name).evaluate(X, T) == pytest.approx(value, 1e-12)
    assert np.allclose(get(f"{name}_grad").evaluate(X, T), gradient, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("x", "t", "loss", "gradient"),
    [(1e4, 1, 0, 0), (-1e4, 0, 0, 0), (1e4, 0, 1e4, 1), (-1e4, 1, 1e4, -1), (0, 0.5, np.log(2), 0),
     (16, 1, np.log1p(np.exp(-16)), -np.exp(-16) / (1 + np.exp(-16))), (np.nan, 1, np.nan, np.nan)],
)  # fmt: skip
def test_bce_keeps_its_digits_where_exp_would_overflow_or_all_but_cancel(x, t, loss, gradient):
    x, t = np.array([[x]], np.float32), np.array([[t]], np.float32)
    assert get("nn.bce_with_logits").evaluate(x, t) == pytest.approx(loss, 1e-6, nan_ok=True)
    assert get("nn.bce_with_logits_grad").evaluate(x, t).item() == pytest.approx(gradient, 1e-6, nan_ok=True)


@pytest.mark.parametrize("name", ["nn.mse", "nn.mse_grad", "nn.bce_with_logits", "nn.bce_with_logits_grad"])
def test_an_int8_target_is_the_numbers_that_it_stands_for(name):
    x, q = X.astype(np.float32), RNG.integers(-128, 128, X.shape, dtype=np.int8)
    real = (q.astype(np.float32) + np.float32(5)) * np.float32(0.03)
    assert np.array_equal(get(name).evaluate(x, q, scale=0.03, zero_point=-5), get(name).evaluate(x, real))


def test_targets_that_do_not_fit_are_refused():
    x, attrs = TensorType((1, 4)), {"scale": 0.0, "zero_point": 0}
    for t in (TensorType((1, 5)), TensorType((1, 4), "int8")):
        with pytest.raises(ShapeError):
            get("nn.mse").result_types([x, t], attrs)
    with pytest.raises(ShapeError, match="an int8 target's"):
        get("nn.mse").result_types([x, x], {"scale": 0.5, "zero_point": 0})
