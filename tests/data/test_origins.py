"""Where each held-out sample came from: a file, a line of a table, a piece of a recording, its number in an array."""

import numpy as np
from own_files import Dataset, write_csv, write_images, write_wav

from workbench.data import Network, Reading, as_seen, resolved
from workbench.ir.types import TensorType

RNG = np.random.default_rng(4)
Y = np.arange(20) % 2


def network(*shape):
    return Network("net", TensorType((1, *shape)), (2,))


def test_a_row_of_a_table_is_its_line(tmp_path):
    x = np.arange(20.0).reshape(20, 1) * [1, 10]
    data = resolved(str(write_csv(tmp_path / "a.csv", x, Y, "p,q,l")), network(2), Reading())
    assert list(data.origins) == [f"line {int(row[0]) + 2}" for row in data.test_x]  # the first is one of names


def test_an_image_is_its_file(tmp_path):
    x = (np.arange(20, dtype=np.uint8)[:, None, None] * np.ones((4, 4), np.uint8)).astype(np.uint8)
    folder = write_images(tmp_path / "of", x, np.array(["cat", "dog"])[Y])
    data = resolved(str(folder), network(1, 4, 4), Reading(normalize="none"))
    assert list(data.origins) == [f"{['cat', 'dog'][int(y)]}/{int(image[0, 0, 0])}.png"
                                  for image, y in zip(data.test_x, data.test_y, strict=True)]  # fmt: skip
    assert set(as_seen(str(folder), network(1, 4, 4), None).origins) > set(data.origins)


def test_a_piece_is_its_recording_and_where_it_begins(tmp_path):
    for number in range(4):
        write_wav(tmp_path / "ab"[number % 2] / f"{number}.wav", (np.arange(50) / 64 - 0.4)[None])
    data = resolved(str(tmp_path), network(1, 1, 20), Reading(window=20, hop=15, normalize="none"))
    begins = np.rint((data.test_x[:, 0, 0, 0] + 0.4) * 64).astype(int)
    files = {0: ("a/0.wav", "a/2.wav"), 1: ("b/1.wav", "b/3.wav")}
    for origin, begin, y in zip(data.origins, begins, data.test_y, strict=True):
        assert origin in [f"{file} from {begin}" for file in files[int(y)]]


def test_what_is_in_memory_is_its_number_in_its_part():
    x = np.arange(20.0)[:, None] * [1, 1]
    data = resolved((x, Y), network(2), Reading())
    assert list(data.origins) == [str(int(row[0])) for row in data.test_x]
    assert resolved((x, Y, x[:3], Y[:3]), network(2), Reading()).origins == ("0", "1", "2")
    assert as_seen(x[5:7], network(2), None).origins == ("0", "1")


def test_two_datasets_are_one_to_train_on_and_one_to_test():
    x = RNG.random((20, 2)).astype(np.float32)
    two = resolved((Dataset(x[:15], Y[:15]), Dataset(x[15:], Y[15:])), network(2), Reading())
    assert two.digest == resolved((x[:15], Y[:15], x[15:], Y[15:]), network(2), Reading()).digest
