"""Samples as they were given, not yet fitted to a network, and the options of reading them."""

from dataclasses import asdict, dataclass, fields
from math import isfinite
from numbers import Integral

import numpy as np

from workbench.errors import DataError, shown
from workbench.options import Given, require

ARRAYS, IMAGES, SOUND, RECORDINGS = "arrays", "images", "sound", "recordings"
MOST_VALUES = 1 << 28  # of all samples together: as float32, 1 GB
NONE = "none"  # as label: what is given has no labels, or they are not to be used
SPLIT = 0.8  # the share to train on, where no part to test on is given


@dataclass(frozen=True)
class Reading(Given):
    """How given data is read, None by default: `label` names columns ("A,B"; "none": the input is its own target),
    `split` the share to train on, seeded by `split_seed`, `normalize` one of none, unit, standard; `window` and `hop`
    cut recordings into pieces of so many values; `resize` brings images to the size that the network takes.
    """

    def __post_init__(self):
        if self.label is not None and not (isinstance(self.label, str) and all(self.labels)):
            raise DataError(f"label is {shown(self.label)}, not a column's name", 'such as "species", "a,b" or "none"')
        require(self)
        if self.hop is not None and self.window is None:
            raise DataError("a hop goes with a window", "--window N --hop M: pieces of N values, one every M")

    @property
    def labels(self) -> list[str]:
        return [name.strip() for name in (self.label or "").split(",")]

    @property
    def unlabelled(self) -> bool:
        return self.label == NONE

    @property
    def asked(self) -> dict:
        """What was asked for, as plain values."""
        plain = {name: value for name, value in asdict(self).items() if value not in (None, False)}
        return {name: value if isinstance(value, str | bool) else _plain(value) for name, value in plain.items()}

    @classmethod
    def of_plain(cls, told) -> "Reading":
        """What `asked` gave. Raises DataError for anything else."""
        if not isinstance(told, dict) or not set(told) <= set(READING):
            raise DataError("this is no reading that a run has saved")
        return cls(**told)

    def refuse(self, source: str, *names: str, why: str) -> None:
        """Raise DataError where one of these was asked for: `source` cannot be read so."""
        asked = [f"--{name.replace('_', '-')}" for name in names if name in self.asked]
        if asked:
            raise DataError(f"{source}: {why}", f"leave out {', '.join(asked)}")


READING = tuple(field.name for field in fields(Reading))


@dataclass(frozen=True, repr=False)
class Samples:
    """x (n, …) of any number type, and what belongs to each: `targets`, labels, names or numbers (n, …), or nothing.

    `kind` says what they are; `layout` is NCHW or NHWC (empty: to be told by the shape). Samples of
    one group (n,) are parts of one recording. The first `trained` ones are to be trained on, the others to be held out
    (None: not split yet). `names` are those of the classes that whole-number `targets` count. `notes` are lines about
    how they were read that their user should know; `origins` say where each came from (none: from a place in x).
    """

    source: str
    x: np.ndarray
    targets: np.ndarray | None = None
    kind: str = ARRAYS
    layout: str = ""
    groups: np.ndarray | None = None
    trained: int | None = None
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    def origin(self, at: int) -> str:
        """Where sample `at` came from: a file, a line, its number in its part."""
        if self.origins:
            return self.origins[at]
        before = self.trained or 0
        return str(at - before if at >= before else at)

    def __repr__(self) -> str:
        return f"<Samples {self.source} · {len(self.x):,} of {self.x.dtype} {self.x.shape[1:]}>"


def require_few(source: str, values: int) -> None:
    """Raise DataError for more values than a data set may have."""
    if values > MOST_VALUES:
        raise DataError(
            f"{source} has more than {MOST_VALUES:,} values", "give a part of it: a data set is held as a whole"
        )


def _plain(value) -> int | float:
    return int(value) if isinstance(value, Integral) else float(value) if isfinite(value) else 0.0
