"""Wait states: a jump costs them, a literal too, straight code nothing; without any, nothing changes."""

import pytest
from timed_loops import TimedLoops
from tiny_firmware import BOARD

from workbench.emulate.timing import MODELS, model_of

LOOPS = {  # body -> jumps and literals of an iteration
    "adds r0, #1; adds r0, #1; adds r0, #1": 1,
    "b 2f; nop; 2: adds r0, #1": 2,
    "ldr r0, =wb_arena; adds r0, #1": 2,
    "ldr r0, [r4]; adds r1, #1": 1,
}


@pytest.fixture(scope="module")
def loops(tmp_path_factory):
    return TimedLoops(tmp_path_factory.mktemp("waits"), list(LOOPS))


@pytest.mark.parametrize("body", LOOPS)
def test_a_jump_and_a_literal_wait(loops, body):
    slow = model_of(BOARD.with_region(BOARD.code, wait_states=5))
    assert loops.cycles(body, slow) - loops.cycles(body, MODELS[BOARD.core]) == 5 * LOOPS[body]


def test_the_name_tells_them():
    assert model_of(BOARD) is MODELS[BOARD.core]
    slow = BOARD.with_region(BOARD.code, wait_states=5).with_region(BOARD.data, wait_states=1)
    assert model_of(slow).name == "cortex-m4, flash 5 wait states, prefetched, sram 1 wait states, prefetched"
