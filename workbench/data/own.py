"""Data of one's own, from what was given to what a network is trained on.

given ── read ──► Samples ── fit ──► x, targets ── split ──► train │ held out ── normalize ──► Data
                                                               └─ found on this part, applied to both
"""

import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from hashlib import blake2b, sha256
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from workbench import files
from workbench.data import fit, sets, tables
from workbench.data.fit import Network, Targets
from workbench.data.folders import read_folder
from workbench.data.given import of_arrays, taken
from workbench.data.normalize import NONE, UNIT, Normalize, found
from workbench.data.samples import IMAGES, MOST_VALUES, SOUND, SPLIT, Reading, Samples
from workbench.data.samples import NONE as UNLABELLED
from workbench.data.sets import Data
from workbench.data.split import split
from workbench.errors import DataError, meant
from workbench.objective import INPUT, LABELS, VALUES
from workbench.plain import printable

GIVEN = "given"  # the source of all images that users give: one is told from another by its pixels
BEYOND_ONE = 2.0  # an int8 input that holds more than this was made for pixels from 0 to 255
AS_IT_IS = Reading()
ONE_S_OWN = "it is for data of your own"


def resolved(given, network: Network, reading: Reading, loss: str | None = None) -> Data:
    """The data that the network is trained on: read, fitted to the network, split and normalized.

    `given` is what `taken` takes; a Data, or a set by name, keeps its parts and its values. `loss`: the one asked for.
    Raises DataError for what cannot be trained on.
    """
    given = taken(given)
    if isinstance(given, str) and given in sets.names():
        reading.refuse(given, *reading.asked, why=f"it is read, split and normalized already; {ONE_S_OWN}")
        data = _of_set(given, network, loss)
        also = (f"data {given} is the set of this name; ./{given} would be yours",) if Path(given).exists() else ()
        return _digested(replace(data, notes=also))
    if isinstance(given, Data):
        reading.refuse(given.name, *reading.asked, why="a Data is read, split and normalized already")
        return _fitted(given, network, loss)
    samples = read(given, network, reading)
    x, layout = fit.inputs(samples, network)
    targets = fit.targets(samples, network, loss, reading.unlabelled)
    train, test, divided = _parts(samples, targets, reading)
    if len(train) == 0:
        raise DataError(f"{samples.source} has no samples to train on", "the part to train on is empty")
    normalize = found(reading.normalize or _usual(samples, network), x[train])
    seen = _fingerprints(x)
    data = Data(
        samples.source, normalize.apply(x[train]), targets.values[train], normalize.apply(x[test]),
        targets.values[test], targets.classes, GIVEN, seen[train], seen[test], targets.target, targets.names,
        layout=layout, split=divided, normalize=normalize, reading=reading.asked, notes=samples.notes,
        origins=tuple(map(samples.origin, test.tolist())),
        **({} if samples.groups is None else {"train_groups": samples.groups[train]}),
    )  # fmt: skip
    return _digested(_noted(data, network))


def as_seen(
    given, network: Network, data: Mapping | None, names: tuple[str, ...] = (), reading: Reading = AS_IT_IS,
    loss: str | None = None,
) -> Data:  # fmt: skip
    """New data for a trained network, all of it held out; of data in two parts, the part to test on.

    It is read and normalized as the training data was: `data` is the entry of run.json, `reading` overrides it. Without
    a training (`data` None) it is normalized by itself, as training data would be. `names` are the run's classes,
    `loss` the one asked for. Data without labels is taken as it is.
    """
    given = taken(given)
    if isinstance(given, str) and given in sets.names():
        whole = _of_set(given, network, loss)
        return _held_out(whole, whole.test_x, whole.test_y)
    if isinstance(given, Data):
        whole = _fitted(given, network, loss)
        return _held_out(whole, whole.test_x, whole.test_y) if len(whole.test_x) else whole
    source = given.source if isinstance(given, Samples) else printable(given)
    reading.refuse(source, "split", "split_seed", why="all of it is predicted")
    if data is not None:
        reading.refuse(source, "normalize", why="it is normalized as the run's data was")
        reading = Reading(**_as_before(given, data.get("reading") or {}).asked | reading.asked)
    samples = _new(given, network, reading)
    part = slice(samples.trained or 0, None)
    x, layout = fit.inputs(samples, network)
    if data is None:
        normalize = found(reading.normalize or _usual(samples, network), x[part])
    else:
        normalize = Normalize.of_plain(data.get("normalize") or {"kind": NONE})
    x = normalize.apply(x[part])
    if samples.targets is None:
        targets = Targets(INPUT, np.empty((len(samples.x), 0), np.float32))
    else:
        targets = fit.targets(samples, network, loss, reading.unlabelled, names, settled=True)
    empty = Data(samples.source, x[:0], targets.values[:0], x, targets.values[part], targets.classes, GIVEN,
                 target=targets.target, names=targets.names or names, layout=layout, normalize=normalize,
                 reading=reading.asked, notes=samples.notes,
                 origins=tuple(map(samples.origin, range(len(samples.x))[part])))  # fmt: skip
    return _digested(_noted(empty, network))


def _new(given: str | Samples, network: Network, reading: Reading) -> Samples:
    """As `read`, but a table with just as many columns as the network has inputs has no labels."""
    if isinstance(given, str) and given.lower().endswith(".csv") and not reading.unlabelled:
        with suppress(DataError):
            whole = read(given, network, replace(reading, label=UNLABELLED))
            if whole.x[0].size == prod(network.shape):
                return whole
    return read(given, network, reading)


def _as_before(given: str | Samples, known: Mapping) -> Reading:
    """The reading options of a run's data that apply here: columns to a file, pieces and sizes to a folder."""
    folder = isinstance(given, str) and Path(given).is_dir()
    of_file = ("label",) if isinstance(given, str) and not folder else ()
    told = ("window", "hop", "resize") if folder else of_file
    known = Reading.of_plain(known).asked
    return Reading(**{name: value for name, value in known.items() if name in told or value == UNLABELLED})


def read(given: str | Samples, network: Network, reading: Reading) -> Samples:
    """The samples of a file or folder, or those given. Raises DataError for an option that does not apply."""
    if isinstance(given, Samples):
        reading.refuse(given.source, "window", "hop", "resize", why="recordings and images in folders are read so")
        if reading.label is not None and not reading.unlabelled:
            raise DataError(f"{given.source} are arrays: no column is called {reading.label!r}", "give (x, y)")
        return given
    path = Path(given)
    source, ending = printable(str(path)), path.suffix.lower()
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            return read_folder(path, reading, network.shape)
    except OSError as error:
        raise DataError(f"{source}: {error.strerror or error}") from None
    reading.refuse(source, "window", "hop", "resize", why="recordings and images in folders are read so")
    if ending == ".csv":
        return tables.read_samples(path, reading)
    if ending == ".npz":
        return _of_npz(path, source, reading)
    known = ".npz, .csv and folders of .png, .jpg, .wav, .csv"
    raise DataError(f"{source}: no data is read from {ending or 'such'} files",
                    f"{meant(ending, ('.npz', '.csv'))}there are {known}")  # fmt: skip


def _of_npz(path: Path, source: str, reading: Reading) -> Samples:
    try:
        return of_arrays(source, files.Arrays(path, MOST_VALUES), reading)
    except OSError as error:
        raise DataError(f"{source}: {error.strerror or error}") from None
    except ValueError as error:
        raise DataError(f"{source} is not a whole .npz: {error}", "numpy.savez writes such a file") from None


def _parts(samples: Samples, targets: Targets, reading: Reading) -> tuple[np.ndarray, np.ndarray, dict | None]:
    """Indices to train on, indices held out, and how they were split (None: the samples came in two parts)."""
    count = len(samples.x)
    if samples.trained is not None:
        reading.refuse(samples.source, "split", "split_seed", why="it has a part to test on already")
        return np.arange(samples.trained), np.arange(samples.trained, count), None
    share, seed = reading.split or SPLIT, reading.split_seed or 0
    labels = targets.values.reshape(-1) if targets.classes else None
    train, test = split(count, labels, samples.groups, share, seed)
    by = [word for word, known in (("class", labels), ("recording", samples.groups)) if known is not None]
    return train, test, {"share": float(share), "seed": int(seed), "by": by}


def _usual(samples: Samples, network: Network) -> str:
    """The normalization unless another is asked for: unit for images, bytes and sound, none for all else.

    An int8 network says by its scale whether it takes pixels as bytes.
    """
    if samples.kind not in (IMAGES, SOUND) and samples.x.dtype != np.uint8:
        return NONE
    holds = (127 - network.input.zero_point) * (network.input.scale or 1)
    return NONE if network.input.dtype == "int8" and holds > BEYOND_ONE else UNIT


def _of_set(name: str, network: Network, loss: str | None) -> Data:
    """The set of this name in the network's shape, its labels as the loss takes them."""
    data = _as_targets(sets.load(name), network, loss)
    return data.shaped(network.shape, network.output[0])


def _as_targets(data: Data, network: Network, loss: str | None) -> Data:
    """The data with its labels as this loss takes them: left out where the input is the target, numbers where one
    output is compared with numbers. Raises DataError where a label cannot be a target of so many outputs.
    """
    if data.target != LABELS:
        return data
    classes = max(int(np.concatenate([data.train_y, data.test_y]).max(initial=0)) + 1, data.classes or 0)
    target = network.target_of_labels(loss, classes)
    if two := target != INPUT and classes <= 2 and network.tells_two_classes(loss):
        target = VALUES
    if target == LABELS:
        return data
    if target == VALUES and prod(network.output) != 1:
        raise DataError(f"{data.name} has class labels; {loss} takes numbers of the output's shape, {network.output}",
                        "--loss cross-entropy, or a network of one output: labels count as numbers there")  # fmt: skip
    shape = network.output if target == VALUES else (0,)
    y = [each.astype(np.float32).reshape(-1, *shape) if target == VALUES else np.empty((len(each), 0), np.float32)
         for each in (data.train_y, data.test_y)]  # fmt: skip
    return replace(data, train_y=y[0], test_y=y[1], target=target, classes=2 if two else None,
                   names=data.names if two else ())  # fmt: skip


def _fitted(data: Data, network: Network, loss: str | None = None) -> Data:
    """A Data in the network's shape, checked like any other data."""
    source = data.name
    parts: dict[str, Any] = {}
    told = fit.NCHW if data.digest else data.layout  # it has been here before
    for part in ("train", "test"):
        x, y = (np.asarray(getattr(data, f"{part}_{axis}")) for axis in "xy")
        if len(x) != len(y):
            raise DataError(f"{source}: {part}_x has {len(x)} samples, {part}_y {len(y)}", "one target belongs to each")
        if len(x) or part == "train":
            samples = Samples(source, x, layout=told)
            x, layout = fit.inputs(samples, network)
            parts["layout"] = data.layout or layout
        else:
            x = np.empty((0, *network.shape), np.float32)
        parts |= {f"{part}_x": x, f"{part}_y": y}
    data = replace(data, **parts)
    if data.target == LABELS:
        y = np.concatenate([data.train_y, data.test_y])
        if y.ndim != 1 or y.dtype.kind not in "iu":
            raise DataError(f"{source}: labels are whole numbers (n,); got {y.dtype} {y.shape}",
                            'target="values" takes numbers')  # fmt: skip
        data = _as_targets(data, network, loss)
    if data.target == LABELS:
        labels = fit.targets(Samples(source, data.train_x, y, names=data.names), network, loss)
        data = replace(data, train_y=data.train_y.astype(np.int32), test_y=data.test_y.astype(np.int32),
                       classes=max(labels.classes or 0, data.classes or 0))  # fmt: skip
    elif data.target != INPUT:
        given = (Samples(source, y, y, layout=told) for y in (data.train_y, data.test_y))
        train_y, test_y = (fit.targets(each, network, "mse").values for each in given)
        data = replace(data, train_y=train_y, test_y=test_y)
    return _digested(_noted(data, network))


def _noted(data: Data, network: Network) -> Data:
    """The data, with a note where the network's int8 input cannot hold its values."""
    note = fit.clipped(np.concatenate([data.train_x, data.test_x]), network.input, data.name)
    return replace(data, notes=(*data.notes, note)) if note and note not in data.notes else data


def _held_out(data: Data, x: np.ndarray, y: np.ndarray) -> Data:
    return replace(data, train_x=x[:0], train_y=y[:0], test_x=x, test_y=y)


def _fingerprints(x: np.ndarray) -> np.ndarray:
    """A hash of each sample's values, by which another data set recognizes the sample."""
    rows = np.ascontiguousarray(x).reshape(len(x), -1)
    hashed = [int.from_bytes(blake2b(row.data, digest_size=8).digest(), "little", signed=True) for row in rows]
    return np.array(hashed, np.int64)


def _digested(data: Data) -> Data:
    """The data, with the SHA-256 of its four arrays: type, shape and values."""
    bits = sha256()
    for array in (data.train_x, data.train_y, data.test_x, data.test_y):
        bits.update(f"{array.dtype} {array.shape}\n".encode())
        bits.update(np.ascontiguousarray(array).data)
    return replace(data, digest=bits.hexdigest())
