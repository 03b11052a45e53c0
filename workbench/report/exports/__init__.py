"""Profiles and runs in the formats of other tools: text from their tables, for KCachegrind, speedscope, Perfetto."""

from workbench.report.exports.callgrind import callgrind
from workbench.report.exports.perfetto import perfetto, perfetto_of_run
from workbench.report.exports.speedscope import speedscope

__all__ = ["callgrind", "perfetto", "perfetto_of_run", "speedscope"]
