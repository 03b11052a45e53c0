"""Greedy placement takes buffers in some order and gives each the lowest gap that is free for its whole life.

    address
      ^   +-----+
      |   |  b  |        c is alive with a and b: the gap *below* a counts as well as
      |   +-----+--+     the one between them
      |   ......|a |..
      |   |  c  +--+  |
      +---+-----------+--> position

Several orders are tried, and the smallest arena wins. A stack is placed as one: each of its buffers needs its gap, and
they lie directly one on another.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from workbench.plan.problem import Buffer, Placed, Plan, Stack, lower_bound, plan_of

Key = Callable[[Buffer], tuple[Any, ...]]

ORDERS: dict[str, Key] = {
    "largest first": lambda b: (-b.size, b.lower, b.id),
    "longest first": lambda b: (b.lower - b.upper, -b.size, b.id),
    "largest area first": lambda b: (-b.size * (b.upper - b.lower), b.lower, b.id),
    "earliest first": lambda b: (b.lower, -b.upper, -b.size, b.id),
    "latest end first": lambda b: (-b.upper, b.lower, -b.size, b.id),
}


def greedy(buffers: Sequence[Buffer], seconds: float = float("inf"), stacks: Sequence[Stack] = ()) -> Plan:
    """The smallest greedy plan over all orders, or over as many as the time allows: at least one."""
    start, every = time.perf_counter(), [*((buffer,) for buffer in buffers), *stacks]
    bound = lower_bound(buffer for stack in every for buffer in stack)
    best: Plan | None = None
    for name, key in ORDERS.items():
        if best and (best.optimal or time.perf_counter() - start > seconds):
            break
        plan = plan_of(seated(sorted(every, key=lambda stack: key(_whole(stack))), every), bound, f"greedy, {name}")
        best = plan if best is None or plan.bytes < best.bytes else best
    assert best is not None
    return best


def seated(order: Sequence[Stack], every: Iterable[Stack]) -> list[Placed]:
    """The buffers of `every` stack, each stack placed as low as it can lie above or between those before it in the
    `order`. (A buffer by itself is a stack of one.)"""
    flat = [buffer for stack in order for buffer in stack]
    lower, upper = np.array([b.lower for b in flat]), np.array([b.upper for b in flat])
    extents: list[tuple[int, int]] = []  # of the buffers placed so far
    for stack in order:
        count, above, taken = len(extents), 0, list[tuple[int, int]]()
        for buffer in stack:
            overlapping = np.flatnonzero((lower[:count] < buffer.upper) & (buffer.lower < upper[:count]))
            met = (extents[other] for other in overlapping)
            taken += [(begin - above - buffer.size, end - above) for begin, end in met]
            above += buffer.size
        place = _lowest_outside(sorted(taken))
        for buffer in stack:
            extents.append((place, place + buffer.size))
            place += buffer.size
    offset = {buffer.id: place for buffer, (place, _) in zip(flat, extents, strict=True)}
    return [Placed(b.id, b.lower, b.upper, b.size, offset[b.id]) for stack in every for b in stack]


def _lowest_outside(taken: list[tuple[int, int]]) -> int:
    """The lowest offset, from 0 on, strictly inside none of these sorted intervals."""
    offset = 0
    for begin, end in taken:
        if offset <= begin:
            break
        offset = max(offset, end)
    return offset


def _whole(stack: Stack) -> Buffer:
    """One buffer that has room for a stack."""
    size = sum(buffer.size for buffer in stack)
    return Buffer(stack[0].id, min(b.lower for b in stack), max(b.upper for b in stack), size)
