"""Hostile and broken .npz and .csv files, and names that no data has."""

import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
from hostile import ESCAPE, collected

X, Y = np.random.default_rng(0).random((20, 64), np.float32), np.arange(20) % 10
CASES, case = collected(with_options=True)


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
