"""Profile: what a program that ran on the emulated core did, by function, context, line and region; saved and loaded.

profile.json   the metadata, and `files`: the SHA-256 of each table
functions.csv  a row a function
tree.csv       a row a context: a function as it was reached from its callers
calls.csv      a row a call instruction and function that it called
lines.csv      a row a source line
stack.csv      the depth of each stack in time
memory.csv     bytes read and written, by region
symbols.csv    the ELF's symbols, with what they take of flash and SRAM
edges.csv      how often control went from block to block: what the other tables are computed from
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import RecordError, shown
from workbench.files import MB
from workbench.plain import printable
from workbench.record.folder import PROFILE, digests, filling, settled, write_at_once
from workbench.record.meta import as_shown
from workbench.record.run import head, telling, whole
from workbench.record.tables import LARGEST, LARGEST_PLACE, parse_table

if TYPE_CHECKING:
    import pandas as pd

LARGEST_TABLE = 256 * MB
LONGEST = 1 << 14  # letters of a name: C++ templates are long
# fmt: off
NEEDED = {
    "firmware": "text", "digest": "text", "board": "text?", "core": "text", "ended": "text",
    "instructions": "whole number", "memory": "object",
    "memory.flash": "whole number?", "memory.sram_static": "whole number?", "memory.stack_peak": "whole number?",
}
FURTHER = {
    "timing_model": "text?", "exit_code": "whole number?", "modelled_cycles": "number?", "clock_hz": "whole number?",
    "idle_cycles": "whole number?", "exception_cycles": "whole number?", "notes": "list of texts?",
}
WORK = ["instructions", "modelled_cycles", "instructions_inclusive", "modelled_cycles_inclusive"]
TABLES = {
    "functions": ["name", "address", "file", "line", "calls", *WORK, "stack"],
    "tree": ["id", "parent", "name", "address", "calls", *WORK],
    "calls": ["caller", "callee", "caller_address", "calls", "instructions_inclusive", "modelled_cycles_inclusive"],
    "lines": ["file", "line", "function", "instructions", "modelled_cycles", "executions"],
    "stack": ["stack", "instructions", "modelled_cycles", "depth"],
    "memory": ["region", "base", "size", "bytes_read", "bytes_written"],
    "symbols": ["name", "kind", "section", "address", "size", "region"],
    "edges": ["context", "source", "source_end", "to_context", "target", "target_end", "kind", "count"],
}
# fmt: on
TEXT = {
    "functions": ("name", "file"),
    "tree": ("name",),
    "calls": ("caller", "callee"),
    "lines": ("file", "function"),
    "stack": ("stack",),
    "memory": ("region",),
    "symbols": ("name", "kind", "section", "region"),
    "edges": ("kind",),
}
KNOWN = {  # columns in which every row has a number
    "functions": ("address", "calls", "instructions", "instructions_inclusive"),
    "tree": ("id", "parent", "address", "calls", "instructions", "instructions_inclusive"),
    "calls": ("calls", "instructions_inclusive"),
    "lines": ("instructions",),
    "stack": ("instructions", "depth"),
    "memory": ("base", "size"),
    "symbols": ("address", "size"),
    "edges": ("context", "source", "source_end", "to_context", "target", "target_end", "count"),
}
PLACES = ("address", "caller_address", "base", "size", "source", "source_end", "target", "target_end")
CONTEXTS = ("id", "parent", "context", "to_context")  # ids of tree; -1: none


def _table(name: str) -> pd.DataFrame:
    import pandas as pd

    return typed(name, pd.DataFrame(columns=TABLES[name]))


@dataclass(frozen=True, repr=False)
class Profile:
    """What a program did on the emulated core. Self figures are a function's own, inclusive ones with all it called.

    meta       firmware, digest (SHA-256), board, core, timing_model, ended, exit_code, instructions, modelled_cycles,
               clock_hz, idle_cycles, exception_cycles, notes, and memory: flash, sram_static, stack_peak (bytes);
               see FORMATS.md
    functions  name, address, file, line, calls, instructions, modelled_cycles, instructions_inclusive,
               modelled_cycles_inclusive, stack (bytes of its own frame, at most)
    tree       id, parent (-1: root), name, address, calls, instructions, modelled_cycles (of this context alone),
               instructions_inclusive, modelled_cycles_inclusive. Parents stand before their children. Recursion is
               counted once: a function met again below itself is the node it is already in
    calls      caller, callee, caller_address (of the call instruction), calls, instructions_inclusive,
               modelled_cycles_inclusive
    lines      file, line, function, instructions, modelled_cycles, executions
    stack      stack (main or a task's), instructions and modelled_cycles (when), depth (bytes)
    memory     region, base, size, bytes_read, bytes_written
    symbols    name, kind (function, object), section, address, size, region (flash, sram)
    edges      context, source, source_end, to_context, target, target_end, kind, count: blocks of code by their
               addresses, ends exclusive

    Numbers are whole ones: columns of int64, or Int64 where a value in them is not known (<NA>). Texts that are not
    known are empty.
    """

    meta: Mapping
    functions: pd.DataFrame = field(default_factory=partial(_table, "functions"))
    tree: pd.DataFrame = field(default_factory=partial(_table, "tree"))
    calls: pd.DataFrame = field(default_factory=partial(_table, "calls"))
    lines: pd.DataFrame = field(default_factory=partial(_table, "lines"))
    stack: pd.DataFrame = field(default_factory=partial(_table, "stack"))
    memory: pd.DataFrame = field(default_factory=partial(_table, "memory"))
    symbols: pd.DataFrame = field(default_factory=partial(_table, "symbols"))
    edges: pd.DataFrame = field(default_factory=partial(_table, "edges"))

    def __repr__(self) -> str:
        """One line: whose it is, how it ended, and its instructions."""
        words = [self.meta["firmware"], self.meta["core"], self.meta["ended"], f"{self.meta['instructions']:,}"]
        return f"<Profile {' · '.join(words)} instructions>"

    def save(self, folder: str | Path) -> None:
        """Write every table into `folder` (made if missing), then profile.json with their digests.

        An earlier profile or run there is replaced. In a folder that is being filled nothing is.
        """
        with filling(folder) as new:
            for name in TABLES:
                (new / f"{name}.csv").write_bytes(typed(name, getattr(self, name)).to_csv(index=False).encode())
            files = digests(new, [f"{name}.csv" for name in TABLES])
            write_at_once(new / PROFILE, json.dumps({**self.meta, "files": files}, indent=1) + "\n")


def load_profile(folder: str | Path) -> Profile:
    """The profile saved in `folder`. Raises RecordError that names the file that is missing, cut, edited or unreadable.

    What a killed process left complete there is moved into place first.
    """
    with settled(folder):
        return read_profile(folder)


def read_profile(folder: str | Path) -> Profile:
    """`load_profile` for a folder that is settled already, or lies in one that is."""
    folder = Path(folder)
    with telling(folder, "profile"):
        meta, files = head(folder, PROFILE, NEEDED, FURTHER)
        tables = {name: _read(name, whole(folder, f"{name}.csv", files, LARGEST_TABLE)) for name in TABLES}
        _require_tree(tables["tree"])
    return Profile(as_shown(meta), **tables)


def typed(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """The columns of the table called `name` in their order: texts, and whole numbers (see Profile)."""
    import pandas as pd

    columns: dict[str, pd.Series] = {}
    for column in TABLES[name]:
        values = table[column]
        if column in TEXT[name]:
            columns[column] = values.fillna("").astype(str)
        else:
            whole_numbers = pd.to_numeric(values).astype("Int64")
            columns[column] = whole_numbers if whole_numbers.hasnans else whole_numbers.astype("int64")
    return pd.DataFrame(columns)


def _read(name: str, content: bytes) -> pd.DataFrame:
    """A table, its texts printable. Raises RecordError for what is no whole number, or beyond what there can be."""
    file, text = f"{name}.csv", TEXT[name]
    table = parse_table(file, content, TABLES[name], text)
    for column in TABLES[name]:
        values = table[column]
        if column in text:
            if (values.str.len() > LONGEST).any():
                raise RecordError(f"{file}: {column} holds a text of more than {LONGEST} letters")
            table[column] = values.map(printable)
            continue
        if column in KNOWN[name] and values.isna().any():
            raise RecordError(f"{file}: {column} is empty in a row")
        low, high = (-1 if column in CONTEXTS else 0), (LARGEST_PLACE if column in PLACES else LARGEST)
        wrong = values[values.notna() & ~(values.between(low, high) & (values % 1 == 0))]
        if len(wrong):
            words = f"{shown(wrong.iloc[0].item())}, no whole number between {low} and {high}"
            raise RecordError(f"{file}: {column} holds {words}")
    return typed(name, table)


def _require_tree(tree: pd.DataFrame) -> None:
    """Raise RecordError for contexts that are no tree: whoever walks it must come to an end, and meet each once."""
    if tree.id.duplicated().any():
        raise RecordError("tree.csv: two contexts have one id")
    before: set[int] = {-1}
    for each, parent in zip(tree.id.tolist(), tree.parent.tolist(), strict=True):
        if parent not in before:
            raise RecordError(f"tree.csv: context {each} stands before its parent {parent}, or has none")
        before.add(each)
