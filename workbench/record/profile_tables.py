"""The tables of where work goes, by function, context, line and region: their columns, and how they are read.

A profile has all of them; a run those that STEP names, of its first training step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from workbench.errors import RecordError, shown
from workbench.files import MB
from workbench.plain import printable
from workbench.record.tables import LARGEST, LARGEST_PLACE, parse_table

if TYPE_CHECKING:
    import pandas as pd

LARGEST_TABLE = 256 * MB
LONGEST = 1 << 14  # letters of a name: C++ templates are long
# fmt: off
WORK = ["instructions", "modelled_cycles", "instructions_inclusive", "modelled_cycles_inclusive"]
TABLES = {
    "functions": ["name", "address", "file", "line", "calls", *WORK, "stack"],
    "tree": ["id", "parent", "name", "address", "calls", *WORK],
    "calls": ["caller", "callee", "caller_address", "file", "line", "calls", "instructions_inclusive",
              "modelled_cycles_inclusive"],
    "lines": ["file", "line", "function", "inlined", "instructions", "modelled_cycles", "executions"],
    "stack": ["stack", "instructions", "modelled_cycles", "depth"],
    "memory": ["region", "base", "size", "bytes_read", "bytes_written"],
    "symbols": ["name", "kind", "section", "address", "size", "region"],
    "edges": ["context", "source", "source_end", "to_context", "target", "target_end", "kind", "count"],
}
# fmt: on
STEP = ("functions", "tree", "lines", "stack")
TEXT = {
    "functions": ("name", "file"),
    "tree": ("name",),
    "calls": ("caller", "callee", "file"),
    "lines": ("file", "function", "inlined"),
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
    "stack": ("depth",),
    "memory": ("base", "size"),
    "symbols": ("address", "size"),
    "edges": ("to_context", "target", "target_end", "count"),
}
PLACES = ("address", "caller_address", "base", "size", "source", "source_end", "target", "target_end")
CONTEXTS = ("id", "parent", "context", "to_context")  # ids of tree; -1: none


def empty(name: str) -> pd.DataFrame:
    """The table called `name`, without rows."""
    import pandas as pd

    return typed(name, pd.DataFrame(columns=TABLES[name]))


def typed(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """The columns of the table called `name` in their order: texts, and whole numbers (see Profile)."""
    import pandas as pd

    columns: dict[str, pd.Series] = {}
    for column in TABLES[name]:
        values = table[column]
        if column in TEXT[name]:
            columns[column] = values.astype(object).fillna("").astype(str)
        else:
            whole_numbers = pd.to_numeric(values).astype("Int64")
            columns[column] = whole_numbers if whole_numbers.hasnans else whole_numbers.astype("int64")
    return pd.DataFrame(columns)


def written(name: str, table: pd.DataFrame) -> bytes:
    """The table called `name` as its file holds it."""
    return typed(name, table).to_csv(index=False).encode()


def read_table(name: str, content: bytes) -> pd.DataFrame:
    """A table, its texts printable. Raises RecordError for what is no whole number, beyond what there can be, or for
    contexts that are no tree."""
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
        low = -LARGEST if "cycles" in column else low  # a jump may save some of what its target would take
        wrong = values[values.notna() & ~(values.between(low, high) & (values % 1 == 0))]
        if len(wrong):
            words = f"{shown(wrong.iloc[0].item())}, no whole number between {low} and {high}"
            raise RecordError(f"{file}: {column} holds {words}")
    if name == "tree":
        _require_tree(table)
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


class Later(Mapping):
    """Tables by name, each computed when it is first asked for, and kept. Pickled, all are."""

    def __init__(self, makers: Mapping[str, Callable[[], pd.DataFrame]]):
        self._makers = makers
        self._made: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._made:
            self._made[name] = typed(name, self._makers[name]())
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __reduce__(self):
        return dict, (dict(self),)
