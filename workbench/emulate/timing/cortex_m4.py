"""Cortex-M4 with FPU: cycles by instruction, and by what ran before it.

Sources: ARM's Technical Reference Manuals of Cortex-M4 (DDI 0439, sections 3.3 and 7.2) and Cortex-M3 (DDI 0337, tables
of instructions and section "Load/store timings"), whose pipelines are alike; measurements where [m] stands: J. Kłos,
"pipeline cycle test" (github.com/jnk0le/random), and the alignment rules of compendium.i-0.nl. Nothing is fitted.

Zero wait states and no bus contention are assumed. Left open: where data lies (two loads from different memories do not
overlap), how many bits a division must find (2 to 12 cycles: 7 is taken), unaligned data, interrupts. Instructions
whose condition fails are counted as those that run.
"""

import numpy as np

from workbench.emulate.timing.decode import FLOAT_REGISTERS, PC, Code, Kind
from workbench.emulate.timing.model import Costs, TimingModel, by_kind, paired

K = Kind
DIVISION = 7
LOADS = (K.LOAD, K.LOAD_SMALL)
STORES = (K.STORE, K.STORE_INDEXED)
DATA_PROCESSING = (
    K.ALU, K.SHIFTED, K.BITS, K.MULTIPLY, K.MULTIPLY_ADD, K.LONG_MULTIPLY, K.LONG_MULTIPLY_ADD, K.DIVIDE
)  # fmt: skip
FLOAT_RESULT = (K.FLOAT, K.FLOAT_MAC, K.FLOAT_DIVIDE)
PER_WORD = (K.LOAD_MULTIPLE, K.STORE_MULTIPLE, K.FLOAT_LOAD, K.FLOAT_STORE, K.POP_JUMP)
CYCLES = {
    **dict.fromkeys((*LOADS, K.STORE_INDEXED, K.SYSTEM, K.LOAD_JUMP), 2),
    K.TABLE_JUMP: 3,
    K.DIVIDE: DIVISION,
    K.FLOAT_MAC: 3,
    K.FLOAT_DIVIDE: 14,
}
EARLY_TARGETS = (K.JUMP, K.JUMP_IF, K.CALL, K.RETURN)
LATE_TARGETS = (K.COMPARE_JUMP, K.REGISTER_JUMP)
LOADED_TARGETS = (K.LOAD_JUMP, K.POP_JUMP, K.TABLE_JUMP)


def instructions(code: Code) -> Costs:
    """1 cycle; loads, register-offset stores and system instructions 2; tbb 3; transfers of several 1 + one a word."""
    cycles = np.where(code.of(*CYCLES), by_kind(code, CYCLES), 1)
    return Costs(static=np.where(code.of(*PER_WORD), 1 + code.transfers, cycles))


def early_targets(code: Code) -> Costs:
    """1 more for a taken branch whose target is fetched while it is decoded: B, BL, and BX LR (DDI 0337, 1.6)."""
    return Costs(taken=1 * code.of(*EARLY_TARGETS))


def late_targets(code: Code) -> Costs:
    """2 more for one whose target is fetched once it executes: CBZ, CBNZ, BX and BLX of a register."""
    return Costs(taken=2 * code.of(*LATE_TARGETS))


def loaded_targets(code: Code) -> Costs:
    """3 more where the target comes from memory: LDR pc, POP {…, pc}, TBB, TBH."""
    return Costs(taken=3 * code.of(*LOADED_TARGETS))


def unaligned_targets(code: Code) -> Costs:
    """1 more to enter a wide instruction that lies across two words: both are to be fetched."""
    return Costs(entered=1 * _unaligned(code))


def unaligned_runs(code: Code) -> Costs:
    """1 more for the third of three or more wide instructions in a row that each lie across two words [m].

    Control that enters a run begins it anew: what is charged of the third from the first may be another one's, or
    nobody's. The fetch queue behind this rule (three words, one fetched a cycle) is not modelled itself.
    """
    unaligned = _unaligned(code)
    goes_on = unaligned & np.roll(unaligned, 1) & (code.before.kind != K.NONE)
    index = np.arange(len(unaligned))
    begin = np.maximum.accumulate(np.where(unaligned & ~goes_on, index, 0))
    place = np.where(unaligned, index - begin + 1, 0)  # 1, 2, 3 … in a run
    second, third = np.append(place, (0, 0))[1:-1], np.append(place, (0, 0))[2:]  # if it were the first
    charged = (place == 3) | ((place == 2) & (second == 3)) | ((place == 1) & (third == 3))
    return Costs(static=1 * (place == 3), entered=1 * (unaligned & (third == place + 2)) - charged)


def pipelined_accesses(code: Code) -> Costs:
    """1 less right after a single load, whose data arrives meanwhile: for a load, and a store with a register offset.

    Not if its address is the load's result, if both write back the same base [m], or if one reads a literal and the
    other does not: these are of different memories.
    """
    before = code.before
    literal, literal_before = code.base == PC, before.base == PC
    independent = (code.base & before.writes | code.updates & before.updates) == 0
    after_load = before.of(*LOADS) & independent & (literal == literal_before)
    return paired(-1 * (after_load & code.of(*LOADS, K.STORE_INDEXED)))


def computed_addresses(code: Code) -> Costs:
    """1 more where the data-processing instruction right before computes a register of the address."""
    before = code.before
    return paired(1 * (before.of(*DATA_PROCESSING) & (code.base & before.writes != 0)))


def loaded_addresses(code: Code) -> Costs:
    """1 more where the load right before brings a register of the address: it is needed a cycle early [m]."""
    before = code.before
    return paired(1 * (before.of(*LOADS, K.LOAD_MULTIPLE) & (code.base & before.writes != 0)))


def loads_after_stores(code: Code) -> Costs:
    """1 more for a load right after a single store, whose data is still on the bus [m]; not for a literal."""
    return paired(1 * (code.before.of(*STORES) & code.of(*LOADS) & (code.base != PC)))


def folded_it(code: Code) -> Costs:
    """IT takes no cycle right after a narrow instruction (DDI 0337: it is folded)."""
    before = code.before
    return paired(-1 * (code.of(K.IT) & (before.kind != K.NONE) & ~before.wide))


def float_results(code: Code) -> Costs:
    """1 more where the instruction right before is a float operation whose result is used (DDI 0439, 7.2)."""
    before = code.before
    used = ((code.reads | code.late) & before.writes & FLOAT_REGISTERS) != 0
    return paired(1 * (before.of(*FLOAT_RESULT) & used))


def _unaligned(code: Code) -> np.ndarray:
    return code.wide & (code.address % 4 == 2)


RULES = (
    instructions, early_targets, late_targets, loaded_targets, unaligned_targets, unaligned_runs, pipelined_accesses,
    computed_addresses, loaded_addresses, loads_after_stores, folded_it, float_results,
)  # fmt: skip
MODEL = TimingModel("cortex-m4, zero wait states", RULES)
