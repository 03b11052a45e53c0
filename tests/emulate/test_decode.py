"""The decoder agrees with objdump on a real program: every length, every class that timing tells apart."""

import re

import pytest
from objdump import disassemble
from tiny_firmware import BOARD, BOARD_M7, compile_firmware

from workbench.emulate.symbols import load_elf
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
    (r"ldr|ldrex", {Kind.LOAD}),
    (r"ldr[bh]|ldrs[bh]|pld", {Kind.LOAD_SMALL}),
    (r"str[bh]?", {Kind.STORE, Kind.STORE_INDEXED}),
    (r"vldr|vldm\w*|vpop", {Kind.FLOAT_LOAD}),
    (r"vstr|vstm\w*|vpush", {Kind.FLOAT_STORE}),
    (r"vdiv|vsqrt", {Kind.FLOAT_DIVIDE}),
    (r"vn?ml[as]|vfn?m[as]", {Kind.FLOAT_MAC}),
    (r"v\w+", {Kind.FLOAT}),
    (r"muls?|smul[bt]{2}|smmulr?|smuad", {Kind.MULTIPLY}),
    (r"ml[as]|smla[bt]{2}|smml[as]r?|smlad", {Kind.MULTIPLY_ADD}),
    (r"[us]mull", {Kind.LONG_MULTIPLY}),
    (r"[us]mlal|umaal", {Kind.LONG_MULTIPLY_ADD}),
    (r"[us]div", {Kind.DIVIDE}),
    (r"bl", {Kind.CALL}),
    (r"bx|blx", {Kind.REGISTER_JUMP, Kind.RETURN}),
    (r"b", {Kind.JUMP, Kind.JUMP_IF}),
    (r"cbn?z", {Kind.COMPARE_JUMP}),
    (r"tb[bh]", {Kind.TABLE_JUMP}),
    (r"[us]xt\w+|[us]bfx|bf[ic]|rev\w*|clz|rbit|[us]sat\w*|[us](add|sub)(8|16)|sel|pkh\w+", {Kind.BITS}),
    (r"it[te]*", {Kind.IT}),
    (r"dsb|isb|mrs|msr", {Kind.SYSTEM}),
    (r"nop", {Kind.ALU, Kind.SYSTEM}),
    (r"svc|udf", {Kind.SYSTEM}),
)
LOADED_JUMPS = {"pop": Kind.POP_JUMP, "ldm": Kind.POP_JUMP, "ldr": Kind.LOAD_JUMP}
CONDITION = r"(eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)?"


def expected(mnemonic, operands):
    name = mnemonic.split(".")[0]
    if name[:3] in LOADED_JUMPS and re.search(r"^pc,|\bpc}", operands):
        return {LOADED_JUMPS[name[:3]]}
    if name.startswith(("mov", "add")) and operands.startswith("pc,"):
        return {Kind.REGISTER_JUMP}
    for pattern, kinds in CLASSES:
        if re.fullmatch(f"({pattern}){CONDITION}", name):
            return kinds
    return {Kind.ALU, Kind.SHIFTED}


@pytest.mark.parametrize("board", [BOARD, BOARD_M7], ids=["m4", "m7"])
def test_lengths_and_classes_are_objdumps(tmp_path, board):
    flags = ["-D_GNU_SOURCE", "--specs=nosys.specs"]
    elf = compile_firmware(tmp_path, SOURCE, board, flags=flags)
    code, reference = decode(load_elf(elf)), disassemble(elf)
    found = {address: Kind(kind) for address, kind in zip(code.address.tolist(), code.kind.tolist(), strict=True)}
    assert len(reference) > 3000
    assert not set(reference) - set(found)
    wrong = {hex(a): (text, found[a].name) for a, text in reference.items() if found[a] not in expected(*text)}
    assert not wrong
    lists = {
        a: text[1]
        for a, text in reference.items()
        if found[a] in (Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE) and "{" in text[1]
    }
    target = dict(zip(code.address.tolist(), code.target.tolist(), strict=True))
    direct = {a: text[1].split()[-2] for a, text in reference.items() if target[a] >= 0}
    assert len(direct) > 500 and {a: f"{target[a]:x}" for a in direct} == direct
    literal = dict(zip(code.address.tolist(), code.literal.tolist(), strict=True))
    read = {a: match[1] for a, text in reference.items() if (match := re.search(r"\[pc, .*\(([0-9a-f]+) <", text[1]))}
    assert len(read) > 50 and {a: f"{literal[a]:x}" for a in read} == read
    transfers = dict(zip(code.address.tolist(), code.transfers.tolist(), strict=True))
    assert {a: transfers[a] for a in lists} == {a: registers(text) for a, text in lists.items()}


def registers(text):
    names = [*(f"r{number}" for number in range(10)), "sl", "fp", "ip", "sp", "lr", "pc"]
    total = 0
    for part in re.search(r"\{(.*)\}", text)[1].split(","):
        ends = [names.index(name.strip()) for name in part.split("-")]
        total += ends[-1] - ends[0] + 1
    return total
