"""Each rule of Cortex-M4 has a loop that shows it: the manual's count with the rule, another one without."""

import pytest
from timed_loops import TimedLoops

from workbench.emulate.timing import cortex_m4 as m4

NEXT = 3  # subs 1, bne 1 + 1: in every iteration
RULES = (  # the rule, a loop in which it holds, its cycles; the same without the rule; its neighbour and its cycles
    (m4.early_targets, "b 2f; nop; 2: nop", 1 + 1 + 1 + NEXT, 1 + 1 + 2,
     "cmp r6, #0; bne 2f; 2: nop", 1 + 1 + 1 + NEXT),
    (m4.late_targets, "cbz r6, 2f; nop; 2: nop", 1 + 2 + 1 + NEXT, 1 + 1 + NEXT,
     "cbnz r6, 2f; nop; 2: nop", 1 + 1 + 1 + NEXT),
    (m4.late_targets, "ldr r8, =2f + 1 | bx r8; nop; 2: nop |", 1 + 2 + 1 + NEXT, 1 + 1 + NEXT,
     "| bl 2f; nop | 2: bx lr", 1 + 1 + 1 + 1 + 1 + NEXT),
    (m4.loaded_targets, "ldr r8, =2f + 1; str r8, [r4] | ldr pc, [r4]; nop; 2: nop |", 2 + 3 + 1 + NEXT, 2 + 1 + NEXT,
     "ldr r8, [r4]; nop; nop", 2 + 1 + 1 + NEXT),
    (m4.loaded_targets, "ldr r8, =2f + 1 | push {r6, r8}; pop {r6, pc}; nop; 2: nop |", 3 + 3 + 3 + 1 + NEXT,
     3 + 3 + 1 + NEXT, "push {r6, r8}; pop {r6, r8}; nop", 3 + 3 + 1 + NEXT),
    (m4.loaded_targets, "tbb [pc, r6]; .byte 1, 1; 2: nop", 3 + 3 + 1 + NEXT, 3 + 1 + NEXT, "nop; nop", 2 + NEXT),
    (m4.unaligned_targets, "nop; 1: mov.w r0, r1", 2 + NEXT, 1 + NEXT, "nop; nop; 1: mov.w r0, r1", 1 + NEXT),
    (m4.unaligned_runs, "nop; mov.w r0, r1; mov.w r0, r1; mov.w r0, r1", 5 + NEXT, 4 + NEXT,
     "nop; mov.w r0, r1; mov.w r0, r1; nop; mov.w r0, r1", 5 + NEXT),
    (m4.unaligned_runs, "nop; mov.w r0, r1; mov.w r0, r1; mov.w r0, r1; mov.w r0, r1; mov.w r0, r1", 7 + NEXT, 6 + NEXT,
     "mov.w r0, r1; mov.w r0, r1; mov.w r0, r1", 3 + NEXT),
    (m4.unaligned_runs, "b 2f; mov.w r0, r1; 2: mov.w r0, r1; mov.w r0, r1; mov.w r0, r1", 2 + 1 + 4 + NEXT,
     2 + 1 + 3 + NEXT, "b 2f; mov.w r0, r1; 2: mov.w r0, r1; mov.w r0, r1", 2 + 1 + 2 + NEXT),
    (m4.pipelined_accesses, "ldr r0, [r4]; ldr r1, [r5]; ldrb r2, [r5, r6]", 2 + 1 + 1 + NEXT, 6 + NEXT,
     "ldr r0, [r4]; nop; ldr r1, [r5]", 2 + 1 + 2 + NEXT),
    (m4.pipelined_accesses, "ldr r0, =77777; ldr r1, =88888", 2 + 1 + NEXT, 4 + NEXT,
     "ldr r0, =77777; ldr r1, [r5]", 2 + 2 + NEXT),
    (m4.pipelined_accesses, "ldr r0, [r4], #4; ldr r1, [r5], #4; sub r4, #4; sub r5, #4", 2 + 1 + 2 + NEXT,
     2 + 2 + 2 + NEXT, "ldr r0, [r4], #4; ldr r1, [r4], #-4", 2 + 2 + NEXT),
    (m4.pipelined_accesses, "ldr r0, [r4]; str r1, [r5, r6]", 2 + 1 + NEXT, 2 + 2 + NEXT,
     "ldr r0, [r4]; str r1, [r5]", 2 + 1 + NEXT),
    (m4.computed_addresses, "adds r6, #0; ldr r0, [r4, r6]", 1 + 3 + NEXT, 1 + 2 + NEXT,
     "adds r0, #0; ldr r0, [r4, r6]", 1 + 2 + NEXT),
    (m4.computed_addresses, "sub sp, #8; str r0, [sp]; add sp, #8; nop", 1 + 2 + 1 + 1 + NEXT, 4 + NEXT,
     "adds r0, #8; str r0, [r5]", 1 + 1 + NEXT),
    (m4.loaded_addresses, "ldr r0, [r4]; ldr r0, [r0]", 2 + 3 + NEXT, 2 + 2 + NEXT,
     "ldr r0, [r4]; nop; ldr r0, [r0]", 2 + 1 + 2 + NEXT),
    (m4.loaded_addresses, "ldr r0, [r4]; str r0, [r0]", 2 + 2 + NEXT, 2 + 1 + NEXT,
     "ldr r0, [r4]; str r0, [r4]", 2 + 1 + NEXT),
    (m4.loads_after_stores, "str r0, [r5]; ldr r1, [r4]", 1 + 3 + NEXT, 1 + 2 + NEXT,
     "str r0, [r5]; ldr r1, =77777", 1 + 2 + NEXT),
    (m4.folded_it, "cmp r6, #0; it ne; movne r0, r1", 1 + 0 + 1 + NEXT, 1 + 1 + 1 + NEXT,
     "cmp.w r6, #0; it ne; movne r0, r1", 1 + 1 + 1 + NEXT),
    (m4.float_results, "vadd.f32 s0, s1, s2; vadd.f32 s3, s0, s1", 1 + 2 + NEXT, 1 + 1 + NEXT,
     "vadd.f32 s0, s1, s2; vadd.f32 s3, s1, s1", 1 + 1 + NEXT),
)  # fmt: skip
ALONE = {  # the cycles of single instructions, between two that do not touch them
    "add.w r0, r1, r2": 1, "ldr r0, [r4]": 2, "str r0, [r5]": 1, "str r0, [r5, r6]": 2, "push {r0, r1, r2}": 4,
    "stmia r5, {r0, r1, r2}": 4, "ldmia r5, {r0, r1, r2}": 4, "ldrd r0, r1, [r4]": 3, "strd r0, r1, [r5]": 3,
    "mla r0, r1, r2, r3": 1, "smull r0, r1, r2, r3": 1, "sdiv r0, r1, r2": m4.DIVISION, "mrs r0, apsr": 2,
    "vadd.f32 s0, s1, s2": 1, "vfma.f32 s0, s1, s2": 3, "vdiv.f32 s0, s1, s2": 14, "vsqrt.f32 s0, s1": 14,
    "vldr s0, [r4]": 2, "vldr d0, [r4]": 3, "vstr s0, [r5]": 2, "vldmia r4, {s0-s3}": 5,
}  # fmt: skip


def alone(instruction):
    return f"nop; {instruction}; {'add sp, #12' if 'push' in instruction else 'nop'}"


@pytest.fixture(scope="module")
def loops(tmp_path_factory):
    shown = [loop for _, one, _, _, other, _ in RULES for loop in (one, other)]
    return TimedLoops(tmp_path_factory.mktemp("m4"), [*shown, *map(alone, ALONE)])


@pytest.mark.parametrize("case", RULES, ids=lambda case: f"{case[0].__name__}: {case[1]}")
def test_a_rule_holds_where_it_should_and_there_alone(loops, case):
    rule, loop, cycles, without, neighbour, of_neighbour = case
    assert loops.cycles(loop, m4.MODEL) == cycles
    assert loops.cycles(neighbour, m4.MODEL) == of_neighbour
    assert loops.cycles(loop, m4.MODEL.without(rule)) == without != cycles


def test_every_rule_is_shown():
    assert {case[0] for case in RULES} | {m4.instructions} == set(m4.RULES)


@pytest.mark.parametrize("instruction", ALONE)
def test_an_instruction_takes_what_the_manual_says(loops, instruction):
    assert loops.cycles(alone(instruction), m4.MODEL) == 2 + ALONE[instruction] + NEXT
