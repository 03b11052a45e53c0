"""The machine runs firmware in exactly the board's memory, and says clearly where it must not go."""

import gc
import shutil
import weakref

import numpy as np
import pytest
from tiny_firmware import BOARD, compile_firmware

from workbench import boards
from workbench.emulate.machine import Machine
from workbench.emulate.symbols import load_elf
from workbench.errors import BoardError, FirmwareFault, ToolchainError, WorkbenchError

SOURCE = """
uint8_t wb_arena[1024] ARENA;
int32_t value = 7, zero;
static volatile int count;
void __attribute__((noinline)) op_000_a(void) { value += zero + 1; }
void __attribute__((noinline)) op_001_b(void) { value *= 2; }
void wb_train_step(void) { op_000_a(); op_001_b(); }
int32_t __attribute__((noinline)) deep(int32_t n)
{
    volatile int32_t room[32];
    room[n & 31] = n;
    return n ? deep(n - 1) + room[n & 31] : 0;
}
void wb_forward(void) { value = deep(4); }

void read_beyond(void) { for (int i = 0; i < 10; ++i) zero = *(volatile int *)(0x20008000 - 16 + 4 * i); }
void write_beyond(void) { *(volatile char *)0x20007fff = 1; *(volatile char *)0x20008000 = 1; }
void write_flash(void) { *(volatile int *)0x1000 = 1; }
void undefined(void) { __asm volatile("udf 0"); }
void breakpoint(void) { __asm volatile("bkpt 1"); }
void supervisor(void) { __asm volatile("svc 0"); }
void call_null(void) { void (*volatile call)(void) = 0; call(); __asm volatile(""); }
void call_even(void)
{
    void (*volatile call)(void) = (void (*)(void))((uintptr_t)undefined & ~1u);
    call();
    __asm volatile("");
}
int32_t __attribute__((noinline, noclone)) answer(void) { return 41; }
void ask(void) { value = answer(); }
void jump_away(void) { ((void (*)(void))0x60000001)(); __asm volatile(""); }
void run_data(void) { ((void (*)(void))(wb_arena + 1))(); __asm volatile(""); }
void forever(void) { for (;;) ++count; }
"""


@pytest.fixture(scope="module")
def elf(tmp_path_factory):
    return compile_firmware(tmp_path_factory.mktemp("machine"), SOURCE)


@pytest.fixture
def machine(elf):
    machine = Machine(elf, BOARD)
    machine.start()
    return machine


def test_start_up_initializes_and_calls_come_back(machine):
    assert machine.read_array("value", np.int32, 1) == 7
    machine.call("wb_train_step")
    machine.call("wb_train_step")
    assert machine.read_array("value", np.int32, 1) == 34


def test_stops_between_operators_even_in_code_translated_before(machine):
    entries = [machine.elf.address(name) for name in ("op_000_a", "op_001_b")]
    machine.call("wb_train_step")  # 16
    for start in (16, 34):
        seen = [
            int(machine.read_array("value", np.int32, 1)[0])
            for _ in machine.calls_by_operator("wb_train_step", entries)
        ]
        assert seen == [start, start + 1]
        assert machine.read_array("value", np.int32, 1) == 2 * (start + 1)


def test_an_operator_that_does_not_come_is_a_fault(machine):
    with pytest.raises(FirmwareFault) as caught:
        list(
            machine.calls_by_operator(
                "wb_train_step", [machine.elf.address("op_001_b"), machine.elf.address("op_000_a")]
            )
        )
    assert caught.value.kind == "missing"
    assert "op_000_a" in caught.value.message


@pytest.mark.parametrize(
    ("entry", "kind", "address", "words"),
    [
        ("read_beyond", "read", 0x20008000, "read from 0x20008000, beyond SRAM, in read_beyond (tiny.c:"),
        ("write_beyond", "write", 0x20008000, "write to 0x20008000, beyond SRAM, in write_beyond (tiny.c:"),
        ("write_flash", "write-protected", 0x1000, "write to 0x00001000, flash, in write_flash (tiny.c:"),
        ("undefined", "undefined", None, "undefined instruction at 0x"),
        ("breakpoint", "breakpoint", None, "stray breakpoint at 0x"),
        ("supervisor", "supervisor-call", None, "unexpected supervisor call at 0x"),
        ("call_null", "invalid-state", 0, "call of a null pointer, last call from call_null (tiny.c:"),
        ("call_even", "invalid-state", None, "without its Thumb bit, at 0x"),
        ("jump_away", "fetch", 0x60000000, "execution at 0x60000000, not mapped"),
        ("run_data", "fetch", None, "SRAM"),
    ],
)
def test_faults_name_what_where_and_the_function(machine, entry, kind, address, words):
    with pytest.raises(FirmwareFault) as caught:
        machine.call(entry)
    fault = caught.value
    assert fault.kind == kind
    assert words in fault.message
    assert entry in fault.message
    if address is not None:
        assert fault.address == address
    assert fault.symbol == entry


def test_the_pc_of_a_fault_is_the_very_instruction(tmp_path):
    assembly = """
        .global wb_train_step, culprit
        .type wb_train_step, %function
        wb_train_step: mov r0, #0x20000000
        movs r1, #3
        mov r2, #0x20
        str r1, [r0]
        add r0, r0, #0x8000
    culprit: str r1, [r0, r2, lsl #1]
        bx lr
    """
    machine = Machine(compile_firmware(tmp_path, "uint32_t wb_arena[64] ARENA;", assembly=assembly), BOARD)
    machine.start()
    with pytest.raises(FirmwareFault) as caught:
        machine.call("wb_train_step")
    assert caught.value.pc == machine.elf.address("culprit")
    assert caught.value.address == 0x20008040


def test_after_a_fault_the_machine_can_be_used_again(machine):
    with pytest.raises(FirmwareFault):
        machine.call("undefined")
    machine.call("wb_train_step")
    assert machine.read_array("value", np.int32, 1) == 16


def test_a_runaway_ends(elf):
    machine = Machine(elf, BOARD, seconds_limit=0.2)
    machine.start()
    with pytest.raises(FirmwareFault, match=r"still running after 0.2 s, in forever \(tiny.c:") as caught:
        machine.call("forever")
    assert caught.value.kind == "runaway"


def test_one_byte_past_a_smaller_limit_faults_and_the_last_byte_does_not(tmp_path):
    source = """uint8_t wb_arena[64] ARENA;
    void wb_forward(void) { *(volatile char *)(SRAM_END - 1) = 1; }
    void wb_train_step(void) { *(volatile char *)SRAM_END = 1; }"""
    board = boards.get("nrf52840").with_sram(3 * 1024)
    machine = Machine(compile_firmware(tmp_path, source, board, flags=[f"-DSRAM_END={board.sram_end:#x}"]), board)
    machine.start()
    machine.call("wb_forward")
    with pytest.raises(FirmwareFault) as caught:
        machine.call("wb_train_step")
    assert caught.value.address == board.sram_end


def test_stack_peak_is_what_the_calls_pushed(machine):
    machine.paint_stack()
    assert machine.stack_peak() == 0
    machine.call("wb_forward")
    assert 5 * 128 <= machine.stack_peak() <= 5 * 160


def test_memory_round_trips_and_refuses_what_is_not_mapped(machine):
    machine.write_array("wb_arena", np.arange(5, dtype=np.float32))
    assert machine.read_array("wb_arena", np.float32, 5).tolist() == [0, 1, 2, 3, 4]
    machine.write_f32("zero", 0.5)
    assert (machine.read_f32("zero"), machine.read_u32("zero")) == (0.5, 0x3F000000)
    assert len(machine.snapshot_sram()) == BOARD.sram_size
    with pytest.raises(WorkbenchError, match="not mapped"):
        machine.read(BOARD.sram_end, 1)
    with pytest.raises(WorkbenchError, match="no symbol wb_arenas"):
        machine.read("wb_arenas", 1)


def test_firmware_of_another_board_is_refused(elf):
    with pytest.raises(BoardError, match="outside the memory of stm32f746"):
        Machine(elf, boards.get("stm32f746"))


def test_firmware_linked_for_more_sram_is_refused(elf):
    with pytest.raises(
        BoardError, match="has its stack's top at 0x20008000, beyond the SRAM of nrf52840, which ends at 0x20007c00"
    ):
        Machine(elf, BOARD.with_sram(31 * 1024))


def test_boards_whose_memory_cannot_be_are_refused(elf):
    with pytest.raises(BoardError, match="its memory cannot be mapped"):
        Machine(elf, BOARD.with_region("sram", base=BOARD.flash_base))


def test_a_machine_that_is_closed_gives_its_memory_back(elf):
    machine = Machine(elf, BOARD)
    machine.start()
    emulator = weakref.ref(machine._uc)
    machine.close()
    gc.collect()  # nothing that lives on, its watchdog too, holds it
    assert emulator() is None


def test_start_up_enables_the_floating_point_unit(machine):
    assert machine.read_u32(0xE000ED88) >> 20 & 0xF == 0xF  # the emulator would not miss it, a real core does


def test_code_that_is_written_over_runs_as_written(machine):
    machine.call("ask")
    assert machine.read_array("value", np.int32, 1) == 41
    machine.write("answer", b"\x2a\x20")  # movs r0, #42
    machine.call("ask")
    assert machine.read_array("value", np.int32, 1) == 42


def test_broken_files_are_told_apart_from_elfs(elf, tmp_path):
    for name, data in (("text.elf", b"no elf at all"), ("half.elf", elf.read_bytes()[:3000]), ("empty.elf", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ToolchainError, match=name):
            load_elf(tmp_path / name)
    with pytest.raises(ToolchainError, match="missing"):
        load_elf(tmp_path / "none.elf")
    shutil.copy("/bin/true", tmp_path / "host.elf")
    with pytest.raises(ToolchainError, match="not a readable Arm ELF"):
        load_elf(tmp_path / "host.elf")


def test_symbols_know_their_neighbourhood(elf):
    table = load_elf(elf)
    arena = table.symbol("wb_arena")
    assert (arena.size, arena.kind) == (1024, "object")
    assert table.symbol_at(arena.address + 5) == (arena, 5)
    assert table.symbol_at(arena.address + 1024) is None
    assert table.address("op_000_a") % 2 == 0
    assert table.describe(table.address("op_000_a")) == "op_000_a (tiny.c:7)"
