"""Functions, contexts, calls, source lines and stacks of a program, computed from the edges that were counted.

Nothing here was measured: all of it follows from how often control went from block to block, in which context
(flow_state.py), and from the instructions in the blocks under a timing model.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.emulate.symbols import Elf
from workbench.emulate.timing import TimingModel
from workbench.emulate.timing.decode import Code, decode
from workbench.trace import flow_state as s
from workbench.trace.counted import Counted
from workbench.trace.flow_code import functions_of
from workbench.trace.flows import Flow
from workbench.trace.stacks import stack_table
from workbench.units import address as hexadecimal

if TYPE_CHECKING:
    import pandas as pd

CALLED = (s.CALL, s.TAIL)


@dataclass(frozen=True)
class Profiled:
    """The tables of a program. `names`: what functions are called instead of what the ELF calls them."""

    elf: Elf
    timing: TimingModel
    counted: Counted
    names: Mapping[str, str] = field(default_factory=dict)

    # ------------------------------------------------------------------ columns of the raw tables

    @cached_property
    def _blocks(self) -> dict[str, np.ndarray]:
        rows = self.counted.blocks
        return {"begin": rows[:, s.BEGIN_SIZE] & 0xFFFFFFFF, "end": rows[:, s.END], "context": rows[:, s.CONTEXT]}

    @cached_property
    def _edges(self) -> dict[str, np.ndarray]:
        rows = self.counted.edges[self.counted.edges[:, s.COUNT] > 0]
        count = rows[:, s.COUNT]
        return {"from": rows[:, s.FROM], "to": rows[:, s.TO], "count": count, "kind": rows[:, s.KIND],
                "instructions": count * rows[:, s.STEPS], "cycles": count * rows[:, s.COST]}  # fmt: skip

    def _by_block(self, column: str) -> np.ndarray:
        """A column of the edges, added up by the block that they lead to."""
        sums = np.zeros(len(self.counted.blocks), np.int64)
        np.add.at(sums, self._edges["to"], self._edges[column])
        return sums

    @cached_property
    def foreign(self) -> list[int]:
        """Where blocks began of code that the ELF does not hold: nothing is known of their instructions."""
        ran = self._by_block("count") * (self.counted.blocks[:, s.FLAGS] & s.UNKNOWN)
        return sorted(set(self._blocks["begin"][ran > 0].tolist()))

    @cached_property
    def _function_at(self) -> np.ndarray:
        """The function that each block lies in, by its address: the symbol's, else that of the block's context."""
        found = []
        for begin, context in zip(self._blocks["begin"].tolist(), self._blocks["context"].tolist(), strict=True):
            at = bisect_right(self._starts, begin) - 1
            inside = at >= 0 and begin < self._ends[at]
            found.append(self._starts[at] if inside else int(self.counted.contexts[context, s.ADDRESS]))
        return np.array(found, np.int64)

    @cached_property
    def _functions(self) -> list[tuple[int, int, str]]:
        return functions_of(self.elf)

    @cached_property
    def _starts(self) -> list[int]:
        return [begin for begin, _, _ in self._functions]

    @cached_property
    def _ends(self) -> list[int]:
        return [end for _, end, _ in self._functions]

    def name(self, address: int) -> str:
        """What the function at an address is called; the address where nothing is known of it."""
        at = bisect_right(self._starts, address) - 1
        known = at >= 0 and address < self._ends[at]
        called = self._functions[at][2] if known else hexadecimal(address)
        return self.names.get(called, called)

    # ------------------------------------------------------------------ contexts

    @cached_property
    def _self_of_context(self) -> np.ndarray:
        """Instructions and cycles of each context itself."""
        sums = np.zeros((len(self.counted.contexts), 2), np.int64)
        np.add.at(sums[:, 0], self._blocks["context"], self._by_block("instructions"))
        np.add.at(sums[:, 1], self._blocks["context"], self._by_block("cycles"))
        return sums

    @cached_property
    def _with_called(self) -> np.ndarray:
        """The same with all that each context called: a context is made behind the one that calls it."""
        sums, parents = self._self_of_context.copy(), self.counted.contexts[:, s.PARENT].tolist()
        for node in range(len(sums) - 1, -1, -1):
            if parents[node] >= 0:
                sums[parents[node]] += sums[node]
        return sums

    @cached_property
    def _calls_of_context(self) -> np.ndarray:
        """How often each context was entered from above; a recursive call enters none."""
        sums = np.zeros(len(self.counted.contexts), np.int64)
        calls = self._calls_made
        np.add.at(sums, calls["to_context"], calls["count"])
        for node, (parent, address, _) in enumerate(self.counted.contexts.tolist()):
            if parent < 0:
                sums[node] += self.counted.entered.get(address, 0)
        return sums

    @cached_property
    def _calls_made(self) -> dict[str, np.ndarray]:
        """The edges that are calls."""
        edges = self._edges
        at = np.flatnonzero(np.isin(edges["kind"], CALLED) & (edges["from"] >= 0))
        source, target = edges["from"][at], edges["to"][at]
        context = self._blocks["context"]
        return {"from": source, "to": target, "count": edges["count"][at], "from_context": context[source],
                "to_context": context[target]}  # fmt: skip

    def tree(self) -> pd.DataFrame:
        """A row a context (see record/profile.py)."""
        import pandas as pd

        contexts = self.counted.contexts
        address = contexts[:, s.ADDRESS]
        return pd.DataFrame({
            "id": np.arange(len(contexts)), "parent": contexts[:, s.PARENT],
            "name": [self.name(at) for at in address.tolist()], "address": address, "calls": self._calls_of_context,
            "instructions": self._self_of_context[:, 0], "modelled_cycles": self._self_of_context[:, 1],
            "instructions_inclusive": self._with_called[:, 0], "modelled_cycles_inclusive": self._with_called[:, 1],
        })  # fmt: skip

    def functions(self) -> pd.DataFrame:
        """A row a function, those that took most cycles first."""
        import pandas as pd

        made = self._calls_made
        called = self._blocks["begin"][made["to"]]
        calls: dict[int, int] = dict(self.counted.entered)
        for address, count in zip(called.tolist(), made["count"].tolist(), strict=True):
            calls[address] = calls.get(address, 0) + count
        own: dict[int, np.ndarray] = {}
        both = np.stack([self._by_block("instructions"), self._by_block("cycles")], axis=1)
        for address, sums in zip(self._function_at.tolist(), both, strict=True):
            own[address] = own.get(address, np.zeros(2, np.int64)) + sums
        inclusive, stack = self._inclusive(both), self._stack()
        rows = []
        for address in sorted({*own, *inclusive}):
            file, _, number = (self.elf.head_line(address) or "").rpartition(":")
            itself, every = own.get(address, np.zeros(2, np.int64)), inclusive.get(address, np.zeros(2, np.int64))
            if not calls.get(address) and not every[0]:
                continue  # none of it ran in what is profiled
            rows.append((self.name(address), address, file, int(number) if number else None, calls.get(address, 0),
                         *itself.tolist(), *every.tolist(), stack.get(address)))  # fmt: skip
        columns = ["name", "address", "file", "line", "calls", "instructions", "modelled_cycles",
                   "instructions_inclusive", "modelled_cycles_inclusive", "stack"]  # fmt: skip
        return pd.DataFrame(rows, columns=columns).sort_values(["modelled_cycles", "name"], ascending=[False, True],
                                                               ignore_index=True)  # fmt: skip

    def _inclusive(self, of_blocks: np.ndarray) -> dict[int, np.ndarray]:
        """By function: all of the contexts that are its, and what ran of it where it was not called."""
        sums: dict[int, np.ndarray] = {}
        contexts = self.counted.contexts.tolist()
        for node, (_, address, _) in enumerate(contexts):
            sums[address] = sums.get(address, np.zeros(2, np.int64)) + self._with_called[node]
        within: dict[int, set[int]] = {}
        for node, (parent, address, _) in enumerate(contexts):
            within[node] = {address} | (within[parent] if parent >= 0 else set())
        for function, context, ran in zip(self._function_at.tolist(), self._blocks["context"].tolist(), of_blocks,
                                          strict=True):  # fmt: skip
            if function not in within[context]:
                sums[function] = sums.get(function, np.zeros(2, np.int64)) + ran
        return sums

    def _stack(self) -> dict[int, int]:
        """By function: the bytes of its own frame, at most."""
        deepest: dict[int, int] = {}
        for _, address, stack in self.counted.contexts.tolist():
            deepest[address] = max(deepest.get(address, 0), stack)
        return deepest

    def calls(self) -> pd.DataFrame:
        """A row a call instruction and the function that it called. What a context took is shared out by its calls; a
        recursive call took nothing that is not its caller's already."""
        import pandas as pd

        made = self._calls_made
        parents = self.counted.contexts[:, s.PARENT]
        first = parents[made["to_context"]] == made["from_context"]
        totals = np.zeros(len(self.counted.contexts), np.int64)
        np.add.at(totals, made["to_context"][first], made["count"][first])
        given: dict[int, list[int]] = {node: [0, 0, 0] for node in range(len(totals))}
        rows: dict[tuple[int, int, int], list[int]] = {}
        for at in range(len(made["count"])):
            source, target, count = (int(made[name][at]) for name in ("from", "to", "count"))
            key = int(self._function_at[source]), int(self._blocks["begin"][target]), self._last_of(source)
            row = rows.setdefault(key, [0, 0, 0])
            row[0] += count
            if first[at]:
                node = int(made["to_context"][at])
                seen, *before = given[node]
                shares = [int(each) * (seen + count) // int(totals[node]) for each in self._with_called[node]]
                given[node] = [seen + count, *shares]
                row[1] += shares[0] - before[0]
                row[2] += shares[1] - before[1]
        found = []
        for (caller, callee, at), row in sorted(rows.items()):
            file, _, number = (self.elf.source_line(at) or "").rpartition(":")
            found.append((self.name(caller), self.name(callee), at, file, int(number) if number else None, *row))
        return pd.DataFrame(found, columns=["caller", "callee", "caller_address", "file", "line", "calls",
                                            "instructions_inclusive", "modelled_cycles_inclusive"])  # fmt: skip

    def _last_of(self, block: int) -> int:
        """Where the last instruction of a block lies."""
        end = int(self._blocks["end"][block])
        at = int(np.searchsorted(self.code.address, end)) - 1
        return int(self.code.address[at]) if at >= 0 else end - 2

    # ------------------------------------------------------------------ instructions and lines

    @cached_property
    def code(self) -> Code:
        """Every instruction of the ELF's code."""
        return decode(self.elf)

    @cached_property
    def by_instruction(self) -> tuple[np.ndarray, np.ndarray]:
        """Of every instruction of the ELF's code: how often it was issued, and its cycles, those of edges included."""
        address, costs = self.code.address, self.timing.costs(self.code)
        low = np.searchsorted(address, self._blocks["begin"])
        high = np.searchsorted(address, self._blocks["end"])
        inside = (low < len(address)) & (high > low)
        issued = np.zeros(len(address) + 1, np.int64)
        executions = np.where(inside, self._by_block("count"), 0)
        np.add.at(issued, low, executions)
        np.subtract.at(issued, high, executions)
        issued = np.cumsum(issued)[:-1]
        cycles = issued * costs.static
        edges = self._edges
        known = (edges["from"] >= 0) & inside[edges["to"]] & inside[edges["from"]]
        source, target = edges["from"][known], edges["to"][known]
        jumps = self._blocks["end"][source] != self._blocks["begin"][target]
        source, target, count = source[jumps], target[jumps], edges["count"][known][jumps]
        of_way = costs.taken[high[source] - 1] + costs.entered[low[target]]
        np.add.at(cycles, low[target], count * of_way)  # as for functions and operators: where it leads to
        return issued, cycles

    def lines(self) -> pd.DataFrame:
        """A row a source line, function, and function that was inlined there, the innermost."""
        import pandas as pd

        issued, cycles = self.by_instruction
        rows: dict[tuple[str, int, str, str], list[int]] = {}
        for at in np.flatnonzero((issued > 0) | (cycles != 0)).tolist():
            address = int(self.code.address[at])
            file, _, number = (self.elf.source_line(address) or "").rpartition(":")
            key = file, int(number or 0), self.name(address), self.elf.inlined_at(address) or ""
            row = rows.setdefault(key, [0, 0, 0])
            row[0] += int(issued[at])
            row[1] += int(cycles[at])
            row[2] = max(row[2], int(issued[at]))
        _without_negative(rows)
        found = [(file, line or None, *names, *row) for (file, line, *names), row in rows.items()]
        columns = ["file", "line", "function", "inlined", "instructions", "modelled_cycles", "executions"]
        return pd.DataFrame(found, columns=columns).sort_values(
            ["modelled_cycles", "file", "line"], ascending=[False, True, True], ignore_index=True
        )

    def edges(self) -> pd.DataFrame:
        """The raw edges."""
        import pandas as pd

        edges, blocks = self._edges, self._blocks
        begun = edges["from"] < 0

        def of_source(column: str, none: int) -> Any:
            return pd.array(np.where(begun, none, blocks[column][edges["from"]]), "Int64")

        source, source_end = of_source("begin", 0), of_source("end", 0)
        source[begun] = source_end[begun] = pd.NA
        return pd.DataFrame({
            "context": of_source("context", -1), "source": source, "source_end": source_end,
            "to_context": blocks["context"][edges["to"]], "target": blocks["begin"][edges["to"]],
            "target_end": blocks["end"][edges["to"]], "kind": [s.KINDS[kind] for kind in edges["kind"].tolist()],
            "count": edges["count"],
        })  # fmt: skip


def _without_negative(rows: dict[tuple[str, int, str, str], list[int]]) -> None:
    """What a jump saves, where the instruction that it leads to is paired otherwise, may be more than its line took:
    the line of the same function that took most gives it then, so that sums stay."""
    for (_, _, function, _), row in rows.items():
        if row[1] < 0:
            most = max((each for key, each in rows.items() if key[2] == function), key=lambda each: each[1])
            most[1], row[1] = max(0, most[1] + row[1]), 0


def step_tables(flow: Flow) -> dict[str, Callable[[], pd.DataFrame]]:
    """What makes each table of a training step's profile; none of it keeps the machine that ran the step."""
    profiled = Profiled(flow.machine.elf, flow.timing, flow.counted())
    return {
        "functions": profiled.functions, "tree": profiled.tree, "lines": profiled.lines,
        "stack": partial(stack_table, flow.stacks),
    }  # fmt: skip
