"""Data made to do harm, or broken by chance, however it is named: one line on it, exit 1, and nothing is written."""

import io
import os
import pickle
import resource
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from own_files import write_images, write_wav
from PIL import Image, PngImagePlugin

from workbench.cli import main

MEMORY = 300 << 10  # KB that one command may take beside what the tests before it took
ESCAPE = "\x1b[2J\x1b]0;red\x07"
RNG = np.random.default_rng(0)
X, Y = RNG.random((20, 64), np.float32), np.arange(20) % 10
IMAGES = RNG.integers(0, 256, (6, 8, 8), np.uint8)
NAMES = ["cat", "cat", "cat", "dog", "dog", "dog"]
CASES = []


def case(words, *options):
    """Of a function that writes what `--data d…` is to read and gives its name. `words`: what is said."""
    return lambda make: CASES.append(pytest.param(make, words, options, id=make.__name__))


# .npz


def npz(**arrays):
    np.savez("d.npz", **arrays)
    return "d.npz"


def header(shape, dtype="<f4"):
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def archive(how=zipfile.ZIP_DEFLATED, **members):
    with zipfile.ZipFile("d.npz", "w", how) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return "d.npz"


class Harm:
    def __reduce__(self):
        return os.mkdir, ("harmed",)


@case("x.npy claims 244140.62 MB; it has 64 B")
def rows_beyond_number():
    return archive(x=header((10**9, 64)) + bytes(64))


@case("x.npy takes 4096 MB unpacked; 2048 MB are needed at most")
def zip_bomb():
    name = archive(x=header((10, 64)) + bytes(2560), y=bytes(8))
    content = bytearray(Path(name).read_bytes())
    at = content.find(b"PK\x01\x02")  # the archive's directory, which tells how long each member is unpacked
    content[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFFE)
    Path(name).write_bytes(content)
    return name


@case("x.npy claims 4096 MB; it has 1 MB")
def bomb_of_zeros():
    return archive(x=header((1 << 24, 64)) + bytes(1 << 20))


@case("y.npy holds Python objects, which are not read")
def pickle_inside():
    np.savez("d.npz", x=X)
    with zipfile.ZipFile("d.npz", "a") as file:
        file.writestr("y.npy", header((20,), "|O") + pickle.dumps(Harm()))
    return "d.npz"


@case("it is damaged: File is not a zip file")
def pickle_instead():
    with open("d.npz", "wb") as file:
        pickle.dump(Harm(), file)
    return "d.npz"


@case("d.npz has arrays called ../../harmed, /tmp/harmed")
def names_that_climb():
    return archive(**{"../../harmed": header((1,)) + bytes(4), "/tmp/harmed": b""})


@case("d.npz has arrays called \\x1b[2J\\x1b]0;red\\x07")
def names_that_escape():
    return archive(**{ESCAPE: b""})


@case("is not a whole .npz: it is damaged")
def cut_short():
    with open(npz(x=X, y=Y), "r+b") as file:
        file.truncate(3000)
    return "d.npz"


@case("d.npz: sample 7 of x holds NaN, 1 more samples too")
def no_number():
    x = X.copy()
    x[7, 3], x[9, 0] = np.nan, np.inf
    return npz(x=x, y=Y)


@case("d.npz: sample 2 of x holds a number beyond float32")
def too_large_a_number():
    x = X.astype(np.float64)
    x[2, 2] = 1e300
    return npz(x=x, y=Y)


@case("d.npz has labels up to 12, so 13 classes; mlp tells 10")
def too_many_classes():
    return npz(x=X, y=np.arange(20) % 13)


@case("d.npz has labels up to 10, so 11 classes, counted from 0; mlp tells 10")
def classes_from_one():
    return npz(x=X, y=Y + 1)


@case("d.npz: sample 4 has the label -1")
def negative_label():
    return npz(x=X, y=np.where(np.arange(20) == 4, -1, Y))


@case("d.npz: a target is 1 value; mlp gives 10 values in a row")
def labels_between():
    return npz(x=X, y=Y + 0.5)


@case("d.npz: every sample is of one class, 3")
def one_class():
    return npz(x=X, y=np.full(20, 3))


@case("d.npz: x has 20 samples, y 19")
def lengths_differ():
    return npz(x=X, y=Y[:19])


@case("d.npz is empty: it has no samples")
def no_samples():
    return npz(x=X[:0], y=Y[:0])


@case("d.npz: a sample is 63 values in a row; mlp takes 64 values in a row")
def wrong_shape():
    return npz(x=X[:, :63], y=Y)


@case("d.npz: x holds complex64, not numbers")
def complex_numbers():
    return npz(x=X + 1j, y=Y)


@case("has a part to test on already", "--split", "0.5")
def split_twice():
    return npz(train_x=X, train_y=Y, test_x=X, test_y=Y)


# .csv


def csv(text):
    with open("d.csv", "w") as file:
        file.write(text)
    return "d.csv"


@case("d.csv: line 3 has 3 values; the first has 65")
def ragged():
    return csv(f"{','.join(['1'] * 65)}\n{','.join(['2'] * 65)}\n1,2,3\n")


@case("d.csv: line 2, column 2: 'x' is no number")
def a_word_among_numbers():
    return csv(f"{','.join(['1'] * 65)}\n1,x,{','.join(['2'] * 63)}\n")


@case("d.csv: line 2, column p1: 'nan' is no number")
def nan_in_a_table():
    return csv(f"{','.join(f'p{n}' for n in range(65))}\n0,nan,{','.join(['2'] * 63)}\n")


@case("d.csv has no column called 'nme'", "--label", "nme")
def no_such_column():
    return csv(f"{','.join(f'p{n}' for n in range(64))},name\n{','.join(['2'] * 65)}\n")


@case("d.csv is empty: it has no row")
def empty_table():
    return csv("")


@case("d.csv is empty: it has no row of values")
def names_alone():
    return csv("a,b,c\n")


@case("d.csv: it is not text: byte 0 is no UTF-8")
def bytes_called_csv():
    with open("d.csv", "wb") as file:
        file.write(b"\xff\xfe" + bytes(range(256)))
    return "d.csv"


@case("d.csv is no table: line 1: field larger than field limit")
def one_giant_cell():
    return csv(f'"{"1" * 200_000}')


@case("d.csv is empty")
def a_folder_called_csv():
    os.mkdir("d.csv")
    return "d.csv"


@case("d.csv: it is a pipe or a device, not a file")
def a_pipe():
    os.mkfifo("d.csv")
    return "d.csv"


@case("it has 1048576 MB; at most 1024 MB of such a file are read")
def a_sparse_terabyte():
    with open("d.csv", "wb") as file:
        file.truncate(1 << 40)
    return "d.csv"


# images


def images(x=IMAGES, y=NAMES):
    write_images(Path("d"), x, y)
    return "d"


def overwritten(name, content):
    with open(f"{images()}/{name}", "wb") as file:
        file.write(content)
    return "d"


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@case("d/dog/9.png is 9×8; the others are 8×8")
def another_size():
    images()
    Image.new("L", (9, 8)).save("d/dog/9.png")
    return "d"


@case("d/cat/0.png is 9×9; the network takes 8×8")
def all_of_another_size():
    return images(np.zeros((6, 9, 9), np.uint8))


@case("d/dog/4.png is no PNG or JPEG picture")
def text_called_png():
    return overwritten("dog/4.png", b"not a picture")


@case("d/cat/1.png is damaged: ")
def cut_short_picture():
    stored = io.BytesIO()
    Image.fromarray(IMAGES[0]).save(stored, "PNG")
    return overwritten("cat/1.png", stored.getvalue()[:60])


@case("d/cat/1.png is damaged: Image size (3600000000 pixels) exceeds limit")
def a_giant_picture():
    size = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    return overwritten("cat/1.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"0")))


@case("d/cat/1.png is damaged: Decompressed data too large")
def a_text_bomb():
    told, stored = PngImagePlugin.PngInfo(), io.BytesIO()
    told.add_text("a", "0" * (1 << 25), zip=True)
    Image.fromarray(IMAGES[0]).save(stored, "PNG", pnginfo=told)
    return overwritten("cat/1.png", stored.getvalue())


@case("d/cat/1.png has I;16 pixels; of 8 bits each are read")
def wide_pixels():
    images()
    Image.fromarray(IMAGES[0].astype(np.uint16)).save("d/cat/1.png")
    return "d"


@case("d holds files of different kinds: d/cat/0.png and d/dog/0.wav")
def mixed_kinds():
    images()
    write_wav(Path("d/dog/0.wav"), np.zeros((1, 64)))
    return "d"


@case("d holds files beside its folders: 0.png")
def files_beside_folders():
    images()
    os.rename("d/cat/0.png", "d/0.png")
    return "d"


@case("d is empty")
def empty_folder():
    os.mkdir("d")
    return "d"


@case("d/dog holds no samples")
def empty_class():
    images(y=["cat"] * 6)
    os.mkdir("d/dog")
    return "d"


@case("Too many levels of symbolic links")
def a_loop():
    os.symlink("d", "d")
    return "d"


@case("d/round holds no samples")
def a_loop_of_folders():
    images()
    os.symlink(".", "d/round")
    return "d"


@case("Too many levels of symbolic links")
def a_picture_that_is_a_loop():
    images()
    os.symlink("7.png", "d/cat/7.png")
    return "d"


@case("d/cat/7.png: it is a pipe or a device, not a file")
def a_device_among_pictures():
    images()
    os.symlink("/dev/zero", "d/cat/7.png")
    return "d"


@case("d/\\x1b[2J\\x1b]0;red\\x07/0.png is 9×9")
def a_class_that_escapes():
    return images(np.zeros((6, 9, 9), np.uint8), [ESCAPE] * 3 + ["dog"] * 3)


@case("d: every sample is of one class, 'cat'")
def one_folder_of_one_class():
    return images(y=["cat"] * 6)


# recordings


def recordings(*lengths, broken=b"", width=2):
    for number, length in enumerate(lengths):
        write_wav(Path(f"d/{'ab'[number % 2]}/{number}.wav"), np.zeros((1, length)), width)
    if broken:
        with open("d/a/0.wav", "wb") as file:
            file.write(broken)
    return "d"


def whole_wav():
    recordings(64, 64)
    with open("d/a/0.wav", "rb") as file:
        return file.read()


@case("d/a/0.wav is cut short: it claims 64 values, 28 are there")
def cut_short_sound():
    return recordings(64, 64, broken=whole_wav()[:100])


@case("d/a/0.wav is no whole .wav: it ends too soon")
def no_more_than_a_name():
    return recordings(64, 64, broken=b"RIFF")


@case("d/a/0.wav is no .wav of PCM: unknown format: 3")
def sound_of_floats():
    return recordings(64, 64, broken=whole_wav().replace(b"fmt \x10\0\0\0\x01", b"fmt \x10\0\0\0\x03"))


@case("d/b/1.wav has 63 values; the ones before have 64")
def lengths_of_all_kinds():
    return recordings(64, 63)


@case("d/b/1.wav has 63 values, less than a window of 64", "--window", "64")
def shorter_than_the_window():
    return recordings(64, 63)


@case("windows are cut from recordings", "--window", "64")
def windows_of_pictures():
    return images()


@case("d/a/0.csv: line 2 has 1 values; the first has 2")
def ragged_recording():
    os.makedirs("d/a")
    csv("1,2\n3\n")
    os.rename("d.csv", "d/a/0.csv")
    return "d"


# whatever else


@case("d.txt: no data is read from .txt files")
def another_ending():
    with open("d.txt", "w") as file:
        file.write("1,2,3")
    return "d.txt"


@case("d.npz is missing")
def nothing_there():
    return "d.npz"


@case("d\\x00.npz is missing")
def a_name_that_is_none():
    return "d\0.npz"


@case("data is what no file can be called")
def a_name_too_long():
    return "d" * 300


@pytest.mark.parametrize(("make", "words", "options"), CASES)
def test_hostile_data_is_refused_in_a_line(make, words, options, tmp_path, monkeypatch, capsys):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    name = make()
    there, before = set(tmp_path.rglob("*")), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert main(["run", "mlp", "--steps", "1", "--data", name, *options]) == 1
    out, err = capsys.readouterr()
    assert words in err and out == ""
    lines = err.rstrip("\n").split("\n")
    assert len(lines) <= 2 and lines[0].startswith("error: ") and all(line.isprintable() for line in lines)
    assert max(map(len, lines)) < 1200 and (len(lines) == 1 or lines[1].startswith("  help: "))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY
    assert set(tmp_path.rglob("*")) == there
