"""Why unicorn is pinned to 2.1.3: 2.1.4 leaks an IT block's condition into later blocks under memory hooks."""

import numpy as np
import pytest
from tiny_firmware import BOARD, compile_firmware

from workbench.emulate.machine import Machine
from workbench.trace.tracer import LEVELS, Tracer

TRAP = """
    .global wb_train_step
    .type wb_train_step, %function
wb_train_step:
    ldr r3, =cell
    movs r0, #0
    movs r2, #0
1:  tst r0, #1
    it ne
    ldrne r1, [r3]
    b 2f
    .balign 4
2:  adds r2, #1
    adds r2, #1
    adds r2, #1
    adds r2, #1
    adds r0, #1
    cmp r0, #10
    bne 1b
    str r2, [r3, #4]
    bx lr
    .ltorg
    .size wb_train_step, . - wb_train_step
"""


@pytest.mark.parametrize("level", LEVELS)
def test_a_load_in_an_it_block_does_not_leak_its_condition(tmp_path, level):
    """With 2.1.4 the sum is 36 at level memory."""
    elf = compile_firmware(tmp_path, "uint8_t wb_arena[8] ARENA; int32_t cell[2] = {7};", assembly=TRAP)
    machine = Machine(elf, BOARD)
    machine.start()
    tracer = Tracer(machine, [], [], level)
    tracer.attach()
    tracer.begin_call()
    machine.call("wb_train_step")
    assert machine.read_array("cell", np.int32, 2).tolist() == [7, 40]
