"""Runs a firmware whose kernels cannot form a pointer outside its array unseen.

The generated C is compiled as C++ with each `float *` (any element type) replaced by a pointer that knows its array
(checked_pointer.hpp): that of the buffer, parameter or strip that the operator was given. What the planner put beside
it in the arena is outside, so nothing depends on where arrays happen to lie.
"""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from workbench.boards import Board
from workbench.codegen.project import Project
from workbench.emulate.machine import Machine
from workbench.tables import BufferRow

HERE = Path(__file__).parent
BYTES = {"float": 4, "int32_t": 4, "uint32_t": 4, "int8_t": 1}
CASTS = {"F32": "float", "I32": "int32_t", "I8": "int8_t", "BITS": "uint32_t"}
ELEMENT = r"(?:float|int8_t|int16_t|int32_t|uint32_t|WB_ELEMENT|TYPE|PLACE|type)"
PLACES = 4096  # that are told apart
ASIDE = f"""
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


def pointers_outside(project: Project, board: Board, folder: Path, run) -> list[str]:
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
    project.save(folder)
    for path in folder.glob("kernels/*.h"):
        path.write_text(checked_kernel(path.read_text()))
    (folder / "kernels" / "checked_pointer.hpp").write_text((HERE / "checked_pointer.hpp").read_text())
    (folder / "wb_outside.c").write_text(ASIDE)
    sources = [path for path in folder.glob("*.c") if not re.fullmatch(r"ops_\d+.c", path.name)]
    for path in folder.glob("ops_*.c"):
        sources.append(path.with_suffix(".cpp"))
        sources[-1].write_text(_checked_operators(path.read_text(), project))
    core = [f"-mcpu={board.core}", "-mthumb", f"-mfpu={board.fpu}", "-mfloat-abi=hard"]
    flags = [*core, "-g1", "-ffp-contract=off", "-fno-strict-aliasing", "-ffunction-sections", "-fdata-sections"]
    running = []
    for source in sources:
        plus = source.suffix == ".cpp"
        how = ["arm-none-eabi-g++", "-std=gnu++20", "-O0", "-fno-exceptions", "-fno-rtti", "-fpermissive", "-w"]
        command = [*(how if plus else ["arm-none-eabi-gcc", "-std=c11", "-O0", "-w"]), *flags, "-c", source.name]
        running.append(subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True))
    for process in running:
        _, errors = process.communicate()
        assert process.returncode == 0, errors[:3000]
    objects = [source.with_suffix(".o").name for source in sources]
    link = ["arm-none-eabi-gcc", *core, "-nostartfiles", "-T", "board.ld", "-L", ".", "-u", "wb_forward", "-u",
            "wb_train_step", "-Wl,--gc-sections", *objects, "-o", "checked.elf"]  # fmt: skip
    done = subprocess.run(link, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "checked.elf"


def checked_kernel(text: str) -> str:
    """A kernel's header, or an operator's body, with checked pointers."""
    text = re.sub(r"#define WB_KERNEL .*", "#define WB_KERNEL static inline", text)
    text = re.sub(r"\(uint8_t \*\)", "(raw)", text)
    text = re.sub(r'__asm\("" : "\+r"\(\w+\)\);', ";", text)  # hides from gcc what a value is: changes nothing
    text = re.sub(rf"\b((?:const )?{ELEMENT}) \*(?:const |restrict )*", r"ptr<\1> ", text)
    text = re.sub(r"\bvoid \*scratch", "ptr<float> scratch", text)
    declarations = re.sub(r"^( *ptr<.*;)$", lambda m: re.sub(r", \*(?=\w+(?: =|,|;))", ", ", m[0]), text, flags=re.M)
    return declarations.replace("(raw)", "(uint8_t *)")


def _checked_operators(text: str, project: Project) -> str:
    head, *functions = re.split(r"(?m)^(?=/\* .*\nvoid op_)", text)
    rows = {row.id: row for row in project.buffers}
    of = {row.symbol: [rows[i] for i in (*row.reads, *row.writes, *row.scratch)] for row in project.ops}
    numbers = {row.symbol: index for index, row in enumerate(project.ops)}
    symbols = sorted({row.symbol for row in project.buffers if row.storage != "arena"}, key=len, reverse=True)
    names = re.compile(rf"&?\b({'|'.join(map(re.escape, symbols))})\b") if symbols else None
    checked = []
    for function in functions:
        symbol = re.search(r"void (op_\w+)", function)[1]
        function = function.replace("\n{\n", f"\n{{\n    wb_operator = {numbers[symbol]};\n", 1)
        function = re.sub(r"order; \}\)", "whole(order); })", function)
        if names:
            function = names.sub(r"whole(\1)", function)
        function = _pieces(checked_kernel(function), of[symbol])
        checked.append(re.sub(r"\((?:const (int)|(ptr<[^>]*>) const)\[\]\)\{ (.*?) \}", r"listed<\1\2>(\3)", function))
    head = head.replace('#include "model.h"', 'extern "C" {\n#include "model.h"\n}\n'
                        '#include "kernels/checked_pointer.hpp"\nextern "C" {\nextern uint32_t wb_operator;\n')  # fmt: skip
    return head + "\n".join(checked) + "}\n"


def _pieces(function: str, rows: Iterable[BufferRow]) -> str:
    """Each address in the arena as a piece of it, as long as the buffer there, or as the strip that lies there."""
    size: dict[int, int] = {}
    for row in sorted(rows, key=lambda row: row.offset):
        if row.storage == "arena":
            size[row.offset] = max(size.get(row.offset, 0), row.size)
            for begin in [begin for begin in size if begin + size[begin] == row.offset and row.name.startswith("tail of")]:
                size[begin] += row.size

    def strip(match):  # { F32(wb_arena + 512, 64), 24, … }; /* 3 channels, 2 of 8 rows of 12 */
        kind, base, inner, rest, channels, rows, width = match.groups()
        count = int(channels) * int(rows) * int(width)
        element = CASTS[kind]
        return f"{{ piece<{element}>(wb_arena + {int(base) + int(inner)}, {count * BYTES[element]}){rest}"

    function = re.sub(
        r"\{ (F32|I8)\(wb_arena \+ (\d+), (\d+)\)(.*(?:\*|:) (\d+) channels, (\d+) of \d+ rows of (\d+) \*/)", strip, function
    )
    function = re.sub(
        r"(F32|I32|I8|BITS)\(wb_arena(?: \+ (\d+))?, (\d+)\)",
        lambda m: _piece(CASTS[m[1]], int(m[2] or 0), int(m[3]), size, bool(m[2])), function,
    )  # fmt: skip
    return re.sub(
        r"(?<!\()wb_arena \+ (\d+)(?: \+ (\d+))?", lambda m: _piece("float", int(m[1]), int(m[2] or 0), size, True), function
    )


def _piece(element: str, base: int, inner: int, size: dict[int, int], scratch: bool) -> str:
    at = base + inner
    return f"piece<{element}>((wb_arena + {at}), {size[base] - inner if scratch else size[at]})"
