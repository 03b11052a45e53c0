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
firmware.elf   what ran: with it and edges.csv cycles can be computed again
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.record.folder import PROFILE, digests, filling, settled, write_at_once
from workbench.record.meta import as_shown
from workbench.record.profile_tables import LARGEST_TABLE, TABLES, empty, read_table, written
from workbench.record.run import head, telling, whole

if TYPE_CHECKING:
    import pandas as pd

FIRMWARE = "firmware.elf"
# fmt: off
NEEDED = {
    "firmware": "text", "digest": "text", "board": "text?", "core": "text", "ended": "text",
    "instructions": "whole number", "memory": "object",
    "memory.flash": "whole number?", "memory.sram_static": "whole number?", "memory.stack_peak": "whole number?",
}
FURTHER = {
    "timing_model": "text?", "exit_code": "whole number?", "modelled_cycles": "number?", "clock_hz": "whole number?",
    "idle_cycles": "whole number?", "exception_cycles": "whole number?", "miss_cycles": "whole number?",
    "part": "text?", "stacks": "list of objects?", "ran_on": "object?", "notes": "list of texts?",
}
# fmt: on


@dataclass(frozen=True, repr=False)
class Profile:
    """What a program did on the emulated core. Self figures are a function's own, inclusive ones with all it called.

    meta       firmware, digest (SHA-256), board, core, timing_model, ended, exit_code, instructions, modelled_cycles,
               clock_hz, idle_cycles, exception_cycles, miss_cycles, stacks, ran_on, notes, and memory: flash,
               sram_static, stack_peak (bytes); see FORMATS.md
    functions  name, address, file, line, calls, instructions, modelled_cycles, instructions_inclusive,
               modelled_cycles_inclusive, stack (bytes of its own frame, at most)
    tree       id, parent (-1: root), name, address, calls, instructions, modelled_cycles (of this context alone),
               instructions_inclusive, modelled_cycles_inclusive. Parents stand before their children. Recursion is
               counted once: a function met again below itself is the node it is already in
    calls      caller, callee, caller_address (of the call instruction), file and line (where it stands), calls,
               instructions_inclusive, modelled_cycles_inclusive
    lines      file, line, function, inlined, instructions, modelled_cycles, executions
    stack      stack (main or a task's), instructions and modelled_cycles (when), depth (bytes)
    memory     region, base, size, bytes_read, bytes_written
    symbols    name, kind (function, object), section, address, size, region (flash, sram)
    edges      context, source, source_end, to_context, target, target_end, kind, count: blocks of code by their
               addresses, ends exclusive

    Numbers are whole ones: columns of int64, or Int64 where a value in them is not known (<NA>). Texts that are not
    known are empty. `elf`: the bytes of the firmware; empty where they were not kept.
    """

    meta: Mapping
    functions: pd.DataFrame = field(default_factory=partial(empty, "functions"))
    tree: pd.DataFrame = field(default_factory=partial(empty, "tree"))
    calls: pd.DataFrame = field(default_factory=partial(empty, "calls"))
    lines: pd.DataFrame = field(default_factory=partial(empty, "lines"))
    stack: pd.DataFrame = field(default_factory=partial(empty, "stack"))
    memory: pd.DataFrame = field(default_factory=partial(empty, "memory"))
    symbols: pd.DataFrame = field(default_factory=partial(empty, "symbols"))
    edges: pd.DataFrame = field(default_factory=partial(empty, "edges"))
    elf: bytes = b""

    def __repr__(self) -> str:
        """One line: whose it is, how it ended, and its instructions."""
        words = [self.meta["firmware"], self.meta["core"], self.meta["ended"], f"{self.meta['instructions']:,}"]
        return f"<Profile {' · '.join(words)} instructions>"

    def save(self, folder: str | Path) -> None:
        """Write every table and the firmware into `folder` (made if missing), then profile.json with their digests.

        An earlier profile or run there is replaced. In a folder that is being filled nothing is.
        """
        with filling(folder) as new:
            for name in TABLES:
                (new / f"{name}.csv").write_bytes(written(name, getattr(self, name)))
            kept = [f"{name}.csv" for name in TABLES]
            if self.elf:
                (new / FIRMWARE).write_bytes(self.elf)
                kept.append(FIRMWARE)
            files = digests(new, kept)
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
        tables = {name: read_table(name, whole(folder, f"{name}.csv", files, LARGEST_TABLE)) for name in TABLES}
        kept = FIRMWARE in files and (folder / FIRMWARE).exists()  # it may be deleted: nothing but `timed` needs it
        elf = whole(folder, FIRMWARE, files, LARGEST_TABLE) if kept else b""
    return Profile(as_shown(meta), **tables, elf=elf)
