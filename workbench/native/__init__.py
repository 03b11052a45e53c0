"""The native twin: a project's generated C compiled for the host, where it trains to the same bits as on the board.

Project ── compiler.library ──► shared library ── machine.Host ──► Device, as the emulated core has one
"""

from workbench.native.compiler import called, host_compiler, library
from workbench.native.machine import Host

__all__ = ["Host", "called", "host_compiler", "library"]
