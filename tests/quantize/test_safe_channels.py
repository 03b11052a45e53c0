"""Channels with extreme scales and biases: the real numbers stay, the sums fit, the factors keep digits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import frontends
from workbench.quantize.safe_channels import safe_channels


@given(seed=st.integers(0, 10**6))
def test_sums_fit_and_real_numbers_stay(seed):
    rng = np.random.default_rng(seed)
    w = rng.integers(-127, 128, (8, 4, 3, 3)).astype(np.int8)
    b = (rng.integers(-(2**31), 2**31, 8) // 2 ** rng.integers(0, 32, 8)).astype(np.int32)
    s = (10.0 ** rng.uniform(-9, 0, 8)).astype(np.float32)
    new_w, new_b, new_s = safe_channels(w, b, s, 0.5)
    sums = np.abs(new_b.astype(np.int64)) + 255 * np.abs(new_w.astype(np.int64)).sum(axis=(1, 2, 3))
    assert (sums <= 2**30 + 255 * 36).all()  # each weight may have been rounded up
    by = new_s / s
    assert np.array_equal(np.log2(by), np.rint(np.log2(by)))
    assert np.abs(new_b * by - b.astype(np.float64)).max() <= by.max() / 2
    assert np.abs(new_w * by.reshape(-1, 1, 1, 1) - w).max() <= by.max() / 2


def test_a_dead_channel_s_scale_can_be_divided_by():
    w, b = np.full((2, 3, 3, 3), 127, np.int8), np.array([5, -300], np.int32)
    s = np.array([2.0**-60, 2.0**-50], np.float32)
    new_w, new_b, new_s = safe_channels(w, b, s, 0.5)
    assert (new_s == 2.0**-40).all() and not new_w.any() and not new_b.any()


def test_ordinary_channels_are_left_alone():
    rng = np.random.default_rng(1)
    w, b = rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8), rng.integers(-9999, 9999, 4, np.int32)
    s = rng.uniform(0.001, 0.1, 4).astype(np.float32)
    assert all(np.array_equal(new, old) for new, old in zip(safe_channels(w, b, s, 0.5), (w, b, s), strict=True))


@pytest.mark.parametrize("name", ["mcunet-5fps", "mbv2-w0.35", "proxyless-w0.3"])
def test_the_published_networks_are_safe_to_train(name, shared_data):
    """62, 17 and 33 of their channels have a bias near 2³¹, or a scale near 4e-9."""
    model = frontends.load(str(shared_data / "tiny-training" / f"{name}.json"))
    for node in model.graph.nodes:
        if node.op == "qnn.conv2d":
            w, b = (model.weights[operand].astype(np.int64) for operand in node.operands[1:3])
            assert (np.abs(b) + 255 * np.abs(w).sum(axis=(1, 2, 3))).max() <= 2**30 + 255 * w[0].size
