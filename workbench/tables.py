"""buffers.csv and ops.csv: all that the emulator, the tracer and the reports know of the compiler.

A buffer is a *storage*: values that must alias (views, takeovers) share one. Lifetimes are half-open positions
[lower, upper) and empty outside the arena. A host-written buffer of the arena is alive from position 0.
"""

import csv
from dataclasses import dataclass, fields
from pathlib import Path

from workbench.errors import RecordError

Ids = tuple[int, ...]


@dataclass(frozen=True)
class BufferRow:
    """One storage. Its address is that of `symbol` in the ELF plus `offset`; `size` in bytes.

    `storage` is arena, sram or flash. `role` is input, label (what the output is held against: labels or numbers),
    activation, mask, gradient, scratch, runtime (of the conventional baseline), parameter, state or scalar.
    `parameter`, `axis`, `begin`, `end`: the slice of which parameter it holds (empty otherwise).
    `values` are the names of the graph's values that live in it, in order of birth; `shape` (logical) and `dtype` are
    those of the first one, as `name` and `role` are. Of a split weight each row has the shape of its own part. Scratch
    and tails hold no value: they have neither.
    A storage of which one part lives longer has a row a part: first that part, with the values, then its tails.
    """

    id: int
    name: str
    role: str
    storage: str
    symbol: str
    offset: int
    size: int
    lower: int | None
    upper: int | None
    parameter: str = ""
    axis: int | None = None
    begin: int | None = None
    end: int | None = None
    values: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    dtype: str = ""


@dataclass(frozen=True)
class OpRow:
    """One operator of the schedule: its function `symbol` in the ELF, what it may read and write (buffer ids).

    `phase` is forward, loss, backward or update; `scratch` are the ids of its scratch buffers. `layer` is the model's
    own name of the layer it works for; a region has those of its operators, joined by +; the loss has none.
    """

    position: int
    symbol: str
    node: str
    phase: str
    reads: Ids = ()
    writes: Ids = ()
    scratch: Ids = ()
    layer: str = ""


LATER = {"shape", "dtype", "layer"}  # columns that tables of older runs do not have; they are read as empty


def _cell(value) -> str:
    if value is None:
        return ""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _value(text: str, kind):
    if kind is str:
        return text
    if kind == tuple[str, ...]:
        return tuple(text.split())
    if kind == Ids:
        return tuple(int(word) for word in text.split())
    return None if text == "" else int(text)


def write_csv(path: Path, rows, kind) -> None:
    """Write rows of the dataclass `kind` (BufferRow or OpRow); lists are separated by blanks."""
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(kind))
        writer.writerows([_cell(getattr(row, field.name)) for field in fields(kind)] for row in rows)


def read_csv(path: Path, kind) -> list:
    """Read what write_csv wrote. Raises RecordError where the file is missing or a cell does not fit."""
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns = [own for own in fields(kind) if own.name not in LATER.difference(reader.fieldnames or ())]
            return [kind(**{own.name: _value(row[own.name], own.type) for own in columns}) for row in reader]
    except FileNotFoundError:
        raise RecordError(f"{path} is missing") from None
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise RecordError(f"{path} is not a {kind.__name__} table: {error}") from None
