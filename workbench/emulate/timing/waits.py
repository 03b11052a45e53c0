"""Wait states of the memory that code lies in, as one more rule; a board says how many, none unless it does.

    | nop nop  b 1f | add ldr |      a memory gives a line of so many bytes at a time, and waits W cycles for it
      ^ entered: W    ^ W, or what is left of it that was not prefetched

A line is waited for where control comes from elsewhere (but not by a direct jump within it: the last line is kept), and
where straight code runs into the next one. With a prefetch that one is asked for when the last one has come, so that it
waits max(0, W + 1 - the cycles that the last line took); where a jump led into the middle of a line, that is too few. A
literal waits W, by the memory that it lies in; other constants, whose addresses are not known, wait for nothing. With a
cache all are hits: what misses cost is estimated once the program has run (cache.py).

So ST's "Adaptive real-time memory accelerator" is built (RM0090, 3.5.2: lines of 128 bits, a prefetch of the next one,
64 lines of instructions cached); its cache of constants is not modelled.
"""

from dataclasses import replace

import numpy as np

from workbench.boards import Board, Region
from workbench.emulate.timing.decode import Code
from workbench.emulate.timing.model import Costs, Rule, TimingModel

NONE = "zero wait states"


def with_wait_states(model: TimingModel, board: Board) -> TimingModel:
    """A core's timing on a board whose memory may be slower than its core."""
    slow = [region for region in board.regions if region.wait_states]
    if not slow:
        return model
    rules = [_waits_of(region, model) for region in slow if not region.cache_lines]
    told = ", ".join(f"{region.name} {_told(region)}" for region in slow)
    return replace(model, name=model.name.replace(NONE, told), rules=(*model.rules, *rules))


def _told(region: Region) -> str:
    lines = f"{region.wait_states} wait states a line of {region.line} B"
    if region.cache_lines:
        return f"{lines}, {region.cache_lines} lines cached (hits alone)"
    return lines + (", prefetched" if region.prefetch else "")


def _waits_of(region: Region, model: TimingModel) -> Rule:
    wait, line = region.wait_states, region.line

    def waits(code: Code) -> Costs:
        """See above."""
        here = (code.address >= region.base) & (code.address < region.end)
        first, last = code.address // line, (code.address + np.where(code.wide, 3, 1)) // line
        begins = last - (code.address - 1) // line  # the lines that it is the first to need, in straight code: 0 or 1
        ahead = np.full(len(here), wait)
        if region.prefetch:
            before = np.cumsum(model.costs(code).static) - model.costs(code).static
            at = np.maximum.accumulate(np.where(begins, np.arange(len(here)), 0))
            took = before - before[np.append(0, at[:-1])]  # since the last line came
            ahead = np.clip(wait + 1 - took, 0, wait)
        straight = here * begins * ahead
        entered = here * (last - first + 1) * wait - straight
        kept = here & (code.target >= region.base) & (code.target // line == last)
        literal = (code.literal >= region.base) & (code.literal < region.end)
        return Costs(static=straight + literal * wait, taken=-wait * kept, entered=entered)

    return waits
