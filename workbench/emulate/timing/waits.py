"""Wait states of the memory that code lies in, as one more rule; a board says how many, none unless it does.

Behind a jump the first fetch waits, and what lies behind it has been fetched ahead; so every way to elsewhere costs the
wait states, and straight code nothing. A literal is loaded past what was fetched ahead, and waits too. (That is a
sequential prefetch buffer without a cache, as ST's "Adaptive real-time memory accelerator" has one beside its cache:
RM0090, 3.5.2. Other constants that are read from there, and the queue that a slow flash drains, are left out.)
"""

from dataclasses import replace

import numpy as np

from workbench.boards import Board
from workbench.emulate.timing.decode import PC, Code
from workbench.emulate.timing.model import Costs, TimingModel

NONE = "zero wait states"


def with_wait_states(model: TimingModel, board: Board) -> TimingModel:
    """A core's timing on a board whose memory may be slower than its core."""
    slow = [region for region in board.regions if region.wait_states]
    if not slow:
        return model

    def waits(code: Code) -> Costs:
        """See above."""
        of = np.zeros(len(code.address), np.int32)
        for region in slow:
            of[(code.address >= region.base) & (code.address < region.end)] = region.wait_states
        return Costs(static=np.where(code.base == PC, of, 0), entered=of)

    told = ", ".join(f"{region.name} {region.wait_states} wait states, prefetched" for region in slow)
    return replace(model, name=model.name.replace(NONE, told), rules=(*model.rules, waits))
