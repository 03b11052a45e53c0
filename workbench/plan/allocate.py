"""Allocation: greedy first; where that misses the bound, the exact search goes on from the best greedy plan.

Where greedy's arena equals the bound no plan can be smaller. The exact search (plan/exact.py) costs a second to load,
so it is left alone where greedy is enough.
"""

import math
import time
from collections.abc import Sequence

from workbench.plan.greedy import greedy
from workbench.plan.problem import Buffer, Plan, Stack

COMPILE_LOOKS = 400_000_000  # of the exact search, some seconds; counted, so that every machine makes the same plan


def allocate(
    buffers: Sequence[Buffer],
    looks: float = COMPILE_LOOKS,
    nodes: float = math.inf,
    seconds: float = math.inf,
    stacks: Sequence[Stack] = (),
) -> Plan:
    """The smallest plan found within so many looks, nodes or seconds of search (exact.Limit).

    Buffers keep their order in the plan; those of the `stacks` come last.
    """
    start = time.perf_counter()
    plan = greedy(buffers, seconds, stacks)
    if plan.optimal:
        return plan
    from workbench.plan.exact import Limit, minimise

    return minimise(buffers, plan, Limit(nodes, seconds - (time.perf_counter() - start), looks), stacks)
