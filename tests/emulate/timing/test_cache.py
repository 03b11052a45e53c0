"""What an instruction cache misses, estimated from edges: loops that fit, that do not, and loops within loops."""

import numpy as np
import pytest

from workbench.emulate.timing.cache import ENTRY, misses

LINES = {"straight": 3, "head": 2, "inner": 4, "rest": 2}  # of each block


def missed(edges, capacity, shared=()):
    """Blocks by name, each with lines of its own."""
    names = list(LINES)
    of = np.repeat(np.arange(len(names)), list(LINES.values()))
    rows = [(names.index(source) if source else ENTRY, names.index(target), count, int((source, target) in shared))
            for source, target, count in edges]  # fmt: skip
    return misses(of, np.arange(len(of)), np.array(rows), capacity)


ONCE = [("", "straight", 1)]
LOOP = [*ONCE, ("straight", "inner", 1), ("inner", "inner", 99), ("inner", "rest", 1)]
NESTED = [*ONCE, ("straight", "head", 1), ("head", "inner", 10), ("inner", "inner", 990), ("inner", "rest", 10),
          ("rest", "head", 9)]  # fmt: skip


@pytest.mark.parametrize(
    ("edges", "capacity", "expected"),
    [
        (ONCE, 3, 3),
        (ONCE, 1, 3),  # straight code misses each line once, whatever the cache
        (LOOP, 9, 3 + 4 + 2),
        (LOOP, 4, 3 + 4 + 2),  # the loop fits, and is entered once
        (LOOP, 3, 3 + 100 * 4 + 2),  # it does not: each line each time
        (NESTED, 11, 11),
        (NESTED, 8, 3 + 8),  # the outer loop fits
        (NESTED, 4, 3 + 10 * (2 + 4 + 2)),  # the inner one fits, and is entered ten times
        (NESTED, 3, 3 + 10 * (2 + 2) + 1000 * 4),
    ],
)
def test_loops(edges, capacity, expected):
    assert missed(edges, capacity) == expected


def test_a_line_that_goes_on_in_the_next_block_is_missed_once():
    assert missed(NESTED, 3, shared={("head", "inner")}) == missed(NESTED, 3) - 10


def test_what_seldom_runs_misses_no_more_often_than_it_runs():
    edges = [*ONCE, ("straight", "head", 10), ("head", "inner", 19), ("head", "rest", 1), ("rest", "head", 1),
             ("inner", "head", 9), ("inner", "straight", 9)]  # fmt: skip
    assert missed(edges, 10) == 10 * 3 + 10 * (2 + 4) + 1 * 2
