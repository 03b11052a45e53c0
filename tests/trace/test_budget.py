"""A traced run that does not end is stopped by its own count, natively and always at the same instruction."""

import pytest
from tiny_firmware import BOARD, compile_firmware

from workbench.emulate.machine import Machine
from workbench.errors import FirmwareFault
from workbench.tables import OpRow
from workbench.trace.tracer import Tracer

ENDLESS = """
uint8_t wb_arena[64] ARENA;
volatile int32_t turns;
void __attribute__((noinline)) wait(void) { for (;;) ++turns; }
void __attribute__((noinline)) op_000_a(void) { for (int i = 0; i < 10000; ++i) ++turns; }
void __attribute__((noinline)) op_001_b(void) { if (turns > 20000) wait(); }
void wb_train_step(void) { op_000_a(); op_001_b(); }
"""


@pytest.mark.parametrize("level", ["ops", "memory"])
def test_an_endless_loop_ends_at_the_same_instruction_every_time(tmp_path, level):
    elf = compile_firmware(tmp_path, ENDLESS)
    ends = set()
    for _ in range(2):
        machine = Machine(elf, BOARD)
        machine.start()
        tracer = Tracer(machine, [], [OpRow(0, "op_000_a", "a", "forward"), OpRow(1, "op_001_b", "b", "forward")],
                        level, budget=100_000)  # fmt: skip
        tracer.attach()
        for _ in range(2):  # a budget is for each call: op_000_a takes 60 k each time
            tracer.begin_call()
            machine.call("wb_train_step")
        tracer.begin_call()
        with pytest.raises(FirmwareFault, match=r"after 100 k instructions, in wait \(tiny.c:") as caught:
            machine.call("wb_train_step")
        assert (caught.value.kind, tracer.position) == ("runaway", 1)
        ends.add((caught.value.pc, tracer.totals().instructions, machine.read_u32("turns")))
    assert len(ends) == 1
    assert tracer.op_profile().set_index("position").loc[0, "instructions"] > 100_000
