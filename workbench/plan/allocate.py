"""Allocation: greedy first; where that misses the bound, the exact search goes on from the best greedy plan.

Greedy placement takes buffers in some order and gives each the lowest gap that is free for its whole life.

    address
      ^   +-----+
      |   |  b  |        c is alive with a and b: the gap *below* a counts as well as
      |   +-----+--+     the one between them
      |   ......|a |..
      |   |  c  +--+  |
      +---+-----------+--> position

Several orders are tried and the smallest arena wins; where it equals the bound no plan can be smaller.
The exact search (plan/exact.py) costs a second to load, so it is left alone where greedy is enough.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from workbench.plan.problem import Buffer, Placed, Plan, lower_bound, plan_of

Key = Callable[[Buffer], tuple[Any, ...]]

ORDERS: dict[str, Key] = {
    "largest first": lambda b: (-b.size, b.lower, b.id),
    "longest first": lambda b: (b.lower - b.upper, -b.size, b.id),
    "largest area first": lambda b: (-b.size * (b.upper - b.lower), b.lower, b.id),
    "earliest first": lambda b: (b.lower, -b.upper, -b.size, b.id),
    "latest end first": lambda b: (-b.upper, b.lower, -b.size, b.id),
}


COMPILE_NODES = 60_000  # of the exact search, some seconds; a limit of nodes gives every machine the same plan


def allocate(
    buffers: Sequence[Buffer],
    nodes: float = COMPILE_NODES,
    seconds: float = math.inf,
    fixed: Sequence[Placed] = (),
) -> Plan:
    """The smallest plan found within so many nodes or seconds of search. Buffers keep their order in the plan.

    The `fixed` ones have their places already; they come last.
    """
    start = time.perf_counter()
    plan = greedy(buffers, seconds, fixed)
    if plan.optimal:
        return plan
    from workbench.plan.exact import Limit, minimise

    return minimise(buffers, plan, Limit(nodes, seconds - (time.perf_counter() - start)), fixed)


def greedy(buffers: Sequence[Buffer], seconds: float = math.inf, fixed: Sequence[Placed] = ()) -> Plan:
    """The smallest greedy plan over all orders, or over as many as the time allows: at least one."""
    start, bound = time.perf_counter(), lower_bound([*buffers, *fixed])
    (first, key), *others = ORDERS.items()
    best = _greedy(buffers, key, bound, first, fixed)
    for name, key in others:
        if best.optimal or time.perf_counter() - start > seconds:
            break
        plan = _greedy(buffers, key, bound, name, fixed)
        if plan.bytes < best.bytes:
            best = plan
    return best


def _greedy(buffers: Sequence[Buffer], key: Key, bound: int, name: str, fixed: Sequence[Placed]) -> Plan:
    order = [*fixed, *sorted(buffers, key=key)]
    lower, upper = np.array([b.lower for b in order]), np.array([b.upper for b in order])
    extents = [(placed.offset, placed.end) for placed in fixed]
    for count, buffer in enumerate(order[len(fixed) :], len(fixed)):
        overlapping = np.flatnonzero((lower[:count] < buffer.upper) & (buffer.lower < upper[:count]))
        place = _lowest_gap(sorted(extents[other] for other in overlapping), buffer.size)
        extents.append((place, place + buffer.size))
    offset = {buffer.id: place for buffer, (place, _) in zip(order, extents, strict=True)}
    ordered = tuple(Placed(b.id, b.lower, b.upper, b.size, offset[b.id]) for b in (*buffers, *fixed))
    return plan_of(ordered, bound, f"greedy, {name}")


def _lowest_gap(taken: list[tuple[int, int]], size: int) -> int:
    """The lowest offset with `size` free bytes, between sorted extents that may overlap."""
    offset = 0
    for start, end in taken:
        if offset + size <= start:
            break
        offset = max(offset, end)
    return offset
