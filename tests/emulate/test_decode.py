"""The decoder agrees with objdump on a real program: every length, every class that timing tells apart."""

import re
import subprocess

import pytest
from tiny_firmware import BOARD, BOARD_M7, compile_firmware

from workbench.emulate.symbols import load_elf
from workbench.emulate.timing import MODELS, code_tables
from workbench.emulate.timing.decode import Kind, decode

SOURCE = r"""
#include <math.h>
#include <stdlib.h>
#include <string.h>
uint8_t wb_arena[64] ARENA;
volatile float f; volatile double g; volatile int n; volatile long long q;
int less(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
void wb_train_step(void)
{
    f = sqrtf(f) / 3 + f * 2 - expf(f) + sinf(f) + powf(f, f) + roundf(f) + fmaf(f, f, f);
    n /= n; q = q / n * q; g = exp(g) + pow(g, g);
    memmove(wb_arena, wb_arena + 1, 30);
    qsort(wb_arena, 8, 4, less);
    switch (n) { case 0: f = 1; break; case 1: f = 2; n = f; break; case 2: f = 3; q = 4; break;
                 case 3: f = -f; break; case 4: f = fabsf(f); break; case 5: f = fminf(f, g); }
}
"""
CLASSES = (  # mnemonics without condition and width
    (r"push|stm\w*|strd", {Kind.STORE_MULTIPLE}),
    (r"pop|ldm\w*|ldrd", {Kind.LOAD_MULTIPLE}),
    (r"ldr[bh]?|ldrs[bh]|pld", {Kind.LOAD}),
    (r"str[bh]?", {Kind.STORE, Kind.STORE_INDEXED}),
    (r"vldr|vldm\w*|vpop", {Kind.FLOAT_LOAD}),
    (r"vstr|vstm\w*|vpush", {Kind.FLOAT_STORE}),
    (r"vdiv|vsqrt", {Kind.FLOAT_DIVIDE}),
    (r"vn?ml[as]|vfn?m[as]", {Kind.FLOAT_MAC}),
    (r"v\w+", {Kind.FLOAT}),
    (r"mul|muls|mla|mls|[us]mull|[us]mlal|sm\w+", {Kind.MULTIPLY}),
    (r"[us]div", {Kind.DIVIDE}),
    (r"b|bl|bx|blx|cbn?z|tb[bh]", {Kind.BRANCH}),
    (r"it[te]*", {Kind.IT}),
    (r"dsb|isb|mrs|msr", {Kind.SYSTEM}),
    (r"nop", {Kind.IT, Kind.SYSTEM}),
)
CONDITION = r"(eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)?"


def disassemble(elf):
    """address -> (mnemonic, operands), literals and padding left out."""
    text = subprocess.run(
        ["arm-none-eabi-objdump", "-d", "--no-show-raw-insn", elf], capture_output=True, text=True, check=True
    )
    lines = re.finditer(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*)$", text.stdout, re.MULTILINE)
    return {
        int(m[1], 16): (m[2].removesuffix(".w").removesuffix(".n"), m[3]) for m in lines if not m[2].startswith(".")
    }


def expected(mnemonic):
    name = mnemonic.split(".")[0]
    for pattern, kinds in CLASSES:
        if re.fullmatch(f"({pattern}){CONDITION}", name):
            return kinds
    return {Kind.ALU}


@pytest.mark.parametrize("board", [BOARD, BOARD_M7], ids=["m4", "m7"])
def test_lengths_and_classes_are_objdumps(tmp_path, board):
    flags = ["-D_GNU_SOURCE", "--specs=nosys.specs"]
    elf = compile_firmware(tmp_path, SOURCE, board, flags=flags)
    code, reference = decode(load_elf(elf)), disassemble(elf)
    found = {address: Kind(kind) for address, kind in zip(code.address.tolist(), code.kind.tolist(), strict=True)}
    assert len(reference) > 3000
    assert not set(reference) - set(found)
    wrong = {hex(a): (text, found[a].name) for a, text in reference.items() if found[a] not in expected(text[0])}
    assert not wrong
    lists = {
        a: text[1]
        for a, text in reference.items()
        if found[a] in (Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE) and "{" in text[1]
    }
    transfers = dict(zip(code.address.tolist(), code.transfers.tolist(), strict=True))
    assert {a: transfers[a] for a in lists} == {a: registers(text) for a, text in lists.items()}


def registers(text):
    names = [*(f"r{number}" for number in range(10)), "sl", "fp", "ip", "sp", "lr", "pc"]
    total = 0
    for part in re.search(r"\{(.*)\}", text)[1].split(","):
        ends = [names.index(name.strip()) for name in part.split("-")]
        total += ends[-1] - ends[0] + 1
    return total


def cycles_of(tmp_path, assembly, board):
    source = "uint8_t wb_arena[8] ARENA; void wb_train_step(void) {}"
    body = f".global piece, piece_end\n.type piece, %function\n.balign 4\ndsb\npiece:\n{assembly}\npiece_end: bx lr\n"
    elf = load_elf(compile_firmware(tmp_path, source, board, assembly=body))
    tables = code_tables(elf, MODELS[board.core])
    begin, end = ((elf.address(name) - tables.base) // 2 for name in ("piece", "piece_end"))
    return int(tables.cycles[end] - tables.cycles[begin])


@pytest.mark.parametrize(
    ("assembly", "m4"),
    [
        ("add r0, r1, r2", 1),
        ("ldr r0, [r1]", 2),
        ("ldr r0, [r1]\n ldr r2, [r1, #4]\n ldr r3, [r1, #8]", 4),
        ("ldr r0, [r1]\n add r2, r2, r0\n ldr r3, [r1, #8]", 5),
        ("str r0, [r1]", 1),
        ("str r0, [r1, r2]", 2),
        ("push {r4, r5, r6, lr}", 5),
        ("ldmia r0!, {r1, r2, r3}", 4),
        ("ldrd r2, r3, [r0]", 3),
        ("mla r0, r1, r2, r3\n smull r0, r1, r2, r3", 2),
        ("sdiv r0, r1, r2", 7),
        ("vmla.f32 s0, s1, s2", 3),
        ("vfma.f32 s0, s1, s2\n vadd.f32 s3, s4, s5", 4),
        ("vmul.f32 s0, s1, s2\n vadd.f32 s3, s0, s5", 3),
        ("vdiv.f32 s0, s1, s2\n vsqrt.f32 s4, s5", 28),
        ("vldr s0, [r0]\n vstr s1, [r0]", 4),
        ("vpush {d8, d9}", 5),
    ],
)
def test_cortex_m4_takes_what_the_manual_says(tmp_path, assembly, m4):
    assert cycles_of(tmp_path, assembly, BOARD) == m4


@pytest.mark.parametrize(
    ("assembly", "m7"),
    [
        ("add r0, r1, r2\n add r3, r1, r2", 1),
        ("add r0, r1, r2\n add r3, r0, r2", 2),
        ("add r0, r1, r2\n add r3, r1, r2\n add r4, r1, r2", 2),
        ("mul r0, r1, r2\n mul r3, r1, r2", 2),
        ("ldr r0, [r1]\n mul r3, r1, r2", 1),
        ("ldr r0, [r1]\n add r3, r0, r2", 3),
        ("push {r4, r5, r6, lr}", 2),
    ],
)
def test_cortex_m7_pairs_what_does_not_depend(tmp_path, assembly, m7):
    assert cycles_of(tmp_path, assembly, BOARD_M7) == m7
