"""Each core runs as itself: what it does not have, or would fault at, faults; and all regions of a board are there."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_firmware import compile_firmware

from workbench import boards
from workbench.boards import Region
from workbench.boards.board import FPUS
from workbench.emulate.core import CORES
from workbench.emulate.machine import Machine
from workbench.emulate.program import Program
from workbench.emulate.symbols import load_elf
from workbench.errors import FirmwareFault, WorkbenchError

SOURCE = """
uint8_t wb_arena[1024] ARENA;
int32_t value = 7;
float real = 3.0f;
uint32_t sum(int n) { return n ? n + sum(n - 1) : 0; }
void wb_train_step(void) { value = value * 6 / 4 + (int)sum(4); real = real / 7.0f + 1e-40f; }
void far_away(void) { *(volatile int *)0x10000ffc = value; }
"""
ASSEMBLY = """
.text
.macro function name
.global \\name
.thumb_func
\\name:
.endm
function unaligned
    ldr r0, =wb_arena + 2
    ldr r0, [r0]
    bx lr
function divide
    .inst.w 0xfbb0f0f0
    bx lr
function add_floats
    .inst.w 0xee300a20
    bx lr
function with_two_halves
    .inst.w 0xfa90f010
    bx lr
function acquire
    ldr r0, =wb_arena
    .inst.w 0xe8d00faf
    bx lr
"""
FAULTS = {  # what each core does not have: Armv6-M, Armv7-M without and with DSP and FPU, Armv8-M
    "cortex-m0plus": {"unaligned": "unaligned", "divide": "undefined", "add_floats": "undefined",
                      "with_two_halves": "undefined", "acquire": "undefined"},
    "cortex-m3": {"add_floats": "no-coprocessor", "with_two_halves": "undefined", "acquire": "undefined"},
    "cortex-m4": {"acquire": "undefined"},
    "cortex-m7": {"acquire": "undefined"},
    "cortex-m33": {},
}  # fmt: skip


def board_of(core):
    return boards.TWINS_OF[core].with_sram(32 * 1024)


def test_every_core_of_a_board_is_emulated():
    assert list(CORES) == list(FPUS) == list(FAULTS)


@pytest.mark.parametrize("core", CORES)
def test_a_core_has_its_own_instructions_and_no_others(core, tmp_path):
    elf = compile_firmware(tmp_path, SOURCE, board_of(core), assembly=ASSEMBLY,
                           flags=("-Wl,-u,unaligned,-u,divide,-u,add_floats",))  # fmt: skip
    for function in ("unaligned", "divide", "add_floats", "with_two_halves", "acquire"):
        machine = Machine(elf, board_of(core))
        machine.start()
        machine.call("wb_train_step")
        assert machine.read_u32("value") == 20
        assert machine.read_f32("real") == np.float32(3) / np.float32(7)
        if kind := FAULTS[core].get(function):
            with pytest.raises(FirmwareFault) as fault:
                machine.call(function)
            assert (fault.value.kind, fault.value.symbol) == (kind, function)
        else:
            machine.call(function)


def test_further_regions_of_a_board_are_a_program_s_but_not_our_firmware_s(tmp_path):
    board = board_of("cortex-m4")
    board = replace(board, regions=(*board.regions, Region("ccm", 0x10000000, 4096)))
    elf = compile_firmware(tmp_path, SOURCE, board)
    program = Program(load_elf(elf), board)
    program.write(0x10000FFC, b"\7\0\0\0")
    assert program.read_u32(0x10000FFC) == 7
    with pytest.raises(WorkbenchError, match="not mapped"):
        program.write(0x10001000, b"\7\0\0\0")
    machine = Machine(elf, board)
    machine.start()
    with pytest.raises(FirmwareFault, match="write to 0x10000ffc, ccm"):
        machine.call("far_away")
