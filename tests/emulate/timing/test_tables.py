"""The tables give what the tracer counts, block by block and edge by edge, wherever the code lies."""

from pathlib import Path

import numpy as np
import pytest
from numba import cfunc
from tiny_firmware import BOARD, BOARD_M7, compile_firmware

from workbench.emulate.machine import Machine
from workbench.emulate.symbols import Elf, Segment, load_elf
from workbench.emulate.timing import code_tables, cortex_m4, model_of
from workbench.emulate.timing.decode import Kind, decode
from workbench.emulate.timing.tables import GAP
from workbench.errors import ToolchainError
from workbench.trace import pointers
from workbench.trace.tracer import Tracer

SOURCE = """
#include <math.h>
#include <stdlib.h>
uint8_t wb_arena[64] ARENA;
int32_t numbers[40]; volatile float f;
extern int far_sum(int);
int less(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
void wb_train_step(void)
{
    for (int i = 0; i < 40; ++i) numbers[i] = far_sum(i * 31 % 17) - i % 5;
    qsort(numbers, 40, 4, less);
    for (int i = 0; i < 12; ++i) switch (numbers[3 * i] & 7) {
        case 0: f += 1; break; case 1: f = expf(f); break; case 2: f *= 3; break; case 3: f = -f; break;
        case 4: f /= 3; break; case 5: f = fminf(f, 2); break; default: numbers[i] /= i + 1; }
}
"""
FAR = """
.section {section}, "{flags}"
.balign 4
.global far_sum
.type far_sum, %function
far_sum:
    movs r1, #0
1:  adds r1, r1, r0
    subs r0, #1
    bpl 1b
    mov r0, r1
    bx lr
.size far_sum, . - far_sum
"""
LOG = 1 << 16


@cfunc(pointers.block_signature)
def log_block(uc, address, size, user):
    count = pointers.get64(user, 0)
    pointers.put64(user, 1 + 2 * count, address)
    pointers.put64(user, 2 + 2 * count, address + size)
    pointers.put64(user, 0, count + 1)


def built(folder, board, section=".far", flags="ax"):
    start = ["-D_GNU_SOURCE", "--specs=nosys.specs", f"-Wl,--section-start=.far={board.flash_base + 3 * GAP:#x}"]
    return compile_firmware(folder, SOURCE, board, flags=start, assembly=FAR.format(section=section, flags=flags))


@pytest.mark.parametrize("board", [BOARD, BOARD_M7], ids=["m4", "m7"])
def test_blocks_and_edges_of_the_tables_add_up_to_what_the_tracer_counts(tmp_path, board):
    elf = built(tmp_path, board)
    tables = code_tables(load_elf(elf), model_of(board))
    assert len(tables.spans) == 2 and sum(len(span.cycles) for span in tables.spans) < GAP
    machine = Machine(elf, board)
    machine.start()
    tracer, log = Tracer(machine, [], []), np.zeros(1 + 2 * LOG, np.int64)
    tracer.attach()
    machine.add_native_hook("block", log_block.address, log.ctypes.data)
    tracer.begin_call()
    machine.call("wb_train_step")
    begin, end = log[1 : 1 + 2 * log[0]].reshape(-1, 2).T
    assert len(begin) > 1000 and (begin >= tables.spans[1].base).sum() > 300
    edges = tables.edge_cycles(end[:-1], begin[1:])
    assert edges.max() > 1
    assert tracer.totals().instructions == tables.instructions(begin, end).sum()
    span = tables.spans[0]
    entered = int(span.edges[(begin[0] - span.base) // 2].astype(np.int16))  # of the call, which no jump has made
    assert tracer.totals().cycles == tables.cycles(begin, end).sum() + edges.sum() + entered


def test_a_function_in_ram_is_read_where_it_is_loaded_and_has_a_table_of_its_own(tmp_path):
    elf = load_elf(built(tmp_path, BOARD, ".data.far", "awx"))
    tables, code = code_tables(elf, cortex_m4.MODEL), decode(elf)
    begin = elf.address("far_sum")
    assert begin >= BOARD.sram_base == 0x20000000
    assert [len(span.cycles) < GAP for span in tables.spans] == [True, True]
    assert tables.instructions(begin, begin + 12) == 6 and tables.cycles(begin, begin + 12) == 6
    assert code.kind[code.address >= begin].tolist() == [Kind.ALU] * 3 + [Kind.JUMP_IF, Kind.ALU, Kind.RETURN]


def made_of(*ranges):
    """An ELF of (load address, address, code) alone."""
    segments = tuple(Segment(load, code, begin) for load, begin, code in ranges)
    code_ranges = tuple(sorted((begin, begin + len(code)) for _, begin, code in ranges))
    return Elf(Path("made.elf"), b"", segments, (), {}, code_ranges, ())


def test_an_elf_without_code_is_told():
    for elf in (made_of(), made_of((0, 0x100, b""))):
        with pytest.raises(ToolchainError, match=r"made\.elf holds no code"):
            code_tables(elf, cortex_m4.MODEL)


def test_overlays_and_a_stray_byte_make_no_table_longer():
    nop, longer = b"\x00\xbf", b"\xaf\xf3\x00\x80"
    (span,) = code_tables(made_of((0x100, 0x100, longer * 4), (0x200, 0x100, nop * 2 + b"\x00")), cortex_m4.MODEL).spans
    assert (span.base, span.end) == (0x100, 0x110)
    apart = code_tables(made_of((0x100, 0x100, nop), (0x200, 0x100 + GAP + 4, nop)), cortex_m4.MODEL)
    assert [(span.base, span.end) for span in apart.spans] == [(0x100, 0x102), (0x104 + GAP, 0x106 + GAP)]
    assert apart.edge_cycles(0x102, 0x104 + GAP) == 0 and apart.instructions([0x100], [0x102]).tolist() == [1]
