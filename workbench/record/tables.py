"""The CSV tables of a saved run: read, and refused where no report could use what they hold.

A report draws every position and aligns names in columns: so numbers and names are bounded.
"""

from __future__ import annotations

import csv
from io import BytesIO, StringIO
from typing import TYPE_CHECKING

from workbench.errors import RecordError, shown
from workbench.tables import LATER

if TYPE_CHECKING:
    import pandas as pd

TEXT = ("name", "role", "storage", "symbol", "parameter", "values", "node", "phase", "reads", "writes", "scratch",
        "kind", "op", "shape", "dtype", "layer")  # fmt: skip
IDS, LISTS = ("reads", "writes", "scratch"), ("values", "reads", "writes", "scratch", "layer")
POSITIONS = ("position", "lower", "upper", "first_write", "last_read")  # operators, or -1: at start-up
PLACES = ("offset", "size", "address", "low", "high", "touched")  # bytes of a 32-bit core
LARGEST, LARGEST_PLACE, MOST_OPS, MOST_COLUMNS = 2**53, 2**32, 50_000, 100
LONGEST, LONGEST_LIST = 300, 1 << 20  # letters


def parse_table(file: str, content: bytes, columns, text=TEXT) -> pd.DataFrame:
    """The table in a file; all columns but those in `text` are numbers.

    Raises RecordError where it cannot be read, or has other columns or kinds of values.
    """
    import pandas as pd

    numbers = [column for column in columns if column not in text]
    try:
        head = next(csv.reader(StringIO(content.decode(), newline="")), [])
        if len(head) > MOST_COLUMNS or len(set(head)) < len(head):
            raise RecordError(f"{file} has {len(head)} columns, or two of one name")
        table = pd.read_csv(BytesIO(content), dtype=dict.fromkeys(text, str), keep_default_na=False, index_col=False,
                            na_values={column: [""] for column in numbers})  # fmt: skip
    except (ValueError, csv.Error, OverflowError) as error:
        raise RecordError(f"{file}: {error}") from None
    for index, column in enumerate(columns):
        if column in LATER and column not in table.columns:
            table.insert(min(index, len(table.columns)), column, "")
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise RecordError(f"{file} lacks the columns {', '.join(missing)}")
    for column in numbers:
        types = pd.api.types
        if not types.is_numeric_dtype(table[column]) and table[column].notna().any():
            raise RecordError(f"{file}: column {column} holds something that is not a number")
    return table


def require_bounded(tables: dict[str, pd.DataFrame]) -> None:
    """Raise RecordError for a number beyond what a run can have, and for a name that no line has room for."""
    import pandas as pd

    positions = len(tables["ops"])
    if positions > MOST_OPS:
        raise RecordError(f"ops.csv has {positions} rows; at most {MOST_OPS} are read")
    for name, table in tables.items():
        for column in table.columns:
            values = table[column]
            if column in TEXT:
                _require_text(f"{name}.csv: {column}", values, column)
            elif pd.api.types.is_numeric_dtype(values):
                low, high = -LARGEST, LARGEST
                if column in POSITIONS:
                    low, high = -1, positions
                elif column in PLACES:
                    low, high = 0, LARGEST_PLACE
                wrong = values[values.notna() & ~values.between(low, high)]
                if len(wrong):
                    raise RecordError(
                        f"{name}.csv: {column} holds {shown(wrong.iloc[0].item())}, not between {low} and {high}"
                    )

    _require_known("ops.csv", tables["ops"], ("position",))
    _require_known("buffers.csv", tables["buffers"], ("id", "size"))
    arena = tables["buffers"][tables["buffers"].storage == "arena"]
    _require_known("buffers.csv, arena", arena, ("offset", "lower", "upper"))
    if len(wrong := arena[arena.lower >= arena.upper]):
        raise RecordError(f"buffers.csv: {shown(wrong.iloc[0]['name'])} lives from {wrong.iloc[0].lower:g} to "
                          f"{wrong.iloc[0].upper:g}")  # fmt: skip


def _require_known(what: str, table: pd.DataFrame, columns) -> None:
    for column in columns:
        if (table[column].isna() | (table[column] % 1 != 0)).any():
            raise RecordError(f"{what}: {column} is not a whole number in each row")


def _require_text(what: str, values: pd.Series, column: str) -> None:
    most = LONGEST_LIST if column in LISTS else LONGEST
    for text in values:
        if len(text) > most or not text.isprintable():
            raise RecordError(f"{what} holds {shown(text)}: no name is as long, or made of such letters")
        if column in IDS and not all(word.isdecimal() and len(word) < 10 for word in text.split()):
            raise RecordError(f"{what} holds {shown(text)}; expected numbers of buffers")
