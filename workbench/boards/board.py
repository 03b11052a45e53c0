"""A board: a core, a clock, a floating-point unit or none, and regions of memory."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from numbers import Integral
from typing import Any

from workbench.errors import BoardError, WorkbenchError, shown, there_are
from workbench.units import KB, frequency, parse_bytes, size
from workbench.units import address as hexadecimal

MB = 1024 * KB
MOST = 64 * MB  # of a region
SPACE = 1 << 32  # of addresses
PERIPHERALS = 0x40000000, 0x60000000  # the Armv6-M, Armv7-M and Armv8-M memory maps: no memory lies there,
SYSTEM = 0xE0000000  # or from here on
MOST_WAITS, MOST_LINES = 1000, 1 << 16  # cycles; of a cache
LINES = (4, 8, 16, 32, 64, 128)  # bytes
NO_FPU = "none"
FPUS = {  # core, by gcc's -mcpu name -> the units it may have, by gcc's -mfpu names
    "cortex-m0plus": (),
    "cortex-m3": (),
    "cortex-m4": ("fpv4-sp-d16",),
    "cortex-m7": ("fpv5-sp-d16", "fpv5-d16"),
    "cortex-m33": ("fpv5-sp-d16",),
}
NAME = r"[A-Za-z0-9][\w.+-]*"  # folders are called so
EXAMPLE = 'flash = { base = 0x08000000, size = "256K" }'


@dataclass(frozen=True)
class Region:
    """A piece of memory: base (an address), size (bytes), and how slow it is for code and literals; not at all unless a
    board's file says so.

    wait_states  cycles beyond the one that an access takes
    line         bytes that an access gives
    prefetch     whether the next line is asked for once one has come
    cache_lines  lines of code that a cache in front of it keeps; 0: there is none
    """

    name: str
    base: int
    size: int
    wait_states: int = 0
    line: int = 4
    prefetch: bool = False
    cache_lines: int = 0

    @property
    def end(self) -> int:
        return self.base + self.size

    def __contains__(self, address: int) -> bool:
        return self.base <= address < self.end


@dataclass(frozen=True)
class Board:
    """A microcontroller as the toolchain and the emulator need it. Addresses and sizes in bytes, clock in Hz.

    core     gcc's -mcpu name, and the name of the timing model
    fpu      gcc's -mfpu name; "none": float32 is computed by gcc's library
    regions  its memory; what is no code can be written
    code     the region that holds vectors, code and constants
    data     the region that holds static data, arena and stack
    source   the document that the figures are from
    """

    name: str
    core: str
    clock_hz: int
    fpu: str
    regions: tuple[Region, ...]
    code: str = "flash"
    data: str = "sram"
    source: str = ""

    def region(self, name: str) -> Region:
        return next(region for region in self.regions if region.name == name)

    def region_at(self, address: int) -> Region | None:
        """The region that an address lies in."""
        return next((region for region in self.regions if address in region), None)

    @property
    def flash_base(self) -> int:
        return self.region(self.code).base

    @property
    def flash_size(self) -> int:
        return self.region(self.code).size

    @property
    def sram_base(self) -> int:
        return self.region(self.data).base

    @property
    def sram_size(self) -> int:
        return self.region(self.data).size

    @property
    def sram_end(self) -> int:
        return self.region(self.data).end

    @property
    def soft_float(self) -> bool:
        return self.fpu == NO_FPU

    @property
    def fuses(self) -> bool:
        """Whether a fused multiply-add pays on its core: 1.5 instead of 2.4 cycles a product of a float32 matrix on a
        Cortex-M7; 4.9 instead of 3.9 on a Cortex-M4, where VFMA takes 3 and VMUL and VADD 1 each. The bits of a
        Cortex-M33 are a Cortex-M4's."""
        return self.core == "cortex-m7" and not self.soft_float

    @property
    def flags(self) -> tuple[str, ...]:
        """gcc's options for its core."""
        unit = ("-mfloat-abi=soft",) if self.soft_float else (f"-mfpu={self.fpu}", "-mfloat-abi=hard")
        return (f"-mcpu={self.core}", "-mthumb", *unit)

    @property
    def core_title(self) -> str:
        """'Cortex-M4F', 'Cortex-M0+': the field's name for the core with its floating-point unit."""
        return self.core.replace("cortex-m", "Cortex-M").replace("plus", "+") + "F" * (not self.soft_float)

    @property
    def title(self) -> str:
        """'nrf52840, Cortex-M4F 64 MHz', and that float32 is computed in software where it is."""
        return f"{self.name}, {self.core_title} {frequency(self.clock_hz)}{', soft float' * self.soft_float}"

    def with_region(self, name: str, **changes: Any) -> "Board":
        """The same board with another base, size or wait states of a region."""
        regions = tuple(replace(each, **changes) if each.name == name else each for each in self.regions)
        return replace(self, regions=regions)

    def with_sram(self, limit: int) -> "Board":
        """The same board with another SRAM limit (the emulator maps whole KB). Raises BoardError."""
        if not isinstance(limit, Integral) or limit <= 0 or limit % KB or limit > 16 * MB:
            raise BoardError(
                f"SRAM of {limit!r} bytes cannot be mapped", "use a multiple of 1 KB up to 16 MB, like --sram 96K"
            )
        board = self.with_region(self.data, size=int(limit))
        _require_apart(board)
        return board

    @classmethod
    def of_plain(cls, told: Any) -> "Board":
        """The board that a saved run tells. Raises BoardError for one that no firmware was linked for."""
        told = _with_regions(told) if isinstance(told, dict) else {}
        regions = told.get("regions")
        whole = isinstance(regions, list | tuple) and all(isinstance(each, dict) and "name" in each for each in regions)
        if not whole or set(told) != {field.name for field in fields(cls)}:
            raise BoardError("it does not tell the board that it was linked for")
        named = {str(each["name"]): {key: each[key] for key in each if key != "name"} for each in regions}
        return board_of({**told, "regions": named}, "linked_for")

    def __str__(self) -> str:
        return f"{self.title}, {size(self.sram_size)} SRAM"


def _with_regions(told: dict[str, Any]) -> dict[str, Any]:
    """What runs of version 1 tell of flash and SRAM, as regions."""
    if "regions" in told:
        return told
    old = {f"{region}_{key}" for region in ("flash", "sram") for key in ("base", "size")}
    if not old <= set(told):
        return told
    regions = [
        {"name": name, "base": told[f"{name}_base"], "size": told[f"{name}_size"], "wait_states": 0}
        for name in ("flash", "sram")
    ]
    others = {key: value for key, value in told.items() if key not in old}
    return {**others, "regions": regions, "code": "flash", "data": "sram", "source": ""}


def board_of(told: Mapping[str, Any], where: str) -> Board:
    """The board that a table of TOML describes. Raises BoardError that begins with `where`."""
    kinds: dict[str, Any] = {field.name: dict if field.name == "regions" else field.type for field in fields(Board)}
    if unknown := [key for key in told if key not in kinds]:
        raise BoardError(f"{where}: {unknown[0]} is no key of a board", there_are(unknown[0], kinds))
    for key, value in told.items():
        if type(value) is not kinds[key]:
            raise BoardError(f"{where}: {key} is {shown(value)}", f"it is {WORDS[kinds[key]]}")
    missing = [key for key in ("name", "core", "clock_hz", "regions") if key not in told]
    if missing:
        raise BoardError(f"{where}: {missing[0]} is missing", HINTS[missing[0]])
    if not re.fullmatch(NAME, told["name"]):
        raise BoardError(f"{where}: no board can be called {shown(told['name'])}", HINTS["name"])
    if told["core"] not in FPUS:
        raise BoardError(f"{where}: the core {shown(told['core'])} is not known", there_are(told["core"], FPUS))
    if not 0 < told["clock_hz"] <= 10**10:
        raise BoardError(f"{where}: clock_hz is {shown(told['clock_hz'])}", HINTS["clock_hz"])
    regions = tuple(_region_of(name, each, where) for name, each in told["regions"].items())
    board = Board(**{**told, "fpu": _fpu_of(told, where), "regions": regions})
    names = [region.name for region in regions]
    for key in ("code", "data"):
        if getattr(board, key) not in names:
            raise BoardError(
                f"{where}: no region is called {shown(getattr(board, key))}, which holds the {key}",
                f'name one of the regions, like {key} = "{names[0]}"' if names else EXAMPLE,
            )
    if board.code == board.data:
        raise BoardError(f"{where}: code and data are in one region", "give each its own; regions can lie side by side")
    try:
        _require_apart(board)
    except BoardError as error:
        raise BoardError(f"{where}: {error.message}", error.hint) from None
    return board


WORDS: dict[Any, str] = {str: "text", int: "a whole number", dict: f"a table, like regions.{EXAMPLE}"}
HINTS = {
    "name": "a name is of letters, digits, '-', '_', '+' and '.'",
    "core": f"there are {', '.join(FPUS)}",
    "clock_hz": "in Hz, like 64_000_000",
    "regions": f"like [regions], then {EXAMPLE} and another one that is called sram",
}


def _fpu_of(told: Mapping[str, Any], where: str) -> str:
    known = (*FPUS[told["core"]], NO_FPU)
    if told.get("fpu", known[0] if len(known) == 1 else None) not in known:
        said = f"{told['core']} has no fpu {shown(told['fpu'])}" if "fpu" in told else "fpu is missing"
        raise BoardError(f"{where}: {said}", f"of a {told['core']} it is {' or '.join(map(repr, known))}")
    return told.get("fpu", NO_FPU)


def _region_of(name: str, told: Any, where: str) -> Region:
    """A region by its keys; a size may be text like "256K"."""
    keys = [field.name for field in fields(Region)][1:]
    if not isinstance(told, dict) or not re.fullmatch(NAME, name):
        raise BoardError(f"{where}: {shown(name)} is no region", f"a region is like {EXAMPLE}")
    unknown, missing = set(told) - set(keys), [key for key in keys[:2] if key not in told]
    if unknown:
        raise BoardError(f"{where}: {sorted(unknown)[0]} is no key of a region", there_are(sorted(unknown)[0], keys))
    if missing:
        raise BoardError(f"{where}: the region {name} has no {missing[0]}", f"a region is like {EXAMPLE}")
    values = dict(told)
    if isinstance(told["size"], str):
        try:
            values["size"] = parse_bytes(told["size"])
        except WorkbenchError as error:
            raise BoardError(f"{where}: the size of the region {name}: {error.message}", error.hint) from None
    for key, value in values.items():
        is_one, words = VALUES[key]
        if not is_one(value):
            raise BoardError(f"{where}: no region has {key} {shown(told[key])}, as {name}", f"it is {words}")
    return Region(name, **values)


def _count(most: int, unit: int = 1, least: int = 0) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most and value % unit == 0


VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "base": (_count(SPACE, KB), "a multiple of 1 KB"),
    "size": (_count(MOST, KB, KB), f"a multiple of 1 KB up to {size(MOST)}"),
    "wait_states": (_count(MOST_WAITS), f"a whole number of cycles up to {MOST_WAITS}"),
    "line": (lambda value: value in LINES and type(value) is int, f"bytes: {', '.join(map(str, LINES))}"),
    "prefetch": (lambda value: type(value) is bool, "true or false"),
    "cache_lines": (_count(MOST_LINES), f"a whole number up to {MOST_LINES}"),
}


def _require_apart(board: Board) -> None:
    """Raise BoardError where two regions share an address, or one lies where peripherals are."""
    ordered = sorted(board.regions, key=lambda region: region.base)
    for low, high in pairwise(ordered):
        if high.base < low.end:
            raise BoardError(
                f"the regions {low.name} (up to {hexadecimal(low.end)}) and {high.name} (from "
                f"{hexadecimal(high.base)}) overlap",
                "regions lie apart, or side by side",
            )
    for region in ordered:
        if region.end > SYSTEM or (region.base < PERIPHERALS[1] and region.end > PERIPHERALS[0]):
            raise BoardError(
                f"the region {region.name} lies where peripherals are",
                "memory is below 0x40000000, or from 0x60000000 up to 0xe0000000",
            )
