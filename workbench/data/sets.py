"""The data sets by name, and the order in which a training run sees them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from workbench.errors import DataError


@dataclass(frozen=True)
class Data:
    """Inputs float32 (samples, …) and labels int32 (samples,), for training and held out."""

    name: str
    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    classes: int

    def shaped(self, sample_shape: tuple[int, ...], classes: int) -> "Data":
        """The same samples in the shape a network takes. Raises DataError where they do not fit."""
        if int(np.prod(sample_shape)) != self.train_x[0].size:
            raise DataError(
                f"a sample of {self.name} has {self.train_x[0].size} values; the network takes {sample_shape}"
            )
        if classes < self.classes:
            raise DataError(f"{self.name} has {self.classes} classes; the network tells {classes}")
        return Data(self.name, self.train_x.reshape(-1, *sample_shape), self.train_y,
                    self.test_x.reshape(-1, *sample_shape), self.test_y, self.classes)  # fmt: skip


def digits() -> Data:
    """scikit-learn's digits: 1,797 real 8×8 images scaled to [0, 1], 80 % to train on, stratified, fixed seed.

    From E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI repository (CC BY 4.0).
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    images, labels = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8), labels.astype(np.int32)
    train_x, test_x, train_y, test_y = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)
    return Data("digits", train_x, train_y, test_x, test_y, 10)


SETS = {"digits": digits}


def names() -> tuple[str, ...]:
    return tuple(SETS)


def load(name: str) -> Data:
    """The data set `name`. Raises DataError that lists what there is."""
    if name not in SETS:
        raise DataError(f"no data set is called {name!r}", f"there are {', '.join(SETS)}")
    return SETS[name]()


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
