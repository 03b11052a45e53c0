"""What a flow knows of a program's code before it runs: its functions, and the table of each span's halfwords."""

import numpy as np

from workbench.emulate.symbols import Elf
from workbench.emulate.timing import CodeTables
from workbench.emulate.timing.decode import instruction_words
from workbench.trace import flow_state as s
from workbench.trace.flow_marks import drops_of, marks_of


def functions_of(elf: Elf) -> list[tuple[int, int, str]]:
    """(begin, end, name) of each function, by address; one of no size reaches to the next one."""
    named: dict[int, tuple[int, str]] = {}
    for symbol in elf.symbols:
        if symbol.kind == "function" and (symbol.address not in named or symbol.size):
            named[symbol.address] = (symbol.size, symbol.name)
    begins = sorted(named)
    ends = [*begins[1:], 1 << 32] if begins else []
    return [(at, at + named[at][0] if named[at][0] else after, named[at][1])
            for at, after in zip(begins, ends, strict=True)]  # fmt: skip


def rows_of(elf: Elf, code: CodeTables) -> list[np.ndarray]:
    """For each span of code int32 [halfwords + 1, CODE]: see flow_state.py."""
    tables = []
    for span in code.spans:
        table = np.zeros((len(span.cycles), s.CODE), np.int32)
        table[:, s.INSTRUCTIONS_BEFORE], table[:, s.CYCLES_BEFORE] = span.instructions, span.cycles
        table[:, s.ENDS] = span.edges
        for number, (begin, end, _) in enumerate(functions_of(elf), 1):
            if begin < span.end and end > span.base:
                low, high = max(0, begin - span.base) // 2, (min(end, span.end) - span.base + 1) // 2
                table[low:high, s.FUNCTION_OF] = number
                if begin >= span.base:
                    table[low, s.MARKS] |= s.ENTRY
        tables.append(table)
    parts = [instruction_words(elf, begin, end) for begin, end in elf.code_ranges]
    address, word, wide = (np.concatenate(column) for column in zip(*parts, strict=True))
    marks, drops = marks_of(word, wide), drops_of(word, wide)
    for span, table in zip(code.spans, tables, strict=True):
        inside = (span.base <= address) & (address < span.end)
        behind = (address + np.where(wide, 4, 2) - span.base)[inside] // 2
        table[behind, s.MARKS] |= marks[inside]
        table[behind, s.DROPS] += drops[inside]
    return tables
