"""Run: everything a finished run left behind. Reports are drawn from it alone, without running again.

run.json       the metadata, the object that `run --json` prints, and `files`: the SHA-256 of each other file
graph.txt      the scheduled graph as IR text
ops.csv        the plan's operators + what the trace counted at each
buffers.csv    the plan's buffers + the address and what the trace saw of each
accesses.csv   bytes read and written, buffer by position (trace level memory)
violations.csv accesses the plan did not promise (trace level memory)
symbols.csv    the ELF's symbols

run.json is written last and at once, so a folder that has it is whole; what was cut or edited since is refused.
"""

import json
import os
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pandas as pd

from workbench.errors import RecordError
from workbench.record.meta import require_meta
from workbench.units import kilobytes, quantity

# fmt: off
OPS = ["position", "symbol", "node", "phase", "reads", "writes", "scratch",
       "instructions", "cycles", "bytes_read", "bytes_written"]
BUFFERS = ["id", "name", "role", "storage", "symbol", "offset", "size", "lower", "upper", "parameter", "axis", "begin",
           "end", "values", "address", "first_write", "last_read", "bytes_read", "bytes_written", "touched"]
# fmt: on
ACCESSES = ["position", "buffer", "bytes_read", "bytes_written", "low", "high"]
VIOLATIONS = ["kind", "position", "op", "buffer", "address", "size", "pc", "symbol", "count"]
SYMBOLS = ["name", "address", "size", "kind"]

TABLES = {"ops": OPS, "buffers": BUFFERS, "accesses": ACCESSES, "violations": VIOLATIONS, "symbols": SYMBOLS}


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run. Positions are operators in execution order of the first training step.

    meta        the `run --json` object (see the README for its keys)
    graph       the scheduled graph as IR text
    ops         one row an operator: the plan's columns (ops.csv), then instructions, cycles (modelled), bytes_read and
                bytes_written, summed over the first training step (empty where not traced): an operator runs once in
                it, or, but for phase update, as often as gradients are accumulated (`accumulate` in meta).
                reads, writes and scratch are buffer ids separated by blanks
    buffers     one row a storage: the plan's columns (buffers.csv), its address, then first_write and last_read
                (positions; -1 = by the host or at start-up), bytes_read, bytes_written, and touched
                (bytes from its start to the highest one accessed)
    accesses    position, buffer (id), bytes_read, bytes_written, low, high (addresses, high exclusive)
    violations  kind (undeclared-read, undeclared-write, unwritten-read, outside: in no buffer alive, beyond-reserve:
                the stack, at every trace level), position, op, buffer (id or empty; outside: the one that died there
                last, else the nearest declared one), address, size, pc, symbol, count
    symbols     name, address, size, kind (function or object)
    """

    meta: dict
    graph: str
    ops: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=OPS))
    buffers: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=BUFFERS))
    accesses: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=ACCESSES))
    violations: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=VIOLATIONS))
    symbols: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=SYMBOLS))

    @property
    def title(self) -> str:
        """'lenet full reordered': what tells this run from its neighbours."""
        return f"{self.meta['model']} {self.meta['policy']} {self.meta['schedule']}"

    def __repr__(self) -> str:
        """One line: what it is, its SRAM, its instructions where they were counted."""
        memory, count = self.meta["memory"], self.meta.get("instructions_per_step")
        peak = memory.get("sram_peak")
        words = [self.title, self.meta["board"]]
        words.append(f"SRAM {kilobytes(memory['sram_planned'] if peak is None else peak)}")
        words[-1] += " planned" if peak is None else " measured"
        words += [f"{quantity(count)} instructions a step"] * (count is not None)
        return f"<Run {' · '.join(words)}>"

    def save(self, folder: Path) -> None:
        """Write every table into `folder` (made if missing), then run.json with their digests."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        contents = {"graph.txt": self.graph}
        contents |= {f"{name}.csv": getattr(self, name).to_csv(index=False) for name in TABLES}
        digests = {}
        for name, text in contents.items():
            (folder / name).write_bytes(text.encode())
            digests[name] = sha256(text.encode()).hexdigest()
        unfinished = folder / "run.json.part"
        unfinished.write_text(json.dumps(self.meta | {"files": digests}, indent=1) + "\n")
        os.replace(unfinished, folder / "run.json")


def load(folder: Path) -> Run:
    """The run saved in `folder`. Raises RecordError that names the file that is missing, cut, edited or unreadable."""
    folder = Path(folder)
    try:
        meta = json.loads((folder / "run.json").read_bytes())
        require_meta(meta)
        digests = meta.pop("files", None)
        if not isinstance(digests, dict):
            raise RecordError("an older workbench wrote it, with nothing to check its files by", "run it again")
        graph = _whole(folder / "graph.txt", digests).decode()
        tables = {name: _read(folder / f"{name}.csv", columns, digests) for name, columns in TABLES.items()}
    except FileNotFoundError as error:
        raise RecordError(
            f"{folder} holds no complete run: {Path(error.filename).name} is missing",
            "name the folder that `workbench run … -o DIR` wrote",
        ) from None
    except OSError as error:
        raise RecordError(f"{folder} holds no readable run: {Path(error.filename).name}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # of JSON
        raise RecordError(f"{folder} holds no readable run: run.json: {error}") from None
    except RecordError as error:
        raise RecordError(f"{folder} holds no readable run: {error.message}", error.hint) from None
    return Run(meta, graph, **tables)


def forget(folder: Path) -> None:
    """Remove what Run.save wrote into `folder`, run.json first, and the folder if nothing else is in it."""
    folder = Path(folder)
    for name in ("run.json", "run.json.part", "graph.txt", *(f"{table}.csv" for table in TABLES)):
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _whole(path: Path, digests: dict) -> bytes:
    """What the file holds. Raises RecordError if it is not what was written beside this run.json."""
    content = path.read_bytes()
    if sha256(content).hexdigest() != digests.get(path.name):
        raise RecordError(f"{path.name} is not the one this run wrote: it is truncated or was edited")
    return content


_TEXT = (
    "name",
    "role",
    "storage",
    "symbol",
    "parameter",
    "values",
    "node",
    "phase",
    "reads",
    "writes",
    "scratch",
    "kind",
    "op",
)


def _read(path: Path, columns, digests: dict) -> pd.DataFrame:
    numbers = [column for column in columns if column not in _TEXT]
    content = BytesIO(_whole(path, digests))
    try:
        table = pd.read_csv(content, dtype=dict.fromkeys(_TEXT, str), keep_default_na=False,
                            na_values={column: [""] for column in numbers})  # fmt: skip
    except ValueError as error:
        raise RecordError(f"{path.name}: {error}") from None
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise RecordError(f"{path.name} lacks the columns {', '.join(missing)}")
    for column in numbers:
        if not pd.api.types.is_numeric_dtype(table[column]) and table[column].notna().any():
            raise RecordError(f"{path.name}: column {column} holds something that is not a number")
    return table
