"""Cortex-M0+: cycles by instruction, from ARM's Technical Reference Manual (DDI 0484, table 3-1).

    1     arithmetic, and a jump that is not taken           2     load, store; B, BX, BLX that are taken
    3     BL; MRS, MSR, barriers                             1 + N  registers of LDM, STM, PUSH, POP; 3 + N with pc

Assumed: zero wait states; MULS takes 1 (it is 1 or 32 as the chip was made: RP2040, SAMD21 and STM32 have the fast
one); nothing lies on the single-cycle I/O port, where loads and stores take 1.
"""

import numpy as np

from workbench.emulate.timing.decode import Code, Kind
from workbench.emulate.timing.model import Costs, TimingModel, by_kind

K = Kind
MORE = {**dict.fromkeys((K.LOAD, K.LOAD_SMALL, K.STORE, K.STORE_INDEXED), 1), K.SYSTEM: 2}  # than 1
TAKEN = {**dict.fromkeys((K.JUMP, K.JUMP_IF, K.RETURN, K.REGISTER_JUMP), 1), K.CALL: 2, K.POP_JUMP: 2}


def instructions(code: Code) -> Costs:
    """1, and what the class or each register of a list takes beyond."""
    listed = code.of(K.LOAD_MULTIPLE, K.STORE_MULTIPLE, K.POP_JUMP)
    return Costs(static=1 + np.where(listed, code.transfers, by_kind(code, MORE)))


def taken_jumps(code: Code) -> Costs:
    """What a jump takes beyond that when it is taken."""
    return Costs(taken=by_kind(code, TAKEN))


MODEL = TimingModel("cortex-m0plus, fast multiplier, zero wait states", (instructions, taken_jumps))
