"""What the model of Cortex-M7 says of loops that are counted by hand from its rules."""

import pytest
from timed_loops import TimedLoops
from tiny_firmware import BOARD_M7

from workbench.emulate.timing import cortex_m7 as m7

END, TURN = 1, 1  # subs and bne together, if subs does not join the body; and the jump back
ISSUE = {  # loop: cycles of its body, and of END
    "add r0, r1, r2; add r3, r1, r2": 1 + END,
    "add r0, r1, r2; add r3, r0, r2": 2 + 1,  # subs beside the second
    "mul r0, r1, r2; add r3, r1, r2": 1 + END,
    "mul r0, r1, r2; mul r3, r1, r2": 2 + 1,
    "mul r0, r1, r2; str r3, [r5]": 2 + 1,
    "add r0, r1, r2, lsl #3; ubfx r3, r1, #2, #3": 2 + 1,
    "add r0, r1, r2; str r0, [r5]": 1 + END,  # data is stored in the cycle that makes it
    "add r0, r5, #4; str r1, [r0]": 2 + 1,  # an address is needed before
    "str r0, [r5]; ldr r1, [r4]": 1 + END,
    "str r0, [r5]; str r1, [r5, #4]": 2 + 1,
    "ldr r0, [r4]; add r3, r0, r2": 1 + 1 + 1,
    "ldrb r0, [r4]; add r3, r0, r2": 1 + 1 + 1 + 1,
    "ldr r0, [r4]; mul r3, r0, r2": 1 + 1 + 1 + 1,
    "ldrb r0, [r4]; mul r3, r0, r2": 1 + 1 + 1 + 1,
    "ldrb r0, [r4, r6]; ldr r3, [r4, r0]": 1 + 2 + 1 + 1,
    "ldr r0, [r4]; ldr r3, [r0]": 1 + 1 + 1 + 1,
    "add r0, r5, r6, lsl #2; ldr r3, [r0]": 1 + 1 + 1 + 1,
    "ldr r0, [r4]; eor r3, r1, r0, lsl #3": 1 + 1 + 1 + 1,
    "ldr r0, [r4]; eor r3, r0, r1, lsl #3": 1 + 1 + 1,
    "ldr r0, [r4]; rev r3, r0": 1 + 1 + 1 + 1,
    "ldr r0, [r4]; uxtb.w r3, r0": 1 + 1 + 1,
    "mul r0, r1, r2; add r3, r0, r1": 1 + 1 + 1 + 1,
    "mla r0, r1, r2, r0; mla r0, r1, r2, r0": 2 + 1,
    "push {r0, r1, r2}; pop {r0, r1, r2}": 2 + 2 + END,
    "sdiv r0, r1, r2; nop; nop": 7 + 1 + END,
    "vadd.f32 s0, s1, s2; vadd.f32 s3, s0, s1": 3 + 1 + 1,
    "vfma.f32 s0, s1, s2; vfma.f32 s0, s1, s2": 3 + 1 + 1,
    "vfma.f32 s0, s1, s2; vfma.f32 s3, s1, s2; vfma.f32 s4, s1, s2; vfma.f32 s0, s1, s2": 4 + 1,
    "vfma.f32 s0, s1, s2; vmul.f32 s3, s0, s1": 5 + 1 + 1,
    "vmov s0, r1; vadd.f32 s3, s0, s1": 3 + 1 + 1,
    "vmov r0, s0; add r1, r0, r2": 1 + 1 + 1,
    "vldr s0, [r4]; vadd.f32 s3, s1, s2": 1 + END,
    "vldr s0, [r4]; vfma.f32 s3, s1, s2": 2 + 1,
    "cmp r6, #0; bne 2f; add r0, r1, r2; 2: add r3, r1, r2": 2 + END,  # what is not taken goes on
}
INNER = "movs r0, #3; 2: subs r0, #1; bne 2b"
INNER_LATE = "movs r0, #3; 2: subs r0, #1; nop; nop; nop; nop; nop; nop; bne 2b"
TABLE = "tbb [pc, r6]; .byte 1, 1; 2: nop; nop"
JUMPS = (  # the rule, a loop, its cycles, those without the rule
    (m7.turns, "b 2f; nop; 2: nop; nop", 1 + TURN + 1 + END + TURN, 3),
    (m7.loop_exits, INNER, 1 + 3 * 1 + 2 * TURN + m7.MISPREDICTED + END + TURN, 8),
    (m7.loop_exits, INNER_LATE, 1 + 3 * 4 + 2 * TURN + m7.EARLY_FLAGS + END + TURN, 17),
    (m7.unknown_targets, TABLE, 2 + TURN + m7.MISPREDICTED + 1 + END + TURN, 6),
)


@pytest.fixture(scope="module")
def loops(tmp_path_factory):
    return TimedLoops(tmp_path_factory.mktemp("m7"), [*ISSUE, *(case[1] for case in JUMPS)], BOARD_M7)


@pytest.mark.parametrize("loop", ISSUE)
def test_instructions_issue_in_pairs_and_wait_for_what_they_need(loops, loop):
    assert loops.cycles(loop, m7.MODEL) == ISSUE[loop] + TURN


@pytest.mark.parametrize(("rule", "loop", "cycles", "without"), JUMPS, ids=lambda case: getattr(case, "__name__", None))
def test_jumps_take_what_their_rule_says(loops, rule, loop, cycles, without):
    assert loops.cycles(loop, m7.MODEL) == cycles
    assert loops.cycles(loop, m7.MODEL.without(rule)) == without != cycles
