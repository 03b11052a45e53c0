"""Made-up profiles whose tables are consistent with each other: for tests of exports and reports."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from hypothesis import strategies as st

from workbench.record.profile import Profile
from workbench.record.profile_tables import TABLES, typed

COUNTED = TABLES["calls"][-3:]  # the numbers of a call
FLASH, BLOCK = 0x08000000, 0x100  # where code lies; bytes from one function to the next


@dataclass(frozen=True)
class Called:
    """A context: a function, its own instructions in it, how often it was called there, and what it called."""

    name: str
    instructions: int = 10
    calls: int = 1
    below: Sequence["Called"] = ()


PROGRAM = (
    Called("main", 100, 1, (
        Called("crc", 4000, 4, (Called("table", 640, 64),)),
        Called("print", 300, 2, (Called("write", 50, 6), Called("crc", 25, 2, (Called("table", 10, 1),)))),
    )),
    Called("SysTick_Handler", 77, 7),
)  # fmt: skip


def cycles_of(instructions: int) -> int:
    return instructions * 3 // 2


def synthetic_profile(roots: Sequence[Called] = PROGRAM, *, timed=True, lines=True, **meta) -> Profile:
    """The profile of a program that ran so; without `timed` no cycles are modelled, without `lines` it has no DWARF."""
    tree: list[dict] = []
    calls: dict[tuple[str, str], dict] = {}
    places = {name: FLASH + BLOCK * at for at, name in enumerate(dict.fromkeys(_names(roots)))}

    def walk(node: Called, parent: int) -> dict:
        row = {"id": len(tree), "parent": parent, "name": node.name, "address": places[node.name], "calls": node.calls}
        row |= {"instructions": node.instructions, "modelled_cycles": cycles_of(node.instructions)}
        tree.append(row)
        below = [walk(each, row["id"]) for each in node.below]
        for unit in ("instructions", "modelled_cycles"):
            row[f"{unit}_inclusive"] = row[unit] + sum(each[f"{unit}_inclusive"] for each in below)
        for each in below:
            key = (node.name, each["name"])
            site = {"caller": key[0], "callee": key[1], "caller_address": places[key[0]] + 8}
            site |= {"file": "src/main.c", "line": (places[key[0]] - FLASH) // BLOCK * 10 + 12} if lines else {}
            call = calls.setdefault(key, {**dict.fromkeys(TABLES["calls"], None), **site, **dict.fromkeys(COUNTED, 0)})
            for column in COUNTED:
                call[column] += each[column]
        return row

    for root in roots:
        walk(root, -1)
    counted = ["calls", "instructions", "modelled_cycles", "instructions_inclusive", "modelled_cycles_inclusive"]
    functions = [
        {"name": name, "address": place, "file": "src/main.c" if lines else "", "line": 10 * at if lines else None,
         **{column: sum(row[column] for row in tree if row["name"] == name) for column in counted}, "stack": 16}
        for at, (name, place) in enumerate(places.items(), 1)
    ]  # fmt: skip
    source = [line for each in functions for line in _lines(each)] if lines else []
    tables = {
        "functions": functions, "tree": tree, "calls": list(calls.values()), "lines": source,
        "stack": [{"stack": "main", "instructions": at, "modelled_cycles": cycles_of(at), "depth": depth}
                  for at, depth in ((0, 0), (100, 96), (2000, 48))] if roots else [],
        "memory": [{"region": "sram", "base": 0x20000000, "size": 65536, "bytes_read": 900, "bytes_written": 700}],
        "symbols": [{"name": name, "kind": "function", "section": ".text", "address": place, "size": BLOCK,
                     "region": "flash"} for name, place in places.items()],
        "edges": [{"context": 0, "source": FLASH, "source_end": FLASH + 8, "to_context": 0, "target": FLASH + 8,
                   "target_end": FLASH + 16, "kind": "jump", "count": 9}],
    }  # fmt: skip
    frames = {name: pd.DataFrame(rows, columns=TABLES[name]) for name, rows in tables.items()}
    total = sum(row["instructions"] for row in tree)
    if not timed:
        for frame in frames.values():
            frame[[column for column in frame if "cycles" in column]] = None
    return Profile(
        {
            "firmware": "toy.elf", "digest": "ab" * 32, "board": "nrf52840", "core": "cortex-m4",
            "timing_model": "cortex-m4, zero wait states" if timed else None, "ended": "exit", "exit_code": 0,
            "instructions": total, "modelled_cycles": sum(row["modelled_cycles"] for row in tree) if timed else None,
            "clock_hz": 64_000_000, "notes": [],
            "memory": {"flash": 20_480, "sram_static": 4_096, "stack_peak": 96},
        } | meta,
        **{name: typed(name, frame) for name, frame in frames.items()},
    )  # fmt: skip


def _names(roots: Sequence[Called]):
    for node in roots:
        yield node.name
        yield from _names(node.below)


def _lines(function: dict):
    """Two lines of the function itself, and one in a header that was inlined."""
    own = function["instructions"]
    parts = {("src/main.c", 1): own // 2, ("src/main.c", 2): own - own // 2 - own // 5, ("inc/bits.h", 7): own // 5}
    spent = 0
    for (file, line), instructions in parts.items():
        cycles = cycles_of(instructions)
        spent += cycles
        last = function["modelled_cycles"] - spent if file == "inc/bits.h" else 0
        yield {"file": file, "line": line + (function["line"] if file == "src/main.c" else 0),
               "function": function["name"], "inlined": "bits" * (file == "inc/bits.h"), "instructions": instructions,
               "modelled_cycles": cycles + last, "executions": instructions}  # fmt: skip


@st.composite
def programs(draw) -> tuple[Called, ...]:
    """Any calls among some functions, none below itself: recursion is counted where it began."""

    def node(name: str, above: frozenset[str], depth: int) -> Called:
        free = sorted(set("fghij") - above - {name})
        names = draw(st.lists(st.sampled_from(free), unique=True, max_size=2)) if free and depth < 3 else []
        below = tuple(node(each, above | {name}, depth + 1) for each in names)
        return Called(name, draw(st.integers(0, 10**6)), draw(st.integers(1, 9)), below)

    roots = draw(st.lists(st.sampled_from(("main", "SysTick_Handler", "f")), unique=True, max_size=3))
    return tuple(node(each, frozenset({"main", "SysTick_Handler"}), 0) for each in roots)
