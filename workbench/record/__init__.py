"""What a run left behind, saved and loaded in plain formats (JSON, CSV, text)."""

from workbench.record.run import Run, forget, load

__all__ = ["Run", "forget", "load"]
