"""Accesses that no operator declared are reported with what they are; honest ones are not."""

import numpy as np
import pytest
from tiny_firmware import BOARD, compile_firmware

from workbench.emulate.machine import Machine
from workbench.tables import BufferRow, OpRow
from workbench.trace.tracer import Tracer

SOURCE = """
uint8_t wb_arena[256] ARENA;
volatile int32_t state, helper, undeclared;
const int8_t table[8] = {1, 2, 3};
const int8_t odd[5] = {4, 5, 6}; /* and three bytes of padding */
const int32_t constants[4] = {7, 8, 9};
const char *volatile text = "an unnamed constant";
#define AT(offset, type) (*(volatile type *)(wb_arena + (offset)))
void __attribute__((noinline)) deep(void) { volatile char frame[256]; frame[0] = frame[255] = 1; }
#define BELOW_SP(offset) (*(volatile int *)((uintptr_t)__builtin_frame_address(0) - (offset)))
#define AT_ADDRESS(address, type) (*(volatile type *)(uintptr_t)(address))
void __attribute__((noinline)) jump(int n) /* through a table of addresses */
{
    switch (n) {
    case 0: deep(); break;
    case 1: helper += 2; break;
    case 2: AT(16, int) = 3; break;
    case 3: AT(20, int) = 4; break;
    case 4: helper = AT(0, int); break;
    case 5: helper -= 7; break;
    }
}
int __attribute__((noinline)) pick(int n) /* from a table of values */
{
    switch (n) {
    case 0: return 5;
    case 1: return 17;
    case 2: return -33;
    case 3: return 12;
    case 4: return 99;
    default: return 1;
    }
}
void __attribute__((noinline)) op_000_case(void) { volatile int local = 1; helper += local; BODY; }
void wb_train_step(void) { ++undeclared; op_000_case(); }
"""
BUFFERS = [
    BufferRow(0, "in", "input", "arena", "wb_arena", 0, 16, 0, 1),
    BufferRow(1, "out", "activation", "arena", "wb_arena", 16, 16, 0, 2),
    BufferRow(2, "other", "activation", "arena", "wb_arena", 32, 16, 0, 2),
    BufferRow(3, "room", "scratch", "arena", "wb_arena", 48, 16, 0, 1),
    BufferRow(4, "state", "state", "sram", "state", 0, 4, None, None),
    BufferRow(5, "table", "parameter", "flash", "table", 0, 8, None, None),
    BufferRow(6, "later", "activation", "arena", "wb_arena", 64, 16, 1, 2),
    BufferRow(7, "helper", "state", "sram", "helper", 0, 4, None, None),
    BufferRow(8, "text", "parameter", "sram", "text", 0, 4, None, None),
    BufferRow(9, "odd", "parameter", "flash", "odd", 0, 5, None, None),
]
OPS = [OpRow(0, "op_000_case", "case", "forward", (0, 8, 9), (1, 7), (3,))]


def run(folder, body):
    machine = Machine(compile_firmware(folder, SOURCE, flags=[f"-DBODY={body}", "-Wno-array-bounds"]), BOARD)
    machine.start()
    tracer = Tracer(machine, BUFFERS, OPS, "memory")
    tracer.attach()
    tracer.begin_call()
    machine.write_array("wb_arena", np.zeros(16, np.uint8))
    tracer.host_wrote("wb_arena", 16)
    machine.call("wb_train_step")
    return tracer


@pytest.mark.parametrize(
    "body",
    [
        "AT(16, int) = AT(0, int) + AT(12, char)",
        "AT(16, int) = 1; AT(17, char) += 1; AT(20, int) = AT(16, int)",  # what it wrote itself it may read
        "AT(48, int) = 1; AT(16, int) = AT(48, int)",
        "AT(18, short) = 1; AT(16, short) = 2; AT(24, int) = AT(16, int)",
        # what no buffer holds, but is a constant
        "AT(16, int) = AT_ADDRESS(odd + 4, int8_t) + AT_ADDRESS(constants + 3, int) + text[3]",
        "jump(AT(0, int) + 3)",
        "helper += pick(AT(0, int) + 3)",
        "deep(); deep()",
    ],
)
def test_honest_accesses_are_silent(tmp_path, body):
    tracer = run(tmp_path, body)
    assert tracer.violations().empty
    assert tracer.totals().violations == 0
    assert 0 < tracer.totals().stack_touched < (320 if "deep" in body else 64)


@pytest.mark.parametrize(
    ("body", "kind", "buffer", "offset", "size"),
    [
        ("AT(0, int) = 1", "undeclared-write", 0, 0, 4),
        ("AT(36, short) = 1", "undeclared-write", 2, 36, 2),
        ("state = 1", "undeclared-write", 4, None, 4),
        ("state", "undeclared-read", 4, None, 4),
        ("*(const volatile int8_t *)(table + 2)", "undeclared-read", 5, None, 1),
        ("AT(16, int)", "unwritten-read", 1, 16, 4),
        ("AT(16, char) = 1; AT(16, int)", "unwritten-read", 1, 16, 4),
        ("AT(16, short) = 1; AT(18, char)", "unwritten-read", 1, 18, 1),
        ("AT(48, int)", "unwritten-read", 3, 48, 4),
        ("AT(64, int) = 1", "outside", 3, 64, 4),  # where nothing was alive before: the nearest declared
        ("AT(200, char)", "outside", 3, 200, 1),
        ("AT(254, int)", "outside", 3, 254, 4),
        ("AT(256, int)", "outside", 3, 256, 4),  # between the arena and the stack
        ("AT(8192, short) = 1", "outside", 3, 8192, 2),
        ("deep(); BELOW_SP(200)", "outside", 3, None, 4),  # where a frame has been
        ("undeclared", "outside", 7, None, 4),
        ("undeclared = 1", "outside", 7, None, 4),
        ("AT_ADDRESS(odd + 5, int8_t)", "outside", 9, None, 1),  # padding
        ("AT_ADDRESS(odd + 3, int)", "outside", 9, None, 4),
        ("AT_ADDRESS(AT(0, int), int)", "outside", 9, None, 4),  # a null pointer: the vector table
        ("AT_ADDRESS((uintptr_t)deep & ~1u, int)", "outside", 9, None, 4),  # code
        ("AT_ADDRESS(0x80000, int)", "outside", 9, None, 4),  # flash that nothing fills
        ("AT_ADDRESS(0xE000E010, int) = 1", "outside", None, None, 4),  # the core's own registers
    ],
)
def test_each_kind_is_found(tmp_path, body, kind, buffer, offset, size):
    tracer = run(tmp_path, body)
    table = tracer.violations()
    assert table["kind"].tolist() == [kind]
    row = table.iloc[0]
    assert (row["position"], row["op"], row["size"], row["count"], row["symbol"]) == (
        0,
        "op_000_case",
        size,
        1,
        "op_000_case",
    )
    assert table["buffer"].isna()[0] if buffer is None else row["buffer"] == buffer
    if offset is not None:
        assert row["address"] == tracer.machine.elf.address("wb_arena") + offset


def test_an_access_across_two_buffers_is_held_against_both(tmp_path):
    tracer = run(tmp_path, "AT(30, int) = 1")  # two bytes of out, two of other
    assert tracer.violations()[["kind", "buffer"]].values.tolist() == [["undeclared-write", 2]]
    written = {row.buffer: row.bytes_written for row in tracer.accesses().itertuples() if row.position == 0}
    assert written == {1: 2, 2: 2, 7: 4}


def test_repeats_are_counted_not_listed(tmp_path):
    tracer = run(tmp_path, "for (int i = 0; i < 50; ++i) AT(0, int) = i")
    assert tracer.violations()["count"].tolist() == [50]
    assert tracer.totals().violations == 50


def test_stray_bytes_raise_the_watermark(tmp_path):
    assert run(tmp_path, "AT(16, char) = 1").totals().arena_touched == 17
    assert run(tmp_path, "AT(200, char) = 1").totals().arena_touched == 201
