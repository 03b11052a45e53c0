"""Cortex-M7 with FPU: two instructions a cycle, in order; results that come later; jumps that were mispredicted.

ARM publishes no cycle table for this core. What is taken from where:

    [K]  J. Kłos, "pipeline cycle test" (github.com/jnk0le/random): measured on an STM32H743
    [L]  LLVM's ARMScheduleM7.td, a scheduling model by Arm

    issue      two neighbours together, unless the second needs what the first writes (data to store, and what a
               multiply adds to, may come from it [K]), or they would both need the multiplier, the shifter, the FPU or
               the store port; bit-field and SIMD instructions only come first [K, L]; multiplies not beside stores,
               float multiply-accumulates not beside float loads, stores and moves [K]; register lists, duals,
               divisions and system instructions alone [K, L]
    takes      register lists ceil(registers / 2) [K], tbb 2 [L], divide 7 [L], float divide and square root 16 [L;
               K: 16 and 14], system 3 [L], all others 1
    results    LATENCY: cycles until another instruction can use them
    jumps      taken: 1 more, the fetch that turns round; by [K] between 0 and 1, as the target lies
               a conditional jump back is predicted taken: 8 cycles where it is not, 6 where the flags were set more
               than 5 instructions before [K; L: 6]. So a loop pays once each time it is left. All other conditional
               jumps are predicted right, as the predictor learns those that mostly go one way. tbb, tbh and ldr pc are
               mispredicted, as the buffer of targets holds one a jump; returns and calls of registers are not

Zero wait states, everything in tightly coupled memory. Uncertain: jumps forward that depend on data cost up to 8 cycles
for each miss, and nothing here; results forwarded within a cycle (simple additions into a second addition [K]), code
alignment, bank conflicts of two loads, a full store buffer, and waits that reach across a jump (a sum that one
multiply-accumulate an iteration adds to) are not modelled. Errors of these have both signs. No board was at hand to
hold it against: expect 10 %, and more in loops full of jumps that depend on data.
"""

from typing import NamedTuple

import numpy as np

from workbench.emulate.timing.decode import FLAGS, FLOAT_REGISTERS, Code, Kind
from workbench.emulate.timing.model import Costs, TimingModel, by_kind

K = Kind
MISPREDICTED, EARLY_FLAGS, SLOTS = 8, 6, 5  # cycles; the second where more instructions ago the flags were set
MULTIPLIES = (K.MULTIPLY, K.MULTIPLY_ADD, K.LONG_MULTIPLY, K.LONG_MULTIPLY_ADD)
FLOATS = (K.FLOAT, K.FLOAT_MAC, K.FLOAT_DIVIDE)
FLOAT_MOVES = (K.FLOAT, K.FLOAT_LOAD, K.FLOAT_STORE)
STORES = (K.STORE, K.STORE_INDEXED, K.FLOAT_STORE)
SHIFTER = (K.SHIFTED, K.BITS)
LISTS = (K.LOAD_MULTIPLE, K.STORE_MULTIPLE, K.POP_JUMP)
ALONE = (*LISTS, K.DIVIDE, K.SYSTEM, K.FLOAT_DIVIDE, K.TABLE_JUMP)
JUMPS = (K.JUMP, K.JUMP_IF, K.CALL, K.RETURN, K.COMPARE_JUMP, K.REGISTER_JUMP, K.LOAD_JUMP, K.POP_JUMP, K.TABLE_JUMP)
TAKES = {K.DIVIDE: 7, K.FLOAT_DIVIDE: 16, K.SYSTEM: 3, K.TABLE_JUMP: 2}
# From issue to the issue of who uses the result: in an address or a shift; in a product; else; as what a multiply adds
# to; as data to store. Those not here take 1.
LATENCY = {
    K.LOAD: (2, 2, 1, 1, 1), K.LOAD_SMALL: (3, 2, 2, 1, 1), K.LOAD_MULTIPLE: (2, 2, 1, 1, 1),  # [K, L]
    **dict.fromkeys(MULTIPLIES, (3, 2, 2, 1, 1)), **dict.fromkeys(SHIFTER, (2, 1, 1, 1, 1)),  # [K]
    K.FLOAT: (3, 3, 3, 3, 1), K.FLOAT_MAC: (5, 5, 5, 3, 3), K.FLOAT_DIVIDE: (16, 16, 16, 16, 16),  # [K]
    K.FLOAT_LOAD: (1, 1, 1, 3, 1),  # [K]
}  # fmt: skip
LONGEST = 6  # cycles after which any result is there, but for what occupies the core as long
WINDOW = 8  # instructions behind an entry in which its order of pairs and its waits may differ


class _Plan(NamedTuple):
    """What issuing needs of each instruction, as lists: whether it may pair with the one before, the cycles it takes,
    its results and their latency (empty: 1), its operands by when they are needed, as in LATENCY, and all of them."""

    pairs: list[bool]
    takes: list[int]
    writes: list[int]
    latency: list[tuple[int, ...]]
    operands: list[tuple[int, ...]]
    needs: list[int]


def issue(code: Code) -> Costs:
    """In order, two a cycle where they may, each when its operands are there; from a standstill where jumps lead."""
    plan, jump, first = _plan(code), code.of(*JUMPS), code.before.kind == K.NONE
    static, entered = np.zeros((2, len(first)), np.int32)
    begins = np.flatnonzero(first).tolist()
    for begin, stop in zip(begins, [*begins[1:], len(first)], strict=True):
        static[begin:stop] = np.diff(_ends(plan, begin, stop), prepend=0)
    last = np.flatnonzero(jump | np.append(first[1:], True))  # of what runs on in a straight line
    entries = np.flatnonzero(np.isin(code.address, code.target) | np.append(True, jump[:-1]))
    for begin, end in zip(entries.tolist(), last[np.searchsorted(last, entries)].tolist(), strict=True):
        stop = min(begin + WINDOW, end + 1)
        entered[begin] = _ends(plan, begin, stop)[-1] - static[begin:stop].sum()
    return Costs(static=static, entered=entered)


def turns(code: Code) -> Costs:
    """1 more for a jump that is taken."""
    return Costs(taken=1 * code.of(*JUMPS))


def loop_exits(code: Code) -> Costs:
    """A conditional jump back that is not taken was mispredicted."""
    back = code.of(K.JUMP_IF) & (code.target <= code.address)
    index = np.arange(len(back))
    setter = np.maximum.accumulate(np.where((code.writes & FLAGS) != 0, index, 0))
    cycles = back * np.where(index - setter > SLOTS, EARLY_FLAGS, MISPREDICTED)
    return Costs(static=cycles, taken=-1 * cycles)


def unknown_targets(code: Code) -> Costs:
    """Where a jump through a table leads was mispredicted."""
    return Costs(taken=MISPREDICTED * code.of(K.TABLE_JUMP, K.LOAD_JUMP))


def _plan(code: Code) -> _Plan:
    takes = np.where(code.of(*TAKES), by_kind(code, TAKES), 1)
    words = code.of(*LISTS, K.FLOAT_LOAD, K.FLOAT_STORE)
    takes = np.where(words, np.maximum(1, (code.transfers + 1) // 2), takes)
    nothing = np.uint64(0)
    early = code.base | code.shifted
    factors = np.where(code.of(*MULTIPLIES), code.reads, nothing)
    added = np.where(code.of(*MULTIPLIES, K.FLOAT_MAC), code.late, nothing)
    operands = (early, factors, code.reads & ~early & ~factors, added, code.late & ~added)
    by_number: list[tuple[int, ...]] = [LATENCY.get(kind, ()) for kind in Kind]
    in_core = code.of(K.FLOAT) & (code.writes & FLOAT_REGISTERS == 0)  # moved, or compared: there at once [K]
    latency = [by_number[kind] for kind in np.where(in_core, K.ALU, code.kind).tolist()]
    parts = list(zip(*(each.tolist() for each in operands), strict=True))
    needs = (code.reads | code.late).tolist()
    return _Plan(_pairs(code).tolist(), takes.tolist(), code.writes.tolist(), latency, parts, needs)


def _pairs(code: Code) -> np.ndarray:
    """Whether an instruction may issue with the one before it."""
    before = code.before
    written = (before.writes | before.updates) & ~FLAGS
    needs = code.reads | code.writes | code.updates | code.late & FLOAT_REGISTERS
    several = code.of(K.FLOAT_LOAD, K.FLOAT_STORE) & (code.transfers > 1)
    several_before = before.of(K.FLOAT_LOAD, K.FLOAT_STORE) & (before.transfers > 1)
    refused = (needs & written != 0) | code.of(*ALONE, K.BITS) | before.of(*ALONE, K.NONE) | several | several_before
    for group, other in (
        (MULTIPLIES, MULTIPLIES), (MULTIPLIES, STORES), (FLOATS, FLOATS), (STORES, STORES), (SHIFTER, SHIFTER),
        ((K.FLOAT_MAC,), FLOAT_MOVES),
    ):  # fmt: skip
        refused |= code.of(*group) & before.of(*other) | code.of(*other) & before.of(*group)
    goes_on = before.of(K.JUMP_IF, K.COMPARE_JUMP) & (before.target > before.address)
    return ~refused & (~before.of(*JUMPS) | goes_on)


def _ends(plan: _Plan, begin: int, stop: int) -> list[int]:
    """The cycle in which each of the instructions [begin, stop) is done, counted from a standstill before the first."""
    pairs, takes, writes, latencies, operands, needs = plan
    ends, issued, done, slot_free = [], -1, 0, False
    recent: list[tuple[int, int, tuple[int, ...]]] = []  # cycle, results and latency of what may still be waited for
    for at in range(begin, stop):
        start = issued if slot_free and pairs[at] else done
        for born, results, latency in recent:
            if results & needs[at]:
                waits = (born + cycles for part, cycles in zip(operands[at], latency, strict=True) if results & part)
                start = max(start, *waits)
        slot_free, issued = start != issued, start
        done = max(done, issued + takes[at])
        ends.append(done)
        if recent:
            recent = [each for each in recent if each[0] + LONGEST > issued]
        if latencies[at]:
            recent.append((issued, writes[at], latencies[at]))
    return ends


RULES = (issue, turns, loop_exits, unknown_targets)
MODEL = TimingModel("cortex-m7, dual issue approximated, zero wait states", RULES)
