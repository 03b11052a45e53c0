"""New data for a run: read, named and normalized as what it was trained on, however that came."""

import json
from dataclasses import replace

import numpy as np
import pytest
from own_files import write_csv, write_images, write_wav

from workbench.data import Data, Network, Reading, as_seen, load, resolved
from workbench.errors import DataError
from workbench.ir.types import TensorType

RNG = np.random.default_rng(1)
Y = np.arange(24) % 3
NAMES = np.array(["cat", "dog", "owl"])
WANTED = Network("net", TensorType((1, 1, 4, 4)), (3,))


def record(data):
    """What run.json tells of it."""
    return json.loads(json.dumps(data.record()))


def test_new_data_is_read_as_the_run_s_was(tmp_path):
    x, names = RNG.normal(3, 2, (24, 16)), np.array(["cat", "dog", "owl"])[Y]
    data = resolved((x, names), WANTED, Reading(normalize="standard"))
    told = json.loads(json.dumps(data.record()))
    np.savez(tmp_path / "new.npz", x=x[5:9], y=names[5:9])
    new = as_seen(str(tmp_path / "new.npz"), WANTED, told, data.names)
    assert len(new.train_x) == 0 and new.test_y.tolist() == Y[5:9].tolist()
    assert np.array_equal(new.test_x, data.normalize.apply(x[5:9].astype(np.float32).reshape(-1, 1, 4, 4)))
    alone = as_seen(x[5:6], WANTED, told, data.names)
    assert alone.target == "input" and np.array_equal(alone.test_x, new.test_x[:1])
    one_class = as_seen((x[:1], names[:1]), WANTED, told, data.names)
    assert one_class.test_y.tolist() == [0]
    with pytest.raises(DataError, match="no class is called 'cow'"):
        as_seen((x[:1], np.array(["cow"])), WANTED, told, data.names)
    assert len(as_seen("digits", Network("n", TensorType((1, 64)), (10,)), {}).test_x) == len(load("digits").test_x)


def test_a_folder_s_class_is_its_name_whichever_classes_are_there(tmp_path):
    x = RNG.integers(0, 256, (24, 4, 4)).astype(np.uint8)
    data = resolved(str(write_images(tmp_path / "all", x, NAMES[Y])), WANTED, Reading())
    some = write_images(tmp_path / "some", x[Y > 0], NAMES[Y[Y > 0]])
    new = as_seen(str(some), WANTED, record(data), data.names)
    assert new.names == data.names and new.test_y.tolist() == [1] * 8 + [2] * 8
    one = write_images(tmp_path / "one", x[Y == 2], NAMES[Y[Y == 2]])
    assert as_seen(str(one), WANTED, record(data), data.names).test_y.tolist() == [2] * 8
    other = write_images(tmp_path / "other", x[:2], ["cat", "cow"])
    with pytest.raises(DataError, match="no class is called 'cow'"):
        as_seen(str(other), WANTED, record(data), data.names)


def test_what_a_run_s_files_asked_for_is_not_asked_of_arrays(tmp_path):
    for number, name in enumerate(["hi", "lo"] * 3):
        write_wav(tmp_path / "wavs" / name / f"{number}.wav", RNG.uniform(-0.5, 0.5, (1, 40)))
    net = Network("net", TensorType((1, 16)), (2,))
    data = resolved(str(tmp_path / "wavs"), net, Reading(window=16, hop=8))
    told, x = record(data), RNG.random((5, 16))
    assert told["reading"] == {"window": 16, "hop": 8}
    assert np.array_equal(as_seen(x, net, told, data.names).test_x, data.normalize.apply(x.astype(np.float32)))
    table = str(write_csv(tmp_path / "new.csv", x, ["lo"] * 5))
    assert as_seen(table, net, told, data.names).test_y.tolist() == [1] * 5
    again = as_seen(str(tmp_path / "wavs"), net, told, data.names, Reading(label="none"))  # in windows as before
    assert len(again.test_x) == 4 * 6 and again.target == "input"

    named = str(write_csv(tmp_path / "train.csv", RNG.random((24, 16)), Y, ",".join([*"abcdefghijklmnop", "kind"])))
    told = record(resolved(named, net_of_three := replace(net, output=(3,)), Reading(label="kind")))
    assert len(as_seen(x, net_of_three, told).test_x) == 5
    assert as_seen(named, net_of_three, told).test_y.tolist() == Y.tolist()


@pytest.mark.parametrize("asked", [{"split": 0.5}, {"split_seed": 1}, {"normalize": "unit"}])
def test_what_makes_no_sense_of_new_data_is_refused(asked):
    told = record(resolved((RNG.random((24, 16)), Y), WANTED, Reading()))
    with pytest.raises(DataError, match="leave out --"):
        as_seen(RNG.random((5, 16)), WANTED, told, reading=Reading(**asked))


def test_labels_are_left_out_or_numbers_as_in_training():
    """A set by name, a Data, arrays: what was no class when it was trained on is none when it is predicted."""
    digits = load("digits")
    repeats = Network("net", TensorType((1, 64)), (64,), repeats=True)
    one = Network("net", TensorType((1, 64)), (1,))
    for given in ("digits", digits, (digits.test_x, digits.test_y)):
        assert as_seen(given, repeats, {}, loss="mse").target == "input"
        number = as_seen(given, one, {}, loss="mse")
        assert number.target == "values" and np.array_equal(number.test_y[:, 0], digits.test_y)
    with pytest.raises(DataError, match=r"mse takes numbers of the output's shape, \(10,\)"):
        as_seen(Data("mine", *[digits.test_x, digits.test_y] * 2), replace(one, output=(10,)), {}, loss="mse")
