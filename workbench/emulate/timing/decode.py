"""Where Thumb-2 instructions begin, and as much of each as timing needs: its class, transfers, registers."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from workbench.emulate.symbols import Elf
from workbench.emulate.timing.encodings import ENCODINGS, FIELDS, FLOAT_FIELDS, Kind

K = Kind
SP, PC, FLAGS = np.uint64(1 << 13), np.uint64(1 << 15), np.uint64(1 << 48)
DIRECT = (K.JUMP, K.JUMP_IF, K.CALL, K.COMPARE_JUMP)
FLOAT_REGISTERS = np.uint64(0xFFFFFFFF0000)


@dataclass(frozen=True)
class Code:
    """The instructions of an ELF in address order, as arrays of one length.

    address, wide (4 bytes instead of 2), kind (a Kind), transfers (words moved by a load or store, else 0), target
    (of a direct jump or call, else -1), literal (the address that is read by way of pc, else -1), and sets of registers
    as bits: r0–r15 0–15, s0–s31 16–47, the flags 48:

    writes   results (none where not known: register lists); never pc
    reads    operands it needs when it issues, `base` among them
    base     what its address is made of; pc alone in a literal load
    late     operands it needs a stage later: the data that is stored, what a multiply-accumulate adds to
    updates  base registers that a single load or store, push or pop writes back
    shifted  those of `reads` that pass a shifter first
    """

    address: np.ndarray
    wide: np.ndarray
    kind: np.ndarray
    transfers: np.ndarray
    target: np.ndarray
    literal: np.ndarray
    writes: np.ndarray
    reads: np.ndarray
    base: np.ndarray
    late: np.ndarray
    updates: np.ndarray
    shifted: np.ndarray

    def of(self, *kinds: Kind) -> np.ndarray:
        """Which instructions are of one of these classes."""
        return np.isin(self.kind, kinds)

    @cached_property
    def before(self) -> "Code":
        """For each instruction the one that lies right before it; Kind.NONE where a gap, or nothing, does."""
        columns = {name: np.roll(getattr(self, name), 1) for name in self.__dataclass_fields__}
        before = replace(self, **columns)
        gap = before.address + np.where(before.wide, 4, 2) != self.address
        gap[:1] = True
        for name in ("wide", "transfers", "writes", "reads", "base", "late", "updates", "shifted"):
            columns[name][gap] = 0
        columns["kind"][gap] = K.NONE
        return before


def decode(elf: Elf) -> Code:
    """Every instruction of the ELF's code ranges. A range that ends within a wide instruction ends before it."""
    parts = [instruction_words(elf, begin, end) for begin, end in elf.code_ranges or ((0, 0),)]
    address, word, wide = (np.concatenate(column) for column in zip(*parts, strict=True))
    kind, free = np.zeros(len(word), np.uint8), np.ones(len(word), bool)
    writes, reads, base, late, updates, shifted = sets = np.zeros((6, len(word)), np.uint64)
    for row in ENCODINGS:
        hit = np.flatnonzero(free & ((word & row.mask) == row.value) & (wide == (row.value >= 0xE8000000)))
        kind[hit] = row.kind
        for column, letters in zip(sets, row[3:], strict=True):
            column[hit] = _registers(word[hit], letters)
        free[hit] = False
    writes &= ~PC
    target = np.where(np.isin(kind, DIRECT), address + 4 + _offsets(word, wide, kind), -1)
    words = _transfers(word, wide, kind)
    literal = np.where(base == PC, (address + 4 & ~3) + _beyond(word, wide, kind), -1)
    return Code(address, wide, kind, words, target, literal, writes, reads | base, base, late, updates, shifted)


def instruction_words(elf: Elf, begin: int, end: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The instructions of a code range: address, word (the second halfword in the lower bits, 0 for a narrow one), and
    whether they are wide."""
    code = elf.code(begin, end)
    halves = np.frombuffer(code[: len(code) & ~1], np.uint16).astype(np.uint32)
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
        elif letter in FIELDS:
            shift, width = FIELDS[letter]
            result |= np.uint64(1) << (word >> shift & ((1 << width) - 1)).astype(np.uint64)
        elif letter == "e":
            result |= np.uint64(1) << (word >> 16 & 7 | word >> 20 & 8).astype(np.uint64)
        else:
            only = word >> 20 & 1 if letter == "f" else np.ones(len(word), np.uint64)
            result |= {"S": SP, "P": PC, "F": FLAGS, "f": FLAGS}[letter] * only.astype(np.uint64)
    return result


def _offsets(word: np.ndarray, wide: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Bytes from pc (the instruction + 4) to the target of a direct jump. Encodings: DDI 0403, A7.7.12, .18 and .21."""
    bits = word.astype(np.int64)
    high, sign = bits >> 16, bits >> 26 & 1
    far = (bits & 0x7FF) << 1 | (high & 0x3FF) << 12
    far |= (1 - (bits >> 11 & 1 ^ sign)) << 22 | (1 - (bits >> 13 & 1 ^ sign)) << 23
    near = (bits & 0x7FF) << 1 | (high & 0x3F) << 12 | (bits >> 13 & 1) << 18 | (bits >> 11 & 1) << 19
    short = (high & 0x7FF) << 1
    shorter = (high & 0xFF) << 1
    compare = (high >> 3 & 0x1F) << 1 | (high >> 9 & 1) << 6
    return np.select(
        [kind == K.COMPARE_JUMP, wide & (kind == K.JUMP_IF), wide, kind == K.JUMP_IF],
        [compare, near - (sign << 20), far - (sign << 24), shorter - (high >> 7 & 1) * 512],
        short - sign * 4096,
    )


def _beyond(word: np.ndarray, wide: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Bytes from pc to the literal that is read (DDI 0403, A7.7.44 and .50); a table jump's table begins at pc."""
    bits = word.astype(np.int64)
    sign = np.where(bits >> 23 & 1, 1, -1)
    far = np.where(bits >> 28 == 0xF, bits & 0xFFF, (bits & 0xFF) << 2)
    return np.select([kind == K.TABLE_JUMP, wide], [0, sign * far], (bits >> 16 & 0xFF) << 2)


def _transfers(word: np.ndarray, wide: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Words moved: the length of a register list, 2 for a dual or a double, else 1; 0 where nothing is moved."""
    one = np.isin(kind, (K.LOAD, K.LOAD_SMALL, K.STORE, K.STORE_INDEXED, K.LOAD_JUMP, K.TABLE_JUMP))
    listed = np.isin(kind, (K.LOAD_MULTIPLE, K.STORE_MULTIPLE, K.POP_JUMP))
    dual = wide & ((word & 0xFE400000) == 0xE8400000)
    stack = (word & 0xF0000000) == 0xB0000000
    registers = np.where(wide, word & 0xFFFF, word >> 16 & np.where(stack, 0x1FF, 0xFF)).astype(np.uint16)
    count = np.unpackbits(registers.view(np.uint8).reshape(-1, 2), axis=1).sum(axis=1)
    floats = np.isin(kind, (K.FLOAT_LOAD, K.FLOAT_STORE))
    single = (word & 0x01200000) == 0x01000000
    float_count = np.where(single, np.where(word & 0x100, 2, 1), word & 0xFF)
    result = np.select([one, listed & dual, listed, floats], [1, 2, count, float_count], 0)
    return result.astype(np.int32)
