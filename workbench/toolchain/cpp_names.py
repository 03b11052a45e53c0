"""C++ names as their authors wrote them: `_ZN4ringIiLi4EE4pushEi` is `ring<int, 4>::push(int)`."""

import shutil
import subprocess
from collections.abc import Iterable

FILTERS = ("arm-none-eabi-c++filt", "c++filt")
PATIENCE_SECONDS = 60


def demangled(names: Iterable[str]) -> dict[str, str]:
    """By name what it reads like, of those that a C++ compiler made; {} where no c++filt is installed."""
    made = [name for name in names if name.startswith("_Z")]
    program = next(filter(None, map(shutil.which, FILTERS)), None)
    if not made or program is None:
        return {}
    try:
        done = subprocess.run([program], input="\n".join(made), capture_output=True, text=True, check=True,
                              timeout=PATIENCE_SECONDS)  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return {}
    read = done.stdout.split("\n")
    return dict(zip(made, read, strict=True)) if len(read) == len(made) else {}
