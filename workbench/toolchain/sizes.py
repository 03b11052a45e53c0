"""What an ELF takes: bytes of flash and SRAM, and the stack it may need by gcc's own figures and call graph."""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from workbench.boards import Board
from workbench.errors import ToolchainError
from workbench.toolchain.compiler import tool

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
    """Bytes of stack that each of these functions can need, of those that there are, from the call graphs (*.ci) gcc
    left beside the objects.

    Raises ToolchainError for recursion: its depth is not in the call graph.
    """
    frames: dict[str, int] = {}
    calls: dict[str, set[str]] = {}
    for path in sorted(folder.glob("*.ci")):
        text = path.read_text()
        for name, size in re.findall(r'node: \{ title: "([^"]+)" label: "[^"]*\\n(\d+) bytes', text):
            frames[_plain(name)] = int(size)
        for source, target in re.findall(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', text):
            calls.setdefault(_plain(source), set()).add(_plain(target))

    elf = folder / "firmware.elf"
    on_the_way: list[str] = []

    @cache
    def depth(name: str) -> int:
        if name in on_the_way:
            loop = " -> ".join([*on_the_way[on_the_way.index(name) :], name])
            raise ToolchainError(f"the stack has no bound: {loop} is recursive", "write the kernel as a loop")
        on_the_way.append(name)
        own, called = (frames[name], calls.get(name, ())) if name in frames else library_frame(elf, name)
        below = max(map(depth, called), default=0)
        on_the_way.pop()
        return own + below

    return {name: depth(name) for name in functions if name in frames}


def library_frame(elf: Path, name: str) -> tuple[int, frozenset[str]]:
    """Of a library function (memset, a division): bytes of stack it pushes, read from its code, an upper bound; and
    which functions it calls."""
    code = tool("arm-none-eabi-objdump", "-d", f"--disassemble={name}", str(elf))
    size = 0
    for mnemonic, operands in re.findall(r"\t(\S+)\t(.*)", code):
        pushed = re.match(r"(v?push|stmdb$)", mnemonic) and (mnemonic != "stmdb" or operands.startswith("sp!"))
        stored = re.search(r"\[sp, #-(\d+)\]!", operands)
        lowered = re.match(r"sp, (?:sp, )?#(\d+)", operands) if mnemonic.startswith("sub") else None
        size += 4 * _registers(operands) if pushed else 0
        moved = stored or lowered
        size += int(moved[1]) if moved else 0
    called = re.findall(r"\tb(?:lx?)?(?:\.[wn])?\t[0-9a-f]+ <([^>+]+)>", code)
    return size, frozenset(called) - {name}


def _registers(operands: str) -> int:
    listed = re.search(r"\{(.*)\}", operands)
    count = 0
    for part in listed[1].split(",") if listed else ():
        low, _, high = part.strip().partition("-")
        each = 2 if low.startswith("d") else 1
        count += each * (int(high[1:]) - int(low[1:]) + 1 if high else 1)
    return count


def _plain(name: str) -> str:
    return name.rsplit(":", 1)[-1]
