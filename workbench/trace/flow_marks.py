"""What the control flow and the stack of a program can be told by, from its instructions alone.

Encodings: Armv7-M Architecture Reference Manual (DDI 0403), chapters A5 to A7. A word is the first halfword in the
upper 16 bits, the second (0 for a narrow one) in the lower.
"""

import numpy as np

from workbench.trace.flow_state import CALLS, INDIRECT, MOVES_SP, SWITCHES, UNMASKS

# mask, value, marks; of an instruction behind which control goes elsewhere, or that moves the stack pointer
MARKS = (
    (0xFF870000, 0x47800000, CALLS),  # blx register
    (0xF800D000, 0xF000D000, CALLS),  # bl
    (0xFF870000, 0x47000000, INDIRECT),  # bx register
    (0xFF870000, 0x46870000, INDIRECT),  # mov pc
    (0xFF000000, 0xBD000000, INDIRECT | MOVES_SP),  # pop {…, pc}
    (0xFE508000, 0xE8108000, INDIRECT),  # ldm {…, pc}
    (0xFF70F000, 0xF850F000, INDIRECT),  # ldr pc
    (0xFE000000, 0xB4000000, MOVES_SP),  # push
    (0xFE000000, 0xBC000000, MOVES_SP),  # pop
    (0xFF000000, 0xB0000000, MOVES_SP),  # add, sub sp, immediate
    (0xFF870000, 0x46850000, MOVES_SP),  # mov sp
    (0xFF870000, 0x44850000, MOVES_SP),  # add sp, register
    (0xFE2F0000, 0xE82D0000, MOVES_SP),  # stm, ldm sp!; strd, ldrd
    (0xFF2F0000, 0xE96D0000, MOVES_SP),  # strd, ldrd [sp, …]!
    (0xFBE08F00, 0xF1A00D00, MOVES_SP),  # sub sp, modified immediate
    (0xFBE08F00, 0xF1000D00, MOVES_SP),  # add
    (0xFBF08F00, 0xF2A00D00, MOVES_SP),  # subw, addw
    (0xFBF08F00, 0xF2000D00, MOVES_SP),
    (0xFE008F00, 0xEA000D00, MOVES_SP),  # arithmetic of registers into sp
    (0xFF2F0E00, 0xED2D0A00, MOVES_SP),  # vpush
    (0xFF2F0E00, 0xEC2D0A00, MOVES_SP),  # vpop
    (0xFEEF0900, 0xF84D0900, MOVES_SP),  # str, ldr with sp written back
    (0xFFF0FF00, 0xF3808800, MOVES_SP),  # msr: msp, psp, control
    (0xFFF0FFFF, 0xF3808814, SWITCHES),  # msr control
    (0xFFF80000, 0xB6600000, UNMASKS),  # cpsie
    (0xFFF0FFFC, 0xF3808810, UNMASKS),  # msr primask, basepri, faultmask
)


def marks_of(word: np.ndarray, wide: np.ndarray) -> np.ndarray:
    """The marks of instructions, given as words."""
    marks = np.zeros(len(word), np.int32)
    for mask, value, flags in MARKS:
        marks[((word & mask) == value) & (wide == (value >= 0xE8000000))] |= flags
    return marks


def drops_of(word: np.ndarray, wide: np.ndarray) -> np.ndarray:
    """By how many bytes each instruction lowers the stack pointer, as far as its own bits tell; negative: raises."""
    first, second = (word >> 16).astype(np.int64), (word & 0xFFFF).astype(np.int64)
    drop = np.zeros(len(word), np.int64)

    def put(where: np.ndarray, values: np.ndarray) -> None:
        drop[where] = values[where]

    listed = 4 * _ones(first & 0x1FF)
    put(~wide & (first & 0xFE00 == 0xB400), listed)
    put(~wide & (first & 0xFE00 == 0xBC00), -listed)
    put(~wide & (first & 0xFF80 == 0xB080), 4 * (first & 0x7F))
    put(~wide & (first & 0xFF80 == 0xB000), -4 * (first & 0x7F))
    listed = 4 * _ones(second)
    put(wide & (first == 0xE92D), listed)
    put(wide & (first == 0xE8BD), -listed)
    put(wide & (first & 0xFFBF == 0xED2D), 4 * (second & 0xFF))
    put(wide & (first & 0xFFBF == 0xECBD), -4 * (second & 0xFF))
    put(wide & (first == 0xE96D), 4 * (second & 0xFF))
    put(wide & (first == 0xF84D) & (second & 0xF00 == 0xD00), second & 0xFF)
    put(wide & (first == 0xF85D) & (second & 0xF00 == 0xB00), -(second & 0xFF))
    for at, sign in ((0xF1AD, 1), (0xF10D, -1)):
        put(wide & (first & 0xFBFF == at) & (second & 0x8F00 == 0x0D00), sign * _modified(first, second))
    for at, sign in ((0xF2AD, 1), (0xF20D, -1)):
        put(wide & (first & 0xFBFF == at) & (second & 0x8F00 == 0x0D00), sign * _plain(first, second))
    return drop.astype(np.int32)


def _ones(bits: np.ndarray) -> np.ndarray:
    return np.sum([bits >> at & 1 for at in range(16)], axis=0)


def _plain(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A 12-bit immediate: i, imm3, imm8."""
    return (first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | second & 0xFF


def _modified(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A modified immediate (A5.3.2), as far as those of stack pointers go: of the repeated patterns none is one."""
    coded = _plain(first, second)
    turned = (0x80 | coded & 0x7F) << np.maximum(32 - (coded >> 7), 0)
    return np.where(coded < 256, coded, np.where(coded >> 10 > 0, turned, 0))
