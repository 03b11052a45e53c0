"""Where networks come from: the built-in zoo, and files."""

from pathlib import Path

import workbench.ops  # noqa: F401  registers the operators networks are made of
from workbench.errors import ModelError
from workbench.frontends import zoo
from workbench.frontends.model import Model
from workbench.frontends.zoo import names

__all__ = ["Model", "called", "load", "names", "network"]

SUFFIX = ".tflite"


def load(name: str | Path, batch: int = 1, seed: int = 0) -> Model:
    """The built-in network of this name, or the one in a .tflite file, for `batch` samples at once.

    `seed` draws the weights of a built-in one. Raises ModelError.
    """
    if not _is_file(name):
        return zoo.load(str(name), batch, seed)
    from workbench.frontends import tflite

    return tflite.load(name, zoo.checked_batch(batch))


def called(name: str | Path) -> str:
    """What a network that `load` takes is called: a file's by its stem."""
    return Path(name).stem if _is_file(name) else str(name)


def network(model: str | Path | Model, batch: int | None = None, seed: int = 0) -> Model:
    """The network of this name, for `batch` samples at once (None: one), or the one given, if it is for as many."""
    if not isinstance(model, Model):
        return load(model, 1 if batch is None else batch, seed)
    if batch not in (None, model.batch):
        raise ModelError(
            f"{model.name} was made for a batch of {model.batch}; it cannot be run with batch={batch}",
            f"make it for a batch of {batch}, as load({model.argument!r}, {batch}) does a built-in one",
        )
    return model


def _is_file(name: str | Path) -> bool:
    return Path(name).suffix.lower() == SUFFIX
