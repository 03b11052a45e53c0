"""Data as a Python program has it: arrays, a data set's samples one by one, or batches that come once.

(x, y)  (train_x, train_y, test_x, test_y)  {"x": …, "y": …}  x          arrays, or what numpy makes one of
a torch.utils.data.Dataset, or two (to train on, to test), a list of (x, y)       through __getitem__ and __len__
a DataLoader, a generator                                               an iterable of batches (x, y) or x
a Data, the name of a data set, a file or a folder                      as they are: read when a network is known
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.data import sets
from workbench.data.samples import Reading, Samples, require_few
from workbench.errors import DataError, meant, shown

SOURCE = "data"  # what samples from no file are called
FILES = (".npz", ".csv")
KNOWN = "a data set's name, a .npz or .csv file, a folder, (x, y), (train_x, train_y, test_x, test_y) or a Data"
MOST_PARTS = 1 << 22  # samples or batches, each an object of its own
ALONE, PAIR, PARTS, HALVES = ("x",), ("x", "y"), ("train_x", "train_y", "test_x", "test_y"), ("train_x", "test_x")
OTHERWISE = {name: f"{name[-1]}_{name[:-2]}" for name in PARTS}  # x_train: so keras and others call them


def taken(value) -> str | sets.Data | Samples:
    """The data given: a name of data on disk, a Data, or Samples made of what is in memory. Raises DataError."""
    if isinstance(value, sets.Data | Samples):
        return value
    if isinstance(value, str | Path):
        return _place(str(value))
    if isinstance(value, Mapping):
        return of_arrays(SOURCE, value)
    if isinstance(value, tuple):
        names = {1: ALONE, 2: PAIR, 4: PARTS}.get(len(value))
        if names is PAIR and all(map(_is_dataset, value)):
            train, test = map(_of_items, value)
            arrays = {"train_x": train.x, "train_y": train.targets, "test_x": test.x, "test_y": test.targets}
            return of_arrays(SOURCE, {name: array for name, array in arrays.items() if array is not None})
        if names is None:
            raise DataError(f"data is {len(value)} arrays", "give (x, y), or (train_x, train_y, test_x, test_y)")
        return of_arrays(SOURCE, dict(zip(names, value, strict=True)))
    if isinstance(value, np.ndarray) or hasattr(value, "__array__"):
        return of_arrays(SOURCE, {"x": value})
    if hasattr(value, "__getitem__") and hasattr(value, "__len__") and not isinstance(value, bytes | bytearray):
        return _of_items(value)
    if isinstance(value, Iterable) and not isinstance(value, bytes | bytearray | set):
        return _of_batches(value)
    raise DataError(f"data is {shown(value)}", f"give {KNOWN}")


def _is_dataset(value) -> bool:
    """Whether it gives samples one by one, as a torch Dataset does, and is no array."""
    plain = isinstance(value, list | tuple | str | bytes | Mapping) or hasattr(value, "__array__")
    return not plain and hasattr(value, "__getitem__") and hasattr(value, "__len__")


def _place(name: str) -> str:
    """The name of a data set, or of a file or folder that there is."""
    if name in sets.names():
        return name
    if not name.strip():
        raise DataError("data is an empty name", f"give {KNOWN}")
    path = Path(name)
    ending = path.suffix.lower()
    try:
        exists = path.is_dir() or (path.exists() and "." in path.name) or path.is_symlink()
    except (OSError, ValueError):
        raise DataError("data is what no file can be called", f"give {KNOWN}") from None
    if exists or ending in FILES or "/" in name:
        if not exists:
            raise DataError(f"{name} is missing", f"data is {KNOWN}")
        return name
    known = ", ".join(sets.names())
    raise DataError(f"no data set is called {name!r}",
                    f"{meant(name, sets.names())}there are {known}; a .npz or .csv file, a folder")  # fmt: skip


def of_arrays(source: str, arrays: Mapping, reading: Reading | None = None, notes: tuple[str, ...] = ()) -> Samples:
    """Samples of arrays called x, x and y, or train_x, train_y, test_x, test_y (the labels may be left out)."""
    label = "y" if reading is None or reading.label is None or reading.unlabelled else reading.label
    present = {name: name for name in (*PAIR, *PARTS) if name in arrays}
    present |= {name: other for name, other in OTHERWISE.items() if other in arrays and name not in arrays}
    present |= {"y": label} if label in arrays else {}
    if label != "y" and label not in arrays:
        raise DataError(f"{source} has no array called {label!r}", f"it has {_listed(arrays)}")
    which = next((names for names in (PARTS, HALVES, PAIR, ALONE) if set(names) <= set(present)), None)
    if which is None:
        raise DataError(f"{source} has arrays called {_listed(arrays)}",
                        "they are to be called x and y, or train_x, train_y, test_x, test_y")  # fmt: skip
    alone = [name for name in ("train_y", "test_y") if name in present]
    if which == HALVES and len(alone) == 1:
        raise DataError(f"{source} has {present[alone[0]]}, but no labels of the other part", "label both, or neither")
    got = {name: _array(source, present[name], arrays.get(present[name])) for name in which}
    if which in (PAIR, ALONE):
        return _checked(source, got["x"], got.get("y"), None, notes)
    train_y, test_y = got.get("train_y"), got.get("test_y")
    _require_equal_lengths(source, got["train_x"], train_y, "train_")
    _require_equal_lengths(source, got["test_x"], test_y, "test_")
    x = _joined(source, "x", got["train_x"], got["test_x"])
    y = None if train_y is None or test_y is None else _joined(source, "y", train_y, test_y)
    return _checked(source, x, y, len(got["train_x"]), notes)


def _listed(arrays: Mapping) -> str:
    return ", ".join(str(name) for name in arrays) or "none"


def _joined(source: str, what: str, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    if train.shape[1:] != test.shape[1:] or train.dtype.kind != test.dtype.kind:
        raise DataError(f"{source}: train_{what} is {train.dtype} {train.shape}, test_{what} {test.dtype} {test.shape}",
                        "both parts hold samples of one shape and type")  # fmt: skip
    return np.concatenate([train, test])


def _require_equal_lengths(source: str, x: np.ndarray, y: np.ndarray | None, part: str = "") -> None:
    if y is not None and len(x) != len(y):
        raise DataError(f"{source}: {part}x has {len(x)} samples, {part}y {len(y)}", "one target belongs to each")


def _checked(source: str, x: np.ndarray, y: np.ndarray | None, trained: int | None, notes=()) -> Samples:
    _require_equal_lengths(source, x, y)
    require_few(source, x.size)
    return Samples(source, x, y, trained=trained, notes=tuple(notes))


def _array(source: str, name: str, value) -> np.ndarray:
    """The value as an array. Raises DataError for what is no array of samples."""
    if np.ma.is_masked(value):
        raise DataError(f"{source}: {name} has masked values", "fill them, or leave such samples out")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists; a tensor that wants a gradient
        raise DataError(f"{source}: {name} is no array: {str(error).splitlines()[0]}") from None
    if array.ndim == 0:
        raise DataError(f"{source}: {name} is {shown(value)}, not an array of samples", f"give {KNOWN}")
    if array.dtype.kind == "O" and all(isinstance(each, str) for each in array.reshape(-1)):
        array = array.astype(str)
    if array.dtype.kind not in "fiubU" or (array.dtype.kind == "U" and name.endswith("x")):
        raise DataError(f"{source}: {name} holds {array.dtype}, not numbers")
    return array


def _of_items(items) -> Samples:
    """Samples that come one by one; a list may also hold batches. Raises DataError for a list of whole arrays."""
    count = len(items)
    if count == 0:
        raise DataError(f"{SOURCE} is empty: a {type(items).__name__} of no samples")
    first = items[0]
    if isinstance(items, list):
        if count in (2, 4) and all(hasattr(each, "__array__") and np.ndim(each) for each in items):
            raise DataError(f"data is a list of {count} arrays", "give a tuple: (x, y) or (x, y, x, y)")
        if isinstance(first, tuple) and len(first) == 2 and np.ndim(first[1]) and len(first[0]) == len(first[1]):
            return _of_batches(items)
        if not isinstance(first, tuple):
            return of_arrays(SOURCE, {"x": items})
    return _gathered((items[at] for at in range(count)), np.stack)


def _of_batches(batches: Iterable) -> Samples:
    def joined(parts: list[np.ndarray]) -> np.ndarray:
        if any(part.ndim == 0 for part in parts):
            raise DataError(f"{SOURCE}: what came are samples, not batches of them", "a list of them is taken")
        return np.concatenate(parts)

    return _gathered(iter(batches), joined)


def _gathered(parts: Iterator, join) -> Samples:
    """The parts joined: x and y of parts (x, y), or x alone of parts without y."""
    xs: list[np.ndarray] = []
    ys: list[np.ndarray] = []
    values, paired = 0, None
    for number, part in enumerate(parts):
        pair: Sequence[Any] = part if isinstance(part, tuple | list) and len(part) == 2 else (part,)
        if number == MOST_PARTS:
            raise DataError(f"{SOURCE} has more than {MOST_PARTS:,} parts", "give larger batches, or arrays: (x, y)")
        if isinstance(part, Mapping):
            names = ", ".join(map(str, part))
            raise DataError(f"{SOURCE}: part {number} is a dict of {names}", "each is (x, y), or x alone")
        if isinstance(part, tuple | list) and len(part) not in (1, 2):
            raise DataError(f"{SOURCE}: part {number} holds {len(part)} things", "each is (x, y), or x alone")
        paired = len(pair) == 2 if paired is None else paired
        if paired != (len(pair) == 2):
            raise DataError(f"{SOURCE}: part {number} is no pair, or one among parts that are none",
                            "each is (x, y), or each x alone")  # fmt: skip
        xs.append(_part(pair[0]))
        values += xs[-1].size
        require_few(SOURCE, values)
        ys += [_part(pair[1])] if paired else []
    if not xs:
        raise DataError(f"{SOURCE} is empty: not one part came", "what can be read once gives nothing a second time")
    try:
        return _checked(SOURCE, _array(SOURCE, "x", join(xs)), _array(SOURCE, "y", join(ys)) if paired else None, None)
    except ValueError as error:
        shapes = list(dict.fromkeys(str(x.shape) for x in xs))
        told = f"shapes {', '.join(shapes[:3])}" if len(shapes) > 1 else str(error)
        raise DataError(f"{SOURCE}: its parts do not fit each other: {told}", "one shape for all") from None


def _part(value) -> np.ndarray:
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{SOURCE}: what came is no array: {str(error).splitlines()[0]}") from None
