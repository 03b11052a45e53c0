"""The data sets by name, how each is split, and the order in which a training run sees them.

    all images of a source, stratified, fixed seed
    ┌──────────── 80 % to train on ────────────┬─ 20 % held out ─┐
    │ digits: all of them, upright             │ upright         │
    │ (pre-training: this half) │ digits-rotated: this half, turned │ the same images, turned │

A network pre-trained on `digits` to be adapted to `digits-rotated` sees upright what `digits-rotated` does not train
on (`Data.apart_from`); nothing sees a held-out image, upright or not, before it is tested on it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from workbench.data import sources
from workbench.data.normalize import Normalize
from workbench.errors import DataError, shown, there_are
from workbench.objective import BCE, LABELS, VALUES

TYPICAL = 256  # samples, from one end of a training set to the other
NOISE = 0.3  # standard deviation, of pixels in [0, 1]


def _nobody() -> np.ndarray:
    return np.empty(0, np.int64)


@dataclass(frozen=True, repr=False)
class Data:
    """Inputs float32 (samples, …) and their targets, for training and held out: to be given wherever a set is named.

    `target` tells what `train_y` and `test_y` are (see objective): "labels", int32 (samples,), of which there are
    `classes`, called `names` where they have names; "values", float32 (samples, …), of two classes 0 and 1 (samples,
    1); "input", float32 (samples, 0).
    `train_images` and `test_images` tell which image of `source` each sample shows; samples of no source have none.

    The last fields tell how it came to be (see own.resolved): the layout x came in, how it was split (None: it came in
    parts), what was normalized, what else was asked for when it was read, lines that its user should know, the SHA-256
    of the four arrays, and where each held-out sample came from: a file, a line, its number (none: unknown). Training
    samples of one group are parts of one recording (none: each is its own). A part of the training samples that is set
    aside to validate on (see split.set_aside) is in neither of the four arrays any more.
    """

    name: str
    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    classes: int | None = None
    source: str = ""
    train_images: np.ndarray = field(default_factory=_nobody)
    test_images: np.ndarray = field(default_factory=_nobody)
    target: str = LABELS
    names: tuple[str, ...] = ()
    layout: str = ""
    split: Mapping | None = None
    normalize: Normalize = field(default_factory=Normalize)
    reading: Mapping = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    digest: str = ""
    origins: tuple[str, ...] = ()
    train_groups: np.ndarray = field(default_factory=_nobody)
    validation_x: np.ndarray = field(default_factory=_nobody)
    validation_y: np.ndarray = field(default_factory=_nobody)

    def __repr__(self) -> str:
        parts = f"{len(self.train_x):,} to train on, {len(self.test_x):,} held out"
        return f"<Data {self.name} · {parts} · {self.train_x.shape[1:]}>"

    def record(self) -> dict:
        """The entry `data` of run.json, by which new data can be read in the same way."""
        return {
            "source": self.name, "digest": self.digest, "shape": list(self.train_x.shape[1:]), "layout": self.layout,
            "target": self.target, "split": self.split, "normalize": self.normalize.plain(),
            "reading": dict(self.reading), "train": len(self.train_x), "validation": len(self.validation_x),
            "test": len(self.test_x),
        }  # fmt: skip

    @property
    def usual_loss(self) -> str | None:
        """The loss to take where none is asked for; None: the usual one of its kind of targets."""
        return BCE if self.target == VALUES and self.classes else None

    @property
    def typical(self) -> np.ndarray:
        """Inputs to calibrate with, mixed so that a few of them are of all kinds."""
        if self.source in SOURCES:
            return self.train_x  # in no order
        few = min(len(self.train_x), TYPICAL)
        return self.train_x[np.linspace(0, len(self.train_x) - 1, few).astype(int)]

    def shaped(self, sample_shape: tuple[int, ...], classes: int) -> "Data":
        """The same samples in the shape a network takes. Raises DataError where they do not fit."""
        if int(np.prod(sample_shape)) != self.train_x[0].size:
            raise DataError(
                f"a sample of {self.name} has {self.train_x[0].size} values; the network takes {sample_shape}"
            )
        if self.target == LABELS and self.classes is not None and classes < self.classes:
            raise DataError(f"{self.name} has {self.classes} classes; the network tells {classes}")
        return replace(self, train_x=self.train_x.reshape(-1, *sample_shape),
                       test_x=self.test_x.reshape(-1, *sample_shape))  # fmt: skip

    def apart_from(self, other: "Data") -> "Data":
        """Without the training samples whose images `other` trains on or holds out. Raises DataError if none is."""
        if not self.source or self.source != other.source:
            return self
        kept = ~np.isin(self.train_images, [*other.train_images, *other.test_images])
        if not kept.any():
            raise DataError(f"{other.name} trains on every image that {self.name} does: none is left to pre-train on",
                            "sets like digits-rotated leave half of the images to digits")  # fmt: skip
        groups = self.train_groups[kept] if len(self.train_groups) else self.train_groups
        return replace(self, train_x=self.train_x[kept], train_y=self.train_y[kept],
                       train_images=self.train_images[kept], train_groups=groups)  # fmt: skip


def rotated(images: np.ndarray) -> np.ndarray:
    """A quarter turn against the clock: exact, no pixel is interpolated."""
    return np.rot90(images, axes=(-2, -1))


def noisy(images: np.ndarray) -> np.ndarray:
    """Gaussian noise of standard deviation NOISE on every pixel, the same in every run, clipped to [0, 1]."""
    noise = np.random.default_rng(0).normal(scale=NOISE, size=images.shape)
    return np.clip(images + noise, 0, 1)


def inverted(images: np.ndarray) -> np.ndarray:
    """Black for white."""
    return 1 - images


SOURCES: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
    "digits": sources.digits,
    "mnist-8x8": sources.mnist_8x8,
    "mnist": sources.mnist,
}
SHIFTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"rotated": rotated, "noisy": noisy, "inverted": inverted}
SETS = {name: (name, "") for name in SOURCES} | {
    f"{source}-{shift}": (source, shift) for source in SOURCES for shift in SHIFTS
}


def names() -> tuple[str, ...]:
    return tuple(SETS)


def require_name(name: str) -> None:
    """Raise DataError for what is no data set's name."""
    if not isinstance(name, str):
        raise DataError(f"a data set is loaded by its name; got {shown(name)}", f"there are {', '.join(SETS)}")
    if name not in SETS:
        raise DataError(f"no data set is called {name!r}", there_are(name, SETS))


def load(name: str) -> Data:
    """The data set `name`. Raises DataError that lists what there is, or what is missing for this one."""
    require_name(name)
    source, shift = SETS[name]
    images, labels = _of_source(source)
    train, test = sources.split(np.arange(len(labels)), labels, 0.2)
    if shift:
        _, train = sources.split(train, labels[train], 0.5)
        images = SHIFTS[shift](images)
    pick = lambda chosen: np.ascontiguousarray(images[chosen], np.float32)  # noqa: E731
    return Data(name, pick(train), labels[train], pick(test), labels[test], int(labels.max()) + 1, source, train, test)


@cache
def _of_source(name: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels = SOURCES[name]()
    images.flags.writeable = False
    return images, labels.astype(np.int32)


def batches(count: int, batch: int, seed: int) -> Iterator[tuple[int, np.ndarray]]:
    """(epoch, indices of a batch) for ever; each epoch shuffled anew, a last partial batch dropped."""
    if count < batch:
        raise DataError(f"a batch of {batch} needs as many samples; there are {count}")
    rng = np.random.default_rng(seed)
    epoch = 0
    while True:
        order = rng.permutation(count)
        for start in range(0, count - batch + 1, batch):
            yield epoch, order[start : start + batch]
        epoch += 1
