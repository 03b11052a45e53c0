"""The model of the first-fit heap: never two blocks in one place, neighbours joined, the lowest place that is free."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import PlanError
from workbench.plan.heap import GRANULE, HEADER, LEAST, Heap

CAPACITY = 4096
moves = st.lists(st.tuples(st.booleans(), st.integers(1, 300)), max_size=60)


@given(moves)
def test_it_does_what_a_map_of_granules_does(moves):
    """The oracle has a flag a granule, and looks for the first run of free ones: no list, no blocks."""
    heap, used, there = Heap(CAPACITY), [False] * (CAPACITY // GRANULE), {}
    for is_new, number in moves:
        if is_new or not there:
            count = -(-(number + HEADER) // GRANULE)
            fits = (at for at in range(len(used) - count + 1) if not any(used[at : at + count]))
            expected = next(fits, None)
            if expected is None:
                with pytest.raises(PlanError):
                    heap.allocate(number)
                continue
            place = heap.allocate(number)
            assert place == expected * GRANULE + HEADER
            taken = heap.size[place - HEADER] // GRANULE
            assert count <= taken < count + LEAST // GRANULE
            there[place] = taken
            used[expected : expected + taken] = [True] * taken
        else:
            place = sorted(there)[number % len(there)]
            heap.free(place)
            begin, count = (place - HEADER) // GRANULE, there.pop(place)
            used[begin : begin + count] = [False] * count
        assert sum(heap.size.values()) == CAPACITY
        assert [begin + heap.size[begin] for begin in sorted(heap.size)] == [*sorted(heap.size)[1:], CAPACITY]
    for place in there:
        heap.free(place)
    assert heap.size == {0: CAPACITY} and heap.free_blocks == [0]


def test_a_place_that_is_not_taken_cannot_be_freed():
    heap = Heap(64)
    place = heap.allocate(8)
    heap.free(place)
    for wrong in (place, place + 8):
        with pytest.raises(PlanError, match="nothing is allocated"):
            heap.free(wrong)


def test_a_rest_too_small_for_a_block_stays_with_the_one_before_it():
    heap = Heap(32)
    heap.allocate(16)
    assert heap.size == {0: 32} and heap.free_blocks == []
