"""Where networks come from: the built-in zoo."""

import workbench.ops  # noqa: F401  registers the operators networks are made of
from workbench.frontends.model import Model
from workbench.frontends.zoo import load, names

__all__ = ["Model", "load", "names"]
