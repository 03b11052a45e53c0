"""Hostile and broken folders of images and of recordings."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from hostile import ESCAPE, collected
from hostile_tables import csv
from own_files import write_images, write_wav
from PIL import Image, PngImagePlugin

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8)
NAMES = ["cat", "cat", "cat", "dog", "dog", "dog"]
CASES, case = collected(with_options=True)


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
