"""Kernels: the C that operators become. Loading this package holds the records of all in ops/ against their headers."""

from workbench import ops  # noqa: F401  registers the operators
from workbench.ir.op import registered
from workbench.kernels.declared import agree

for _op in registered().values():
    agree(_op)
