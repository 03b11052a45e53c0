"""The exact search for offsets under a capacity, as machine code made by numba: plain loops over arrays of integers.

Time is cut into sections, one for each largest set of buffers that are alive together; a buffer spans a run of them.
A plan is looked for whose buffers have all sunk as low as they go: each stands on the floor or on another buffer.

    address                                 lowest[x] is the lowest offset x may still have. floor[s], the least of a
      ^ cap --------------------------      section, is where its next byte can go; packing its buffers by `lowest`
      |            +------+                 gives its span, and a span above the capacity ends the branch.
      |  +---+     |      |
      |  |   |_____|      |  <- a niche     c lies level: every section of c has its floor at lowest[c]. Two branches:
      |  |   |  c  |      |                 c stands there; or it does not, and then it will stand on one of those
      +--+---+-----+------+--> sections     who meet it and are not placed yet, so lowest[c] rises to the lowest top.

Level buffers exist while any is left (the lowest of all is one), so the search may go on wherever the fewest choices
remain, not only at the lowest address. Where nobody left spans a cut in time, the two sides are searched apart. A
state that failed (who is left, with which `lowest`) is remembered by hash and never entered again.
After MinMalloc (Moffitt 2023), which places in the order of offsets; branching on a place and its denial is our own.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

NEVER = 1 << 60
FAILED, FOUND, LIMIT = 0, 1, 2
FEWEST, LOWEST, WEIGHED = 0, 1, 2  # where the search goes on: fewest choices, lowest floor, most failures a choice
# fields of State.count
NODES, NODE_LIMIT, TRAIL, CAPACITY, EXCESS, STRATEGY, DIRTY_FROM, DIRTY_TO = range(8)


class Sections(NamedTuple):
    """The problem as arrays. Buffers are sorted by first section; members[start[s]:start[s + 1]] are those of s."""

    first: np.ndarray
    last: np.ndarray  # one past the last section
    size: np.ndarray
    twin: np.ndarray  # the buffer before with the same sections and size, or -1: it goes below
    members: np.ndarray  # kept sorted by `lowest` as the search goes
    start: np.ndarray


class State(NamedTuple):
    """What the search changes. `trail` remembers (buffer, lowest, denied) so that a branch can be taken back."""

    lowest: np.ndarray
    denied: np.ndarray  # 1: not on what is placed; it waits for the top of somebody who is left
    placed: np.ndarray
    offset: np.ndarray
    floor: np.ndarray
    span: np.ndarray
    weight: np.ndarray  # how often each section failed, over all runs
    rank: np.ndarray  # among the level buffers of a section, the one of least rank is tried first
    choices: np.ndarray  # by section: level buffers at its floor
    slopes: np.ndarray  # by section: others at its floor
    above: np.ndarray  # by section: the next `lowest` above its floor
    trail: np.ndarray
    failed: np.ndarray  # hashes of states that failed, two words each
    keys: np.ndarray
    count: np.ndarray


inner = njit(cache=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # half of the compile time is wrappers


@njit(cache=True)
def search(p, s, begin, end):
    """Place every buffer left in sections [begin, end): FOUND, FAILED (there is no way), or LIMIT (nodes used up)."""
    mark = s.count[TRAIL]
    entered, buffer = False, -1
    key, key2 = np.uint64(0), np.uint64(0)
    while True:
        s.count[NODES] += 1
        if s.count[NODES] > s.count[NODE_LIMIT] or s.count[TRAIL] > len(s.trail) - 8 * len(p.size):
            take_back(p, s, mark)
            return LIMIT
        if not propagate(p, s, begin, end):
            break
        begin, part_end = next_part(p, s, begin, end)
        if begin == part_end:
            return FOUND  # nobody is left
        here, here2 = state_hash(p, s, begin, end)
        slot = np.int64(here & np.uint64(len(s.failed) - 1))
        if s.failed[slot, 0] == here and s.failed[slot, 1] == here2:
            break
        if not entered:
            entered, key, key2 = True, here, here2
        before = s.count[TRAIL]
        next_begin, next_end = next_part(p, s, part_end, end)
        if next_begin < next_end:
            result = search(p, s, begin, part_end)
            while result == FOUND and next_begin < next_end:
                result = search(p, s, next_begin, next_end)
                next_begin, next_end = next_part(p, s, next_end, end)
            if result == FAILED:
                break  # whatever the other parts do
        else:
            end = part_end
            buffer = choose(p, s, begin, end)
            place(p, s, buffer)
            result = search(p, s, begin, end)
        if result == FOUND:
            return FOUND
        if result == LIMIT:
            take_back(p, s, mark)
            return LIMIT
        take_back(p, s, before)
        put(p, s, buffer, s.lowest[buffer] + 1, 1)
    take_back(p, s, mark)
    if entered:
        slot = np.int64(key & np.uint64(len(s.failed) - 1))
        s.failed[slot, 0], s.failed[slot, 1] = key, key2
    return FAILED


@inner
def choose(p, s, begin, end):
    """The buffer to branch on: level, in the section the strategy prefers, of least rank there."""
    smallest = survey(p, s, begin, end)
    section, least = -1, np.inf
    for at in range(begin, end):
        if s.choices[at] == 0 or s.slopes[at] > 0:
            continue
        floor = s.floor[at]
        waste = min(s.above[at] - floor, smallest)  # what is lost at least if none of the choices stands here
        choices = s.choices[at] + (1 if s.count[CAPACITY] - s.span[at] >= waste else 0)
        if choices == 1:
            score = -1.0
        elif s.count[STRATEGY] == FEWEST:
            score = choices * 1e6 + floor / s.count[CAPACITY] * 1e3 - s.weight[at] * 1e-2
        elif s.count[STRATEGY] == LOWEST:
            score = floor * 1e3 + choices
        else:
            score = choices / (1.0 + s.weight[at])
        if score < least:
            section, least = at, score
    best = -1
    for i in range(p.start[section], p.start[section + 1]):
        x = p.members[i]
        if s.placed[x] == 0 and s.lowest[x] == s.floor[section] and (best < 0 or s.rank[x] < s.rank[best]):
            best = x
    return best


@inner
def survey(p, s, begin, end):
    """Count who is left at the floor of each section, level or not; returns the smallest size left."""
    for at in range(begin, end):
        s.choices[at], s.slopes[at], s.above[at] = 0, 0, NEVER
    smallest = NEVER
    for x in range(len(p.size)):
        if s.placed[x] or p.first[x] < begin or p.last[x] > end:
            continue
        smallest = min(smallest, p.size[x])
        lowest, level = s.lowest[x], 1
        for at in range(p.first[x], p.last[x]):
            if s.floor[at] != lowest:
                level = 0
                break
        for at in range(p.first[x], p.last[x]):
            if s.floor[at] == lowest:
                s.choices[at] += level
                s.slopes[at] += 1 - level
            elif lowest < s.above[at]:
                s.above[at] = lowest
    return smallest


@inner
def place(p, s, x):
    """x stands at lowest[x]; whoever meets it is now above it."""
    s.placed[x], s.offset[x] = 1, s.lowest[x]
    s.trail[s.count[TRAIL], 0] = -1 - x
    s.count[TRAIL] += 1
    touch(p, s, x)
    top = s.lowest[x] + p.size[x]
    for at in range(p.first[x], p.last[x]):
        for i in range(p.start[at], p.start[at + 1]):
            y = p.members[i]
            if s.placed[y] or s.lowest[y] > top:
                continue
            if y < x and p.first[y] == p.first[x] and p.last[y] == p.last[x]:
                put(p, s, y, top + 1, 1)  # of two equally long neighbours the first goes below
            elif s.lowest[y] < top or s.denied[y]:
                put(p, s, y, top, 0)


@inner
def propagate(p, s, begin, end):
    """Raise `lowest` of who waits, then floors and spans; False if some section cannot hold what is left."""
    capacity, again = s.count[CAPACITY], True
    while again:
        again = False
        for x in range(len(p.size)):
            if s.placed[x] or p.first[x] < begin or p.last[x] > end:
                continue
            twin = p.twin[x]
            if twin >= 0 and s.placed[twin] == 0 and s.lowest[x] < s.lowest[twin] + p.size[twin]:
                put(p, s, x, s.lowest[twin] + p.size[twin], 1)
            if s.denied[x]:
                lowest = lowest_top(p, s, x)
                if lowest + p.size[x] > capacity:
                    s.weight[p.first[x] : p.last[x]] += 1
                    s.count[EXCESS] = min(s.count[EXCESS], lowest + p.size[x])
                    return False
                if lowest > s.lowest[x]:
                    put(p, s, x, lowest, 1)
                    again = True
    for at in range(s.count[DIRTY_FROM], s.count[DIRTY_TO]):
        s.count[DIRTY_FROM] = at
        measure(p, s, at)
        if s.span[at] > capacity:
            s.weight[at] += 1
            s.count[EXCESS] = min(s.count[EXCESS], s.span[at])
            return False
    s.count[DIRTY_FROM], s.count[DIRTY_TO] = len(s.floor), 0
    return True


@inner
def lowest_top(p, s, x):
    """The lowest offset at which x can stand on one of those it meets who are left; NEVER if there is none."""
    best = NEVER
    for at in range(p.first[x], p.last[x]):
        for i in range(p.start[at], p.start[at + 1]):
            y = p.members[i]
            if y != x and s.placed[y] == 0:
                best = min(best, s.lowest[y] + p.size[y])
    return best


@inner
def measure(p, s, at):
    """Sort a section's members by `lowest`; its floor is the first of those left, its span their packed height."""
    begin, end = p.start[at], p.start[at + 1]
    for i in range(begin + 1, end):  # hardly out of order: insertion
        x, j = p.members[i], i - 1
        while j >= begin and s.lowest[p.members[j]] > s.lowest[x]:
            p.members[j + 1] = p.members[j]
            j -= 1
        p.members[j + 1] = x
    floor, height = NEVER, 0
    for i in range(begin, end):
        x = p.members[i]
        if s.placed[x] == 0:
            floor = min(floor, s.lowest[x])
            height = max(height, s.lowest[x]) + p.size[x]
    s.floor[at], s.span[at] = floor, height


@inner
def next_part(p, s, begin, end):
    """The first run of sections in [begin, end) that those left hold together; empty if nobody is left."""
    part_begin = part_end = end
    for x in range(len(p.size)):
        if s.placed[x] or p.first[x] < begin or p.last[x] > end:
            continue
        if part_begin == end:
            part_begin, part_end = p.first[x], p.last[x]
        elif p.first[x] >= part_end:
            break
        else:
            part_end = max(part_end, p.last[x])
    return part_begin, part_end


@inner
def state_hash(p, s, begin, end):
    """128 bits of who is left in [begin, end), with `lowest` and `denied`: all that a search goes by."""
    word, word2 = np.uint64(0), np.uint64(0)
    for x in range(len(p.size)):
        if s.placed[x] == 0 and p.first[x] >= begin and p.last[x] <= end:
            of_x = np.uint64(2 * s.lowest[x] + s.denied[x])
            word ^= scramble(s.keys[x, 0] + of_x * np.uint64(0x9E3779B97F4A7C15))
            word2 ^= scramble(s.keys[x, 1] + of_x * np.uint64(0xD1B54A32D192ED03))
    return word, word2


@inner
def scramble(word):
    """splitmix64's finalizer."""
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


@inner
def put(p, s, x, lowest, denied):
    """lowest[x] = lowest, to be taken back."""
    at = s.count[TRAIL]
    s.trail[at, 0], s.trail[at, 1], s.trail[at, 2] = x, s.lowest[x], s.denied[x]
    s.count[TRAIL] = at + 1
    s.lowest[x], s.denied[x] = lowest, denied
    touch(p, s, x)


@inner
def take_back(p, s, mark):
    """Undo everything since the trail was `mark` long."""
    for at in range(s.count[TRAIL] - 1, mark - 1, -1):
        x = s.trail[at, 0]
        if x < 0:
            x = -1 - x
            s.placed[x] = 0
        else:
            s.lowest[x], s.denied[x] = s.trail[at, 1], s.trail[at, 2]
        touch(p, s, x)
    s.count[TRAIL] = mark


@inner
def touch(p, s, x):
    """The sections of x are to be measured again."""
    s.count[DIRTY_FROM] = min(s.count[DIRTY_FROM], p.first[x])
    s.count[DIRTY_TO] = max(s.count[DIRTY_TO], p.last[x])
