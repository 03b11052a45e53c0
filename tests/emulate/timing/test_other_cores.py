"""Cortex-M0+, M3 and M33: loops in the instructions that they share, counted by hand from their tables."""

import pytest
from timed_loops import TimedLoops

from workbench.emulate.timing import cortex_m0plus, cortex_m3, cortex_m33

M0PLUS = {  # loop: its cycles without subs 1, bne 2
    "adds r0, r1, r2": 1,
    "muls r0, r1": 1,
    "ldr r0, [r4]; ldrb r1, [r5]": 2 + 2,
    "str r0, [r5]; ldr r1, [r4]": 2 + 2,
    "push {r0, r1, r2}; pop {r0, r1, r2}": 4 + 4,
    "stmia r5!, {r0, r1}; subs r5, #8": 3 + 1,
    "b 2f; nop; 2: nop": 2 + 1,
    "cmp r6, #0; bne 2f; 2: nop": 1 + 1 + 1,
    "| bl 2f; nop | 2: bx lr": 3 + 2 + 1,
    "| bl 2f; nop | 2: push {r0, lr}; pop {r0, pc}": 3 + 3 + 5 + 1,
    "mrs r0, apsr; dmb": 3 + 3,
}
M3 = {  # without subs 1, bne 2
    "mul r0, r1, r2": 1,
    "mla r0, r1, r2, r3": 2,
    "umull r0, r1, r2, r3": 4,
    "smlal r0, r1, r2, r3": 5,
    "udiv r0, r1, r2": 7,
    "ldr r0, [r4]; ldr r1, [r5]": 2 + 1,
    "ldr r0, [r4], #4; ldr r1, [r5], #4; sub r4, #4; sub r5, #4": 2 + 2 + 2,
    "ldr r0, [r4]; str r1, [r5], #4; nop; sub r5, #4": 2 + 2 + 1 + 1,
    "ldr r0, [r4]; nop; str r1, [r5], #4; sub r5, #4": 2 + 1 + 1 + 1,
    "adds r6, #0; ldr r0, [r4, r6]": 1 + 3,
    "| bl 2f; nop | 2: push {r0, lr}; pop {r0, pc}": 2 + 3 + 3 + 3 + 1,
}
M33 = {  # without subs 1, bne 2 behind it
    "ldr r0, [r4]; add r0, r1": 1 + 2,
    "ldr r0, [r4]; str r0, [r5]": 1 + 1,
    "ldr r0, [r4]; mla r0, r1, r2, r0": 1 + 1,
    "add.w r0, r1, r2, lsl #3; adds r0, r0, r1": 1 + 2,
    "muls r0, r1; nop": 2 + 1,
    "push {r0, r1, r2}; pop {r0, r1, r2}": 3 + 3,
    "ldrd r0, r1, [r4]; nop": 2 + 1,
    "cmp r6, #0; bne 2f; 2: nop": 1 + 0 + 1,
    "cmp.w r6, #0; bne 2f; 2: nop": 1 + 1 + 1,
    "cmp r6, #0; beq 2f; nop; 2: nop": 1 + 2 + 1,
    "cmp r6, #0; mov r0, r1; beq 2f; nop; 2: nop": 1 + 1 + 1 + 1,
    "cmp r6, #0; it ne; movne r0, r1": 1 + 0 + 1,
    "vfma.f32 s0, s1, s2; vfma.f32 s3, s1, s2": 1 + 3,
    "vfma.f32 s0, s1, s2; mov r0, r1; vadd.f32 s3, s1, s2": 1 + 1 + 2,
}
CASES = [
    (model, loop, cycles + 3)
    for model, loops in ((cortex_m0plus.MODEL, M0PLUS), (cortex_m3.MODEL, M3), (cortex_m33.MODEL, M33))
    for loop, cycles in loops.items()
]


@pytest.fixture(scope="module")
def loops(tmp_path_factory):
    return TimedLoops(tmp_path_factory.mktemp("others"), [loop for _, loop, _ in CASES])


@pytest.mark.parametrize(("model", "loop", "cycles"), CASES, ids=lambda case: getattr(case, "name", None))
def test_a_loop_takes_what_the_table_says(loops, model, loop, cycles):
    assert loops.cycles(loop, model) == cycles
