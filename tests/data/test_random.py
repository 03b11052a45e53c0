"""Samples of networks without a data set: over all that their input can hold, no more than memory has room for."""

import numpy as np
import pytest

from workbench import feeding
from workbench.errors import DataError
from workbench.feeding import Training, require_samples
from workbench.frontends.layers import Network
from workbench.frontends.loading import in_int8


def network(batch=1, shape=(4, 4)):
    net = Network("small", (batch, 1, *shape))
    return net.model(net.dense(net.flatten(net.input), "fc", 3))


@pytest.mark.parametrize("reach", [(0, 1), (-1, 1), (-150, 90), (0, 1e-3), (-6, 0)], ids=str)
def test_int8_inputs_are_drawn_over_all_values_whatever_they_stand_for(reach):
    seen = np.linspace(*reach, 64, dtype=np.float32).reshape(-1, 1, 4, 4)
    model = in_int8(network(), seen).with_batch(8)
    x = require_samples(model, 1, Training(seed=3)).train_x
    assert (x.dtype, x.shape, x.min(), x.max()) == (np.int8, (128, 1, 4, 4), -128, 127)
    assert len(np.unique(x)) > 250
    assert abs(x.mean()) < 5 and abs(x.std() - 256 / 12**0.5) < 3  # uniform


def test_the_seed_decides_them():
    model = in_int8(network(), np.ones((4, 1, 4, 4), np.float32))
    first, again, other = (require_samples(model, 1, Training(seed=seed)).train_x for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_giant_samples_are_few_or_refused(monkeypatch):
    monkeypatch.setattr(feeding, "MOST_BYTES", 4 * 16 * 5)
    assert len(require_samples(network(batch=2), 1, Training()).train_x) == 4  # two steps of two
    with pytest.raises(
        DataError, match=r"random samples of float32 \(6, 1, 4, 4\), 6 a step, take 384 B; at most 320 B"
    ):
        require_samples(network(batch=6), 1, Training())
