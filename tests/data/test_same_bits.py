"""The same samples by whichever way they come give the same bits of trained weights."""

import re

import numpy as np
import pytest
from own_files import Dataset, batches, write_csv, write_images

import workbench
from workbench import boards, session
from workbench.cli import main
from workbench.data import load
from workbench.feeding import Training
from workbench.frontends.layers import Network

RNG = np.random.default_rng(5)
X, Y = RNG.integers(0, 200, (30, 4, 4), np.uint8), RNG.permutation(np.repeat([0, 1, 2], 10))


@pytest.fixture(scope="module")
def built():
    net = Network("tiny", (2, 1, 4, 4))
    return session.build(session.compile(net.model(net.dense(net.flatten(net.input), "fc", 3))), boards.get("nrf52840"))


def npz(folder):
    np.savez(folder / "a.npz", x=X, y=Y)
    return folder / "a.npz"


def compressed(folder):
    np.savez_compressed(folder / "a.npz", x=X[..., None].astype(np.int64), y=Y)
    return folder / "a.npz"


FORMS = {
    "npz": (npz, {}),
    "compressed-npz-of-int64": (compressed, {"normalize": "unit"}),
    "csv": (lambda folder: write_csv(folder / "a.csv", X, Y), {"normalize": "unit"}),
    "csv-with-names": (
        lambda folder: write_csv(folder / "a.csv", X, Y, ";".join([*map("p{}".format, range(16)), "class"]), ";"),
        {"normalize": "unit", "label": "class"},
    ),
    "folder": (lambda folder: write_images(folder / "digits", X, Y), {}),
    "dataset": (lambda folder: Dataset(X, Y), {}),
    "list": (lambda folder: list(zip(X, Y, strict=True)), {}),
    "batches": (lambda folder: batches(X, Y), {}),
    "flat": (lambda folder: (X.reshape(30, 16), Y.reshape(30, 1)), {}),
    "mapping": (lambda folder: {"x": X, "y": Y.astype(np.uint8)}, {}),
    "other-order": (lambda folder: (X[np.argsort(Y, kind="stable")], np.sort(Y)), {}),
    "floats": (lambda folder: (X.astype(np.float64), Y), {"normalize": "unit"}),
}


def trained(built, data, **how):
    run, weights = session.train(built, Training(data=data, steps=4, trace="off", evaluate=False, **how))
    return run.meta, {name: values.tobytes() for name, values in weights.items()}


@pytest.fixture(scope="module")
def by_tuple(built):
    return trained(built, (X, Y))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_bits(built, by_tuple, form, tmp_path):
    make, how = FORMS[form]
    meta, weights = trained(built, make(tmp_path), **how)
    assert meta["data"]["digest"] == by_tuple[0]["data"]["digest"]
    assert meta["loss"] == by_tuple[0]["loss"] and weights == by_tuple[1]


def test_another_split_gives_others_and_another_seed_the_same_split(built, by_tuple):
    digest = by_tuple[0]["data"]["digest"]
    assert trained(built, (X, Y), split_seed=1)[0]["data"]["digest"] != digest
    meta, weights = trained(built, (X, Y), seed=1)
    assert meta["data"]["digest"] == digest and weights != by_tuple[1]


def test_parts_that_are_given_stay_as_they_are(built, by_tuple):
    """The parts of the split that was made, given as parts: trained on in another order, but the same samples."""
    found = workbench.Data("mine", X[:20].astype(np.float32), Y[:20], X[20:].astype(np.float32), Y[20:])
    meta, weights = trained(built, found)
    other, same = trained(built, (X[:20], Y[:20], X[20:], Y[20:]), normalize="none")
    assert weights == same and meta["data"]["digest"] == other["data"]["digest"]
    assert (other["data"]["train"], other["data"]["test"], other["data"]["split"]) == (20, 10, None)


def test_the_command_line_s_too(tmp_path, monkeypatch, capsys):
    """Of mlp, whose firmware other tests build."""
    monkeypatch.chdir(tmp_path)
    digits = load("digits")
    x, y = (digits.test_x[:40, 0] * 16).astype(np.uint8), digits.test_y[:40]
    np.savez("a.npz", x=x, y=y)
    write_images(tmp_path / "folder", x, y)
    write_csv(tmp_path / "a.csv", x, y)
    for name, *how in (["a.npz"], ["folder"], ["a.csv", "--normalize", "unit"]):
        assert main(["run", "mlp", "--steps", "2", "--trace", "off", "--data", name, *how,
                     "--save-weights", f"{name}-weights.npz"]) == 0  # fmt: skip
        told = re.search(rf"^data +{name}: (\d+) to train on, (\d+) held out \(0.8, by class, seed 0\) .* unit",
                         capsys.readouterr().out, re.M)  # fmt: skip
        assert int(told[1]) + int(told[2]) == 40
    one, *others = (dict(np.load(f"{name}-weights.npz")) for name in ("a.npz", "folder", "a.csv"))
    assert all(np.array_equal(other[name], values) for other in others for name, values in one.items())
