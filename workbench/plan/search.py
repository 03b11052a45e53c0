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

# mypy: disallow-untyped-decorators=False, warn-return-any=False
# (numba tells no types)

import numpy as np
from numba import njit

from workbench.jit import CACHED

NEVER = 1 << 60
FAILED, FOUND, LIMIT = 0, 1, 2
FEWEST_CHOICES, LOWEST_FLOOR, MOST_FAILURES = 0, 1, 2  # strategies: the section in which the search goes on
# fields of `count`; a look is one at a buffer: what a node costs
NODES, NODE_LIMIT, TRAIL, CAPACITY, EXCESS, STRATEGY, DIRTY_FROM, DIRTY_TO, LOOKS, LOOK_LIMIT, COUNTS = range(11)
# rows of `b`, a column a buffer; they are sorted by first section. The problem:
FIRST, LAST, SIZE = 0, 1, 2  # sections [first, last), units
TWIN = 3  # the buffer before if it has the same sections and size, else -1: it goes below
RANK = 4  # among the level buffers of a section the one of least rank is tried first
KEY, KEY2 = 5, 6  # random words of the hash
# and where the search is:
LOWEST, PLACED, OFFSET = 7, 8, 9
DENIED = 10  # 1: not on a placed buffer; it waits for the top of one that is left
MEETS, MEETS_END = 11, 12  # the buffers alive with it are meeting[MEETS:MEETS_END]
UNDER = 13  # where in `meeting` that one lies which kept a denied buffer's `lowest` from rising last time
SETTLED = 14  # what `lowest` rises to
BUFFER_ROWS = 15
# rows of `s`, a column a section
START, END = 0, 1  # its buffers are members[start:end], kept sorted by `lowest` as the search goes
FLOOR, SPAN = 2, 3
WEIGHT = 4  # how often it failed, over all runs
CHOICES, SLOPES, ABOVE = 5, 6, 7  # buffers at its floor that are level, that are not; the next `lowest` above it
SECTION_ROWS = 8


inner = njit(cache=CACHED, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # half of the compile time is wrappers


@njit(cache=CACHED, nogil=True)
def search(
    b: np.ndarray, s: np.ndarray, members: np.ndarray, meeting: np.ndarray, trail: np.ndarray, failed: np.ndarray,
    count: np.ndarray, begin: int, end: int,
) -> int:  # fmt: skip
    """Place every buffer left in sections [begin, end): FOUND, FAILED (there is no way), or LIMIT (nodes used up)."""
    mark = count[TRAIL]
    entered, buffer = False, -1
    key = key2 = np.int64(0)
    while True:
        count[NODES] += 1
        if (
            count[NODES] > count[NODE_LIMIT]
            or count[LOOKS] > count[LOOK_LIMIT]
            or count[TRAIL] > len(trail) - 8 * b.shape[1]
        ):
            take_back(b, trail, count, mark)
            return LIMIT
        if not propagate(b, s, members, meeting, trail, count, begin, end):
            break
        begin, part_end = next_part(b, begin, end)
        if begin == part_end:
            return FOUND  # nobody is left
        here, here2 = state_hash(b, begin, end)
        slot = here & (len(failed) - 1)
        if failed[slot, 0] == here and failed[slot, 1] == here2:
            break
        if not entered:
            entered, key, key2 = True, here, here2
        before = count[TRAIL]
        next_begin, next_end = next_part(b, part_end, end)
        if next_begin < next_end:
            result = search(b, s, members, meeting, trail, failed, count, begin, part_end)
            while result == FOUND and next_begin < next_end:
                result = search(b, s, members, meeting, trail, failed, count, next_begin, next_end)
                next_begin, next_end = next_part(b, next_end, end)
            if result == FAILED:
                break  # whatever the other parts do
        else:
            end = part_end
            buffer = choose(b, s, members, count, begin, end)
            place(b, s, members, meeting, trail, count, buffer)
            result = search(b, s, members, meeting, trail, failed, count, begin, end)
        if result == FOUND:
            return FOUND
        if result == LIMIT:
            take_back(b, trail, count, mark)
            return LIMIT
        take_back(b, trail, count, before)
        put(b, trail, count, buffer, b[LOWEST, buffer] + 1, 1)
    take_back(b, trail, count, mark)
    if entered:
        slot = key & (len(failed) - 1)
        failed[slot, 0], failed[slot, 1] = key, key2
    return FAILED


@inner
def choose(b: np.ndarray, s: np.ndarray, members: np.ndarray, count: np.ndarray, begin: int, end: int) -> int:
    """The buffer to branch on: level, in the section the strategy prefers, of least rank there."""
    smallest = survey(b, s, begin, end)
    section, least = -1, np.inf
    for at in range(begin, end):
        if s[CHOICES, at] == 0 or s[SLOPES, at] > 0:
            continue
        floor = s[FLOOR, at]
        waste = min(s[ABOVE, at] - floor, smallest)  # what is lost at least if none of the choices stands here
        choices = s[CHOICES, at] + (1 if count[CAPACITY] - s[SPAN, at] >= waste else 0)
        if choices == 1:
            score = -1.0
        elif count[STRATEGY] == FEWEST_CHOICES:
            score = choices * 1e6 + floor / count[CAPACITY] * 1e3 - s[WEIGHT, at] * 1e-2
        elif count[STRATEGY] == LOWEST_FLOOR:
            score = floor * 1e3 + choices
        else:
            score = choices / (1.0 + s[WEIGHT, at])
        if score < least:
            section, least = at, score
    best = -1
    for i in range(s[START, section], s[END, section]):
        x = members[i]
        if b[PLACED, x] == 0 and b[LOWEST, x] == s[FLOOR, section] and (best < 0 or b[RANK, x] < b[RANK, best]):
            best = x
    return best


@inner
def survey(b: np.ndarray, s: np.ndarray, begin: int, end: int) -> int:
    """Count who is left at the floor of each section, level or not; returns the smallest size left."""
    for at in range(begin, end):
        s[CHOICES, at], s[SLOPES, at], s[ABOVE, at] = 0, 0, NEVER
    smallest = NEVER
    for x in range(b.shape[1]):
        if b[PLACED, x] or b[FIRST, x] < begin or b[LAST, x] > end:
            continue
        smallest = min(smallest, b[SIZE, x])
        lowest, level = b[LOWEST, x], 1
        for at in range(b[FIRST, x], b[LAST, x]):
            if s[FLOOR, at] != lowest:
                level = 0
                break
        for at in range(b[FIRST, x], b[LAST, x]):
            if s[FLOOR, at] == lowest:
                s[CHOICES, at] += level
                s[SLOPES, at] += 1 - level
            elif lowest < s[ABOVE, at]:
                s[ABOVE, at] = lowest
    return smallest


@inner
def place(
    b: np.ndarray, s: np.ndarray, members: np.ndarray, meeting: np.ndarray, trail: np.ndarray, count: np.ndarray, x: int
) -> None:
    """x stands at lowest[x]; whoever meets it is now above it."""
    b[PLACED, x], b[OFFSET, x] = 1, b[LOWEST, x]
    trail[count[TRAIL], 0] = -1 - x
    count[TRAIL] += 1
    touch(b, count, x)
    top = b[LOWEST, x] + b[SIZE, x]
    for i in range(b[MEETS, x], b[MEETS_END, x]):
        y = meeting[i]
        if b[PLACED, y] or b[LOWEST, y] > top:
            continue
        if y < x and b[FIRST, y] == b[FIRST, x] and b[LAST, y] == b[LAST, x]:
            put(b, trail, count, y, top + 1, 1)  # of two equally long neighbours the first goes below
        elif b[LOWEST, y] < top or b[DENIED, y]:
            put(b, trail, count, y, top, 0)


@inner
def propagate(
    b: np.ndarray, s: np.ndarray, members: np.ndarray, meeting: np.ndarray, trail: np.ndarray, count: np.ndarray,
    begin: int, end: int,
) -> bool:  # fmt: skip
    """Raise `lowest` of denied buffers, then floors and spans; False if some section cannot hold what is left."""
    capacity = count[CAPACITY]
    if any_rises(b, meeting, count, begin, end):
        settle(b, meeting, count, begin, end)
        for x in range(b.shape[1]):
            if b[PLACED, x] or b[FIRST, x] < begin or b[LAST, x] > end or b[SETTLED, x] == b[LOWEST, x]:
                continue
            if b[SETTLED, x] + b[SIZE, x] > capacity:
                for at in range(b[FIRST, x], b[LAST, x]):
                    s[WEIGHT, at] += 1
                count[EXCESS] = min(count[EXCESS], b[SETTLED, x] + b[SIZE, x])
                return False
            put(b, trail, count, x, b[SETTLED, x], 1)
    for at in range(count[DIRTY_FROM], count[DIRTY_TO]):
        count[DIRTY_FROM] = at
        measure(b, s, members, at)
        count[LOOKS] += s[END, at] - s[START, at]
        if s[SPAN, at] > capacity:
            s[WEIGHT, at] += 1
            count[EXCESS] = min(count[EXCESS], s[SPAN, at])
            return False
    count[DIRTY_FROM], count[DIRTY_TO] = s.shape[1], 0
    return True


@inner
def any_rises(b: np.ndarray, meeting: np.ndarray, count: np.ndarray, begin: int, end: int) -> bool:
    """Whether a denied buffer has nothing to stand on at its `lowest`, or a twin reaches above it."""
    count[LOOKS] += b.shape[1]
    for x in range(b.shape[1]):
        if b[PLACED, x] or b[FIRST, x] < begin or b[LAST, x] > end:
            continue
        twin = b[TWIN, x]
        if twin >= 0 and b[PLACED, twin] == 0 and b[LOWEST, x] < b[LOWEST, twin] + b[SIZE, twin]:
            return True
        if b[DENIED, x] and lowest_top(b, meeting, count, LOWEST, x) > b[LOWEST, x]:
            return True
    return False


@inner
def settle(b: np.ndarray, meeting: np.ndarray, count: np.ndarray, begin: int, end: int) -> None:
    """`settled`: what `lowest` rises to: a denied buffer at least to the lowest top among those it meets who are left,
    once these have settled. From above, as shortest paths: from below two small ones would pass each other up to the
    capacity."""
    for x in range(b.shape[1]):
        twin = b[TWIN, x]
        b[SETTLED, x] = NEVER if b[DENIED, x] or (twin >= 0 and b[PLACED, twin] == 0) else b[LOWEST, x]
    again = True
    while again:
        again = False
        count[LOOKS] += b.shape[1]
        for x in range(b.shape[1]):
            if b[PLACED, x] or b[FIRST, x] < begin or b[LAST, x] > end or b[SETTLED, x] == b[LOWEST, x]:
                continue
            twin = b[TWIN, x]
            if twin >= 0 and b[PLACED, twin] == 0:
                settled = max(b[LOWEST, x], b[SETTLED, twin] + b[SIZE, twin])
            else:
                settled = max(b[LOWEST, x], lowest_top(b, meeting, count, SETTLED, x))
            if settled < b[SETTLED, x]:
                b[SETTLED, x], again = settled, True


@inner
def lowest_top(b: np.ndarray, meeting: np.ndarray, count: np.ndarray, row: int, x: int) -> int:
    """The lowest offset at which x can stand on one of those it meets who are left, NEVER if there is none; or another
    such offset, if it does not raise x. `row` has the others' offsets."""
    best, i = NEVER, b[UNDER, x]
    if i < b[MEETS_END, x]:
        y = meeting[i]
        if b[PLACED, y] == 0 and b[row, y] + b[SIZE, y] <= b[LOWEST, x]:
            return b[row, y] + b[SIZE, y]
    for i in range(b[MEETS, x], b[MEETS_END, x]):
        y = meeting[i]
        if b[PLACED, y] == 0 and b[row, y] + b[SIZE, y] < best:
            best = b[row, y] + b[SIZE, y]
            if best <= b[LOWEST, x]:
                b[UNDER, x] = i
                break
    count[LOOKS] += i + 1 - b[MEETS, x]
    return best


@inner
def measure(b: np.ndarray, s: np.ndarray, members: np.ndarray, at: int) -> None:
    """Sort a section's members by `lowest`; its floor is the first of those left, its span their packed height."""
    begin, end = s[START, at], s[END, at]
    for i in range(begin + 1, end):  # hardly out of order: insertion
        x, j = members[i], i - 1
        while j >= begin and b[LOWEST, members[j]] > b[LOWEST, x]:
            members[j + 1] = members[j]
            j -= 1
        members[j + 1] = x
    floor, height = NEVER, 0
    for i in range(begin, end):
        x = members[i]
        if b[PLACED, x] == 0:
            floor = min(floor, b[LOWEST, x])
            height = max(height, b[LOWEST, x]) + b[SIZE, x]
    s[FLOOR, at], s[SPAN, at] = floor, height


@inner
def next_part(b: np.ndarray, begin: int, end: int) -> tuple[int, int]:
    """The first run of sections in [begin, end) that those left hold together; empty if nobody is left."""
    part_begin = part_end = end
    for x in range(b.shape[1]):
        if b[PLACED, x] or b[FIRST, x] < begin or b[LAST, x] > end:
            continue
        if part_begin == end:
            part_begin, part_end = b[FIRST, x], b[LAST, x]
        elif b[FIRST, x] >= part_end:
            break
        else:
            part_end = max(part_end, b[LAST, x])
    return part_begin, part_end


@inner
def state_hash(b: np.ndarray, begin: int, end: int) -> tuple[np.int64, np.int64]:
    """128 bits of who is left in [begin, end), with `lowest` and `denied`: all that a search goes by."""
    word, word2 = np.uint64(0), np.uint64(0)
    for x in range(b.shape[1]):
        if b[PLACED, x] == 0 and b[FIRST, x] >= begin and b[LAST, x] <= end:
            of_x = np.uint64(2 * b[LOWEST, x] + b[DENIED, x])
            word ^= scramble(np.uint64(b[KEY, x]) + of_x * np.uint64(0x9E3779B97F4A7C15))
            word2 ^= scramble(np.uint64(b[KEY2, x]) + of_x * np.uint64(0xD1B54A32D192ED03))
    return np.int64(word), np.int64(word2)


@inner
def scramble(word: np.uint64) -> np.uint64:
    """splitmix64's finalizer."""
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


@inner
def put(b: np.ndarray, trail: np.ndarray, count: np.ndarray, x: int, lowest: int, denied: int) -> None:
    """Set `lowest` and `denied` of x; the trail keeps the old ones for take_back."""
    at = count[TRAIL]
    trail[at, 0], trail[at, 1], trail[at, 2] = x, b[LOWEST, x], b[DENIED, x]
    count[TRAIL] = at + 1
    b[LOWEST, x], b[DENIED, x] = lowest, denied
    touch(b, count, x)


@inner
def take_back(b: np.ndarray, trail: np.ndarray, count: np.ndarray, mark: int) -> None:
    """Undo everything since the trail was `mark` long."""
    for at in range(count[TRAIL] - 1, mark - 1, -1):
        x = trail[at, 0]
        if x < 0:
            x = -1 - x
            b[PLACED, x] = 0
        else:
            b[LOWEST, x], b[DENIED, x] = trail[at, 1], trail[at, 2]
        touch(b, count, x)
    count[TRAIL] = mark


@inner
def touch(b: np.ndarray, count: np.ndarray, x: int) -> None:
    """Have the sections of x measured again."""
    count[DIRTY_FROM] = min(count[DIRTY_FROM], b[FIRST, x])
    count[DIRTY_TO] = max(count[DIRTY_TO], b[LAST, x])
