"""What the emulator and the tracer need of an ELF: bytes to load, symbols, the ranges of code, source lines.

Formats: System V ABI (ELF32), ELF for the Arm Architecture (AAELF32: bit 0 of a function symbol says Thumb; the mapping
symbols $t and $d say where code and literals begin). Beside dwarf.py the only importer of elftools.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import ARMAttributesSection, SymbolTableSection

from workbench.emulate.dwarf import inlined, line_table
from workbench.errors import ToolchainError, WorkbenchError
from workbench.units import address as hexadecimal

SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 0x1, 0x2, 0x4
PF_X = 0x1
KINDS = {"STT_FUNC": "function", "STT_OBJECT": "object", "STT_NOTYPE": "label"}


@dataclass(frozen=True)
class Segment:
    """Bytes to load at a physical address (where .data waits in flash), and where they are when the program runs."""

    address: int
    data: bytes = field(repr=False)
    runs_at: int


@dataclass(frozen=True)
class Symbol:
    """A function or an object of the ELF; a function's address has its Thumb bit cleared. `size` in bytes."""

    name: str
    address: int
    size: int
    kind: str


@dataclass(frozen=True)
class Section:
    """A section that takes memory: its address, and its size in bytes; `code`, `writable`, `stored` (it is in the file,
    so that where it is written it is stored in flash, too)."""

    name: str
    address: int
    size: int
    code: bool
    writable: bool
    stored: bool


@dataclass(frozen=True)
class Elf:
    """An ELF as plain data.

    path         where it lay; never read again
    content      its bytes
    segments     what to load, by physical address
    symbols      functions and objects, by address
    labels       address of every name, the linker script's own among them (wb_stack_top …)
    code_ranges  [begin, end) of Thumb code, literal pools left out, by the address where it runs
    constants    [begin, end) of what code may read of flash: literal pools and switch tables between the code, named
                 objects, and the compiler's unnamed constants; what pads them, and code itself, is not in it
    entry        where it says that it begins, Thumb bit cleared
    sections     those that take memory, by address
    attributes   build attributes, as the Arm ABI numbers their values: {"CPU_ARCH": 13, …}; {} where it has none
    """

    path: Path
    content: bytes = field(repr=False)
    segments: tuple[Segment, ...]
    symbols: tuple[Symbol, ...]
    labels: dict[str, int] = field(repr=False)
    code_ranges: tuple[tuple[int, int], ...] = field(repr=False)
    constants: tuple[tuple[int, int], ...] = field(repr=False)
    entry: int = 0
    sections: tuple[Section, ...] = field(default=(), repr=False)
    attributes: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def address(self, name: str) -> int:
        """The address of a function, an object or a linker-script label. Raises WorkbenchError if there is none."""
        if name not in self.labels:
            near = [label for label in sorted(self.labels) if label.startswith(name[:6])][:4]
            raise WorkbenchError(
                f"{self.path.name} has no symbol {name}",
                f"similar: {', '.join(near)}" if near else "was it linked with the workbench's start-up code?",
            )
        return self.labels[name]

    def has(self, name: str) -> bool:
        """Whether the name is defined."""
        return name in self.labels

    def symbol(self, name: str) -> Symbol:
        """The function or object called `name`. Raises WorkbenchError if there is none."""
        if name not in self._by_name:
            self.address(name)  # raises for an unknown name
            raise WorkbenchError(f"{name} in {self.path.name} is a label, not a function or an object")
        return self._by_name[name]

    def code(self, begin: int, end: int) -> bytes:
        """What lies at [begin, end) when the program runs; b"" where that is in no segment."""
        for segment in self.segments:
            if segment.runs_at <= begin and end <= segment.runs_at + len(segment.data):
                return segment.data[begin - segment.runs_at : end - segment.runs_at]
        return b""

    def symbol_at(self, address: int) -> tuple[Symbol, int] | None:
        """The symbol that holds the address and the offset into it.

        An object must hold the address. For code it is the nearest function below, even one of size 0 (assembly).
        """
        at = bisect_right(self._addresses, address) - 1
        for symbol in reversed(self.symbols[max(0, at - 8) : at + 1]):
            if symbol.address <= address < symbol.address + symbol.size:
                return symbol, address - symbol.address
        code = any(begin <= address < end for begin, end in self.code_ranges)
        while code and at >= 0:
            if self.symbols[at].kind == "function":
                return self.symbols[at], address - self.symbols[at].address
            at -= 1
        return None

    def describe(self, address: int) -> str:
        """'conv2d_s8 (conv2d_s8.h:41)', 'arena+0x40', or '' where nothing is known."""
        located = self.symbol_at(address)
        if not located:
            return ""
        symbol, offset = located
        if symbol.kind == "function":
            line = self.source_line(address)
            return f"{symbol.name} ({line})" if line else symbol.name
        return f"{symbol.name}+0x{offset:x}" if offset else symbol.name

    def source_line(self, pc: int) -> str | None:
        """'file:line' of the instruction at pc, from DWARF; None where the ELF has none."""
        starts, rows, _ = self._line_table
        at = bisect_right(starts, pc) - 1
        return rows[at] if at >= 0 else None

    def head_line(self, address: int) -> str | None:
        """'file:line' where the function at an address begins; None where it is not known."""
        return self._line_table[2].get(address) or self.source_line(address)

    def inlined_at(self, pc: int) -> str | None:
        """The function whose code was inlined at pc, the innermost, from DWARF; None where none was, or it has none."""
        at = bisect_right(self._inlined[0], pc) - 1
        return self._inlined[1][at] if at >= 0 else None

    @cached_property
    def _inlined(self) -> tuple[list[int], list[str | None]]:
        return inlined(self.content, self._is_code)

    @cached_property
    def _by_name(self) -> dict[str, Symbol]:
        return {symbol.name: symbol for symbol in self.symbols if self.labels[symbol.name] == symbol.address}

    @cached_property
    def _addresses(self) -> list[int]:
        return [symbol.address for symbol in self.symbols]

    @cached_property
    def _line_table(self) -> tuple[list[int], list[str | None], dict[int, str]]:
        return line_table(self.content, self._is_code)

    def _is_code(self, address: int) -> bool:
        """Whether code lies there: of functions that were left out, linkers put lines and inlined calls at 0."""
        at = bisect_right(self.code_ranges, (address, 1 << 32)) - 1
        return at >= 0 and address < self.code_ranges[at][1]


def load_elf(path: Path, stripped: bool = False) -> Elf:
    """Read a Thumb ELF executable; `stripped`: also one without symbols. Raises ToolchainError for a file that is
    missing, truncated or no such ELF."""
    path = Path(path)
    try:
        return parse_elf(path.read_bytes(), path, stripped)
    except FileNotFoundError:
        raise ToolchainError(f"{path} is missing", "`workbench build MODEL -o DIR` makes one") from None
    except OSError as error:
        raise ToolchainError(f"{path} is not a readable Arm ELF: {error}", "is it complete?") from None


def parse_elf(content: bytes, path: Path, stripped: bool = False) -> Elf:
    """These bytes as an Elf; messages call it `path`. Raises ToolchainError where they are no Thumb ELF."""
    try:
        return _read(path, content, ELFFile(BytesIO(content)), stripped)
    except (ELFError, EOFError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ToolchainError(f"{path} is not a readable Arm ELF: {error}", "is it complete?") from None


def undefined(content: bytes) -> set[str]:
    """The symbols that an object file, of this machine, takes from elsewhere. Raises ELFError where it is no ELF."""
    return {
        symbol.name
        for section in ELFFile(BytesIO(content)).iter_sections()
        if isinstance(section, SymbolTableSection)
        for symbol in section.iter_symbols()
        if symbol["st_shndx"] == "SHN_UNDEF" and symbol.name
    }


def _read(path: Path, content: bytes, elf: ELFFile, stripped: bool) -> Elf:
    if elf["e_machine"] != "EM_ARM" or elf.elfclass != 32:
        raise ELFError(f"made for {elf['e_machine']}")
    segments = []
    for segment in elf.iter_segments("PT_LOAD"):
        if data := segment.data():
            if len(data) != segment["p_filesz"]:
                raise ELFError(f"the segment at {hexadecimal(segment['p_paddr'])} is truncated")
            segments.append(Segment(segment["p_paddr"], data, segment["p_vaddr"]))
    entries = [
        entry
        for section in elf.iter_sections()
        if isinstance(section, SymbolTableSection)
        for entry in section.iter_symbols()
        if entry["st_shndx"] != "SHN_UNDEF" and entry.name
    ]
    if not segments or not (entries or stripped):
        raise ELFError("nothing to load, or stripped of its symbols")
    symbols: list[Symbol] = []
    labels: dict[str, int] = {}
    for entry in sorted(entries, key=lambda entry: entry["st_info"]["bind"] == "STB_LOCAL"):  # a global name wins
        kind = KINDS.get(entry["st_info"]["type"])
        if kind is None or entry.name.startswith("$"):
            continue
        address = entry["st_value"] & ~1 if kind == "function" else entry["st_value"]
        labels.setdefault(entry.name, address)
        if kind != "label":
            symbols.append(Symbol(entry.name, address, entry["st_size"], kind))
    symbols.sort(key=lambda symbol: (symbol.address, symbol.name))
    marks = sorted(
        (e["st_value"], e.name[:2]) for e in entries if e.name[:2] in ("$t", "$d") and e.name[2:3] in ("", ".")
    )
    objects = [s for s in symbols if s.kind == "object" and s.size]
    code, constants = sorted(_code_ranges(elf, marks)), _constants(elf, marks, objects)
    sections = sorted(_sections(elf), key=lambda section: section.address)
    return Elf(path, content, tuple(segments), tuple(symbols), labels, tuple(code), tuple(constants),
               elf["e_entry"] & ~1, tuple(sections), _attributes(elf))  # fmt: skip


def _sections(elf: ELFFile) -> Iterator[Section]:
    for section in elf.iter_sections():
        if section["sh_flags"] & SHF_ALLOC and section["sh_size"]:
            flags = section["sh_flags"]
            yield Section(section.name, section["sh_addr"], section["sh_size"], bool(flags & SHF_EXECINSTR),
                          bool(flags & SHF_WRITE), section["sh_type"] != "SHT_NOBITS")  # fmt: skip


def _attributes(elf: ELFFile) -> dict[str, Any]:
    """Of the whole file, from .ARM.attributes."""
    return {
        attribute.tag.removeprefix("TAG_"): attribute.value
        for section in elf.iter_sections()
        if isinstance(section, ARMAttributesSection)
        for part in section.iter_subsections()
        for scope in part.iter_subsubsections()
        for attribute in scope.iter_attributes()
    }


def _code_ranges(elf: ELFFile, marks):
    """From each $t to the next $d (or the section's end), within the executable sections; without any marks those
    sections, and without sections the executable segments."""
    if not marks:
        found = [(section.address, section.size) for section in _sections(elf) if section.code]
        loaded = (each for each in elf.iter_segments("PT_LOAD") if each["p_flags"] & PF_X)
        found = found or [(each["p_vaddr"], each["p_filesz"]) for each in loaded]
        yield from ((begin, begin + size & ~1) for begin, size in found)
        return
    for section in elf.iter_sections():
        if not section["sh_flags"] & SHF_EXECINSTR or section["sh_type"] != "SHT_PROGBITS":
            continue
        end = section["sh_addr"] + section["sh_size"]
        begin = None
        for address, mark in [m for m in marks if section["sh_addr"] <= m[0] < end] + [(end, "$d")]:
            if mark == "$t" and begin is None:
                begin = address
            elif mark == "$d" and begin is not None:
                if begin < address:
                    yield begin, address
                begin = None


def _constants(elf: ELFFile, marks, objects):
    """The objects of read-only sections, and what begins at a $d where no object does: an unnamed constant, a pool.

        p_fc1_weight ..... | padding | .LC0 ... | table.0 ...      of a section; every input section begins with a $d
        $d                             $d         $d

    Padding has no mark of its own. (That needs -fdata-sections: without it an unnamed constant after a named one has
    none either.)
    """
    for section in elf.iter_sections():
        if section["sh_type"] != "SHT_PROGBITS" or section["sh_flags"] & (SHF_WRITE | SHF_ALLOC) != SHF_ALLOC:
            continue
        begin, end = section["sh_addr"], section["sh_addr"] + section["sh_size"]
        named = [(s.address, s.address + s.size) for s in objects if begin <= s.address < end]
        inside = [(address, mark) for address, mark in marks if begin <= address < end]
        stops = sorted({address for address, _ in inside} | {low for low, _ in named} | {end})
        unnamed = {address for address, mark in inside if mark == "$d"}
        unnamed -= {address for low, high in named for address in unnamed if low <= address < high}
        yield from named
        yield from ((address, stops[bisect_right(stops, address)]) for address in sorted(unnamed))
