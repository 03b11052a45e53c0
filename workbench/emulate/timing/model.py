"""What a core's timing is made of: rules, each of which adds cycles to instructions, or to the ways between them.

   mov r0, #4           static     of each instruction that runs, right after the one before it in memory
1: ldr r1, [r2]
   ldr r3, [r2, #4]     entered    of `ldr r1` when the jump leads there: what it costs more, or less, than after mov
   subs r0, #1
   bne 1b               taken      of `bne` when control goes elsewhere behind it
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from workbench.emulate.timing.decode import Code

Cycles = Any  # an array, or 0


@dataclass(frozen=True)
class Costs:
    """Cycles by instruction: arrays of one length, or 0 for nothing.

    static    whenever it runs; right for one that runs after the one before it in memory
    taken     added when control goes elsewhere behind it
    entered   added, or taken off where negative, when control came from elsewhere
    """

    static: Cycles = 0
    taken: Cycles = 0
    entered: Cycles = 0

    def __add__(self, other: Costs) -> Costs:
        return Costs(self.static + other.static, self.taken + other.taken, self.entered + other.entered)


Rule = Callable[[Code], Costs]


def paired(cycles: np.ndarray) -> Costs:
    """What holds only right after the instruction before: not when control comes from elsewhere."""
    return Costs(static=cycles, entered=-cycles)


@dataclass(frozen=True)
class TimingModel:
    """A documented approximation of a core's timing.

    name    how reports call it, assumptions included: 'cortex-m4, zero wait states'
    rules   what adds up to the cycles
    """

    name: str
    rules: tuple[Rule, ...]

    def costs(self, code: Code) -> Costs:
        """The cycles of these instructions."""
        nothing = np.zeros(len(code.kind), np.int32)
        return reduce(Costs.__add__, (rule(code) for rule in self.rules), Costs(nothing, nothing, nothing))

    def without(self, rule: Rule) -> TimingModel:
        """The same model but for this rule."""
        return replace(self, rules=tuple(each for each in self.rules if each is not rule))


def by_kind(code: Code, table: dict) -> np.ndarray:
    """table[kind] for each instruction, 0 for classes that it does not have."""
    cycles = np.zeros(256, np.int32)
    for kind, value in table.items():
        cycles[kind] = value
    return cycles[code.kind]
