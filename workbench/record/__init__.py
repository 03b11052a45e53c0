"""What a run left behind, saved and loaded in plain formats (JSON, CSV, text)."""

from workbench.record.run import ELF, Run, load, load_with_elf, read, together

__all__ = ["ELF", "Run", "load", "load_with_elf", "read", "together"]
