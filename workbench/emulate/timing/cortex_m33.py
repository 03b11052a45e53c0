"""Cortex-M33 with FPU: an approximation. ARM publishes no full table of its cycles.

Measured on an RP2350 (J. Kłos, "pipeline cycle test", github.com/jnk0le/random):

    results    loads, multiplies and shifted operands come a cycle late: 1 more where the next instruction uses them,
               but for data to store and what a multiply adds to
    together   a narrow jump and IT issue with the narrow instruction before them: 0; taken 1, or 2 if that one sets the
               flags; a jump that issues alone 1, and 1 more when taken
    lists      one cycle a register; LDRD and STRD 2; MULS 2
    float      a multiply-accumulate 1, and no float instruction in the 2 cycles behind it

Assumed, after Cortex-M4: jumps to a register's target 2 more, to a loaded one 3 more; TBB 2; a wide target across two
words 1 more; division 7 (2 to 12); float divide and square root 14, other float results 1 more where the next
instruction uses them; MRS, MSR and barriers 2. Left out: shifted immediates that set flags, NOPs that issue with
others. Zero wait states. No board was at hand to hold it against: expect errors of 10 to 20 %.
"""

import numpy as np

from workbench.emulate.timing import cortex_m4 as m4
from workbench.emulate.timing.decode import FLAGS, Code, Kind
from workbench.emulate.timing.model import Costs, TimingModel, by_kind, paired

K = Kind
CYCLES = {K.DIVIDE: m4.DIVISION, K.FLOAT_DIVIDE: 14, K.SYSTEM: 2, K.TABLE_JUMP: 2}
LATE = (
    K.LOAD, K.LOAD_SMALL, K.LOAD_MULTIPLE, K.SHIFTED, K.MULTIPLY, K.MULTIPLY_ADD, K.LONG_MULTIPLY, K.LONG_MULTIPLY_ADD,
    K.FLOAT, K.FLOAT_DIVIDE,
)  # fmt: skip
FLOATS = (K.FLOAT, K.FLOAT_MAC, K.FLOAT_DIVIDE, K.FLOAT_LOAD, K.FLOAT_STORE)


def instructions(code: Code) -> Costs:
    """1 cycle, one a word of several; MULS 2."""
    cycles = np.where(code.of(*CYCLES), by_kind(code, CYCLES), np.maximum(1, code.transfers))
    return Costs(static=cycles + 1 * (code.of(K.MULTIPLY) & ~code.wide))


def late_results(code: Code) -> Costs:
    """1 more where the instruction right before has its result late, and this one needs it early."""
    before = code.before
    return paired(1 * (before.of(*LATE) & (code.reads & before.writes & ~FLAGS != 0)))


def float_accumulates(code: Code) -> Costs:
    """2 more for a float instruction right after a multiply-accumulate, 1 if another one lies between."""
    before = code.before
    again = np.append(False, before.of(K.FLOAT_MAC)[:-1]) & ~before.of(*FLOATS, K.NONE)
    return paired(code.of(*FLOATS) * (2 * before.of(K.FLOAT_MAC) + 1 * again))


def dual_issue(code: Code) -> Costs:
    """A narrow jump, or IT, issues with the narrow instruction right before."""
    return paired(-1 * _second(code))


def taken_jumps(code: Code) -> Costs:
    """1 more when taken, 2 for a jump that issues with what sets its flags."""
    flags_set = (code.before.writes & FLAGS) != 0
    return Costs(taken=1 * code.of(*m4.EARLY_TARGETS) + (_second(code) & code.of(K.JUMP_IF) & flags_set))


def _second(code: Code) -> np.ndarray:
    before = code.before
    pairs = ~code.wide & ~before.wide & ~before.of(K.NONE, K.IT, K.JUMP_IF, K.COMPARE_JUMP)
    return pairs & code.of(K.JUMP, K.JUMP_IF, K.IT)


RULES = (
    instructions, late_results, float_accumulates, dual_issue, taken_jumps, m4.late_targets, m4.loaded_targets,
    m4.unaligned_targets,
)  # fmt: skip
MODEL = TimingModel("cortex-m33, approximated, zero wait states", RULES)
