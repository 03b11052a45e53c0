"""The exact allocator: equal to brute force where that is possible, never worse than greedy, and right about "none"."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan.rectangles import cut_rectangle

from workbench.plan import Buffer, Plan, allocate, exact, lower_bound, search, validate
from workbench.plan.exact import Limit, fit, minimise
from workbench.plan.greedy import greedy
from workbench.plan.problem import read_buffers

NODES = 50_000


def brute_force(buffers: list[Buffer]) -> int:
    """The smallest arena: every order, each buffer dropped from above onto those before it, none lower than the last.

    No plan beats all of these: let a best plan's buffers sink as far as they can, and drop them from the lowest on.
    """
    best = sum(buffer.size for buffer in buffers)

    def drop(left: list[Buffer], tops: tuple[int, ...], last: int) -> None:
        nonlocal best
        if not left:
            best = min(best, max(tops))
        for buffer in left:
            offset = max(tops[buffer.lower : buffer.upper])
            if last <= offset < best - buffer.size:
                raised = [offset + buffer.size] * (buffer.upper - buffer.lower)
                after = (*tops[: buffer.lower], *raised, *tops[buffer.upper :])
                drop([other for other in left if other is not buffer], after, offset)

    drop(buffers, (0,) * max(buffer.upper for buffer in buffers), 0)
    return best


def problem(draw, most: int, life: int, size: int) -> list[Buffer]:
    buffers = []
    for number in range(draw(st.integers(1, most))):
        lower = draw(st.integers(0, life))
        buffers.append(Buffer(f"b{number}", lower, lower + draw(st.integers(1, life)), draw(st.integers(1, size))))
    return buffers


@st.composite
def tiny_problems(draw) -> list[Buffer]:
    return problem(draw, most=7, life=5, size=draw(st.sampled_from([2, 4, 30])))


@st.composite
def problems(draw) -> list[Buffer]:
    return problem(draw, most=24, life=12, size=50)


def searched(buffers: list[Buffer]) -> Plan:
    """The exact plan from the worst start there is: all buffers on top of each other."""
    total = sum(buffer.size for buffer in buffers)
    return minimise(buffers, Plan((), total, lower_bound(buffers), "stacked"), Limit(NODES))


@settings(max_examples=60, deadline=None)
@given(tiny_problems())
def test_the_smallest_arena_is_that_of_brute_force(buffers):
    least = brute_force(buffers)
    plan = searched(buffers)
    assert (plan.bytes, plan.optimal) == (least, True)
    if plan.buffers:
        assert validate(buffers, plan.buffers, least) is None
    answer = fit(buffers, least - 1, Limit(NODES))
    assert answer.placed is None
    assert least - 1 < answer.needed <= least


@settings(max_examples=100, deadline=None)
@given(problems())
def test_never_worse_than_greedy_and_always_valid(buffers):
    plan, first = allocate(buffers, nodes=2000), greedy(buffers)
    assert validate(buffers, plan.buffers, plan.bytes) is None
    assert first.bound == plan.bound <= plan.proven <= plan.bytes <= first.bytes
    assert plan == allocate(buffers, nodes=2000), "the same input gives the same plan"


def test_the_gap_below_the_first_live_block_is_used_again():
    buffers = [Buffer("a", 0, 1, 40), Buffer("b", 0, 3, 10), Buffer("c", 1, 3, 40)]
    answer = fit(buffers, 50, Limit(NODES))
    assert validate(buffers, answer.placed, 50) is None
    assert searched(buffers).bytes == 50


def test_an_optimum_above_the_bound_is_proven_by_search():
    """8 bytes are alive at every position but one, and yet 8 are not enough."""
    lives = [(0, 1, 3), (1, 2, 2), (0, 3, 3), (1, 3, 2), (0, 4, 1), (2, 4, 1), (2, 5, 1), (3, 5, 1), (3, 6, 3),
             (4, 6, 3)]  # fmt: skip
    buffers = [Buffer(f"b{at}", *life) for at, life in enumerate(lives)]
    assert (lower_bound(buffers), brute_force(buffers)) == (8, 9)
    plan = allocate(buffers)
    assert (plan.bytes, plan.bound, plan.proven, plan.optimal) == (9, 8, 9, True)
    none = fit(buffers, 8, Limit(NODES))
    assert (none.placed, none.needed) == (None, 9)


@pytest.mark.parametrize("count", [40, 150, 250])
@pytest.mark.parametrize("seed", [1, 2])
def test_rectangles_cut_to_pieces_are_put_together_again(count, seed):
    buffers = cut_rectangle(seed, count, capacity=1024, positions=500)
    assert lower_bound(buffers) == 1024
    answer = fit(buffers, 1024, Limit(NODES))
    assert answer.placed is not None
    assert validate(buffers, answer.placed, 1024) is None


def test_limits_end_the_search():
    buffers = cut_rectangle(3, 400, capacity=1024, positions=500)
    answer = fit(buffers, 1024, Limit(nodes=100))
    assert (answer.placed, answer.needed) == (None, 1024)  # not found, and nothing said about "none"
    assert answer.nodes <= 110
    answer = fit(buffers, 1024, Limit(seconds=0))
    assert answer.placed is None
    plan = allocate(buffers, nodes=100)
    assert validate(buffers, plan.buffers, plan.bytes) is None
    assert plan.gap == plan.bytes - 1024


def test_two_that_wait_for_each_other_rise_at_once():
    """They once passed each other up, a few bytes at a time, to the top of the third, on which alone they can stand."""
    buffers = [Buffer("a", 0, 1, 1), Buffer("b", 0, 1, 2), Buffer("third", 0, 1, 10**7)]
    order, arrays = exact._arrays(buffers, 10**7 + 3, 1)
    arrays.buffers[search.DENIED] = [buffers[i].size < 10 for i in order]
    arrays.counters[search.NODE_LIMIT], arrays.counters[search.DIRTY_TO] = 100, 1
    assert search.search(*arrays, 0, 1) == search.FOUND
    assert sorted(arrays.buffers[search.OFFSET].tolist()) in ([0, 10**7, 10**7 + 1], [0, 10**7, 10**7 + 2])
    assert arrays.counters[search.LOOKS] < 100


def test_looks_end_the_search_on_every_machine_alike():
    buffers = cut_rectangle(3, 400, capacity=1024, positions=500)
    answers = [fit(buffers, 1024, Limit(looks=10**6)) for _ in range(2)]
    assert answers[0].placed is None
    assert answers[0].nodes == answers[1].nodes
    assert 10**6 <= answers[0].looks < 1.1 * 10**6


@st.composite
def stacked_problems(draw) -> tuple[list[Buffer], list[tuple[Buffer, ...]]]:
    """Some of the buffers are stacks: what lies on the first dies before it."""
    buffers, stacks = [], []
    for first in problem(draw, most=12, life=8, size=20):
        if first.upper - first.lower > 1 and draw(st.booleans()):
            upper = draw(st.integers(first.lower + 1, first.upper - 1))
            stacks.append((first, Buffer(f"on.{first.id}", first.lower, upper, draw(st.integers(1, 20)))))
        else:
            buffers.append(first)
    return buffers, stacks


@settings(max_examples=150, deadline=None)
@given(stacked_problems())
def test_a_stack_lies_together_and_what_is_proven_holds_for_it(problem):
    buffers, stacks = problem
    plan, first = allocate(buffers, nodes=2000, stacks=stacks), greedy(buffers, stacks=stacks)
    assert validate([*buffers, *(b for stack in stacks for b in stack)], plan.buffers, plan.bytes) is None
    place = plan.offsets()
    assert all(place[on.id] == place[below.id] + below.size for below, on in stacks)
    assert plan.bound <= plan.proven <= plan.bytes <= first.bytes


def test_a_stack_need_not_lie_at_the_bottom():
    """Under it lies what is alive longer; at the bottom the stack would leave room there that nothing fills."""
    buffers = [Buffer("long", 0, 7, 4), Buffer("before", 0, 2, 8), Buffer("behind", 5, 7, 8), Buffer("beside", 3, 5, 6)]
    stack = (Buffer("kept", 2, 5, 2), Buffer("freed", 2, 3, 6))
    plan = allocate(buffers, stacks=[stack])
    assert (plan.bytes, plan.bound) == (12, 12)


def test_huge_sizes_are_left_to_greedy():
    buffers = [Buffer("a", 0, 2, 2**70 + 1), Buffer("b", 1, 3, 2**70), Buffer("c", 2, 4, 2**69)]
    plan = allocate(buffers)
    assert validate(buffers, plan.buffers, plan.bytes) is None
    assert fit(buffers, 2**72, Limit(NODES)).placed is None


@pytest.mark.parametrize("name", ["A", "B", "E"])
def test_minimalloc_inputs_fit(shared_data, name):
    buffers = read_buffers(shared_data / "minimalloc" / f"{name}.1048576.csv")
    answer = fit(buffers, 1048576, Limit(nodes=200_000))
    assert answer.placed is not None
    assert validate(buffers, answer.placed, 1048576) is None


def test_minimalloc_example_fits_12_and_not_11(shared_data):
    buffers = read_buffers(shared_data / "minimalloc" / "input.12.csv")
    assert validate(buffers, fit(buffers, 12, Limit(NODES)).placed, 12) is None
    none = fit(buffers, 11, Limit(NODES))
    assert (none.placed, none.needed) == (None, 12)
