"""Runs a firmware whose kernels cannot form a pointer outside its array unseen.

The generated C is compiled as C++ with each `float *` (any element type) replaced by a pointer that knows its array
(checked_pointer.hpp): that of the buffer, the parameter or the rolling buffer that the operator was given. What the
planner put beside it in the arena is outside, so nothing depends on where arrays happen to lie.
"""

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from workbench.boards import Board
from workbench.codegen.project import Project
from workbench.emulate.machine import Machine
from workbench.tables import BufferRow

HERE = Path(__file__).parent
CASTS = {"F32": "float", "I32": "int32_t", "I16": "int16_t", "I8": "int8_t", "BITS": "uint32_t"}
ELEMENT = r"(?:float|int8_t|int16_t|int32_t|uint32_t|WB_ELEMENT)"
PLACES = 4096  # that are told apart
NOTES = f"""
#include <stdint.h>
uint32_t wb_operator, wb_outside_count, wb_outside_at[{PLACES}][2];
__attribute__((noinline)) void wb_outside(void)
{{
    const uint32_t at = (uint32_t)__builtin_return_address(0) - 2;
    for (uint32_t i = 0; i < wb_outside_count; ++i)
        if (wb_outside_at[i][0] == wb_operator && wb_outside_at[i][1] == at)
            return;
    if (wb_outside_count < {PLACES}) {{
        wb_outside_at[wb_outside_count][0] = wb_operator;
        wb_outside_at[wb_outside_count++][1] = at;
    }}
}}
"""
MODEL = """extern "C" {
#include "model.h"
}
"""
HEAD = """#include "kernels/checked_pointer.hpp"
extern "C" {
extern uint32_t wb_operator;
#include "instances.h"
"""


def pointers_outside(project: Project, board: Board, folder: Path, run: Callable[[Machine], object]) -> list[str]:
    """The lines of C that form a pointer outside its array, or use one, while `run(machine)` runs.

    Each reads "x.h:12 in op_007_conv2d".
    """
    elf = build_checked(project, board, folder)
    machine = Machine(elf, board)
    run(machine)
    count = int(machine.read_array(machine.elf.address("wb_outside_count"), np.uint32, 1)[0])
    places = machine.read_array(machine.elf.address("wb_outside_at"), np.uint32, 2 * count).reshape(-1, 2)
    lines = _lines(elf, [int(at) & ~1 for _, at in places])
    return [f"{line} in {project.ops[at].symbol}" for (at, _), line in zip(places, lines, strict=True)]


def _lines(elf: Path, addresses: list[int]) -> list[str]:
    """The kernel's file and line of each address."""
    command = ["arm-none-eabi-addr2line", "-s", "-i", "-a", "-e", str(elf), *map(hex, addresses)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("0x")[1:]
    stacks = [[line for line in text.splitlines()[1:] if "checked_pointer" not in line] for text in told]
    return [stack[0] for stack in stacks]


def build_checked(project: Project, board: Board, folder: Path) -> Path:
    """The ELF. Its numbers are the real firmware's; its sizes and times are not."""
    folder.mkdir(parents=True, exist_ok=True)
    project.save(folder)
    for path in folder.glob("kernels/*.h"):
        path.write_text(_checked(path.read_text()))
    (folder / "kernels" / "checked_pointer.hpp").write_text((HERE / "checked_pointer.hpp").read_text())
    (folder / "wb_outside.c").write_text(NOTES)
    (folder / "instances.h").write_text(_checked((folder / "instances.h").read_text()))
    sources = [path for path in folder.glob("*.c") if not re.fullmatch(r"(ops|instances)_\d+.c", path.name)]
    for path in folder.glob("ops_*.c"):
        sources.append(path.with_suffix(".cpp"))
        sources[-1].write_text(_checked_operators(path.read_text(), project))
    for path in folder.glob("instances_*.c"):
        sources.append(path.with_suffix(".cpp"))
        sources[-1].write_text(_checked_instances(path.read_text()))
    core = list(board.flags)
    flags = [
        *core,
        "-O0",
        "-g1",
        "-w",
        "-U__ARM_FEATURE_DSP",
        "-ffp-contract=off",
        "-fno-strict-aliasing",
        "-ffunction-sections",
    ]
    c, plus = (
        ["arm-none-eabi-gcc", "-std=c11"],
        ["arm-none-eabi-g++", "-std=gnu++20", "-fpermissive", "-fno-exceptions"],
    )
    with ThreadPoolExecutor(os.cpu_count()) as together:
        commands = [[*(plus if path.suffix == ".cpp" else c), *flags, "-c", path.name] for path in sources]
        list(together.map(lambda command: _run(folder, *command), commands))
    objects = [source.with_suffix(".o").name for source in sources]
    entries = [
        "-u",
        "wb_breakpoint",
        "-u",
        "wb_forward",
        "-u",
        "wb_train_step",
        "-Wl,--gc-sections",
        "-nostartfiles",
        "-T",
        "board.ld",
        "-L.",
    ]
    _run(folder, c[0], *core, *entries, *objects, "-o", "checked.elf")
    return folder / "checked.elf"


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]


def _checked(text: str) -> str:
    """A kernel's header, its instances, or an operator's function, with checked pointers."""
    text = re.sub(r"#define WB_KERNEL .*", "#define WB_KERNEL static inline", text)
    text = re.sub(
        r'__asm(?: volatile)?\("" : "\+r"\([^)]*\)\);', ";", text
    )  # hides from gcc what a value is: changes nothing
    text = re.sub(rf"\b((?:const )?{ELEMENT}) \*(?:const |restrict )*", r"ptr<\1> ", text)
    text = re.sub(r"\b(?:const )?void \*(?:restrict )?(scratch|places)\b", r"ptr<float> \1", text)

    def of_all(declaration):  # float *p = …, *q = …;
        return re.sub(r", \*(?=\w+(?: =|,|;))", ", ", declaration[0])

    return re.sub(r"^ *ptr<.*;$", of_all, text, flags=re.M)


def _checked_operators(text: str, project: Project) -> str:
    head, *functions = re.split(r"(?m)^(?=/\* .*\nvoid op_)", text)
    rows = {row.id: row for row in project.buffers}
    numbers = {row.symbol: index for index, row in enumerate(project.ops)}
    symbols = sorted({row.symbol for row in project.buffers if row.storage != "arena"}, key=len, reverse=True)
    checked = [head.replace('#include "model.h"\n#include "instances.h"\n', MODEL + HEAD)]
    for function in functions:
        number = numbers[re.search(r"void (op_\w+)", function)[1]]
        row = project.ops[number]
        function = function.replace("\n{\n", f"\n{{\n    wb_operator = {number};\n", 1)
        if symbols:
            function = re.sub(rf"&?\b({'|'.join(symbols)})\b", r"whole(\1)", function)
        checked.append(_pieces(_checked(function), [rows[i] for i in (*row.reads, *row.writes, *row.scratch)]))
    return "\n".join(checked) + "}\n"


def _checked_instances(text: str) -> str:
    text = text.replace('#include "instances.h"\n', HEAD).replace("table; })", "whole(table); })")
    listed = r"\((?:const (int)|(ptr<[^>]*>) const)\[\]\)\{\s(.*?)\s\}"
    return re.sub(listed, r"listed<\1\2>(\3)", _checked(text), flags=re.S) + "}\n"


def _pieces(function: str, rows: Sequence[BufferRow]) -> str:
    """Each address in the arena as a piece of it, as long as the buffer there, or the region's own."""
    size: dict[int, int] = {}
    for row in sorted(rows, key=lambda row: row.offset):
        if row.storage == "arena":
            size[row.offset] = max(size.get(row.offset, 0), row.size)
            whole = [begin for begin in size if begin + size[begin] == row.offset] if "tail of" in row.name else []
            size |= {begin: size[begin] + row.size for begin in whole}

    def piece(element: str, at: int, size: int) -> str:
        return f"piece<{element}>((wb_arena + {at}), {size})"

    def own(m) -> str:  # = F32(wb_arena + 512, 64); /* conv1: 3 of 8 rows, 1536 bytes */
        return f"= {piece(CASTS[m[1]], int(m[2]) + int(m[3]), int(m[4]))};"

    def array(m) -> str:  # F32(wb_arena, 512)
        return piece(CASTS[m[1]], int(m[2]), size[int(m[2])])

    def scratch(m) -> str:  # F32(wb_arena + 512, 64): all of the rest
        base, inner = int(m[2]), int(m[3] or 0)
        return piece(CASTS[m[1] or "F32"], base + inner, size[base] - inner)

    function = re.sub(r"= (F32|I8)\(wb_arena \+ (\d+), (\d+)\); /\* .*, (\d+) bytes \*/", own, function)
    assert not re.search(r"= \w+\(wb_arena \+", function), "a region's own buffer whose end is not known"
    function = re.sub(r"(F32|I32|I16|I8|BITS)\(wb_arena, (\d+)\)", array, function)
    function = re.sub(r"(F32|I32|I16|I8|BITS)\(wb_arena \+ (\d+), (\d+)\)", scratch, function)
    return re.sub(r"(?<!\()()wb_arena \+ (\d+)(?: \+ (\d+))?", scratch, function)
