"""Where networks come from: the built-in zoo, quantized or not, and files."""

from collections.abc import Sequence
from pathlib import Path

import workbench.schedule  # noqa: F401  registers every operator, held against its kernel
from workbench.errors import ModelError, shown
from workbench.frontends.loading import INT8, called, in_int8, load, names
from workbench.frontends.model import Model

__all__ = ["INT8", "Model", "called", "in_int8", "load", "names", "network"]


def network(model: str | Path | Model, batch: int | None = None, seed: int = 0, classes: int | None = None,
            shape: str | Sequence[int] | None = None) -> Model:  # fmt: skip
    """The network of this name or file, for `batch` samples at once (None: one), or the one given, if it is for as
    many.
    """
    if isinstance(model, Model) and classes is not None:
        raise ModelError(f"{model.name} is made already: its classes are what they are", "classes goes with a name")
    if isinstance(model, Model) and shape is not None:
        raise ModelError(f"{model.name} is made already: its sizes are what they are", "shape goes with a file")
    if not isinstance(model, str | Path | Model):
        raise ModelError(f"a network is a name, a file or a Model; got {shown(model)}",
                         "of a layers.Network, net.model(output) makes one")  # fmt: skip
    if not isinstance(model, Model):
        return load(model, 1 if batch is None else batch, seed, classes, shape)
    if batch not in (None, model.batch):
        raise ModelError(
            f"{model.name} was made for a batch of {model.batch}; it cannot be run with batch={batch}",
            f"make it for a batch of {batch}, as load({model.argument!r}, {batch}) does a built-in one",
        )
    return model
