"""What a run or a profile left behind, saved and loaded in plain formats (JSON, CSV, text)."""

from workbench.record.profile import Profile, load_profile
from workbench.record.run import ELF, Run, load, load_with_elf, read, together

__all__ = ["ELF", "Profile", "Run", "load", "load_profile", "load_with_elf", "read", "together"]
