"""Where Thumb-2 instructions begin, and as much of each as timing needs: its class, transfers, registers.

Not a disassembler: everything not named below is plain arithmetic. Encodings: Armv7-M Architecture Reference Manual
(DDI 0403), chapters A5 to A7. An instruction is a word: the first halfword in the upper 16 bits, the second (0 for a
narrow one) in the lower. A row of ENCODINGS is (mask, value, class, writes, reads); letters name register fields.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from workbench.emulate.symbols import Elf


class Kind(IntEnum):
    """Instruction classes that take different time."""

    ALU, MULTIPLY, DIVIDE, BRANCH, SYSTEM, IT = range(6)
    LOAD, STORE, STORE_INDEXED, LOAD_MULTIPLE, STORE_MULTIPLE = range(6, 11)
    FLOAT, FLOAT_MAC, FLOAT_DIVIDE, FLOAT_LOAD, FLOAT_STORE = range(11, 16)


@dataclass(frozen=True)
class Code:
    """The instructions of an ELF in address order, as arrays of one length.

    address, wide (4 bytes instead of 2), kind (a Kind), transfers (words moved by a load or store, else 0), and writes
    and reads: sets of registers as bits, r0–r15 in 0–15, s0–s31 in 16–47 (0 where not known).
    """

    address: np.ndarray
    wide: np.ndarray
    kind: np.ndarray
    transfers: np.ndarray
    writes: np.ndarray
    reads: np.ndarray


# letter: (shift of a 4-bit field in the word, width); see _registers for the floating-point ones
FIELDS = {
    "a": (16, 3), "b": (19, 3), "c": (22, 3), "h": (24, 3),  # narrow: bits 2-0, 5-3, 8-6, 10-8 of the first halfword
    "m": (0, 4), "d": (8, 4), "t": (12, 4), "n": (16, 4), "q": (19, 4),  # wide: Rm, Rd, Rt (Ra, RdLo), Rn; q: narrow Rm
}  # fmt: skip
FLOAT_FIELDS = {"D": (12, 22), "N": (16, 7), "M": (0, 5)}  # Vd:D, Vn:N, Vm:M of single precision

K = Kind
ENCODINGS = (
    # narrow
    (0xFF000000, 0xBF000000, K.IT, "", ""),
    (0xFE000000, 0xB4000000, K.STORE_MULTIPLE, "", ""),
    (0xFE000000, 0xBC000000, K.LOAD_MULTIPLE, "", ""),
    (0xF5000000, 0xB1000000, K.BRANCH, "", "a"),
    (0xFF000000, 0xDF000000, K.SYSTEM, "", ""),
    (0xF0000000, 0xD0000000, K.BRANCH, "", ""),
    (0xF8000000, 0xE0000000, K.BRANCH, "", ""),
    (0xFF000000, 0x47000000, K.BRANCH, "", "q"),
    (0xFFC00000, 0x43400000, K.MULTIPLY, "a", "ab"),
    (0xF8000000, 0x48000000, K.LOAD, "h", ""),
    (0xFE000000, 0x56000000, K.LOAD, "a", "bc"),
    (0xF8000000, 0x58000000, K.LOAD, "a", "bc"),
    (0xF8000000, 0x50000000, K.STORE_INDEXED, "", "abc"),
    (0xF8000000, 0x98000000, K.LOAD, "h", ""),
    (0xF8000000, 0x90000000, K.STORE, "", "h"),
    *((0xF8000000, value, K.LOAD, "a", "b") for value in (0x68000000, 0x78000000, 0x88000000)),
    *((0xF8000000, value, K.STORE, "", "ab") for value in (0x60000000, 0x70000000, 0x80000000)),
    (0xF8000000, 0xC8000000, K.LOAD_MULTIPLE, "", "h"),
    (0xF8000000, 0xC0000000, K.STORE_MULTIPLE, "", "h"),
    (0xF8000000, 0x28000000, K.ALU, "", "h"),  # cmp
    (0xF8000000, 0x20000000, K.ALU, "h", ""),  # mov
    (0xF0000000, 0x30000000, K.ALU, "h", "h"),  # add, sub imm8
    (0xFC000000, 0x18000000, K.ALU, "a", "bc"),
    (0xFC000000, 0x1C000000, K.ALU, "a", "b"),
    (0xE0000000, 0x00000000, K.ALU, "a", "b"),
    (0xFC000000, 0x40000000, K.ALU, "a", "ab"),
    (0xFF000000, 0x46000000, K.ALU, "a", "q"),
    (0xFF000000, 0x44000000, K.ALU, "a", "aq"),
    (0xFF000000, 0xB2000000, K.ALU, "a", "b"),  # extend
    # wide: load and store
    (0xFFF0FFE0, 0xE8D0F000, K.BRANCH, "", "nm"),  # table branch
    (0xFE500000, 0xE8100000, K.LOAD_MULTIPLE, "", "n"),
    (0xFE500000, 0xE8000000, K.STORE_MULTIPLE, "", "n"),
    (0xFE500000, 0xE8500000, K.LOAD_MULTIPLE, "td", "n"),  # dual
    (0xFE500000, 0xE8400000, K.STORE_MULTIPLE, "", "tdn"),
    (0xFF900FC0, 0xF8000000, K.STORE_INDEXED, "", "tnm"),
    (0xFF100000, 0xF8000000, K.STORE, "", "tn"),
    (0xFF900FC0, 0xF8100000, K.LOAD, "t", "nm"),
    (0xFE100000, 0xF8100000, K.LOAD, "t", "n"),
    # wide: floating point
    (0xFFE00E00, 0xEC400A00, K.FLOAT, "", ""),  # two core registers
    (0xFF300E00, 0xED100A00, K.FLOAT_LOAD, "D", "n"),
    (0xFF300E00, 0xED000A00, K.FLOAT_STORE, "", "Dn"),
    (0xFE100E00, 0xEC100A00, K.FLOAT_LOAD, "", "n"),
    (0xFE100E00, 0xEC000A00, K.FLOAT_STORE, "", "n"),
    (0xFF100E10, 0xEE000A10, K.FLOAT, "N", "t"),  # vmov to a float register
    (0xFF100E10, 0xEE100A10, K.FLOAT, "t", "N"),
    (0xFFA00E10, 0xEE000A00, K.FLOAT_MAC, "D", "DNM"),  # vmla, vmls, vnmla, vnmls
    (0xFFB00E10, 0xEE900A00, K.FLOAT_MAC, "D", "DNM"),  # vfnma, vfnms
    (0xFFB00E10, 0xEEA00A00, K.FLOAT_MAC, "D", "DNM"),  # vfma, vfms
    (0xFFB00E10, 0xEE800A00, K.FLOAT_DIVIDE, "D", "NM"),
    (0xFFBF0ED0, 0xEEB10AC0, K.FLOAT_DIVIDE, "D", "M"),  # vsqrt
    (0xFFBE0E50, 0xEEB40A40, K.FLOAT, "", "DM"),  # vcmp
    (0xFFB00E50, 0xEEB00A40, K.FLOAT, "D", "M"),
    (0xFFB00E50, 0xEEB00A00, K.FLOAT, "D", ""),  # vmov immediate
    (0xEF000E10, 0xEE000A00, K.FLOAT, "D", "NM"),
    # wide: arithmetic
    (0xFFF0F0F0, 0xFB90F0F0, K.DIVIDE, "d", "nm"),
    (0xFFF0F0F0, 0xFBB0F0F0, K.DIVIDE, "d", "nm"),
    (0xFF800000, 0xFB000000, K.MULTIPLY, "d", "nmt"),
    (0xFFC00000, 0xFB800000, K.MULTIPLY, "td", "nmtd"),
    (0xFFC00000, 0xFBC00000, K.MULTIPLY, "td", "nmtd"),
    (0xF800D000, 0xF000D000, K.BRANCH, "", ""),  # bl
    (0xF800D000, 0xF0009000, K.BRANCH, "", ""),  # b.w
    (0xFB80D000, 0xF3808000, K.SYSTEM, "", ""),  # msr, mrs, barriers, hints
    (0xF800D000, 0xF0008000, K.BRANCH, "", ""),  # b.w on a condition
    (0xFF000000, 0xFA000000, K.ALU, "d", "nm"),
    (0xFE000000, 0xEA000000, K.ALU, "d", "nm"),
    (0xF8008000, 0xF0000000, K.ALU, "d", "n"),
)  # fmt: skip


def decode(elf: Elf) -> Code:
    """Every instruction of the ELF's code ranges. A range that ends within a wide instruction ends before it."""
    parts = [_decode_range(elf, begin, end) for begin, end in elf.code_ranges]
    address, word, wide = (np.concatenate(column) for column in zip(*parts, strict=True))
    kind = np.zeros(len(word), np.uint8)
    writes, reads = np.zeros(len(word), np.uint64), np.zeros(len(word), np.uint64)
    free = np.ones(len(word), bool)
    for mask, value, row_kind, written, read in ENCODINGS:
        hit = np.flatnonzero(free & ((word & mask) == value) & (wide == (value >= 0xE8000000)))
        kind[hit] = row_kind
        writes[hit], reads[hit] = _registers(word[hit], written), _registers(word[hit], read)
        free[hit] = False
    return Code(address, wide, kind, _transfers(word, wide, kind), writes, reads)


def _decode_range(elf: Elf, begin: int, end: int):
    halves = np.frombuffer(_bytes(elf, begin, end), np.uint16).astype(np.uint32)
    opens = (halves >> 11 >= 0b11101).tolist()
    starts, at = [], 0
    while at < len(opens):
        starts.append(at)
        at += 2 if opens[at] else 1
    if at > len(opens):
        starts.pop()
    at_half = np.array(starts, np.int64)
    wide = halves[at_half] >> 11 >= 0b11101
    second = np.where(wide, np.append(halves, 0)[at_half + 1], 0)
    return begin + 2 * at_half, (halves[at_half] << 16 | second).astype(np.uint32), wide


def _bytes(elf: Elf, begin: int, end: int) -> bytes:
    for segment in elf.segments:
        if segment.address <= begin and end <= segment.address + len(segment.data):
            return segment.data[begin - segment.address : end - segment.address]
    return b""


def _registers(word: np.ndarray, letters: str) -> np.ndarray:
    """The set of registers in the fields that `letters` name."""
    result = np.zeros(len(word), np.uint64)
    for letter in letters:
        if letter in FLOAT_FIELDS:
            field, low = FLOAT_FIELDS[letter]
            number = (word >> field & 15) << 1 | (word >> low & 1)
            double = (word & 0x100) != 0
            result |= np.where(double, np.uint64(3), np.uint64(1)) << (
                16 + np.where(double, number & 30, number)
            ).astype(np.uint64)
        else:
            shift, width = FIELDS[letter]
            result |= np.uint64(1) << (word >> shift & ((1 << width) - 1)).astype(np.uint64)
    return result


def _transfers(word: np.ndarray, wide: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Words moved: the length of a register list, 2 for a dual or a double, else 1; 0 where nothing is moved."""
    one = np.isin(kind, (K.LOAD, K.STORE, K.STORE_INDEXED))
    listed = np.isin(kind, (K.LOAD_MULTIPLE, K.STORE_MULTIPLE))
    dual = wide & ((word & 0xFE400000) == 0xE8400000)
    stack = (word & 0xF0000000) == 0xB0000000
    registers = np.where(wide, word & 0xFFFF, word >> 16 & np.where(stack, 0x1FF, 0xFF)).astype(np.uint16)
    count = np.unpackbits(registers.view(np.uint8).reshape(-1, 2), axis=1).sum(axis=1)
    floats = np.isin(kind, (K.FLOAT_LOAD, K.FLOAT_STORE))
    single = (word & 0x01200000) == 0x01000000
    float_count = np.where(single, np.where(word & 0x100, 2, 1), word & 0xFF)
    result = np.select([one, listed & dual, listed, floats], [1, 2, count, float_count], 0)
    return result.astype(np.int32)
