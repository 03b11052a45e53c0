"""What a linked program's machine code tells of calls and frames: gcc leaves no call graph of what libraries bring.

A library function is written in C, or by hand in assembly: then it goes on in another one by a jump, or by running into
it. All that is reached so counts as one function, whose frame is the sum of all that is pushed there: an upper bound.
"""

import re
from bisect import bisect_right
from pathlib import Path

from workbench.errors import ToolchainError
from workbench.toolchain.compiler import tool

SYMBOL = r"^([0-9a-f]{8}) .{5}[ F]. \S+\t[0-9a-f]+ (?:\.hidden )?(\S+)$"
HEADER = r"^([0-9a-f]+) <(.+)>:$"
INSTRUCTION = r"^ *[0-9a-f]+:\t[0-9a-f ]+\t(\S+)(?:\t(.*))?$"
CALL = r"blx?(?:\.[nw])?"
JUMP = r"b(?!kpt|ic|f[ci])\w*(?:\.[nw])?|cbn?z"
TARGET = r"\b([0-9a-f]+) <[^>]+>$"
KEPT = r"\s*[0-9a-f]+:\t[0-9a-f ]+\tsub\tsp, #(\d+).*\n.*\t(?:push|stmdb\tsp!)"
ENDS = r"(?:b|bx)(?:\.[nw])?|udf"  # what nothing runs beyond; so does all else that writes the pc
DATA = r"\.\w+|nop(?:\.w)?"


class MachineCode:
    """The functions of an ELF, by name."""

    def __init__(self, elf: Path):
        listing = tool("arm-none-eabi-objdump", "-dt", str(elf))
        headers = list(re.finditer(HEADER, listing, re.M))
        ends = [header.start() for header in headers[1:]] + [len(listing)]
        self.address = {m[2]: int(m[1], 16) for m in re.finditer(SYMBOL, listing, re.M)}
        self.starts = [int(header[1], 16) for header in headers]
        self.names = [header[2] for header in headers]
        self.read: dict[int, list[tuple[str, str]]] = {}
        self.texts = [listing[header.end() : end] for header, end in zip(headers, ends, strict=True)]

    def calls(self, name: str) -> frozenset[str]:
        """The other functions that a function calls or jumps to."""
        at = self._index(name)
        return frozenset() if at is None else frozenset(self.names[i] for i in self._targets(at, JUMP) - {at})

    def arguments_kept(self, name: str) -> int:
        """Bytes that a function adds to its frame first, for an argument that comes in registers in part: gcc's own
        figure of its frame leaves them out."""
        at = self._index(name)
        kept = None if at is None else re.match(KEPT, self.texts[at])
        return int(kept[1]) if kept else 0

    def library_frame(self, name: str) -> tuple[int, frozenset[str]]:
        """Of a library function: bytes of stack, at most, and which functions it calls.

        Raises ToolchainError where the code does not tell.
        """
        at = self._index(name)
        parts, waiting = set(), [] if at is None else [at]
        while waiting:
            part = waiting.pop()
            if part not in parts:
                parts.add(part)
                waiting += self._next(part)
        called = {self.names[i] for part in parts for i in self._targets(part, CALL) - parts}
        return sum(map(self._pushed, parts)), frozenset(called)

    def _index(self, name: str) -> int | None:
        return self._holds(self.address[name]) if name in self.address else None

    def _holds(self, address: int) -> int:
        return bisect_right(self.starts, address) - 1

    def _instructions(self, at: int) -> list[tuple[str, str]]:
        """(mnemonic, operands) of a function; read once."""
        if at not in self.read:
            found = re.finditer(INSTRUCTION, self.texts[at], re.M)
            self.read[at] = [(each[1], (each[2] or "").strip()) for each in found]
        return self.read[at]

    def _next(self, at: int) -> set[int]:
        """The functions in which it goes on."""
        jumped = self._targets(at, JUMP) - self._targets(at, CALL)
        code = [each for each in self._instructions(at) if not re.fullmatch(DATA, each[0])]
        last, operands = code[-1] if code else ("", "")
        ends = re.fullmatch(ENDS, last) or "pc" in operands or not code or at + 1 == len(self.starts)
        return jumped if ends else jumped | {at + 1}

    def _targets(self, at: int, mnemonics: str) -> set[int]:
        found = (re.search(TARGET, operands) for name, operands in self._instructions(at)
                 if re.fullmatch(mnemonics, name))  # fmt: skip
        return {self._holds(int(target[1], 16)) for target in found if target}

    def _pushed(self, at: int) -> int:
        size = 0
        for mnemonic, operands in self._instructions(at):
            pushed = re.match(r"(v?push|stmdb$)", mnemonic) and (mnemonic != "stmdb" or operands.startswith("sp!"))
            stored = re.search(r"\[sp, #-(\d+)\]!", operands)
            lowered = re.match(r"sp, (?:sp, )?#(\d+)", operands) if mnemonic.startswith("sub") else None
            size += 4 * _registers(operands) if pushed else 0
            moved = stored or lowered
            size += int(moved[1]) if moved else 0
            by_register = re.match(r"(add|sub)", mnemonic) and re.match(r"sp, (?:sp, )?[^s#]", operands)
            if by_register or (mnemonic.startswith("blx") and not re.search(TARGET, operands)):
                raise ToolchainError(
                    f"the stack has no bound: {self.names[at]}, of a library, has `{mnemonic} {operands}`",
                    "call another function",
                )
        return size


def _registers(operands: str) -> int:
    listed = re.search(r"\{(.*)\}", operands)
    count = 0
    for part in listed[1].split(",") if listed else ():
        low, _, high = part.strip().partition("-")
        each = 2 if low.startswith("d") else 1
        count += each * (int(high[1:]) - int(low[1:]) + 1 if high else 1)
    return count
