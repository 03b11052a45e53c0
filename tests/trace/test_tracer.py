"""What the tracer counts is what the core did: exactly, without disturbing it, and attributed to whom it belongs."""

import numpy as np
import pytest
from numba import cfunc
from tiny_firmware import BOARD, compile_firmware

from workbench.emulate.machine import Machine
from workbench.errors import RecordError, WorkbenchError
from workbench.tables import BufferRow, OpRow
from workbench.trace import pointers
from workbench.trace.tracer import LEVELS, Tracer

SOURCE = """
uint8_t wb_arena[4096] ARENA;
float weight[16] = {1, 2, 3};
const int8_t table[8] = {1, 2, 3};
int32_t wb_step, clipped;
#define F ((float *)wb_arena)
float __attribute__((noinline)) kernel(float x, int y) { return y > 1 ? x * y : x / 3; }
void __attribute__((noinline)) op_000_a(void) { for (int i = 0; i < 16; ++i) F[16 + i] = F[i] * weight[i]; }
void __attribute__((noinline)) op_001_b(void)
{
    for (int i = 0; i < 8; ++i) { F[i] = kernel(F[16 + i], table[i]); if (F[i] < 2 && (i & 1)) clipped += i; }
}
void __attribute__((noinline)) op_002_c(void) { for (int i = 0; i < 8; ++i) weight[i] -= F[i]; }
void wb_forward(void) { op_000_a(); op_002_c(); }
void wb_train_step(void) { op_000_a(); op_001_b(); op_002_c(); ++wb_step; }
"""
BUFFERS = [
    BufferRow(0, "x", "input", "arena", "wb_arena", 0, 64, 0, 1),
    BufferRow(1, "h", "activation", "arena", "wb_arena", 64, 64, 0, 2),
    BufferRow(2, "g", "gradient", "arena", "wb_arena", 0, 32, 1, 3),
    BufferRow(3, "w", "parameter", "sram", "weight", 0, 64, None, None),
    BufferRow(7, "t", "parameter", "flash", "table", 0, 8, None, None),
    BufferRow(8, "clipped", "state", "sram", "clipped", 0, 4, None, None),
]
OPS = [
    OpRow(0, "op_000_a", "a", "forward", (0, 3), (1,)),
    OpRow(1, "op_001_b", "b", "backward", (1, 7, 8), (2, 8)),
    OpRow(2, "op_002_c", "c", "update", (2, 3), (3,)),
]


@cfunc(pointers.block_signature)
def count_instruction(uc, address, size, user):
    pointers.put64(user, 0, pointers.get64(user, 0) + 1)


@pytest.fixture(scope="module")
def elf(tmp_path_factory):
    return compile_firmware(tmp_path_factory.mktemp("tracer"), SOURCE)


def traced(elf, level, entry="wb_train_step", buffers=BUFFERS, ops=OPS):
    machine = Machine(elf, BOARD)
    machine.start()
    tracer = Tracer(machine, buffers, ops, level)
    tracer.attach()
    tracer.begin_call()
    machine.write_array("wb_arena", np.arange(16, dtype=np.float32))
    tracer.host_wrote("wb_arena", 64)
    machine.call(entry)
    return machine, tracer


def test_every_level_and_none_end_in_the_same_memory(elf):
    memories = set()
    for level in LEVELS:
        machine, tracer = traced(elf, level)
        machine.call("wb_train_step")
        tracer.detach()
        machine.call("wb_train_step")
        memories.add(machine.snapshot_sram())
    assert len(memories) == 1


def test_instructions_are_counted_for_whom_they_ran(elf):
    _, tracer = traced(elf, "ops")
    table = tracer.op_profile().set_index("position")
    assert (table["instructions"] > 0).all()
    assert (table["cycles"] > table["instructions"]).all()
    assert table["bytes_read"].isna().all()
    assert table.loc[1, "instructions"] > 8 * 10  # the kernel's instructions are its operator's
    assert table.loc[-1, "instructions"] < 12  # the calls, the step counter and the way back
    assert tracer.totals().instructions == table["instructions"].sum()


def test_accesses_are_attributed_to_buffer_and_position(elf):
    _, tracer = traced(elf, "memory")
    found = {(row.position, row.buffer): (row.bytes_read, row.bytes_written) for row in tracer.accesses().itertuples()}
    assert found == {
        (-1, 0): (0, 64), (0, 0): (64, 0), (0, 1): (0, 64), (0, 3): (64, 0), (1, 1): (32, 0), (1, 7): (8, 0),
        (1, 8): (4, 4), (1, 2): (0, 32), (2, 2): (32, 0), (2, 3): (32, 32),
    }  # fmt: skip
    assert tracer.violations().empty
    arena = tracer.machine.elf.address("wb_arena")
    assert tracer.accesses().query("position == 0 and buffer == 1")[["low", "high"]].values.tolist() == [
        [arena + 64, arena + 128]
    ]


def test_buffers_know_their_first_write_last_read_and_extent(elf):
    _, tracer = traced(elf, "memory")
    table = tracer.buffer_profile().set_index("id")
    assert table["first_write"].to_dict() == {0: -1, 1: 0, 2: 1, 3: -1, 7: -1, 8: -1}
    assert table["last_read"].to_dict() == {0: 0, 1: 1, 2: 2, 3: 2, 7: 1, 8: 1}
    assert table["touched"].to_dict() == {0: 64, 1: 64, 2: 32, 3: 64, 7: 8, 8: 4}
    assert tracer.totals().arena_touched == 128
    assert tracer.op_profile().set_index("position").loc[2, ["bytes_read", "bytes_written"]].tolist() == [64, 32]


def test_an_entry_that_skips_positions_still_sees_their_births_and_deaths(elf):
    _, tracer = traced(elf, "memory", "wb_forward")  # operator 2 reads g, born at the skipped position 1
    found = [(row.kind, row.position, row.buffer, row.count) for row in tracer.violations().itertuples()]
    assert found == [("unwritten-read", 2, 2, 8)]


def test_detached_runs_are_not_counted(elf):
    machine, tracer = traced(elf, "memory")
    before = tracer.totals()
    tracer.detach()
    machine.call("wb_train_step")
    assert tracer.totals() == before
    tracer.attach()
    tracer.begin_call()
    machine.call("wb_forward")
    assert tracer.totals().instructions > before.instructions


def test_levels_off_and_unknown(elf):
    _, tracer = traced(elf, "off")
    assert tracer.totals().instructions is None
    assert tracer.op_profile()["instructions"].isna().all()
    assert tracer.buffer_profile()["touched"].isna().all()
    with pytest.raises(WorkbenchError, match="no trace level"):
        Tracer(tracer.machine, BUFFERS, OPS, "everything")


def test_tables_that_do_not_fit_the_firmware_are_refused(elf):
    with pytest.raises(RecordError, match="does not lie in sram"):
        traced(elf, "memory", buffers=[BufferRow(0, "t", "parameter", "sram", "table", 0, 8, None, None)], ops=[])
    with pytest.raises(RecordError, match="op_000_a names buffer 9"):
        traced(elf, "memory", ops=[OpRow(0, "op_000_a", "a", "forward", (9,))])


MULTIPLE = """
    .global wb_train_step, op_000_ldm
    .type op_000_ldm, %function
op_000_ldm:
    push {r4-r6, lr}
    ldr r0, =wb_arena
    ldm r0!, {r1-r4}
    stm r0!, {r1-r2}
    vldm r0, {s0-s3}
    ldrd r1, r2, [r0]
    pop {r4-r6, pc}
    .ltorg
    .size op_000_ldm, . - op_000_ldm
    .type wb_train_step, %function
wb_train_step:
    push {r4, lr}
    bl op_000_ldm
    pop {r4, pc}
    .size wb_train_step, . - wb_train_step
"""


def test_instructions_that_move_several_words_are_counted_in_bytes(tmp_path):
    machine = Machine(compile_firmware(tmp_path, "uint8_t wb_arena[64] ARENA;", assembly=MULTIPLE), BOARD)
    machine.start()
    buffers = [BufferRow(0, "x", "input", "arena", "wb_arena", 0, 64, 0, 1)]
    tracer = Tracer(machine, buffers, [OpRow(0, "op_000_ldm", "ldm", "forward", (0,), (0,))], "memory")
    tracer.attach()
    tracer.begin_call()
    tracer.host_wrote("wb_arena", 64)
    machine.call("wb_train_step")
    row = tracer.op_profile().set_index("position").loc[0]
    assert (row["instructions"], row["bytes_read"], row["bytes_written"]) == (7, 16 + 16 + 8, 8)
    assert tracer.totals().stack_touched == 8 + 16
    assert tracer.violations().empty  # the literal's read is a read of flash


CONDITIONAL = """
    .global wb_train_step, op_000_it
    .type op_000_it, %function
op_000_it:
    ldr r3, =cell
    movs r0, #0
    movs r2, #0
1:  tst r0, #1
    itt ne
    ldrne r1, [r3]
    addne r2, r2, r1
    ite eq
    addeq r2, r2, #3
    addne r2, r2, #5
    adds r0, #1
    cmp r0, #10
    bne 1b
    str r2, [r3]
    bx lr
    .ltorg
    .size op_000_it, . - op_000_it
    .type wb_train_step, %function
wb_train_step:
    push {r4, lr}
    bl op_000_it
    pop {r4, pc}
    .size wb_train_step, . - wb_train_step
"""
SKIPPED = 5 * 2 + 10  # the even rounds skip ldrne and addne, every round one of ite's two


def test_block_counts_are_code_hook_counts_and_what_the_conditions_skip(tmp_path):
    elf = compile_firmware(tmp_path, "uint8_t wb_arena[8] ARENA; int32_t cell = 7;", assembly=CONDITIONAL)
    machine = Machine(elf, BOARD)
    machine.start()
    seen = np.zeros(1, np.int64)
    handle = machine.add_native_hook("code", count_instruction.address, seen.ctypes.data)
    machine.call("wb_train_step")
    machine.remove_hook(handle)
    tracer = Tracer(machine, [], [OpRow(0, "op_000_it", "it", "forward")], "ops")
    tracer.attach()
    tracer.begin_call()
    machine.call("wb_train_step")
    assert tracer.totals().instructions == seen[0] + SKIPPED
    assert tracer.op_profile()["instructions"].tolist() == [3, 3 + 10 * 10 + 2]
