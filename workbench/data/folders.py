"""A folder of samples, one file each: FOLDER/CLASS/*.png, *.jpg, *.wav or *.csv; without classes FOLDER/*.wav."""

import os
import re
from pathlib import Path

import numpy as np

from workbench.data import images
from workbench.data.recordings import read_recordings
from workbench.data.samples import IMAGES, RECORDINGS, SOUND, Reading, Samples
from workbench.errors import DataError
from workbench.plain import printable

KINDS = dict.fromkeys(images.ENDINGS, IMAGES) | {".wav": SOUND, ".csv": RECORDINGS}
MOST_FILES = 1_000_000
FORM = "FOLDER/CLASS/*.png, .jpg, .wav or .csv; without labels FOLDER/*.wav"


def read_folder(folder: Path, reading: Reading, shape: tuple[int, ...]) -> Samples:
    """The samples in a folder, class by class, for a network whose input has this `shape`. Raises DataError."""
    source = printable(str(folder))
    if reading.label is not None and not reading.unlabelled:
        raise DataError(
            f"{source}: the labels of a folder are the names of the folders in it", "--label none: do without them"
        )
    classes, by_class, others = _listed(folder, source)
    paths = [path for own in by_class for path in own]
    if not paths:
        what = "holds nothing that is read" if others else "is empty"
        raise DataError(f"{source} {what}", FORM)
    empty = [name for name, own in zip(classes, by_class, strict=False) if not own]
    if empty:
        raise DataError(f"{source}/{empty[0]} holds no samples: a class needs some", "fill it or take it away")
    kinds = {KINDS[path.suffix.lower()]: path for path in reversed(paths)}
    if len(kinds) > 1:
        two_files = " and ".join(printable(str(path)) for path in sorted(kinds.values())[:2])
        raise DataError(f"{source} holds files of different kinds: {two_files}", "one kind in a folder")
    (kind,) = kinds
    counts = np.array([len(own) for own in by_class])
    labels = np.repeat(np.arange(len(by_class)), counts) if classes and not reading.unlabelled else None
    names = tuple(classes) if labels is not None else ()
    notes, files = _left_out(source, others), [printable(path.relative_to(folder).as_posix()) for path in paths]
    if kind == IMAGES:
        reading.refuse(source, "window", "hop", why="windows are cut from recordings; it holds images")
        x, done = images.read_images(source, paths, shape, reading.resize)
        return Samples(source, x, labels, kind, "NHWC", names=names, notes=(*notes, *done),
                       origins=tuple(files))  # fmt: skip
    reading.refuse(source, "resize", why="images are resized; it holds recordings")
    length = shape[-1] if len(shape) == 2 or 1 in shape[1:-1] else None
    x, groups = read_recordings(source, paths, reading, length)
    labels = None if labels is None else labels[groups]
    return Samples(source, x, labels, kind, "NCHW", groups, names=names, notes=notes,
                   origins=_pieces(files, groups, reading))  # fmt: skip


def _pieces(files: list[str], groups: np.ndarray, reading: Reading) -> tuple[str, ...]:
    """The origin of each piece: 'yes/a.wav', or 'yes/a.wav from 2000' where recordings were cut."""
    if not reading.window:
        return tuple(files)
    begins = np.arange(len(groups)) - np.searchsorted(groups, groups)  # the number of a piece in its recording
    every = reading.hop or reading.window
    return tuple(f"{files[group]} from {begin * every}" for group, begin in zip(groups, begins.tolist(), strict=True))


def _left_out(source: str, others: list[str]) -> tuple[str, ...]:
    few = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    return (f"{source}: left out, for nothing reads it: {few}",) if others else ()


def _listed(folder: Path, source: str) -> tuple[list[str], list[list[Path]], list[str]]:
    """The names of the classes, the files of each, sorted, and the names of all that is not read.

    Files of a folder without folders belong to no class.
    """
    files, folders, others = _entries(folder)
    if not folders:
        return [], [files] if files else [], others
    if files:
        raise DataError(f"{source} holds files beside its folders: {printable(files[0].name)}",
                        "each file lies in the folder of its class")  # fmt: skip
    by_class = []
    for own in folders:
        inside, deeper, more = _entries(own)
        by_class.append(inside)
        others += [f"{printable(own.name)}/{name}" for name in [*more, *(printable(each.name) for each in deeper)]]
    return [printable(own.name) for own in folders], by_class, others


def _entries(folder: Path) -> tuple[list[Path], list[Path], list[str]]:
    """The files that can be read, the folders, and the names of everything else; hidden entries are skipped."""
    files, folders, others = [], [], []
    try:
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number >= MOST_FILES:
                    raise DataError(f"{printable(str(folder))} holds more than {MOST_FILES:,} files")
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append(folder / entry.name)
                elif Path(entry.name).suffix.lower() in KINDS:
                    files.append(folder / entry.name)
                else:
                    others.append(printable(entry.name))
    except OSError as error:
        raise DataError(f"{printable(str(error.filename or folder))}: {error.strerror or error}") from None
    return sorted(files, key=_natural), sorted(folders, key=_natural), sorted(others)


def _natural(path: Path) -> list:
    """2.png stands before 10.png."""
    return natural(path.name)


def natural(name: str) -> list:
    """A sorting key that compares numbers in names by value."""
    parts = re.split(r"([0-9]+)", name)  # text and digits in turn
    return [(len(part.lstrip("0")), part.lstrip("0")) if at % 2 else (0, part) for at, part in enumerate(parts)]
