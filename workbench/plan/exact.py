"""Exact planning: does a plan fit a capacity, and which arena is the smallest? Within a limit of nodes or seconds.

The search (plan/search.py) is restarted with a new order and more nodes each time: a bad first choice then costs
little, and what failed is remembered from run to run. Limited by nodes it gives the same plan on every machine.
"""

import math
import random
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from workbench.plan import search
from workbench.plan.problem import Buffer, Placed, Plan, lower_bound, plan_of

MEMORY_ENTRIES = 1 << 18  # states that failed, 16 bytes each
FIRST_RUN = 4  # nodes a buffer
GROWTH = 1.2  # of a run's nodes, after every round of orders
MOST_TRAIL = 1 << 20  # changes on the way to one node
LARGEST = 1 << 58  # bytes in all, beyond which 64-bit sums would not do


@dataclass(frozen=True)
class Limit:
    """How long to search: nodes, seconds, or whichever ends first."""

    nodes: float = math.inf
    seconds: float = math.inf


@dataclass(frozen=True)
class Answer:
    """A plan that fits, if one was found. Else `needed`: no plan is smaller, proven (0 where nothing was)."""

    placed: tuple[Placed, ...] | None
    needed: int
    nodes: int
    seconds: float


def fit(buffers: Sequence[Buffer], capacity: int, limit: Limit) -> Answer:
    """Search for a plan of at most `capacity` bytes; `needed` > capacity means that there is none."""
    start = time.perf_counter()
    bound = lower_bound(buffers)
    if not buffers:
        return Answer((), 0, 0, 0.0)
    unit = math.gcd(*(buffer.size for buffer in buffers))
    if bound > capacity or sum(buffer.size for buffer in buffers) // unit > LARGEST:
        return Answer(None, bound, 0, 0.0)
    order, sections = _sections(buffers, unit)
    state = _state(sections, capacity // unit)
    result, nodes, rate = search.LIMIT, 0, 1000.0
    for strategy, rank, wanted in _runs([buffers[i] for i in order], sections, state):
        left = limit.seconds - (time.perf_counter() - start)
        if result != search.LIMIT or nodes >= limit.nodes or left <= 0:
            break
        begin = time.perf_counter()
        result = _run(sections, state, strategy, rank, min(max(wanted, nodes), limit.nodes - nodes, 1 + rate * left))
        nodes += int(state.count[search.NODES])
        rate = state.count[search.NODES] / (time.perf_counter() - begin)
    seconds = time.perf_counter() - start
    if result == search.FOUND:
        offsets = dict(zip(order, (int(offset) * unit for offset in state.offset), strict=True))
        placed = tuple(Placed(b.id, b.lower, b.upper, b.size, offsets[i]) for i, b in enumerate(buffers))
        return Answer(placed, bound, nodes, seconds)
    needed = int(state.count[search.EXCESS]) * unit if result == search.FAILED else bound
    return Answer(None, needed, nodes, seconds)


def minimise(buffers: Sequence[Buffer], plan: Plan, limit: Limit) -> Plan:
    """The smallest arena found from `plan` on, with what was proven: first the least size possible, then halving."""
    start, nodes = time.perf_counter(), 0
    unit = math.gcd(*(buffer.size for buffer in buffers)) if buffers else 1
    hopeful = plan.proven  # the least size not given up yet
    while hopeful < plan.bytes:
        left = Limit(limit.nodes - nodes, limit.seconds - (time.perf_counter() - start))
        if left.nodes <= 0 or left.seconds <= 0:
            break
        halfway = hopeful + (plan.bytes - unit - hopeful) // 2
        capacity = hopeful if hopeful == plan.proven else halfway // unit * unit
        answer = fit(buffers, capacity, Limit(left.nodes / 2, left.seconds / 2))
        nodes += answer.nodes
        if answer.placed is not None:
            plan = plan_of(answer.placed, plan.bound, "exact search", plan.proven)
        elif answer.needed > capacity:
            plan = replace(plan, proven=max(plan.proven, min(answer.needed, plan.bytes)))
            hopeful = max(hopeful, plan.proven)
        else:
            hopeful = capacity + unit
    return plan


def _sections(buffers: Sequence[Buffer], unit: int) -> tuple[list[int], search.Sections]:
    """The order in which the search holds the buffers, and its view of them; sizes in units."""
    events = sorted({position for buffer in buffers for position in (buffer.lower, buffer.upper)})
    births, deaths = {buffer.lower for buffer in buffers}, {buffer.upper for buffer in buffers}
    section, number, died = [], -1, True
    for position in events:  # a largest set alive together: the births between two deaths add to it
        died = died or position in deaths
        if died and position in births:
            number, died = number + 1, False
        section.append(number)
    spans = [(section[bisect_left(events, b.lower)], section[bisect_left(events, b.upper) - 1] + 1) for b in buffers]
    order = sorted(range(len(buffers)), key=lambda i: (spans[i][0], -spans[i][1], -buffers[i].size, i))
    kinds = [(*spans[i], buffers[i].size) for i in order]
    twin = [at - 1 if at and kinds[at] == kinds[at - 1] else -1 for at in range(len(kinds))]
    members = [[at for at, (begin, end, _) in enumerate(kinds) if begin <= s < end] for s in range(number + 1)]
    return order, search.Sections(
        first=_whole(begin for begin, _, _ in kinds),
        last=_whole(end for _, end, _ in kinds),
        size=_whole(size // unit for _, _, size in kinds),
        twin=_whole(twin),
        members=_whole(x for inside in members for x in inside),
        start=np.cumsum([0, *map(len, members)], dtype=np.int64),
    )


def _whole(numbers) -> np.ndarray:
    return np.array(list(numbers), dtype=np.int64)


def _state(sections: search.Sections, capacity: int) -> search.State:
    buffers, width = len(sections.size), len(sections.start) - 1
    words = random.Random(0)
    count = np.zeros(8, np.int64)
    count[search.CAPACITY], count[search.EXCESS] = capacity, search.NEVER
    return search.State(
        **{name: np.zeros(buffers, np.int64) for name in ("lowest", "denied", "placed", "offset", "rank")},
        **{name: np.zeros(width, np.int64) for name in ("floor", "span", "weight", "choices", "slopes", "above")},
        trail=np.zeros((min(8 * buffers * (buffers + width), MOST_TRAIL) + 16 * buffers, 3), np.int64),
        failed=np.zeros((MEMORY_ENTRIES, 2), np.uint64),
        keys=np.array([[words.getrandbits(63) for _ in range(2)] for _ in range(buffers)], np.uint64),
        count=count,
    )


def _run(sections: search.Sections, state: search.State, strategy: int, rank: np.ndarray, nodes: float) -> int:
    """One search from nothing placed; weights and remembered failures stay from the runs before."""
    for array in (state.lowest, state.denied, state.placed):
        array[:] = 0
    state.rank[:] = rank
    width = len(state.floor)
    state.count[search.NODES], state.count[search.TRAIL] = 0, 0
    state.count[search.NODE_LIMIT], state.count[search.STRATEGY] = int(min(nodes, search.NEVER)), strategy
    state.count[search.DIRTY_FROM], state.count[search.DIRTY_TO] = 0, width
    return search.search(sections, state, 0, width)


def _runs(
    buffers: Sequence[Buffer], sections: search.Sections, state: search.State
) -> Iterator[tuple[int, np.ndarray, float]]:
    """Strategy, rank of each buffer, and nodes, a run; after the plain orders, ones disturbed and led by failures.

    The first run of a round asks for as many nodes as were spent so far: half of the work goes into a few deep
    searches, which alone can prove that there is no plan.
    """
    width = [int(n) for n in sections.last - sections.first]
    keys: list[Callable[[int], tuple]] = [
        lambda x: (-width[x] * buffers[x].size,),
        lambda x: (-buffers[x].size, buffers[x].lower - buffers[x].upper),
        lambda x: (buffers[x].lower - buffers[x].upper, -buffers[x].size),
        lambda x: (-width[x], -buffers[x].size),
        lambda x: (-buffers[x].size * (buffers[x].upper - buffers[x].lower),),
    ]
    count, noise, nodes, first = len(buffers), random.Random(0), float(FIRST_RUN * len(buffers)), True
    ranks = [_ranks([key(x) for x in range(count)]) for key in keys]
    while True:
        for rank in ranks:
            for strategy in (search.FEWEST, search.LOWEST, search.WEIGHED):
                if first:
                    yield strategy, rank, nodes
                    continue
                heaviest = max(1, int(state.weight.max()))
                lead = noise.random() / heaviest
                disturbed = [
                    rank[x] / count
                    - lead * int(state.weight[sections.first[x] : sections.last[x]].max())
                    + noise.random() / 8
                    for x in range(count)
                ]
                yield strategy, _ranks(disturbed), nodes
            state.weight[:] //= 2  # old failures count less
        first, nodes = False, nodes * GROWTH


def _ranks(values: list) -> np.ndarray:
    """The place of each in sorted order."""
    rank = np.zeros(len(values), np.int64)
    rank[sorted(range(len(values)), key=lambda x: (values[x], x))] = np.arange(len(values))
    return rank
