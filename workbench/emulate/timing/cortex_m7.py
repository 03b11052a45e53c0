"""Cortex-M7 with FPU: an in-order, dual-issue approximation. ARM publishes no cycle table for this core.

Assumed: code and data in tightly coupled memory, zero wait states, every branch predicted, and

    two neighbours issue together unless the second reads or writes what the first writes, both multiply, both are float
    operations, both store, the first is a branch, or either is a division, a float division or square root, a system
    instruction or a transfer of several registers
    multiple, dual     ceil(registers / 2)
    division           7 (2 to 12 by the operands); float divide and square root 14
    float result       multiply-accumulate 3 where the next instruction uses it, other operations 2
    load result        1 more where the next instruction uses it
    branch             taken at no extra cost but the slot: the penalty of 1 stands for the fetch that is lost

Approximated: pairing is greedy along straight-line code, from each range's start, not from where a branch enters; the
early and late arithmetic stages, the store buffer, bank conflicts and mispredicted branches (6 to 8 cycles) are left
out.
"""

import numpy as np

from workbench.emulate.timing.decode import Code, Kind
from workbench.emulate.timing.model import TimingModel, follows

DIVISION = 7
MULTIPLES = (Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE)
ALONE = (*MULTIPLES, Kind.DIVIDE, Kind.SYSTEM, Kind.FLOAT_DIVIDE)
STORES = (Kind.STORE, Kind.STORE_INDEXED, Kind.FLOAT_STORE)
FLOATS = (Kind.FLOAT, Kind.FLOAT_MAC, Kind.FLOAT_DIVIDE)
LOADS = (Kind.LOAD, Kind.FLOAT_LOAD)


def static_cycles(code: Code) -> np.ndarray:
    """Cycles of each instruction in straight-line code; 0 for the second one of a pair."""
    cycles = np.ones(len(code.kind), np.int32)
    cycles[code.kind == Kind.DIVIDE] = DIVISION
    cycles[code.kind == Kind.FLOAT_DIVIDE] = 14
    listed = np.isin(code.kind, (*MULTIPLES, Kind.FLOAT_LOAD, Kind.FLOAT_STORE))
    cycles[listed] = np.maximum(1, (code.transfers[listed] + 1) // 2)
    before, written, straight = np.roll(code.kind, 1), np.roll(code.writes, 1), follows(code)
    waits = straight & ((code.reads & written) != 0)
    cycles[waits & (before == Kind.FLOAT_MAC)] += 2
    cycles[waits & np.isin(before, (Kind.FLOAT, *LOADS))] += 1
    second = _seconds(straight & ((code.reads | code.writes) & written == 0) & ~_refused(code.kind, before))
    cycles[second] = 0
    return cycles


def _refused(kind: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Whether the classes of an instruction and of the one before it never issue together."""
    both = [np.isin(kind, group) & np.isin(before, group) for group in ((Kind.MULTIPLY,), FLOATS, STORES)]
    return np.logical_or.reduce([*both, np.isin(kind, ALONE), np.isin(before, ALONE), before == Kind.BRANCH])


def _seconds(may_pair: np.ndarray) -> np.ndarray:
    """Greedy pairing: in every run of True, the first, third, fifth … join the instruction before them."""
    index = np.arange(len(may_pair))
    last_false = np.maximum.accumulate(np.where(may_pair, -1, index))
    return may_pair & ((index - last_false) % 2 == 1)


MODEL = TimingModel("cortex-m7, dual issue approximated, zero wait states", static_cycles, taken_branch=1)
