"""Source lines and inlined functions by address, as the DWARF of an ELF tells them: nothing where it tells nothing.

Formats: DWARF 5, chapters 6.2 (line tables) and 3.3.8 (inlined code). DWARF that cannot be read is a courtesy lost, no
error: it must not hide what was asked about.
"""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

from elftools.dwarf.ranges import BaseAddressEntry
from elftools.elf.elffile import ELFFile

IsCode = Callable[[int], bool]


def line_table(content: bytes, is_code: IsCode) -> tuple[list[int], list[str | None], dict[int, str]]:
    """Addresses where a source line begins and its 'file:line', of several at one address the last, None behind the end
    of the last one; and the first line of each address. Slow."""
    try:
        found = _line_rows(ELFFile(BytesIO(content)), is_code)
        rows = sorted(found, key=lambda row: (row[0], row[1] is not None))  # what begins goes over what ends
    except Exception:
        rows = []
    last, first = dict(rows), {address: line for address, line in reversed(rows) if line is not None}
    return list(last), list(last.values()), first


def inlined(content: bytes, is_code: IsCode) -> tuple[list[int], list[str | None]]:
    """Addresses where the innermost inlined function changes, and its name from there on; None for none."""
    try:
        found = (span for span in _inlined_spans(ELFFile(BytesIO(content))) if is_code(span[0]))
        spans = sorted(found, key=lambda span: (span[0], -span[1]))
    except Exception:
        spans = []
    starts: list[int] = []
    names: list[str | None] = []
    open_: list[tuple[int, str]] = []

    def close(until: float) -> None:
        while open_ and open_[-1][0] <= until:
            end, _ = open_.pop()
            put(end, open_[-1][1] if open_ else None)

    def put(address: int, name: str | None) -> None:
        if starts and starts[-1] == address:
            names[-1] = name
        else:
            starts.append(address)
            names.append(name)

    for begin, end, name in spans:
        close(begin)
        open_.append((min(end, open_[-1][0]) if open_ else end, name))
        put(begin, name)
    close(float("inf"))
    return starts, names


def _inlined_spans(elf: ELFFile) -> Iterator[tuple[int, int, str]]:
    """(begin, end, name) of every piece of code that was inlined (DWARF 5, 3.3.8)."""
    if not elf.has_dwarf_info():
        return
    dwarf = elf.get_dwarf_info()
    ranges = dwarf.range_lists()
    for unit in dwarf.iter_CUs():
        base = _address_of(unit.get_top_DIE(), "DW_AT_low_pc", 0)
        for die in unit.iter_DIEs():
            if die.tag != "DW_TAG_inlined_subroutine":
                continue
            origin = die.get_DIE_from_attribute("DW_AT_abstract_origin")
            name = origin.attributes.get("DW_AT_name")
            text = name.value.decode(errors="replace") if name else "?"
            if "DW_AT_ranges" in die.attributes and ranges:
                own = base
                for each in ranges.get_range_list_at_offset(die.attributes["DW_AT_ranges"].value, unit):
                    if isinstance(each, BaseAddressEntry):
                        own = each.base_address
                    else:
                        start = 0 if getattr(each, "is_absolute", False) else own
                        yield start + each.begin_offset, start + each.end_offset, text
            elif "DW_AT_high_pc" in die.attributes:
                low = _address_of(die, "DW_AT_low_pc", 0)
                high = die.attributes["DW_AT_high_pc"]
                yield low, high.value if high.form == "DW_FORM_addr" else low + high.value, text


def _address_of(die, name: str, default: int) -> int:
    return die.attributes[name].value if name in die.attributes else default


def _line_rows(elf: ELFFile, is_code: IsCode) -> Iterator[tuple[int, str | None]]:
    """(address, 'file:line') where a line begins; (address, None) where a sequence of lines ends. Sequences that begin
    at no code are left out."""
    if not elf.has_dwarf_info():
        return
    dwarf = elf.get_dwarf_info()
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        base = 0 if program["version"] >= 5 else 1
        names = [Path(file.name.decode()).name for file in program["file_entry"]]
        rows: list[tuple[int, str]] = []
        for entry in program.get_entries():
            if (state := entry.state) is None:
                continue
            if not state.end_sequence:
                rows.append((state.address, f"{names[state.file - base]}:{state.line}"))
                continue
            if rows and is_code(rows[0][0]):
                yield from (row for row in rows if row[0] < state.address)
                yield state.address, None
            rows = []
