"""Data of one's own: layout, split and normalization, each against what was given; how it comes, and trains."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_files import Dataset, Y, as_given, batches, network, parts, write_images, write_wav

import workbench
from workbench.data import Normalize, Reading, fit, resolved
from workbench.data.normalize import found
from workbench.data.recordings import read_wav
from workbench.data.split import split
from workbench.errors import DataError
from workbench.feeding import Training, require_samples, with_data
from workbench.frontends.layers import Network as Layers
from workbench.frontends.loading import in_int8

RNG = np.random.default_rng(1)


# layout

LAYOUTS = [
    ((2, 5, 7), (2, 5, 7), False, "NCHW", (0, 1, 2)),
    ((2, 5, 7), (5, 7, 2), False, "NHWC", (2, 0, 1)),
    ((2, 5, 7), (2, 5, 7), True, "NCHW", (0, 1, 2)),  # a .tflite takes what lies otherwise too
    ((2, 5, 7), (5, 7, 2), True, "NHWC", (2, 0, 1)),
    ((3, 3, 3), (3, 3, 3), False, "NCHW", (0, 1, 2)),
    ((3, 3, 3), (3, 3, 3), True, "NHWC", (2, 0, 1)),  # both fit: as the network's file has it
    ((1, 5, 7), (5, 7), False, "NCHW", (0, 1)),
    ((2, 1, 7), (2, 7), False, "NCHW", (0, 1)),
    ((2, 1, 7), (7, 2), False, "NHWC", (1, 0)),
    ((2, 5, 7), (2, 5, 7), True, "NCHW", (0, 1, 2)),  # only that fits, whatever the file has
    ((7, 1, 7), (1, 7, 7), False, "NHWC", (2, 0, 1)),
    ((70,), (2, 5, 7), False, "", (0, 1, 2)),
]


@pytest.mark.parametrize(("takes", "shape", "nhwc", "layout", "axes"), LAYOUTS)
def test_x_comes_in_the_layout_that_its_shape_tells(takes, shape, nhwc, layout, axes):
    x = RNG.random((24, *shape), np.float32)
    data = as_given(x, network(takes, nhwc=nhwc))
    assert data.layout == layout
    assert np.array_equal(parts(data)[0], x.transpose(0, *(axis + 1 for axis in axes)).reshape(-1, *takes))


def test_a_row_of_values_is_in_the_order_of_the_network_s_file():
    x = RNG.random((24, 2, 5, 7), np.float32)
    assert np.array_equal(parts(as_given(x.reshape(24, -1), network((2, 5, 7))))[0], x)
    rows = x.transpose(0, 2, 3, 1).reshape(24, -1)
    assert np.array_equal(parts(as_given(rows, network((2, 5, 7), nhwc=True)))[0], x)


@pytest.mark.parametrize("shape", [(5, 2, 7), (2, 7, 5), (2, 5, 8), (71,)])
def test_what_fits_in_no_layout_is_refused(shape):
    with pytest.raises(DataError, match=r"a sample is .*; net takes \(2, 5, 7\)"):
        as_given(np.zeros((24, *shape)), network((2, 5, 7)))


def test_data_that_was_read_once_is_not_turned_again():
    x = RNG.random((24, 3, 3, 3), np.float32)
    once = as_given(x, network((3, 3, 3), nhwc=True))
    again = resolved(once, network((3, 3, 3), nhwc=True), Reading())
    assert np.array_equal(once.train_x, again.train_x) and once.record() == again.record()


# split


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=60),
    several=st.integers(1, 4),
    share=st.floats(0.05, 1),
    seed=st.integers(0, 99),
)
def test_a_split_is_of_each_class_alike_and_keeps_recordings_whole(labels, several, share, seed):
    recordings = np.array(labels)
    labels, groups = recordings.repeat(several), np.arange(len(recordings)).repeat(several)
    train, test = split(len(labels), labels, groups, share, seed)
    assert sorted([*train, *test]) == list(range(len(labels)))
    assert not set(groups[train]) & set(groups[test])
    for label in set(recordings.tolist()):
        there, held = (recordings == label).sum(), len(set(groups[test][labels[test] == label]))
        assert abs(held - there * (1 - share)) <= 1 and held < there
        assert held or there == 1 or share == 1
    again = split(len(labels), labels, groups, share, seed)
    assert all(map(np.array_equal, (train, test), again))


def test_the_seed_of_the_split_is_its_own():
    x = RNG.random((24, 16), np.float32)
    first, other = (resolved((x, Y), network(), Reading(split_seed=seed, split=0.5)) for seed in (0, 1))
    assert first.digest != other.digest and first.split == {"share": 0.5, "seed": 0, "by": ["class"]}
    assert np.bincount(first.train_y).tolist() == [4, 4, 4]


# normalization


@pytest.mark.parametrize("kind", ["unit", "standard"])
def test_a_normalization_is_found_on_the_training_part_alone(kind):
    x = RNG.normal(5, 3, (24, 2, 5, 7)).astype(np.float32)
    x[20:] *= 1000
    train, test = x[:20].astype(np.float64), x[20:].astype(np.float64)
    data = as_given(x, network((2, 5, 7)), normalize=kind)
    mean, scale = (0, np.abs(train).max()) if kind == "unit" else (
        train.mean((0, 2, 3), keepdims=True), train.std((0, 2, 3), keepdims=True))  # fmt: skip
    for got, part in ((data.train_x, train), (data.test_x, test)):
        assert got.dtype == np.float32 and np.allclose(got, (part - mean) / scale, rtol=1e-5, atol=1e-6)
    if kind == "standard":
        assert np.allclose(data.train_x.std((0, 2, 3)), 1, atol=1e-4)
    saved = Normalize.of_plain(json.loads(json.dumps(data.record()["normalize"])))
    assert saved == data.normalize and np.array_equal(saved.apply(x[20:]), data.test_x)


def test_a_value_that_never_changes_stays_finite():
    x = np.full((8, 3), 0.1, np.float32)
    assert np.allclose(found("standard", x).apply(x), 0, atol=1e-6)
    assert np.array_equal(found("unit", np.zeros((8, 3), np.float32)).apply(x), x)


USUAL = [
    (np.uint8, {}, "unit"), (np.float32, {}, "none"), (np.int64, {}, "none"),
    (np.uint8, {"dtype": "int8", "scale": 1 / 255, "zero_point": -128}, "unit"),
    (np.uint8, {"dtype": "int8", "scale": 1.0, "zero_point": -128}, "none"),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "kind", "usual"), USUAL)
def test_bytes_are_brought_to_one_unless_the_network_takes_them_as_they_are(dtype, kind, usual):
    x = np.arange(24 * 16).reshape(24, 16).astype(dtype)
    assert resolved((x, Y), network(**kind), Reading()).normalize.kind == usual


def test_what_an_int8_input_cannot_hold_is_counted():
    kind = {"dtype": "int8", "scale": 0.01, "zero_point": 0}
    x = np.full((24, 16), 0.5, np.float32)
    assert resolved((x, Y), network(**kind), Reading()).notes == ()
    x[3, :5], x[7, 0] = 1.3, -1.285  # the latter rounds to what there is
    (note,) = resolved((x, Y), network(**kind), Reading()).notes
    assert "data: 5 of 384 values (1.3 %) are clipped: the int8 input holds -1.28 to 1.27" in note
    stored = RNG.integers(-128, 128, (24, 16), np.int8)
    real = resolved((stored, Y), network(**kind), Reading()).train_x
    assert real.min() < -1.2 and not resolved((stored, Y), network(**kind), Reading()).notes


# how it comes


def test_what_never_ends_is_left_early(monkeypatch):
    monkeypatch.setattr("workbench.data.given.MOST_PARTS", 100)
    with pytest.raises(DataError, match="more than 100 parts"):
        Training(data=(np.zeros((1, 3)) for _ in iter(int, 1)))


def test_what_comes_once_is_read_once():
    x = RNG.random((24, 16), np.float32)
    options = Training(data=batches(x, Y))
    net = Layers("tiny", (2, 16))
    model = net.model(net.dense(net.input, "fc", 3), data=batches(x, Y))
    first, second, own = (require_samples(model, 1, how) for how in (options, options, Training()))
    assert first.digest == second.digest == own.digest and len(first.train_x) == 18


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (list(RNG.random((2, 4, 16))), "give a tuple"),
        ([], "data is empty"),
        (iter([]), "data is empty"),
        ([(np.zeros(3), 1), (np.zeros(4), 1)], r"parts do not fit each other: shapes \(3,\), \(4,\)"),
        (iter([np.zeros((2, 3)), (np.zeros((2, 3)), Y[:2])]), "part 1 is no pair"),
        ([(np.zeros(3), 1, 2)], "part 0 holds 3 things"),
        ([{"x": np.zeros(3), "y": 1}] * 3, "x holds object"),
        (iter([{"x": np.zeros((2, 3)), "y": Y[:2]}]), "part 0 is a dict of x, y"),
        (zip(np.zeros((9, 3)), Y[:9], strict=True), "what came are samples, not batches"),
        ((np.ma.masked_equal([[1, 2], [3, 4]], 3), Y[:2]), "x has masked values"),
        (np.array([object()]), "x holds object, not numbers"),
        (([[1, 2], [3]], [1, 2]), "x is no array"),
        (3.5, "data is 3.5"),
        (b"x.npz", "data is b'x.npz'"),
        ("no/such.npz", "no/such.npz is missing"),
        ("digts", "did you mean digits"),
    ],
)
def test_what_can_be_no_data_is_told(odd, words):
    with pytest.raises(DataError, match=words):
        Training(data=odd)


@pytest.mark.parametrize(
    "how", [{"split": 0}, {"split": 1.5}, {"split": "x"}, {"split_seed": -1}, {"normalize": "max"}, {"window": 0},
            {"hop": 2}, {"resize": 1}, {"label": ""}, {"label": 3}],
)  # fmt: skip
def test_readings_that_cannot_be_are_refused(how):
    with pytest.raises(DataError):
        Training(**how)


def test_data_goes_to_other_processes_and_back():
    data = resolved((RNG.random((24, 16)), Y), network(), Reading(normalize="standard"))
    again = pickle.loads(pickle.dumps(data))
    assert again.record() == data.record() and np.array_equal(again.train_x, data.train_x)
    assert json.loads(json.dumps(data.record())) == data.record()


def test_images_in_colour_or_grey_as_the_network_takes_them(tmp_path):
    pixels = RNG.integers(0, 256, (24, 4, 4, 3), np.uint8)
    folder = str(write_images(tmp_path / "rgb", pixels, Y))
    data = resolved(folder, network((3, 4, 4)), Reading(normalize="none"))
    assert (data.layout, data.names, data.notes) == ("NHWC", ("0", "1", "2"), ())
    first = pixels[Y == 0][0].transpose(2, 0, 1)
    assert any(np.array_equal(first, x) for x in parts(data)[0])
    grey = resolved(folder, network((1, 4, 4)), Reading())
    assert "24 of 24 images were RGB, taken as grey" in grey.notes[0] and grey.normalize.kind == "unit"
    small = resolved(folder, network((3, 2, 3)), Reading(resize=True))
    assert small.train_x.shape[1:] == (3, 2, 3) and "resized to 3×2" in small.notes[0]
    (tmp_path / "rgb" / "0" / "notes.txt").write_text("x")
    (tmp_path / "rgb" / ".hidden").write_text("x")
    assert "left out, for nothing reads it: 0/notes.txt" in resolved(folder, network((48,)), Reading()).notes[0]


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_sound_is_read_as_it_was_written(width, tmp_path):
    values = np.round(RNG.uniform(-1, 0.99, (2, 50)) * 128) / 128
    read, rate = read_wav(write_wav(tmp_path / "a" / "a.wav", values, width))
    assert rate == 8000 and read.dtype == np.float32 and np.array_equal(read, values)


def test_recordings_are_cut_and_stay_whole(tmp_path):
    for number in range(10):
        ramp = np.linspace(0, 0.4, 50 + number)[None] * (-1) ** (number % 2)
        write_wav(tmp_path / "d" / "ab"[number % 2] / f"{number}.wav", ramp)
    data = resolved(str(tmp_path / "d"), network((1, 1, 20), (2,)), Reading(window=20, hop=10, normalize="none"))
    assert len(data.train_x) == 32 and len(data.test_x) == 8  # four windows a recording
    assert data.split["by"] == ["class", "recording"]
    assert data.reading == {"normalize": "none", "window": 20, "hop": 10} and data.names == ("a", "b")
    assert all((x.sum() < 0) == y for x, y in zip(*parts(data), strict=True))
    trained, held = (
        {float(rise.round(3)) for rise in np.abs(x[:, 0, 0, -1] - x[:, 0, 0, 0])} for x in (data.train_x, data.test_x)
    )
    assert len(trained) == 8 and len(held) == 2 and not trained & held  # each recording has a slope of its own
    with pytest.raises(DataError, match=r"--window 20 cuts them"):
        resolved(str(tmp_path / "d"), network((1, 1, 20), (2,)), Reading())
    flat = resolved(str(tmp_path / "d"), network((20,), (2,)), Reading(window=20))
    assert flat.train_x.shape[1:] == (20,) and flat.normalize.kind == "unit"


def test_recordings_of_several_channels_in_tables(tmp_path):
    (tmp_path / "d" / "a").mkdir(parents=True)
    values = RNG.random((6, 9, 2))
    for number, recording in enumerate(values):
        text = "\n".join(["left,right", *(f"{a},{b}" for a, b in recording)])
        (tmp_path / "d" / "a" / f"{number}.csv").write_text(text)
    data = resolved(str(tmp_path / "d"), network((2, 1, 9), (18,)), Reading(label="none"))
    assert data.target == "input" and data.normalize.kind == "none"
    x = parts(data)[0]
    assert any(np.array_equal(x[0, :, 0], each.T.astype(np.float32)) for each in values)
    (tmp_path / "d" / "a" / "6.csv").write_text("1\n" * 9)
    with pytest.raises(DataError, match=r"6.csv has 1 channel; the ones before have 2"):
        resolved(str(tmp_path / "d"), network((2, 1, 9), (18,)), Reading(label="none"))


# in training


def tiny(**how):
    net = Layers("tiny", (2, 1, 4, 4))
    return net.model(net.dense(net.flatten(net.input), "fc", 3), **how)


def test_int8_is_calibrated_on_one_s_own_data():
    x = np.linspace(0, 255, 24 * 16).reshape(24, 16).astype(np.uint8)
    kind = in_int8(tiny(data=(x, Y))).graph.types["input0"]
    assert kind.scale == pytest.approx(1 / 255, rel=0.05) and kind.zero_point == -128
    made = in_int8(tiny())
    anew, options = with_data(made, Training(data=(100 * x.astype(np.float32), Y)), calibrate=True)
    assert anew.graph.types["input0"].scale == pytest.approx(100, rel=0.05)
    (note,) = options.data.notes  # nothing is clipped; as large as that, int8 learns no better than float32
    assert note == "data: inputs reach 2.55e+04; --normalize standard may help, as values of about 1 learn best"
    kept, options = with_data(made, Training(data=(100 * x.astype(np.float32), Y)))
    assert kept is made and "are clipped" in options.data.notes[0]


def test_hardly_any_clipped_value_is_nothing_to_tell():
    x, kind = np.zeros(10_000, np.float32), in_int8(tiny()).graph.types["input0"]
    x[:9] = 1e6
    assert fit.clipped(x, kind, "mine") is None
    x[:10] = 1e6
    assert "10 of 10,000 values (0.1 %) are clipped" in fit.clipped(x, kind, "mine")


def test_what_is_held_out_is_never_trained_on_before():
    """The field's samples, held out or trained on, are left out of those of the factory."""
    x = RNG.random((120, 16), np.float32)
    y = np.arange(120) % 3
    later = resolved((x[:40], y[:40]), tiny().wanted, Reading())
    earlier = resolved((x, y), tiny().wanted, Reading(split=1.0)).apart_from(later)
    rows = {row.tobytes() for row in x[:40]}
    assert len(earlier.train_x) == 80 and not rows & {row.tobytes() for row in earlier.train_x}
    model = workbench.pretrain(tiny(), (x, y), adapt_to=later, epochs=1, split=1.0 - 0.2)
    assert model.pretrained["data"] == "data" and model.pretrained["samples"] < 80


def test_a_data_of_one_s_own_is_checked_as_all_is():
    x = RNG.random((24, 4, 4), np.float32)
    data = workbench.Data("mine", x[:20], Y[:20], x[20:], Y[20:])
    done = resolved(data, tiny().wanted, Reading())
    assert done.train_x.shape == (20, 1, 4, 4) and done.classes == 3 and done.record()["source"] == "mine"
    for wrong, words in (
        ({"train_y": Y[:19]}, "train_x has 20 samples, train_y 19"),
        ({"train_x": x[:20] * np.nan}, "sample 0 of x holds NaN"),
        ({"test_y": Y[20:] + 1}, "labels up to 3, so 4 classes"),
        ({"test_y": Y[20:] + 0.5}, r"labels are whole numbers \(n,\)"),
    ):
        with pytest.raises(DataError, match=words):
            resolved(replace(data, **wrong), tiny().wanted, Reading())
    with pytest.raises(DataError, match="split and normalized already"):
        resolved(data, tiny().wanted, Reading(split=0.5))


def test_a_dataset_may_give_x_alone():
    data = resolved(Dataset(RNG.random((24, 16)), Y), network(), Reading())
    assert data.classes == 3
    rows = list(RNG.random((24, 16)))
    assert resolved(rows, network(outputs=(16,)), Reading()).target == "input"


@pytest.mark.parametrize(
    ("channels", "takes", "window"),
    [(1, (8, 8), 64), (1, (1, 8, 8), 64), (2, (2, 1, 9), 9), (2, (2, 9), 9), (2, (18,), 9), (3, (3, 4, 4), None),
     (2, (2, 1, 90), None)],
)  # fmt: skip
def test_recordings_that_are_too_long_are_told_which_window_fits(tmp_path, channels, takes, window):
    for number, name in enumerate(["hi", "lo"] * 2):
        write_wav(tmp_path / name / f"{number}.wav", RNG.uniform(-0.5, 0.5, (channels, 80)))
    with pytest.raises(DataError) as told:
        resolved(str(tmp_path), network(takes, (2,)), Reading())
    assert ("--window" in str(told.value)) == (window is not None)
    if window:
        assert f"--window {window} " in str(told.value)
        assert len(resolved(str(tmp_path), network(takes, (2,)), Reading(window=window)).train_x)


def test_a_network_from_tflite_takes_channels_last():
    assert replace(tiny(), source="a.TFLITE").wanted.nhwc and not tiny().wanted.nhwc


def test_the_cells_of_a_comparison_take_the_same_data(monkeypatch):
    """Of batches that can be read once; each cell as its process gets it."""
    from workbench.study import compare

    def one_by_one(work, queue, jobs, begun):
        yield from ((at, work(pickle.loads(pickle.dumps(job)))) for at, job in enumerate(queue))

    monkeypatch.setattr(compare, "in_processes", one_by_one)
    data = batches(RNG.random((24, 16), np.float32), Y)
    found = workbench.compare(tiny(), ["full", "last-1"], ["optimized"], data=data, split=0.5, steps=1, trace="off")
    first, second = (run.meta["data"] for run in found.runs)
    assert first == second and (first["train"], first["test"], first["split"]["share"]) == (12, 12, 0.5)
