"""CSV files as numbers: a table of samples with a column of labels, or one recording with a column a channel."""

import csv
import shlex
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from math import isfinite
from pathlib import Path

import numpy as np

from workbench import files
from workbench.data.samples import MOST_VALUES, NONE, Reading, Samples, require_few
from workbench.errors import DataError, shown, there_are

MOST = 1 << 30  # bytes of such a file
SEPARATORS = (",", ";", "\t")


@dataclass(frozen=True)
class Table:
    """`columns`: the names in the first row, None if it holds none."""

    columns: list[str] | None
    rows: Iterator[tuple[int, list[str]]]  # line, cells
    width: int


def read_samples(path: Path, reading: Reading) -> Samples:
    """A sample a row; targets are the columns that `reading` names, else the last one."""
    source = str(path)
    table = _open(path, reading)
    at = _label_columns(source, table, reading)
    inputs = [column for column in range(table.width) if column not in at]
    if not inputs:
        raise DataError(f"{source} has {table.width} column{'s' * (table.width > 1)}, of labels: there is no input",
                        "--label none takes all of them as input")  # fmt: skip
    x, labels, lines = array("d"), [], []
    for line, cells in table.rows:
        lines.append(f"line {line}")
        x.extend(_numbers(source, table, line, cells, inputs))
        require_few(source, len(x))
        if at:
            labels.append([cells[column].strip() for column in at])
    values = _two_dimensional(source, x, len(inputs))
    _require_no_names(source, table, labels)
    return Samples(source, values, _targets(source, labels, at) if at else None, origins=tuple(lines))


def read_channels(path: Path) -> np.ndarray:
    """A recording (channels, values): a row a moment."""
    table, values = _open(path, Reading(label=NONE)), array("d")
    for line, cells in table.rows:
        values.extend(_numbers(str(path), table, line, cells, range(table.width)))
        require_few(str(path), len(values))
    return np.ascontiguousarray(_two_dimensional(str(path), values, table.width).T)


def _open(path: Path, reading: Reading) -> Table:
    try:
        text = files.read_text(path, MOST).removeprefix("\ufeff")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    begin = text.partition("\n")[0]
    separator = max(SEPARATORS, key=begin.count)
    rows = _rows(path, csv.reader(StringIO(text, newline=""), delimiter=separator))
    line, first = next(rows, (0, []))
    if not first:
        raise DataError(f"{path} is empty: it has no row")
    named = _are_names([cell.strip() for cell in first], reading)
    columns = [cell.strip() for cell in first] if named else None
    return Table(columns, _as_wide(path, rows if named else _again((line, first), rows), len(first)), len(first))


def _are_names(cells: list[str], reading: Reading) -> bool:
    """Whether the first row holds names: it has those asked for, or no number among the inputs.

    A row of numbers and words, or of numbers and empty cells, is a sample with a gap, which is refused later.
    """
    if reading.label is not None and not reading.unlabelled and set(reading.labels) <= set(cells):
        return True
    inputs = cells[:-1] if reading.label is None and len(cells) > 1 else cells  # the last may be a class's name
    return any(inputs) and not any(map(_is_number, inputs))


def _require_no_names(source: str, table: Table, labels: list[list[str]]) -> None:
    """Raise DataError where the first row was taken for a sample, though its numbers are names of columns."""
    if table.columns is None and len(labels) > 1 and len(labels[0]) == 1:
        first, *others = (_is_number(row[0]) for row in labels)
        if not first and all(others):
            name = labels[0][0]
            raise DataError(f"{source}: the first label is {shown(name)}, all others are numbers",
                            f"if the first row holds names, --label {shlex.quote(name)} says so")  # fmt: skip


def _rows(path: Path, reader) -> Iterator[tuple[int, list[str]]]:
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"{path} is no table: line {reader.line_num}: {error}") from None


def _again(first, rows):
    yield first
    yield from rows


def _as_wide(path: Path, rows, width: int):
    for line, cells in rows:
        if len(cells) != width:
            raise DataError(f"{path}: line {line} has {len(cells)} values; the first has {width}", "all rows are alike")
        yield line, cells


def _label_columns(source: str, table: Table, reading: Reading) -> list[int]:
    if reading.unlabelled:
        return []
    if reading.label is None:
        return [table.width - 1]
    if table.columns is None:
        raise DataError(f"{source} has no row of names, so no column is called {reading.label!r}",
                        "the last column holds the labels; --label none: there are none")  # fmt: skip
    for name in reading.labels:
        if table.columns.count(name) != 1:
            many = "no column" if name not in table.columns else f"{table.columns.count(name)} columns"
            raise DataError(f"{source} has {many} called {name!r}", there_are(name, table.columns))
    return [table.columns.index(name) for name in reading.labels]


def _numbers(source: str, table: Table, line: int, cells: list[str], columns) -> list[float]:
    try:
        values = [float(cells[column]) for column in columns]
        if all(map(isfinite, values)):
            return values
    except ValueError:
        pass
    column = next(column for column in columns if _number(cells[column]) is None)
    name = table.columns[column] if table.columns else column + 1
    hint = "every value is a finite number; --label NAME says which columns hold labels"
    raise DataError(f"{source}: line {line}, column {name}: {shown(cells[column])} is no number", hint)


def _is_number(cell: str) -> bool:
    """NaN and infinity too: a gap is no name."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if isfinite(value) else None


def _two_dimensional(source: str, values: array, width: int) -> np.ndarray:
    if not values:
        raise DataError(f"{source} is empty: it has no row of values")
    return np.frombuffer(values, np.float64).reshape(-1, width)


def _targets(source: str, labels: list[list[str]], columns: list[int]) -> np.ndarray:
    """Targets as whole numbers if all are, else as numbers, else as names; several columns hold numbers only."""
    numbers = [[_number(cell) for cell in row] for row in labels]
    if all(value is not None for row in numbers for value in row):
        values = np.array(numbers, np.float64)
        if len(columns) > 1:
            return values
        whole = (values == np.rint(values)).all() and np.abs(values).max() < MOST_VALUES
        return values[:, 0].astype(np.int64) if whole else values[:, 0]
    if len(columns) > 1:
        row = next(at for at, row in enumerate(numbers) if None in row)
        raise DataError(f"{source}: sample {row} has {shown(labels[row])} as targets", "several targets are numbers")
    names = [row[0] for row in labels]
    if "" in names:
        raise DataError(f"{source}: sample {names.index('')} has no label", "each row needs one; or --label none")
    return np.array(names)
