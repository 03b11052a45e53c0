"""The Thumb-2 encodings that timing tells apart, as a table: which class an instruction is of, and which registers.

Not a disassembler: what no row names is plain arithmetic. Encodings: Armv7-M Architecture Reference Manual (DDI 0403),
chapters A5 to A7, and Armv8-M's (DDI 0553) for load-acquire and store-release. An instruction is a word: its first
halfword in the upper 16 bits, the second (0 for a narrow one) in the lower. The first row that matches counts.
"""

from enum import IntEnum
from typing import NamedTuple


class Kind(IntEnum):
    """Instruction classes that take different time.

    SHIFTED: arithmetic with an operand shifted on its way, or a shifted immediate. BITS: bit fields, extension, byte
    order, saturation, SIMD. LOAD_SMALL: a byte or a halfword. RETURN: bx lr. COMPARE_JUMP: cbz, cbnz. REGISTER_JUMP: bx
    and blx of another register, arithmetic on pc. LOAD_JUMP: ldr pc. POP_JUMP: pc in a list. TABLE_JUMP: tbb, tbh.
    NONE: no instruction, where there is none before.
    """

    ALU, SHIFTED, BITS, MULTIPLY, MULTIPLY_ADD, LONG_MULTIPLY, LONG_MULTIPLY_ADD, DIVIDE, SYSTEM, IT = range(10)
    LOAD, LOAD_SMALL, STORE, STORE_INDEXED, LOAD_MULTIPLE, STORE_MULTIPLE = range(10, 16)
    FLOAT, FLOAT_MAC, FLOAT_DIVIDE, FLOAT_LOAD, FLOAT_STORE = range(16, 21)
    JUMP, JUMP_IF, CALL, RETURN, COMPARE_JUMP, REGISTER_JUMP, LOAD_JUMP, POP_JUMP, TABLE_JUMP = range(21, 30)
    NONE = 255


class Row(NamedTuple):
    """An encoding: of those whose `mask`ed bits are `value`. The others are letters, each a register field (FIELDS).

    writes   results that are known          reads   operands needed when it issues
    base     what its address is made of     late    operands needed a stage later: stored data, what is added to
    updates  base registers written back (known for single loads and stores, push and pop)
    shifted  those of `reads` that pass a shifter first
    """

    mask: int
    value: int
    kind: Kind
    writes: str = ""
    reads: str = ""
    base: str = ""
    late: str = ""
    updates: str = ""
    shifted: str = ""


# letter: (shift of a field in the word, width)
FIELDS = {
    "a": (16, 3), "b": (19, 3), "c": (22, 3), "h": (24, 3),  # narrow: bits 2-0, 5-3, 8-6, 10-8 of the first halfword
    "m": (0, 4), "d": (8, 4), "t": (12, 4), "n": (16, 4), "q": (19, 4),  # wide: Rm, Rd, Rt (Ra, RdLo), Rn; q: narrow Rm
}  # fmt: skip
FLOAT_FIELDS = {"D": (12, 22), "N": (16, 7), "M": (0, 5)}  # Vd:D, Vn:N, Vm:M of single precision
# and: e, the 4 bits of a narrow Rd; S, the stack pointer; P, pc; F, the flags; f, the flags if bit 20 says so

K, R = Kind, Row
NARROW = (
    R(0xFF0F0000, 0xBF000000, K.ALU),  # hints
    R(0xFF000000, 0xBF000000, K.IT, reads="F"),
    R(0xFF000000, 0xBD000000, K.POP_JUMP, base="S", updates="S"),
    R(0xFE000000, 0xBC000000, K.LOAD_MULTIPLE, base="S", updates="S"),
    R(0xFE000000, 0xB4000000, K.STORE_MULTIPLE, base="S", updates="S"),
    R(0xF5000000, 0xB1000000, K.COMPARE_JUMP, reads="a"),
    R(0xFF000000, 0xDF000000, K.SYSTEM),  # svc
    R(0xFF000000, 0xDE000000, K.SYSTEM),  # udf
    R(0xF0000000, 0xD0000000, K.JUMP_IF, reads="F"),
    R(0xF8000000, 0xE0000000, K.JUMP),
    R(0xFFFF0000, 0x47700000, K.RETURN, reads="q"),
    R(0xFF000000, 0x47000000, K.REGISTER_JUMP, reads="q"),
    R(0xFF870000, 0x46870000, K.REGISTER_JUMP, reads="q"),  # mov pc
    R(0xFF870000, 0x44870000, K.REGISTER_JUMP, reads="q"),  # add pc
    R(0xFFC00000, 0x43400000, K.MULTIPLY, "aF", "ab"),
    R(0xF8000000, 0x48000000, K.LOAD, "h", base="P"),
    R(0xFE000000, 0x56000000, K.LOAD_SMALL, "a", base="bc"),
    R(0xFE000000, 0x58000000, K.LOAD, "a", base="bc"),
    R(0xF8000000, 0x58000000, K.LOAD_SMALL, "a", base="bc"),
    R(0xF8000000, 0x50000000, K.STORE_INDEXED, base="bc", late="a"),
    R(0xF8000000, 0x98000000, K.LOAD, "h", base="S"),
    R(0xF8000000, 0x90000000, K.STORE, base="S", late="h"),
    R(0xF8000000, 0x68000000, K.LOAD, "a", base="b"),
    *(R(0xF8000000, value, K.LOAD_SMALL, "a", base="b") for value in (0x78000000, 0x88000000)),
    *(R(0xF8000000, value, K.STORE, base="b", late="a") for value in (0x60000000, 0x70000000, 0x80000000)),
    R(0xF8000000, 0xC8000000, K.LOAD_MULTIPLE, base="h"),
    R(0xF8000000, 0xC0000000, K.STORE_MULTIPLE, base="h"),
    R(0xF8000000, 0xA8000000, K.ALU, "h", "S"),  # add to sp
    R(0xF8000000, 0xA0000000, K.ALU, "h"),  # adr
    R(0xFF000000, 0xB0000000, K.ALU, "S", "S"),  # sp up or down
    R(0xFF000000, 0xB2000000, K.BITS, "a", "b"),  # extend
    R(0xFF000000, 0xBA000000, K.BITS, "a", "b", shifted="b"),  # reverse
    R(0xF8000000, 0x28000000, K.ALU, "F", "h"),  # cmp
    R(0xF8000000, 0x20000000, K.ALU, "hF"),  # mov
    R(0xF0000000, 0x30000000, K.ALU, "hF", "h"),  # add, sub imm8
    R(0xFC000000, 0x18000000, K.ALU, "aF", "bc"),
    R(0xFC000000, 0x1C000000, K.ALU, "aF", "b"),
    R(0xE0000000, 0x00000000, K.ALU, "aF", "b"),
    *(R(0xFFC00000, value, K.ALU, "F", "ab") for value in (0x42000000, 0x42800000, 0x42C00000)),  # tst, cmp, cmn
    R(0xFC000000, 0x40000000, K.ALU, "aF", "ab"),
    R(0xFF000000, 0x46000000, K.ALU, "e", "q"),
    R(0xFF000000, 0x45000000, K.ALU, "F", "eq"),
    R(0xFF000000, 0x44000000, K.ALU, "e", "eq"),
)
LOADS_AND_STORES = (
    R(0xFFF0FFE0, 0xE8D0F000, K.TABLE_JUMP, base="nm"),
    R(0xFF700000, 0xE8500000, K.LOAD, "t", base="n"),  # exclusive, acquire
    R(0xFF700000, 0xE8400000, K.STORE, base="n", late="t"),  # exclusive, release
    R(0xFE508000, 0xE8108000, K.POP_JUMP, base="n"),
    R(0xFE500000, 0xE8100000, K.LOAD_MULTIPLE, base="n"),
    R(0xFE500000, 0xE8000000, K.STORE_MULTIPLE, base="n"),
    R(0xFE500000, 0xE8500000, K.LOAD_MULTIPLE, "td", base="n"),  # dual
    R(0xFE500000, 0xE8400000, K.STORE_MULTIPLE, base="n", late="td"),
    R(0xFF900FC0, 0xF8000000, K.STORE_INDEXED, base="nm", late="t"),
    R(0xFF900900, 0xF8000900, K.STORE, base="n", late="t", updates="n"),
    R(0xFF100000, 0xF8000000, K.STORE, base="n", late="t"),
    R(0xFF70F000, 0xF850F000, K.LOAD_JUMP, base="n"),
    R(0xFF7F0000, 0xF85F0000, K.LOAD, "t", base="P"),
    R(0xFFF00FC0, 0xF8500000, K.LOAD, "t", base="nm"),
    R(0xFFF00900, 0xF8500900, K.LOAD, "t", base="n", updates="n"),
    R(0xFF700000, 0xF8500000, K.LOAD, "t", base="n"),
    R(0xFE1F0000, 0xF81F0000, K.LOAD_SMALL, "t", base="P"),
    R(0xFE900FC0, 0xF8100000, K.LOAD_SMALL, "t", base="nm"),
    R(0xFE900900, 0xF8100900, K.LOAD_SMALL, "t", base="n", updates="n"),
    R(0xFE100000, 0xF8100000, K.LOAD_SMALL, "t", base="n"),
)
FLOATS = (
    R(0xFFE00E00, 0xEC400A00, K.FLOAT),  # two core registers
    R(0xFF300E00, 0xED100A00, K.FLOAT_LOAD, "D", base="n"),
    R(0xFF300E00, 0xED000A00, K.FLOAT_STORE, base="n", late="D"),
    R(0xFE100E00, 0xEC100A00, K.FLOAT_LOAD, base="n"),
    R(0xFE100E00, 0xEC000A00, K.FLOAT_STORE, base="n"),
    R(0xFFFFFFFF, 0xEEF1FA10, K.FLOAT, "F"),  # vmrs to the flags
    R(0xFF100E10, 0xEE000A10, K.FLOAT, "N", "t"),  # vmov to a float register
    R(0xFF100E10, 0xEE100A10, K.FLOAT, "t", "N"),
    R(0xFFA00E10, 0xEE000A00, K.FLOAT_MAC, "D", "NM", late="D"),  # vmla, vmls, vnmla, vnmls
    R(0xFFB00E10, 0xEE900A00, K.FLOAT_MAC, "D", "NM", late="D"),  # vfnma, vfnms
    R(0xFFB00E10, 0xEEA00A00, K.FLOAT_MAC, "D", "NM", late="D"),  # vfma, vfms
    R(0xFFB00E10, 0xEE800A00, K.FLOAT_DIVIDE, "D", "NM"),
    R(0xFFBF0ED0, 0xEEB10AC0, K.FLOAT_DIVIDE, "D", "M"),  # vsqrt
    R(0xFFBE0E50, 0xEEB40A40, K.FLOAT, "", "DM"),  # vcmp
    R(0xFFB00E50, 0xEEB00A40, K.FLOAT, "D", "M"),
    R(0xFFB00E50, 0xEEB00A00, K.FLOAT, "D"),  # vmov immediate
    R(0xEF000E10, 0xEE000A00, K.FLOAT, "D", "NM"),
)
ARITHMETIC = (
    R(0xFFF0F0F0, 0xFB90F0F0, K.DIVIDE, "d", "nm"),
    R(0xFFF0F0F0, 0xFBB0F0F0, K.DIVIDE, "d", "nm"),
    R(0xFF80F000, 0xFB00F000, K.MULTIPLY, "d", "nm"),  # Ra is pc: nothing is added
    R(0xFF800000, 0xFB000000, K.MULTIPLY_ADD, "d", "nm", late="t"),
    R(0xFFD00000, 0xFB800000, K.LONG_MULTIPLY, "td", "nm"),
    R(0xFF800000, 0xFB800000, K.LONG_MULTIPLY_ADD, "td", "nm", late="td"),
    R(0xF800D000, 0xF000D000, K.CALL),
    R(0xF800D000, 0xF0009000, K.JUMP),
    R(0xFB80D000, 0xF3808000, K.SYSTEM),  # msr, mrs, barriers, hints
    R(0xF800D000, 0xF0008000, K.JUMP_IF, reads="F"),
    R(0xFF80F080, 0xFA00F000, K.ALU, "df", "nm"),  # shifts by a register
    R(0xFF8FF080, 0xFA0FF080, K.BITS, "d", "m"),  # extend
    R(0xFF80F080, 0xFA00F080, K.BITS, "d", "nm", shifted="m"),  # extend and add
    R(0xFFF0F0C0, 0xFA90F080, K.BITS, "d", "m", shifted="m"),  # reverse
    R(0xFF000000, 0xFA000000, K.BITS, "d", "nm"),
    R(0xFFE00000, 0xEAC00000, K.BITS, "d", "nm", shifted="m"),  # pkh
    R(0xFFEF0000, 0xEA4F0000, K.ALU, "df", "m"),  # mov, shifts by a constant
    R(0xFE0070F0, 0xEA000000, K.ALU, "df", "nm"),
    R(0xFE000000, 0xEA000000, K.SHIFTED, "df", "nm", shifted="m"),
    R(0xFE00C000, 0xF0000000, K.ALU, "df", "n"),  # immediates of one byte, or of a repeated one
    R(0xFA008000, 0xF0000000, K.SHIFTED, "df", "n"),
    R(0xFB008000, 0xF3000000, K.BITS, "d", "n", shifted="n"),
    R(0xFBF08000, 0xF2400000, K.ALU, "d"),  # movw
    R(0xFBF08000, 0xF2C00000, K.ALU, "d", "d"),  # movt
    R(0xFB008000, 0xF2000000, K.ALU, "d", "n"),
)
ENCODINGS = (*NARROW, *LOADS_AND_STORES, *FLOATS, *ARITHMETIC)
