"""What an ELF takes: bytes of flash and SRAM, and the stack it may need by gcc's own figures and call graph."""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from workbench.boards import Board
from workbench.errors import ToolchainError
from workbench.toolchain.compiler import tool
from workbench.toolchain.machine_code import MachineCode

ENTRIES = ("Reset_Handler", "wb_forward", "wb_accumulate", "wb_train_step")


def sizes(folder: Path, board: Board) -> dict[str, int]:
    """Of the firmware.elf that was built in `folder`: bytes of flash (code, constants, initial values), of SRAM below
    the arena, and of stack."""
    listing = tool("arm-none-eabi-size", "-A", str(folder / "firmware.elf"))
    sections = {m[1]: (int(m[2]), int(m[3])) for m in re.finditer(r"^(\.\S+)\s+(\d+)\s+(\d+)", listing, re.M)}
    flash = sum(sections.get(name, (0, 0))[0] for name in (".vectors", ".text", ".rodata", ".ARM.exidx", ".data"))
    static = sections[".arena"][1] - board.sram_base
    return {"flash": flash, "static": static, "stack_reserve": stack_reserve(folder)}


def stack_reserve(folder: Path) -> int:
    """The deepest stack any entry can need: see stack_depths."""
    return max(stack_depths(folder, ENTRIES).values())


def stack_depths(folder: Path, functions: Iterable[str]) -> dict[str, int]:
    """Bytes of stack that each of these functions can need, of those that there are: from the call graphs (*.ci) that
    gcc left beside the objects, and from the machine code.

    Raises ToolchainError for recursion: its depth is not in the call graph. What a pointer calls is not seen; the C of
    the workbench calls by name.
    """
    frames: dict[str, int] = {}
    calls: dict[str, set[str]] = {}
    for path in sorted(folder.glob("*.ci")):
        text = path.read_text()
        for name, size in re.findall(r'node: \{ title: "([^"]+)" label: "[^"]*\\n(\d+) bytes', text):
            frames[_plain(name)] = max(int(size), frames.get(_plain(name), 0))  # static ones are in several files
        for source, target in re.findall(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', text):
            calls.setdefault(_plain(source), set()).add(_plain(target))

    code = MachineCode(folder / "firmware.elf")
    on_the_way: list[str] = []

    @cache
    def depth(name: str) -> int:
        if name in on_the_way:
            loop = " -> ".join([*on_the_way[on_the_way.index(name) :], name])
            raise ToolchainError(f"the stack has no bound: {loop} is recursive", "write the kernel as a loop")
        on_the_way.append(name)
        if name in frames:  # its code has calls too that gcc leaves out of the graph: those of a Cortex-M0's switch
            own, called = frames[name] + code.arguments_kept(name), code.calls(name) | calls.get(name, set())
        else:
            own, called = code.library_frame(name)
        below = max(map(depth, called), default=0)
        on_the_way.pop()
        return own + below

    return {name: depth(name) for name in functions if name in frames}


def _plain(name: str) -> str:
    return name.rsplit(":", 1)[-1]
