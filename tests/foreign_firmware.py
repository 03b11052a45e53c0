"""Builds programs that know nothing of the workbench: C with somebody's start-up code and linker script."""

import subprocess
from pathlib import Path

FIRMWARE = Path(__file__).parent / "firmware"
CORES = {
    "cortex-m0plus": ("-mcpu=cortex-m0plus",),
    "cortex-m3": ("-mcpu=cortex-m3",),
    "cortex-m4": ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
    "cortex-m7": ("-mcpu=cortex-m7", "-mfpu=fpv5-d16", "-mfloat-abi=hard"),
    "cortex-m33": ("-mcpu=cortex-m33", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"),
}
NO_MEMCPY = "-fno-tree-loop-distribute-patterns"  # for loops, where there is no library
ALONE = ("-nostdlib", "-lc", "-lgcc")
NEWLIB = ("--specs=rdimon.specs",)


def build(elf: Path, *sources: str | Path, core="cortex-m4", flags=("-O1", "-g"), library=ALONE, flash=0x08000000,
          ram=0x20000000, room="64K") -> Path:  # fmt: skip
    """The ELF of `sources`: files, or C, which may include host.h. `flash`, `ram`: where its memory
    lies; `room`: how much RAM it has."""
    files = []
    for at, source in enumerate(sources):
        path = source if isinstance(source, Path) else elf.with_suffix(f".{at}.c")
        if not isinstance(source, Path):
            path.write_text(source)
        files.append(str(path))
    script = elf.with_suffix(".ld")
    text = (FIRMWARE / "link.ld").read_text()
    for old, new in (("0x08000000", f"{flash:#x}"), ("0x20000000", f"{ram:#x}"), ("64K", room)):
        text = text.replace(old, new)
    script.write_text(text)
    compiler = "arm-none-eabi-g++" if any(file.endswith(".cpp") for file in files) else "arm-none-eabi-gcc"
    startup = ["-x", "c", str(FIRMWARE / "startup.c"), "-x", "none"]
    command = [compiler, *CORES[core], "-mthumb", NO_MEMCPY, *flags, f"-I{FIRMWARE}", *startup, *files, "-nostartfiles",
               f"-T{script}", *library, "-o", str(elf)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return elf


def calls_of(profile) -> dict[str, int]:
    """How often each function was called."""
    return dict(profile.functions.groupby("name").calls.sum())
