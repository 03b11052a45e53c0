"""Where networks come from: the built-in zoo."""

from workbench.frontends.model import Model
from workbench.frontends.zoo import load, names

__all__ = ["Model", "load", "names"]
