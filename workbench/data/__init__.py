"""Data sets: real ones that a package brings, split once into training and held-out samples, and one's own."""

from workbench.data.fit import Network
from workbench.data.given import taken
from workbench.data.normalize import Normalize
from workbench.data.own import as_seen, resolved
from workbench.data.samples import READING, Reading, Samples
from workbench.data.sets import Data, batches, load, names, require_name

__all__ = [
    "READING",
    "Data",
    "Network",
    "Normalize",
    "Reading",
    "Samples",
    "as_seen",
    "batches",
    "load",
    "names",
    "require_name",
    "resolved",
    "taken",
]
