"""Data sets: real ones that a package brings, split once into training and held-out samples."""

from workbench.data.sets import Data, batches, load, names, require_name

__all__ = ["Data", "batches", "load", "names", "require_name"]
