"""Exact planning: does a plan fit a capacity, and which arena is the smallest? Within a limit of nodes or seconds.

The search (plan/search.py) is restarted with a new order and more nodes each time: a bad first choice then costs
little, and what failed is remembered from run to run. Limited by nodes or looks it
gives the same plan on every machine.
"""

import math
import random
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import accumulate
from threading import TIMEOUT_MAX, Thread
from typing import Any, NamedTuple

import numpy as np

from workbench.plan import search
from workbench.plan.greedy import seated
from workbench.plan.problem import Buffer, Placed, Plan, Stack, lower_bound, plan_of

STRATEGIES = (search.FEWEST_CHOICES, search.LOWEST_FLOOR, search.MOST_FAILURES)
MEMORY_ENTRIES = 1 << 18  # states that failed, 16 bytes each
LOOKS_OF_SEATING = 6000  # what seating a buffer costs, as looks of the search
FIRST_RUN = 4  # nodes a buffer
GROWTH = 1.2  # of a run's nodes, after every round of orders
MOST_TRAIL = 1 << 20  # changes on the way to one node
MOST_BUFFERS = 4000  # placing one is a recursion, and the stack is finite
LARGEST = 1 << 58  # units in all, beyond which 64-bit sums overflow


@dataclass(frozen=True)
class Limit:
    """How long to search: nodes, seconds, looks at a buffer (what a node costs), or whichever ends first."""

    nodes: float = math.inf
    seconds: float = math.inf
    looks: float = math.inf


@dataclass(frozen=True)
class Answer:
    """`placed`: a plan that fits, if one was found. `needed`: it is proven that no plan is smaller."""

    placed: tuple[Placed, ...] | None
    needed: int
    nodes: int
    looks: int
    seconds: float


def searchable(buffers: Sequence[Buffer]) -> bool:
    """Whether the search can hold them: neither too many nor too large."""
    unit = _unit(buffers)
    return len(buffers) <= MOST_BUFFERS and sum(buffer.size for buffer in buffers) <= LARGEST * max(unit, 1)


def fit(buffers: Sequence[Buffer], capacity: int, limit: Limit, stacks: Sequence[Stack] = ()) -> Answer:
    """Search for a plan of at most `capacity` bytes; `needed` > capacity means that there is none.

    The search knows of no stacks: it places their buffers one by one. A plan that it finds is the order in which the
    stacks then are seated; where that takes more than `capacity`, the search goes on.
    """
    every = [*((buffer,) for buffer in buffers), *stacks]
    flat = [buffer for stack in every for buffer in stack]
    bound = lower_bound(flat)
    if not flat:
        return Answer((), bound, 0, 0, 0.0)
    unit = _unit(flat)
    if bound > capacity or not searchable(flat):
        return Answer(None, bound, 0, 0, 0.0)
    order, arrays = _arrays(flat, capacity // unit, unit)
    count = arrays.counters
    count[search.LOOK_LIMIT] = int(min(limit.looks, search.NEVER))
    _load()
    start = time.perf_counter()
    placed: Sequence[Placed] | None = None
    result, nodes = search.LIMIT, 0
    for run in _runs([flat[i] for i in order], arrays):
        left = limit.seconds - (time.perf_counter() - start)
        if placed or result == search.FAILED or nodes >= limit.nodes or left <= 0 or count[search.LOOKS] >= limit.looks:
            break
        wanted = max(run.nodes, nodes) if run.deep else run.nodes
        result = _search(arrays, run, Limit(min(wanted, limit.nodes - nodes), left))
        nodes += int(count[search.NODES])
        if result == search.FOUND:
            offsets = dict(zip(order, (int(offset) * unit for offset in arrays.buffers[search.OFFSET]), strict=True))
            placed = [Placed(b.id, b.lower, b.upper, b.size, offsets[i]) for i, b in enumerate(flat)]
            if stacks:
                placed = _together(placed, every, capacity)
                count[search.LOOKS] += LOOKS_OF_SEATING * len(flat)
    needed = int(count[search.EXCESS]) * unit if result == search.FAILED else bound
    seconds = time.perf_counter() - start
    return Answer(tuple(placed) if placed else None, needed, nodes, int(count[search.LOOKS]), seconds)


def _together(placed: Sequence[Placed], every: Sequence[Stack], capacity: int) -> Sequence[Placed] | None:
    """Stacks that lie apart in this plan, seated within `capacity`, or None.

    They come in the order in which their first buffers lie, else in that of the lowest place that one of them asks for.
    """
    offsets = {buffer.id: buffer.offset for buffer in placed}
    for key in (_first, _lowest):
        found = seated(sorted(every, key=partial(key, offsets)), every)
        if max(buffer.end for buffer in found) <= capacity:
            return found
    return None


def _first(offsets: Mapping[str, int], stack: Stack) -> int:
    return offsets[stack[0].id]


def _lowest(offsets: Mapping[str, int], stack: Stack) -> int:
    heights = accumulate((buffer.size for buffer in stack), initial=0)
    return min(offsets[buffer.id] - height for buffer, height in zip(stack, heights, strict=False))


def minimise(buffers: Sequence[Buffer], plan: Plan, limit: Limit, stacks: Sequence[Stack] = ()) -> Plan:
    """The smallest plan found, from `plan` on, and what is proven: the least size is tried first, then bisection."""
    flat = [*buffers, *(buffer for stack in stacks for buffer in stack)]
    if not searchable(flat):
        return plan
    _load()
    start, nodes, looks = time.perf_counter(), 0, 0
    unit = _unit(flat) if flat else 1
    hopeful = plan.proven  # the least size not given up yet
    while hopeful < plan.bytes:
        left = Limit(limit.nodes - nodes, limit.seconds - (time.perf_counter() - start), limit.looks - looks)
        if min(left.nodes, left.seconds, left.looks) <= 0:
            break
        halfway = hopeful + (plan.bytes - unit - hopeful) // 2
        capacity = hopeful if hopeful == plan.proven else halfway // unit * unit
        answer = fit(buffers, capacity, Limit(left.nodes / 2, left.seconds / 2, left.looks / 2), stacks)
        nodes, looks = nodes + answer.nodes, looks + answer.looks
        if answer.placed is not None:
            plan = plan_of(answer.placed, plan.bound, "exact search", plan.proven)
        elif answer.needed > capacity:
            plan = replace(plan, proven=max(plan.proven, min(answer.needed, plan.bytes)))
            hopeful = max(hopeful, plan.proven)
        else:
            hopeful = capacity + unit
    return replace(plan, nodes=nodes)


class _Arrays(NamedTuple):
    """What the search works on; plan/search.py names the rows."""

    buffers: np.ndarray
    sections: np.ndarray
    members: np.ndarray
    meeting: np.ndarray
    trail: np.ndarray
    failed: np.ndarray
    counters: np.ndarray


def _unit(buffers: Sequence[Buffer]) -> int:
    """The largest unit that divides all sizes."""
    return math.gcd(*(buffer.size for buffer in buffers))


def _arrays(buffers: Sequence[Buffer], capacity: int, unit: int) -> tuple[list[int], _Arrays]:
    """The order in which the search holds the buffers, and its arrays; sizes and capacity in units."""
    spans, width = _spans(buffers)
    order = sorted(range(len(buffers)), key=lambda i: (spans[i][0], -spans[i][1], -buffers[i].size, i))
    kinds = [(*spans[i], buffers[i].size // unit) for i in order]
    members: list[list[int]] = [[] for _ in range(width)]
    for x, (first, last, _) in enumerate(kinds):
        for at in range(first, last):
            members[at].append(x)
    meeting = [
        sorted({y for at in range(first, last) for y in members[at]} - {x}) for x, (first, last, _) in enumerate(kinds)
    ]
    ends, meeting_ends = np.cumsum([0, *map(len, members)]), np.cumsum([0, *map(len, meeting)])
    words = random.Random(0)
    b = np.zeros((search.BUFFER_ROWS, len(kinds)), np.int64)
    b[search.FIRST], b[search.LAST], b[search.SIZE] = np.array(kinds, np.int64).T
    b[search.TWIN] = [x - 1 if x and kinds[x] == kinds[x - 1] else -1 for x in range(len(kinds))]
    b[search.MEETS], b[search.MEETS_END] = meeting_ends[:-1], meeting_ends[1:]
    b[search.UNDER] = b[search.MEETS]
    b[search.KEY : search.KEY2 + 1] = [[words.getrandbits(63) for _ in kinds] for _ in range(2)]
    s = np.zeros((search.SECTION_ROWS, width), np.int64)
    s[search.START], s[search.END] = ends[:-1], ends[1:]
    changes = min(8 * len(kinds) * (len(kinds) + width), MOST_TRAIL) + 16 * len(kinds)
    count = np.zeros(search.COUNTS, np.int64)
    count[search.CAPACITY], count[search.EXCESS], count[search.LOOK_LIMIT] = capacity, search.NEVER, search.NEVER
    return order, _Arrays(
        buffers=b,
        sections=s,
        members=np.array([x for inside in members for x in inside], np.int64),
        meeting=np.array([y for others in meeting for y in others], np.int64),
        trail=np.zeros((changes, 3), np.int64),
        failed=np.zeros((MEMORY_ENTRIES, 2), np.int64),
        counters=count,
    )


def _spans(buffers: Sequence[Buffer]) -> tuple[list[tuple[int, int]], int]:
    """The sections [first, last) of each buffer, and how many there are.

    births    a b   c     d e      Births with no death in between add to one largest set alive together: a, b and c
    deaths            b c          make section 0, then d and e with what is left of it section 1.
    """
    events = sorted({position for buffer in buffers for position in (buffer.lower, buffer.upper)})
    births, deaths = {buffer.lower for buffer in buffers}, {buffer.upper for buffer in buffers}
    section, number, died = [], -1, True
    for position in events:
        died = died or position in deaths
        if died and position in births:
            number, died = number + 1, False
        section.append(number)
    return [
        (section[bisect_left(events, b.lower)], section[bisect_left(events, b.upper) - 1] + 1) for b in buffers
    ], number + 1


@cache
def _load() -> None:
    """Load the machine code, or compile it where the cache has none: no search's time limit pays for that."""
    _search(_arrays([Buffer("any", 0, 1, 1)], 1, 1)[1], _Run(search.FEWEST_CHOICES, [0], 1, False), Limit())


def _search(arrays: _Arrays, run: "_Run", limit: Limit) -> int:
    """One search, starting with nothing placed; weights and remembered failures of earlier runs stay."""
    b, count, width = arrays.buffers, arrays.counters, arrays.sections.shape[1]
    b[search.LOWEST], b[search.PLACED], b[search.DENIED] = 0, 0, 0
    b[search.RANK] = run.rank
    count[search.NODES], count[search.TRAIL] = 0, 0
    count[search.NODE_LIMIT], count[search.STRATEGY] = int(min(limit.nodes, search.NEVER)), run.strategy
    count[search.DIRTY_FROM], count[search.DIRTY_TO] = 0, width
    if limit.seconds == math.inf:
        return int(search.search(*arrays, 0, width))
    results: list[int] = []
    # Machine code sees no clock and no Ctrl-C: it runs in a thread, which a node limit of 0 ends.
    thread = Thread(target=lambda: results.append(int(search.search(*arrays, 0, width))), daemon=True)
    thread.start()
    try:
        thread.join(min(limit.seconds, TIMEOUT_MAX))
    finally:
        count[search.NODE_LIMIT] = 0
        thread.join()
    return results[0]


@dataclass(frozen=True)
class _Run:
    """How to search: the strategy, each buffer's rank in the order of trial, and the most nodes."""

    strategy: int
    rank: list[int]
    nodes: float
    deep: bool


def _runs(buffers: Sequence[Buffer], arrays: _Arrays) -> Iterator[_Run]:
    """Run after run: first the plain orders, then these with noise, buffers of sections that failed often earlier.

    The first of a round is deep and gets as many nodes as were spent so far: half of the work goes into a few long
    searches, which alone can prove that there is no plan.
    """
    first, last = (arrays.buffers[row].tolist() for row in (search.FIRST, search.LAST))
    sized = [(b.size, b.upper - b.lower, end - begin) for b, begin, end in zip(buffers, first, last, strict=True)]
    plain = [
        _ranks([-size * sections for size, _, sections in sized]),
        _ranks([(-size, -length) for size, length, _ in sized]),
        _ranks([(-length, -size) for size, length, _ in sized]),
        _ranks([(-sections, -size) for size, _, sections in sized]),
        _ranks([-size * length for size, length, _ in sized]),
    ]
    noise, nodes, weight = random.Random(0), float(FIRST_RUN * len(buffers)), arrays.sections[search.WEIGHT]
    ranks = plain
    while True:
        for number, rank in enumerate(ranks):
            for strategy in STRATEGIES:
                if ranks is not plain:
                    heaviest = [int(weight[begin:end].max()) for begin, end in zip(first, last, strict=True)]
                    rank = _disturbed(plain[number], heaviest, noise)
                yield _Run(strategy, rank, nodes, deep=number == 0 and strategy == STRATEGIES[0])
            weight //= 2  # old failures count less
        ranks, nodes = list(plain), nodes * GROWTH


def _disturbed(rank: list[int], weights: list[int], noise: random.Random) -> list[int]:
    """The order with noise; buffers of sections that failed often come earlier, by a random amount."""
    lead = noise.random() / max(1, *weights)
    return _ranks([r / len(rank) - lead * weight + noise.random() / 8 for r, weight in zip(rank, weights, strict=True)])


def _ranks(values: Sequence[Any]) -> list[int]:
    """The place of each in sorted order."""
    places = [0] * len(values)
    for place, x in enumerate(sorted(range(len(values)), key=lambda x: (values[x], x))):
        places[x] = place
    return places
