"""Faults seeded into a generated training step: each is reported as what it is, with its operator and its buffer."""

import re
from dataclasses import dataclass, replace

import pytest

from workbench import boards, frontends, session, toolchain
from workbench.cli.grammar import parse
from workbench.cli.run import tell
from workbench.codegen import Project
from workbench.emulate.device import Device
from workbench.emulate.machine import Machine
from workbench.errors import BoardError, BudgetError
from workbench.feeding import Training, first_steps
from workbench.trace.inspector import Inspector
from workbench.trace.locate import LocatedFault
from workbench.trace.tracer import Tracer
from workbench.training import train

BOARD = boards.get("nrf52840").with_sram(64 * 1024)
PRELUDE = """#include "model.h"
#include <string.h>
/* where the compiler cannot see that it is wrong */
static inline volatile float *at(int offset)
{
    uint8_t *arena = wb_arena;
    __asm("" : "+r"(arena));
    return (volatile float *)(void *)(arena + offset);
}
"""
DEEP = """static __attribute__((noinline)) int deep(int n)
{
    int (*volatile again)(int) = deep; /* gcc's call graph, and so the stack reserve, does not see this */
    volatile char room[100];
    room[n % 100] = 1;
    return n ? again(n - 1) + room[n % 100] : 0;
}
"""
FRAME = """static __attribute__((noinline)) int frame(volatile int *n)
{
    char room[*n];
    memset(room, 1, 16);
    return ((volatile char *)room)[3];
}
"""
SPIN = 'static __attribute__((noinline)) void spin(void)\n{\n    while (wb_step == 0)\n        __asm volatile("");\n}\n'
RUN = parse(["run", "mlp"])
BUDGET = 2_000_000  # the whole step takes 0.1 M instructions


@dataclass(frozen=True)
class Seed:
    """C put at the start of an operator of `mlp last-2 reordered`, and what must be said of it. @x@ is where x lies."""

    position: int
    code: str
    kind: str
    buffer: str | None
    words: str
    helper: str = ""
    levels: tuple[str, ...] = ("off", "ops", "memory")


FAULTS = {
    "write beyond SRAM": Seed(
        1, "*(volatile float *)0x20010000 = 1;", "write", "fc1",
        "write to 0x20010000, beyond SRAM, in op_001_dense (ops_0.c:",
    ),
    "the same from a helper": Seed(
        3, "memset((void *)0x20010000, 0, 64);", "write", "fc1", "op_003_softmax_cross_entropy (loss)\n",
    ),
    "write to a frozen weight": Seed(
        10, "*(volatile float *)((uintptr_t)p_fc1_weight + 8) = 1;", "write-protected", "fc1.weight",
        "at byte 8 of buffer fc1.weight [0x",
    ),
    "call of a null pointer": Seed(
        9, "void (*volatile call)(void) = 0;\n    call();", "invalid-state", None,
        "call of a null pointer, last call from op_009_sgd (ops_0.c:",
    ),
    "jump into a buffer": Seed(
        1, "((void (*)(void))((uintptr_t)at(@fc2@) + 1))();\n    wb_step += 0;", "fetch", "fc2",
        "last call from op_001_dense (ops_0.c:",
    ),
    "undefined instruction": Seed(
        7, "__builtin_trap();", "undefined", None, "undefined instruction at 0x",
    ),
    "recursion into the arena": Seed(
        11, "(void)deep(450);", "stack-overflow", "d.fc2.bias_add", "below its limit, in deep (ops_0.c:", DEEP,
    ),
    "endless recursion": Seed(
        1, "(void)deep(1 << 30);", "stack-overflow", "fc1", "\n  into buffer fc1 [0x", DEEP,
    ),
    "a frame that leaps over the guard": Seed(
        11, "volatile int n = 50000;\n    (void)frame(&n);", "stack-overflow", "d.fc2.bias_add",
        "stack overflow: grew to 0x", FRAME, levels=("memory",),
    ),
    "write past the arena": Seed(
        4, "*at(sizeof wb_arena + 4) = 1;", "arena-overflow", "fc1", ", 4 bytes past the arena's end, in op_004",
    ),
    "write far past the arena": Seed(
        4, "*at(sizeof wb_arena + 8192) = 1;", "arena-overflow", "fc1", ", 8192 bytes past the arena's end, in op_004",
    ),
    "endless loop": Seed(
        12, "spin();", "runaway", None, "in spin (ops_0.c:", SPIN,
    ),
}  # fmt: skip

VIOLATIONS = {
    "write past a buffer into a neighbour": Seed(7, "*at(@d.fc2.relu@ - 4) = 1;", "undeclared-write", "fc2", ""),
    "write past a buffer into nobody's bytes": Seed(2, "*at(@fc3@ + 128) = 1;", "outside", "input0", ""),
    "write of a parameter of another operator": Seed(5, "p_fc2_weight[5] = 1;", "undeclared-write", "fc2.weight", ""),
    "read of a dead buffer": Seed(7, "(void)*at(@d.fc3.bias@);", "outside", "d.fc3.bias", ""),
    "read of a buffer before it is written": Seed(1, "(void)*at(@fc2@ + 64);", "unwritten-read", "fc2", ""),
    "read of a frozen weight of another operator": Seed(
        10, "(void)*(const volatile float *)p_fc1_weight;", "undeclared-read", "fc1.weight", ""
    ),
    "read past the arena": Seed(4, "(void)*at(sizeof wb_arena + 64);", "outside", "d.fc3.bias_add", ""),
    "read far past the arena": Seed(4, "(void)*at(sizeof wb_arena + 8192);", "outside", "d.fc3.bias_add", ""),
    "read of a frame that is gone": Seed(
        4, "(void)*(volatile float *)((uintptr_t)__builtin_frame_address(0) - 200);", "outside", "d.fc3.bias_add", ""
    ),
    "write before the arena": Seed(4, "*at(-4) = 1;", "outside", "fc3", ""),
    "write of the firmware's own counter": Seed(4, "wb_step += 5;", "outside", "fc3", ""),
    "read past a frozen weight": Seed(
        0, "(void)*(const volatile float *)((uintptr_t)p_fc1_weight + sizeof p_fc1_weight + 256);", "outside",
        "fc1.weight", "",
    ),
    "read of code": Seed(
        0, "(void)*(const volatile uint32_t *)((uintptr_t)op_001_dense & ~1u);", "outside", "fc1.bias", ""
    ),
    "read through a null pointer": Seed(
        0, "const volatile uint32_t *volatile null = 0;\n    (void)*null;", "outside", "fc1.bias", ""
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The network as it is generated, without a fault."""
    compiled = session.compile(frontends.load("mlp"), "last-2", "reordered")
    return session.build(compiled, BOARD, tmp_path_factory.mktemp("faultless"))


def seeded(built, seed, folder, files=()):
    """The same program with the seed in its operator."""
    files = {**built.project.files, **dict(files)}
    head = f"void {built.project.ops[seed.position].symbol}(void)\n{{\n"
    text = files["ops_0.c"].replace('#include "model.h"\n', PRELUDE, 1)
    assert head in text
    offsets = {buffer.name: str(buffer.offset) for buffer in built.project.buffers}
    code = re.sub("@(.+?)@", lambda name: offsets[name[1]], seed.code)
    files["ops_0.c"] = text.replace(head, f"{seed.helper}\n{head}    {code}\n")
    project = Project(files, built.project.buffers, built.project.ops)
    image = toolchain.build(project, BOARD, folder, built.compiled.memory.plan.bytes)
    assert image.board == BOARD
    return replace(built, project=project, image=image)


def step(built, level, board=BOARD, seconds=600.0, budget=BUDGET):
    """One traced training step."""
    machine = Machine(built.image.elf, board, seconds_limit=seconds)
    device = Device(machine, list(built.project.buffers), list(built.project.ops))
    Inspector(machine, device.buffers, device.ops, budget, built.image.stack_reserve)
    tracer = Tracer(machine, device.buffers, device.ops, level, budget=budget)
    device.wrote = tracer.host_wrote
    tracer.attach()
    first_steps(built.compiled.model, Training(), 1, 1)[0].run(device, before_call=tracer.begin_call)
    return tracer


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_names_its_operator_and_the_nearest_buffer(name, built, tmp_path):
    seed = FAULTS[name]
    program = seeded(built, seed, tmp_path)
    texts = set()
    for level in seed.levels:
        with pytest.raises(LocatedFault) as caught:
            step(program, level, seconds=0.3 if seed.kind == "runaway" and level == "off" else 600)
        fault = caught.value
        assert (fault.kind, fault.op.position) == (seed.kind, seed.position)
        assert (fault.buffer.name if fault.buffer else None) == seed.buffer
        assert seed.words in str(fault)
        assert built.project.ops[seed.position].symbol in str(fault)
        texts.add(str(fault) if seed.kind != "runaway" else "")
    assert len(texts) == 1  # an untraced step says as much as a traced one
    print(f"\n{name}:\n{fault}")


@pytest.mark.parametrize("name", VIOLATIONS)
def test_an_access_the_plan_did_not_promise_is_ours_and_told(name, built, tmp_path, capsys):
    seed = VIOLATIONS[name]
    program = seeded(built, seed, tmp_path)
    run, _ = train(program, Training(steps=1, trace="memory"))
    row = run.violations.iloc[0]
    buffers = {buffer.id: buffer.name for buffer in built.project.buffers}
    buffer = None if row.isna()["buffer"] else buffers[row["buffer"]]
    assert (row.kind, row.position, buffer) == (seed.kind, seed.position, seed.buffer)
    assert row.op == row.symbol == built.project.ops[seed.position].symbol
    assert tell(RUN, run, tmp_path) == 3
    assert row.kind in capsys.readouterr().out
    print(f"\n{name}: {row.kind}, {row.op}, {buffer}, {row.address:#x}")


DEEPER = """static __attribute__((noinline)) int deeper(int n)
{
    volatile char room[400]; /* gcc's call graph sees no call through a pointer */
    room[n % 400] = 1;
    return room[n % 399];
}
"""


@pytest.mark.parametrize("level", ["off", "ops", "memory"])
def test_a_stack_deeper_than_its_reserve_is_ours_and_told(level, built, tmp_path):
    seed = Seed(7, "int (*volatile call)(int) = deeper;\n    (void)call(7);", "beyond-reserve", None, "", DEEPER)
    program = seeded(built, seed, tmp_path)
    run, _ = train(program, Training(steps=2, trace=level))
    memory = run.meta["memory"]
    assert 0 < memory["stack_peak"] - memory["stack_reserve"] <= 400
    (row,) = run.violations.itertuples()
    assert (row.kind, row.position, row.op, row.symbol) == (seed.kind, 7, built.project.ops[7].symbol, "deeper")
    assert row.address == BOARD.sram_end - memory["stack_reserve"] - row.size
    assert tell(RUN, run, tmp_path) == 3


def test_what_went_wrong_before_a_fault_is_told_with_it(built, tmp_path):
    code = "*at(@d.fc2.relu@ - 4) = 1;\n    *at(1 << 17) = 1;"  # op 7 writes d.fc2.relu
    with pytest.raises(LocatedFault) as caught:
        step(seeded(built, Seed(7, code, "write", None, ""), tmp_path), "off")
    words = (
        r"before it, undeclared write to 0x2000\w{4} in op_007_matmul \(ops_0.c:\d+\), 4 bytes before buffer d.fc2.relu"
    )
    assert re.search(words, str(caught.value))
    print(f"\n{caught.value}")


def test_faults_in_inference_and_in_later_steps_are_located_too(built, tmp_path):
    program = seeded(built, Seed(1, "if (wb_step == 3) *at(1 << 17) = 1;", "write", None, ""), tmp_path / "later")
    with pytest.raises(LocatedFault, match="op_001_dense"):
        train(program, Training(steps=10, trace="ops"))
    program = seeded(built, Seed(1, "if (wb_step == 0) *at(1 << 17) = 1;", "write", None, ""), tmp_path / "inference")
    with pytest.raises(LocatedFault, match="op_001_dense"):
        train(program, Training(steps=10, trace="off"))


def test_a_slow_host_is_no_endless_loop(built, tmp_path):
    slow = Seed(1, "for (volatile int n = 0; n < 20000000; ++n) { }", "runaway", None, "")
    with pytest.raises(LocatedFault, match=r"still running after 0.05 s, in op_001_dense") as caught:
        step(seeded(built, slow, tmp_path), "off", seconds=0.05, budget=10**9)
    assert "it does come back, after" in caught.value.hint
    print(f"\n{caught.value}")


def test_an_sram_limit_that_is_too_low_is_refused_with_the_worst_position(tmp_path):
    compiled = session.compile(frontends.load("mlp"), "last-2", "reordered")
    built = session.build(compiled, BOARD.with_sram(16 * 1024), tmp_path)
    with pytest.raises(BudgetError, match=r"worst position \d+ of 15, op_013_matmul: d.fc2.weight 8 KB") as caught:
        session.require_fit(built)
    print(f"\n{caught.value}")
    with pytest.raises(BoardError, match="has its stack's top at 0x21000000, beyond the SRAM of nrf52840") as caught:
        Machine(built.image.elf, built.board)
    print(caught.value)


STACK_FIRST = ".stack (NOLOAD) : { wb_stack_limit = .; . = . + 512; wb_stack_top = .; } > SRAM\n  .data :"


def test_the_first_byte_beyond_a_limit_that_is_too_low_is_a_fault(built, tmp_path):
    script = built.project.files["sections.ld"].replace(" wb_stack_limit = .;", "").replace(".data :", STACK_FIRST, 1)
    script = script.replace("wb_stack_top = ORIGIN(SRAM) + LENGTH(SRAM);", "")
    program = seeded(built, Seed(0, "", "", None, ""), tmp_path, [("sections.ld", script)])
    step(program, "memory")
    for level in ("off", "memory"):
        with pytest.raises(LocatedFault) as caught:
            step(program, level, BOARD.with_sram(16 * 1024))
        assert (caught.value.op.symbol, caught.value.buffer.name) == ("op_000_dense", "fc1")
        where = r"beyond SRAM, in k_dense_f32_0 \(dense_f32.h:\d+\), op_000_dense \(fc1\)"
        assert re.search(where, str(caught.value))
    print(f"\n{caught.value}")


def test_a_stack_that_uses_all_its_room_is_no_overflow(built, tmp_path):
    room = toolchain.build(built.project, BOARD, tmp_path, built.compiled.memory.plan.bytes).stack_reserve
    for spare, fits in ((0, True), (-8, False), (-room, False)):
        top = f"wb_stack_top = wb_stack_limit + {room + spare};"
        script = built.project.files["sections.ld"].replace("wb_stack_top = ORIGIN(SRAM) + LENGTH(SRAM);", top)
        program = seeded(built, Seed(0, "", "", None, ""), tmp_path, [("sections.ld", script)])
        if fits:
            step(program, "off")
            assert step(program, "memory").violations().empty
        else:
            with pytest.raises(LocatedFault, match=r"stack") as caught:
                step(program, "off")
            assert caught.value.kind == "stack-overflow"
            print(f"\n{caught.value}")
