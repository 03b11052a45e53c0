"""What belongs to each sample: labels, names, numbers, the input itself; and what cannot be learned is told."""

from dataclasses import replace

import numpy as np
import pytest
from own_files import Y, network, parts, write_csv

import workbench
from workbench.data import Reading, resolved
from workbench.errors import DataError
from workbench.frontends.layers import Network as Layers

RNG = np.random.default_rng(2)


def test_names_are_classes_in_the_order_of_what_they_count():
    names = np.array(["10", "9", "a"])[Y]
    data = resolved((np.arange(24 * 16).reshape(24, 16), names), network((16,)), Reading())
    assert data.names == ("9", "10", "a") and data.classes == 3 and data.train_y.dtype == np.int32
    x, y = parts(data)
    assert [data.names[label] for label in y] == [names[int(row[0]) // 16] for row in x]


VALUES = RNG.random((24, 3))
TARGETS = [
    (Y, None, "labels", 3),
    (Y.astype(np.uint8).reshape(24, 1), None, "labels", 3),
    (Y == 1, None, "labels", 2),
    (np.array([["a"], ["b"], ["c"]])[Y], None, "labels", 3),
    (VALUES, None, "values", None),
    (VALUES, "bce", "values", None),
    (np.eye(3, dtype=np.int64)[Y], "mse", "values", None),
]


@pytest.mark.parametrize(("y", "loss", "target", "classes"), TARGETS)
def test_targets_are_what_their_type_and_the_loss_say(y, loss, target, classes):
    data = resolved((RNG.random((24, 16)), y), network(), Reading(), loss)
    assert (data.target, data.classes) == (target, classes)
    assert data.train_y.dtype == (np.int32 if target == "labels" else np.float32)
    assert len(data.train_y) == len(data.train_x)


def test_whole_numbers_in_one_column_are_classes_unless_the_loss_takes_numbers(tmp_path):
    path = str(write_csv(tmp_path / "a.csv", RNG.random((24, 16)), Y))
    assert resolved(path, network(), Reading()).target == "labels"
    data = resolved(path, network(outputs=(1,)), Reading(), "mse")
    assert data.target == "values" and sorted(parts(data)[1].ravel()) == sorted(Y)
    assert resolved(path, network((17,), (17,)), Reading(label="none")).target == "input"
    several = write_csv(tmp_path / "b.csv", RNG.random((24, 4)), Y, "a,b,c,d,e")
    data = resolved(str(several), network((3,), (2,)), Reading(label="b,e"))
    assert data.target == "values" and data.train_y.shape[1:] == (2,)


def test_targets_that_are_images_come_in_either_layout():
    """And once they are arranged, they stay so, though both layouts fit a file's network."""
    x = RNG.random((24, 2, 5, 7), np.float32)
    turned = np.moveaxis(x, 1, -1)
    for nhwc in (False, True):
        takes = network((2, 5, 7), (2, 5, 7), nhwc)
        for pair in ((x, x / 2), (turned, turned / 2), (turned, x / 2)):
            data = resolved(pair, takes, Reading(split=1.0))
            assert np.array_equal(data.train_y, data.train_x / 2) and np.array_equal(data.train_x, x)
        mine = resolved(workbench.Data("mine", *[turned, turned / 2] * 2, target="values"), takes, Reading())
        assert np.array_equal(mine.test_y, x / 2)
    square, takes = RNG.random((24, 3, 3, 3), np.float32), network((3, 3, 3), (3, 3, 3), nhwc=True)
    data = resolved((square, square / 2), takes, Reading(split=1.0))
    again = resolved(resolved(data, takes, Reading()), takes, Reading())
    assert np.array_equal(again.train_y, again.train_x / 2) and np.array_equal(
        again.train_x, np.moveaxis(square, -1, 1)
    )
    with pytest.raises(DataError, match="the axes stand in another order"):
        resolved((x, x.reshape(24, 7, 5, 2)), network((2, 5, 7), (2, 5, 7)), Reading())


def test_labels_of_one_part_alone_are_not_left_out_in_silence():
    x = RNG.random((24, 16))
    for labelled in ("train_y", "test_y"):
        with pytest.raises(DataError, match=f"data has {labelled}, but no labels of the other part"):
            resolved({"train_x": x, "test_x": x, labelled: Y}, network(outputs=(16,)), Reading())


TABLES = [  # the first row, how many samples there are, what is said
    ("p,q,l", {}, 6, ""), (",q,l", {}, 6, ""), ("1,2,a", {}, 7, ""), ("1,2,l", {"label": "l"}, 6, ""),
    ("1,2,0", {"label": "none"}, 0, "line 2, column 3: 'a' is no number"), ("p,2,l", {"label": "l"}, 6, ""),
    ("1,,a", {}, 0, "line 1, column 2: '' is no number"), ("1,?,a", {}, 0, "line 1, column 2: '\\?' is no number"),
    ("nan,nan,a", {}, 0, "line 1, column 1: 'nan' is no number"), ("1,2,l", {"label": "m"}, 0, "no row of names"),
]  # fmt: skip


@pytest.mark.parametrize(("first", "how", "count", "words"), TABLES)
def test_a_first_row_is_names_or_a_sample_and_never_passed_over(first, how, count, words, tmp_path):
    (tmp_path / "a.csv").write_text("\n".join([first, *["3,4,a", "5,6,b"] * 3]))
    take = network((2,))
    if words:
        with pytest.raises(DataError, match=words):
            resolved(str(tmp_path / "a.csv"), take, Reading(**how))
    else:
        data = resolved(str(tmp_path / "a.csv"), take, Reading(**how))
        assert len(data.train_x) + len(data.test_x) == count and data.names == ("a", "b")


def test_columns_named_by_numbers_are_no_sample(tmp_path):
    (tmp_path / "a.csv").write_text("0,1,species\n" + "3,4,0\n5,6,1\n" * 3)
    with pytest.raises(DataError, match=r"the first label is 'species', all others are numbers\n.*--label species"):
        resolved(str(tmp_path / "a.csv"), network((2,)), Reading())
    assert resolved(str(tmp_path / "a.csv"), network((2,)), Reading(label="species")).classes == 2


def test_x_alone_is_its_own_target():
    for alone in (RNG.random((24, 4, 4)), {"x": RNG.random((24, 16))}):
        data = resolved(alone, network(outputs=(16,)), Reading())
        assert data.target == "input" and data.train_y.shape == (len(data.train_x), 0)
    labelled = resolved((RNG.random((24, 16)), Y), network(outputs=(1, 4, 4)), Reading(label="none"))
    assert labelled.target == "input"
    autoencoder = replace(network((16,), (16,)), repeats=True)  # labels are left out, whichever way they come
    for each in ((RNG.random((24, 16)), Y), workbench.Data("mine", *[RNG.random((9, 16), np.float32), Y[:9]] * 2)):
        data = resolved(each, autoencoder, Reading())
        assert (data.target, data.train_y.shape, data.classes) == ("input", (len(data.train_x), 0), None)
        assert resolved(each, autoencoder, Reading(), "cross-entropy").target == "labels"
    of_a_file = replace(network((2, 2, 4), (16,)), nhwc=True)  # its output lies in another order than its input
    with pytest.raises(DataError, match="cannot be the target"):
        resolved(RNG.random((24, 2, 4, 2)), of_a_file, Reading())


def test_as_many_classes_as_outputs_are_classes_though_the_output_is_like_the_input():
    """Two features, two classes: no autoencoder; one value in, one out, whole numbers as targets: none either."""
    x, model = RNG.random((24, 3), np.float32), Layers("three", input_shape=(1, 3))
    wanted = model.model(model.dense(model.input, "fc", 3)).wanted
    for y in (Y, np.array(["cat", "dog", "owl"])[Y]):
        assert resolved((x, y), wanted, Reading()).target == "labels"
        assert resolved((x, y), wanted, Reading(label="none")).target == "input"
    assert resolved(workbench.Data("mine", *[x, Y] * 2), wanted, Reading()).target == "labels"
    assert (
        resolved((x, Y % 2), wanted, Reading()).target == resolved((x, Y), wanted, Reading(), "mse").target == "input"
    )
    one = Layers("one", input_shape=(1, 1))
    wanted = one.model(one.dense(one.input, "fc", 1)).wanted
    for each in ((x[:, :1], 2 * Y), workbench.Data("mine", *[x[:, :1], 2 * Y] * 2)):
        data = resolved(each, wanted, Reading(), "mse")
        assert data.target == "values" and set(np.unique(data.train_y)) == {0.0, 2.0, 4.0}
        with pytest.raises(DataError, match=r"(?s)so 5 classes.*--loss mse"):
            resolved(each, wanted, Reading())


@pytest.mark.parametrize("nhwc", [True, False])
def test_targets_that_are_images_lie_as_the_input_does(nhwc):
    """Also where both layouts fit, and where they come a second time."""
    for shape in ((3, 4, 5), (3, 3, 3)):
        y = RNG.random((24, *shape), np.float32)
        given = y.transpose(0, 2, 3, 1) if nhwc else y
        take = network(outputs=shape, nhwc=nhwc)
        x = RNG.random((24, 16))
        data = resolved((x[:20], given[:20], x[20:], given[20:]), take, Reading())
        again = resolved(data, take, Reading())
        rows = resolved((x, given.reshape(24, -1), x, given.reshape(24, -1)), take, Reading())
        assert all(np.array_equal(each, y[:20]) for each in (data.train_y, again.train_y, rows.train_y[:20]))


def test_every_part_of_the_data_is_in_its_digest():
    arrays = [RNG.random((20, 16), np.float32), Y[:20], RNG.random((4, 16), np.float32), Y[20:]]
    digests = {resolved(tuple(arrays), network(), Reading()).digest}
    for at in range(4):
        changed = [each.copy() for each in arrays]
        changed[at][1] = (changed[at][1] + 1) % 3
        digests.add(resolved(tuple(changed), network(), Reading()).digest)
    assert len(digests) == 5


REFUSED = [
    ((VALUES * 2, "bce"), "has a target beyond 0 and 1"),
    ((np.array(["a", "b", "c"])[Y], "mse"), "y holds names such as 'a'; the loss mse takes numbers"),
    ((Y, "mse"), "a target is 1 .*\n.*without --loss they are class labels"),
    ((np.eye(3)[Y], "cross-entropy"), "takes one label a sample\n.*argmax"),
    ((VALUES[:, :2], None), "a target is 2 values in a row; net gives 3"),
    ((Y.astype(float), None), "a target is 1 .*\n.*y.astype"),
    ((np.where(Y, VALUES[:, 0], np.nan)[:, None].repeat(3, 1), None), "sample 0 of y holds NaN"),
]


@pytest.mark.parametrize(("case", "words"), REFUSED)
def test_targets_that_cannot_be_learned_are_refused(case, words):
    y, loss = case
    with pytest.raises(DataError, match=words):
        resolved((RNG.random((24, 16)), y), network(), Reading(), loss)
