"""Cortex-M4 with FPU: cycles by instruction, from ARM's Technical Reference Manual (DDI 0439, tables 3-1 and 7-1).

Assumed: zero wait states, no bus contention, and

    load               2; 1 directly after another single load (they pipeline)
    store              1 (the write buffer takes it); 2 with a register offset
    multiple, dual     1 + one a register; push and pop alike
    division           7 (the manual says 2 to 12, by the operands)
    float              1; multiply-accumulate 3; divide and square root 14; load and store 1 + words
                       + 1 where the very next instruction uses the result of a float operation
    branch             1, and 2 more when taken (the manual says 1 to 3, to refill the pipeline)
    it                 1 (the core can fold some to 0); condition-failed instructions cost what the others do
    barriers, mrs      2
"""

import numpy as np

from workbench.emulate.timing.decode import Code, Kind
from workbench.emulate.timing.model import TimingModel, follows

DIVISION = 7
FIXED = {
    Kind.LOAD: 2,
    Kind.STORE_INDEXED: 2,
    Kind.DIVIDE: DIVISION,
    Kind.FLOAT_MAC: 3,
    Kind.FLOAT_DIVIDE: 14,
    Kind.SYSTEM: 2,
}
PER_WORD = (Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE, Kind.FLOAT_LOAD, Kind.FLOAT_STORE)
FLOAT_RESULT = (Kind.FLOAT, Kind.FLOAT_MAC, Kind.FLOAT_DIVIDE)


def static_cycles(code: Code) -> np.ndarray:
    """Cycles of each instruction in straight-line code."""
    cycles = np.ones(len(code.kind), np.int32)
    for kind, value in FIXED.items():
        cycles[code.kind == kind] = value
    listed = np.isin(code.kind, PER_WORD)
    cycles[listed] = 1 + code.transfers[listed]
    straight = follows(code)
    before = np.roll(code.kind, 1)
    cycles[straight & (code.kind == Kind.LOAD) & (before == Kind.LOAD)] = 1
    uses = (code.reads & np.roll(code.writes, 1) & np.uint64(0xFFFFFFFF0000)) != 0
    cycles[straight & uses & np.isin(before, FLOAT_RESULT)] += 1
    return cycles


MODEL = TimingModel("cortex-m4, zero wait states", static_cycles, taken_branch=2)
