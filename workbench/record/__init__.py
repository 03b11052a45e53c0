"""What a run left behind, saved and loaded in plain formats (JSON, CSV, text)."""

from workbench.record.run import Run, load, read, together

__all__ = ["Run", "load", "read", "together"]
