"""Wait states: a line of memory that is not there yet costs them, a literal too; without any, nothing changes."""

import pytest
from timed_loops import TimedLoops
from tiny_firmware import BOARD

from workbench.emulate.timing import MODELS, model_of

WAIT = 5
# Body, at an address that 8 divides; behind it `subs` and `bne`: what an iteration waits, by (line, prefetch)
LOOPS = {
    # 10 bytes: each of the lines is waited for; 6 lie within one that is kept
    "adds r0, #1; adds r0, #1; adds r0, #1": {(4, False): 3 * WAIT, (8, False): 2 * WAIT},
    "adds r0, #1": {(4, False): 2 * WAIT, (8, False): 0},
    # a word takes two cycles, so that of the next one 5 + 1 - 2 are waited; the loop's first is not prefetched
    "adds r1, #1; adds r1, #1; adds r2, #1; adds r2, #1; adds r3, #1; adds r3, #1": {
        (4, True): WAIT + 3 * 4,
        (4, False): 4 * WAIT,
        (8, True): WAIT + 2,
    },
    # the divisions of a word take longer than the next word
    "sdiv r0, r1, r2; sdiv r0, r1, r2": {(4, True): WAIT, (4, False): 3 * WAIT},
    # into the middle of a wide one, of which each half lies in a line of its own
    "nop; 1: add.w r0, r0, #1": {(4, False): 3 * WAIT},
    # a jump within the line that is kept, and one beyond it
    "b 2f; nop; 2:": {(8, False): 0, (4, False): 2 * WAIT},
    # a literal lies behind the function; what is loaded from SRAM waits for nothing
    "ldr r0, =wb_arena": {(8, False): WAIT, (4, False): 3 * WAIT},
    "ldr r0, [r4]": {(8, False): 0},
}


@pytest.fixture(scope="module")
def loops(tmp_path_factory):
    return TimedLoops(tmp_path_factory.mktemp("waits"), list(LOOPS))


@pytest.mark.parametrize(("body", "line", "prefetch"), [(body, *kind) for body in LOOPS for kind in LOOPS[body]])
def test_what_an_iteration_waits(loops, body, line, prefetch):
    slow = model_of(BOARD.with_region(BOARD.code, wait_states=WAIT, line=line, prefetch=prefetch))
    assert loops.cycles(body, slow) - loops.cycles(body, MODELS[BOARD.core]) == LOOPS[body][line, prefetch]


@pytest.mark.parametrize("body", LOOPS)
def test_with_a_cache_all_are_hits(loops, body):
    cached = model_of(BOARD.with_region(BOARD.code, wait_states=WAIT, cache_lines=8))
    assert loops.cycles(body, cached) == loops.cycles(body, MODELS[BOARD.core])


def test_the_name_tells_them():
    assert model_of(BOARD) is MODELS[BOARD.core]
    slow = BOARD.with_region(BOARD.code, wait_states=5, line=16, prefetch=True).with_region(BOARD.data, wait_states=1)
    told = "cortex-m4, flash 5 wait states a line of 16 B, prefetched, sram 1 wait states a line of 4 B"
    assert model_of(slow).name == told
    cached = BOARD.with_region(BOARD.code, wait_states=5, line=32, cache_lines=128)
    assert model_of(cached).name == "cortex-m4, flash 5 wait states a line of 32 B, 128 lines cached (hits alone)"
