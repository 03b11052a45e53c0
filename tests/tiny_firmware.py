"""Compiles a few lines of C or assembly into a firmware for the tests of emulate and trace."""

import subprocess
from pathlib import Path

from workbench import boards

TEMPLATES = Path(__file__).resolve().parent.parent / "firmware_templates"
BOARD = boards.get("nrf52840").with_sram(32 * 1024)
BOARD_M7 = boards.get("stm32f746").with_sram(32 * 1024)
FLAGS = ("-O2", "-g", "-ffp-contract=off", "-fno-ipa-icf", "-Wall", "-Werror")
PRELUDE = '#include <stdint.h>\n#define ARENA __attribute__((section(".bss..arena"), aligned(8)))\n'


def compile_firmware(folder: Path, source: str, board=BOARD, *, assembly: str = "", flags=()) -> Path:
    """The ELF of `source` (C) and `assembly` with the project's own start-up code, linked for `board`."""
    (folder / "board.ld").write_text(
        f"MEMORY {{ FLASH (rx) : ORIGIN = {board.flash_base:#x}, LENGTH = {board.flash_size}\n"
        f"SRAM (rwx) : ORIGIN = {board.sram_base:#x}, LENGTH = {board.sram_size} }}\nINCLUDE sections.ld\n"
    )
    (folder / "tiny.c").write_text(PRELUDE + source)
    (folder / "tiny_asm.S").write_text(".syntax unified\n.thumb\n" + assembly)
    elf = folder / "tiny.elf"
    command = ["arm-none-eabi-gcc", *board.flags, *FLAGS, *flags, "-nostartfiles", f"-I{TEMPLATES}",
               f"-L{TEMPLATES}", f"-T{folder / 'board.ld'}", str(folder / "tiny.c"), str(folder / "tiny_asm.S"),
               str(TEMPLATES / "startup.c"), str(TEMPLATES / "main.c"), "-lm", "-o", str(elf)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return elf
