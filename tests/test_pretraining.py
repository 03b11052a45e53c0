"""Pre-training on the host: it learns, it is the same every time, and it leaves alone what is adapted to."""

import numpy as np
import pytest

from workbench import data, frontends, session
from workbench.errors import DataError, ModelError
from workbench.frontends.layers import Network
from workbench.ir.interpret import interpret
from workbench.objective import Objective
from workbench.pretraining import held_out, pretrain


@pytest.fixture(scope="module")
def lenet():
    return pretrain(frontends.load("lenet"), "digits", adapt_to="digits-rotated")


def test_lenet_learns_the_upright_digits_and_not_the_turned_ones(lenet):
    told = lenet.pretrained
    assert told["accuracy"] > 0.9
    assert told["samples"] == 718 and told["data"] == "digits"
    large = lenet.with_batch(64)
    same, turned = (held_out(large, lenet.weights, data.load(n), Objective()) for n in ("digits", "digits-rotated"))
    assert (same.accuracy, same.loss) == (told["accuracy"], pytest.approx(told["held_out_loss"], 1e-6))
    assert turned.accuracy < 0.5
    assert lenet.batch == 1 and lenet.graph == frontends.load("lenet").graph


def test_same_arguments_same_weights():
    one, same, other = (
        pretrain(frontends.load("mlp"), "digits", adapt_to="digits-noisy", epochs=1, seed=seed) for seed in (1, 1, 2)
    )
    assert all(np.array_equal(one.weights[name], same.weights[name]) for name in one.weights)
    assert not np.array_equal(one.weights["fc1.weight"], other.weights["fc1.weight"])
    assert one.pretrained == same.pretrained | {"seed": 1}


def test_images_that_are_adapted_to_are_never_shown(monkeypatch):
    shown = []

    def watched(graph, feeds, **options):
        if "label0" in feeds:
            shown.extend(image.tobytes() for image in feeds["input0"])
        return interpret(graph, feeds, **options)

    monkeypatch.setattr("workbench.pretraining.interpret", watched)
    pretrain(frontends.load("mlp"), "digits", adapt_to="digits-rotated", epochs=2)
    upright, turned = data.load("digits"), data.load("digits-rotated")
    taken = np.isin(upright.train_images, turned.train_images)
    assert len(shown) == 2 * (718 // 32) * 32
    assert not set(shown) & {image.tobytes() for image in [*upright.train_x[taken], *upright.test_x]}
    assert set(shown) <= {image.tobytes() for image in upright.train_x[~taken]}


@pytest.mark.parametrize("name", ["lenet", "resnet", "mobilenet"])
def test_a_batch_computes_what_its_samples_do_one_by_one(name):
    one = frontends.load(name)
    large = one.with_batch(3)
    assert large.graph == frontends.load(name, 3).graph
    x = data.load("digits").test_x[:3]
    got = interpret(large.graph, {**one.weights, "input0": x})[large.graph.outputs[0]]
    for at in range(3):
        alone = interpret(one.graph, {**one.weights, "input0": x[at : at + 1]})[one.graph.outputs[0]]
        assert np.allclose(got[at], alone[0], atol=1e-5)


def test_a_reshape_takes_the_batch_along():
    net = Network("reshaped", (1, 1, 8, 8))
    model = net.model(net.dense(net.build.reshape(net.input, newshape=(1, 64)), "fc", 10), "digits")
    assert pretrain(model, "digits", adapt_to="digits-rotated", epochs=4).pretrained["accuracy"] > 0.5


def test_what_cannot_be_pretrained_is_told():
    with pytest.raises(DataError, match="a sample of digits has 64 values"):
        pretrain(frontends.load("conv-relu"), "digits")
    with pytest.raises(DataError, match="no data set is called 'letters'"):
        pretrain(frontends.load("mlp"), "letters")
    with pytest.raises(DataError, match="none is left to pre-train on"):
        pretrain(frontends.load("mlp"), "digits", adapt_to="digits")
    with pytest.raises(DataError, match="at least one epoch"):
        pretrain(frontends.load("mlp"), "digits", epochs=0)
    with np.errstate(all="ignore"), pytest.raises(ModelError, match="stopped being a number"):
        pretrain(frontends.load("mlp"), "digits", lr=1e6)


def test_a_run_adapts_what_was_pretrained(lenet):
    """The firmware starts from the host's weights: accuracy before the first step is theirs."""
    run = session.run("lenet", pretrain="digits", data="digits-rotated", policy="last-1", steps=1, trace="off")
    assert run.meta["pretrained"] == lenet.pretrained
    samples = data.load("digits-rotated")
    before = held_out(lenet.with_batch(32), lenet.weights, samples, Objective())
    assert run.meta["accuracy"]["before"] == before.accuracy
    assert run.meta["held_out_loss"]["before"] == pytest.approx(before.loss, 1e-5)
    assert "digits: 718 samples × 12 epochs on the host  held-out 9" in run.summary()
