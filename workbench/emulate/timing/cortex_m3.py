"""Cortex-M3: as Cortex-M4, whose pipeline is alike, without DSP and FPU; ARM's manual is DDI 0337 (table 3-1, r2p1).

Its multiplier is smaller: MLA and MLS take 2, and what the manual gives as 3 to 5 (UMULL, SMULL) or 4 to 7 (UMLAL,
SMLAL), by the operands, is 4 and 5 here. A load that writes its base back does not pipeline after another load, and
such a store takes a cycle more there (measured: J. Kłos, "pipeline cycle test", github.com/jnk0le/random). Division is
7 (2 to 12). Zero wait states.
"""

from workbench.emulate.timing import cortex_m4 as m4
from workbench.emulate.timing.decode import Code, Kind
from workbench.emulate.timing.model import Costs, TimingModel, by_kind, paired

K = Kind
MORE = {K.MULTIPLY_ADD: 1, K.LONG_MULTIPLY: 3, K.LONG_MULTIPLY_ADD: 4}  # than 1


def multiplications(code: Code) -> Costs:
    """What a multiply takes beyond Cortex-M4's single cycle."""
    return Costs(static=by_kind(code, MORE))


def pipelined_accesses(code: Code) -> Costs:
    """As Cortex-M4's, but not for a load that writes its base back."""
    return paired(m4.pipelined_accesses(code).static * (code.updates == 0))


def updates_after_loads(code: Code) -> Costs:
    """1 more for a store that writes its base back, right after a load."""
    return paired(1 * (code.of(*m4.STORES) & (code.updates != 0) & code.before.of(*m4.LOADS)))


OWN = (multiplications, pipelined_accesses, updates_after_loads)
RULES = (*(rule for rule in m4.RULES if rule not in (m4.pipelined_accesses, m4.float_results)), *OWN)
MODEL = TimingModel("cortex-m3, zero wait states", RULES)
