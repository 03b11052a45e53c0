"""Run: everything a finished run left behind. Reports are drawn from it alone, without running again.

run.json       the metadata, the object that `run --json` prints, and `files`: the SHA-256 of each other file
graph.txt      the scheduled graph as IR text
ops.csv        the plan's operators + what the trace counted at each
buffers.csv    the plan's buffers + the address and what the trace saw of each
accesses.csv   bytes read and written, buffer by position (trace level memory)
violations.csv accesses the plan did not promise (trace level memory)
symbols.csv    the ELF's symbols
functions.csv, tree.csv, lines.csv, stack.csv
               where the first step's instructions and cycles went, as of a profile (trace levels ops and memory)
weights.npz    the trained parameters by name, in the model's own shapes and order
firmware/      the C project and the ELF that ran, where they were kept

A run replaces an earlier one as a whole (see folder.py). A run is refused if a file was cut, edited or removed since.
Where several runs were written together (lifecycle, demo), or a project alone (build), files.json holds `files`. A
comparison has compare.csv too, with each cell's folder or error; several seeds have seeds.csv, with each run's folder,
such as seed-0 or full-optimized/seed-0, or its error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import RecordError
from workbench.files import MB, packed, read_json, unpacked
from workbench.files import read as read_file
from workbench.plain import printable_lines
from workbench.record.folder import LISTS, RUN, digests, filling, manifest, settled, unfinished, within, write_at_once
from workbench.record.meta import FURTHER, NEEDED, as_shown, require_meta
from workbench.record.profile_tables import LARGEST_TABLE, STEP, empty, read_table, written
from workbench.record.tables import parse_table, require_bounded
from workbench.units import kilobytes, quantity

if TYPE_CHECKING:
    import pandas as pd

# fmt: off
OPS = ["position", "symbol", "node", "phase", "reads", "writes", "scratch", "layer",
       "instructions", "cycles", "bytes_read", "bytes_written"]
BUFFERS = ["id", "name", "role", "storage", "symbol", "offset", "size", "lower", "upper", "parameter", "axis", "begin",
           "end", "values", "shape", "dtype", "address", "first_write", "last_read", "bytes_read",
           "bytes_written", "touched"]
# fmt: on
ACCESSES = ["position", "buffer", "bytes_read", "bytes_written", "low", "high"]
VIOLATIONS = ["kind", "position", "op", "buffer", "address", "size", "pc", "symbol", "count"]
SYMBOLS = ["name", "address", "size", "kind"]

LARGEST_FILE, MOST_NAMED = 32 * MB, 20
WEIGHTS, ELF = "weights.npz", "firmware/firmware.elf"
TABLES = {"ops": OPS, "buffers": BUFFERS, "accesses": ACCESSES, "violations": VIOLATIONS, "symbols": SYMBOLS}


def _table(columns: list[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns=columns)


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run. Positions are operators in execution order of the first training step.

    meta        the `run --json` object (its keys are in FORMATS.md)
    graph       the scheduled graph as IR text
    ops         one row an operator: the plan's columns (ops.csv), then instructions, cycles (modelled), bytes_read and
                bytes_written, summed over the first training step (empty where not traced). An operator runs once a
                step or, where gradients are accumulated (`accumulate` in meta), once a batch, but for phase update.
                reads, writes and scratch are buffer ids separated by blanks
    buffers     one row a storage: the plan's columns (buffers.csv), its address, then first_write and last_read
                (positions; -1 = by the host or at start-up), bytes_read, bytes_written, and touched
                (bytes from its start to the highest one accessed)
    accesses    position, buffer (id), bytes_read, bytes_written, low, high (addresses, high exclusive)
    violations  kind (undeclared-read, undeclared-write, unwritten-read, outside: in no buffer alive, beyond-reserve:
                the stack, at every trace level), position, op, buffer (id or empty; outside: the one that died there
                last, else the nearest declared one), address, size, pc, symbol, count
    symbols     name, address, size, kind (function or object)
    weights     the parameters at the end of the training by name, in the model's own shapes and order, even if they
                are NaN
    profiled    the tables below by name, computed when they are first asked for; none where the step was not traced

    Where the instructions and cycles of the first step went, with the columns of a Profile (see there):

    functions   one row a function of the firmware, operators and kernels' instances among them
    tree        one row a context: who called whom. Its roots are what the host calls, wb_train_step and wb_accumulate
    lines       one row a source line
    stack       the depth of the stack in time
    """

    meta: dict
    graph: str
    ops: pd.DataFrame = field(default_factory=lambda: _table(OPS))
    buffers: pd.DataFrame = field(default_factory=lambda: _table(BUFFERS))
    accesses: pd.DataFrame = field(default_factory=lambda: _table(ACCESSES))
    violations: pd.DataFrame = field(default_factory=lambda: _table(VIOLATIONS))
    symbols: pd.DataFrame = field(default_factory=lambda: _table(SYMBOLS))
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)
    profiled: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def functions(self) -> pd.DataFrame:
        return self._profiled("functions")

    @property
    def tree(self) -> pd.DataFrame:
        return self._profiled("tree")

    @property
    def lines(self) -> pd.DataFrame:
        return self._profiled("lines")

    @property
    def stack(self) -> pd.DataFrame:
        return self._profiled("stack")

    def _profiled(self, name: str) -> pd.DataFrame:
        return self.profiled[name] if name in self.profiled else empty(name)

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

    def save(self, folder: str | Path) -> None:
        """Write every table into `folder` (made if missing), then run.json with the digests of all that was written.

        An earlier run there, its firmware included, is replaced. In a folder that is being filled nothing is: what
        lies there, such as the firmware, belongs to this run.
        """
        with filling(folder) as new:
            (new / "graph.txt").write_bytes(self.graph.encode())
            for name in TABLES:
                (new / f"{name}.csv").write_bytes(getattr(self, name).to_csv(index=False).encode())
            for name in self.profiled:
                (new / f"{name}.csv").write_bytes(written(name, self.profiled[name]))
            (new / WEIGHTS).write_bytes(packed(self.weights))
            write_at_once(new / RUN, json.dumps(self.meta | {"files": digests(new)}, indent=1) + "\n")


def load(folder: str | Path) -> Run:
    """The run saved in `folder`. Raises RecordError that names the file that is missing, cut, edited or unreadable.

    What a killed process left complete there is moved into place first.
    """
    with settled(folder):
        return read(folder)


def load_with_elf(folder: str | Path) -> tuple[Run, bytes | None]:
    """`load`, and the ELF that was kept with the run, if any."""
    with settled(folder):
        run = read(folder)
        kept = (Path(folder) / ELF).is_file()
        return run, read_file(Path(folder) / ELF, LARGEST_FILE) if kept else None


def read(folder: str | Path) -> Run:
    """`load` for a folder that is settled already, or lies in one that is."""
    folder = Path(folder)
    with telling(folder, "run"):
        meta, files = head(folder, RUN, NEEDED, FURTHER)
        graph = printable_lines(whole(folder, "graph.txt", files).decode())
        tables = {name: parse_table(f"{name}.csv", whole(folder, f"{name}.csv", files), columns)
                  for name, columns in TABLES.items()}  # fmt: skip
        require_bounded(tables)
        profiled = {name: read_table(name, whole(folder, f"{name}.csv", files, LARGEST_TABLE))
                    for name in STEP if f"{name}.csv" in files}  # fmt: skip
        weights = _weights(whole(folder, WEIGHTS, files)) if WEIGHTS in files else {}
        for name in files:
            whole(folder, name, files)
    return Run(as_shown(meta), graph, **tables, weights=weights, profiled=profiled)


def head(folder: Path, name: str, needed: Mapping, further: Mapping) -> tuple[dict, dict[str, str]]:
    """The object in run.json or profile.json, its keys checked, and apart from it `files`: the other files' SHA-256."""
    meta = read_json(folder / name, LARGEST_FILE)
    require_meta(meta, name, needed, further)
    files = meta.pop("files", None)
    if not isinstance(files, dict):
        raise RecordError("an older workbench wrote it, with nothing to check its files by", "run it again")
    return meta, files


@contextmanager
def telling(folder: Path, what: str):
    """Have what goes wrong in reading a folder told as a RecordError that it holds no readable `what`: run, profile."""
    try:
        yield
    except FileNotFoundError as error:
        raise RecordError(*_incomplete(folder, Path(error.filename).name, what)) from None
    except OSError as error:
        raise RecordError(f"{folder} holds no readable {what}: {Path(error.filename).name}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # of JSON
        words = "it is nested too deep" if isinstance(error, RecursionError) else error
        raise RecordError(f"{folder} holds no readable {what}: {what}.json: {words}") from None
    except RecordError as error:
        raise RecordError(f"{folder} holds no readable {what}: {error.message}", error.hint) from None


def _weights(content: bytes) -> dict[str, np.ndarray]:
    try:
        return unpacked(content)
    except ValueError as error:
        raise RecordError(f"{WEIGHTS}: {error}") from None


def together(folder: str | Path) -> list[Path]:
    """The folders of the runs that were written into `folder` together; none where no files.json says so.

    Raises RecordError where a run, or the table that lists them, is not the one of that time.
    """
    folder, files = Path(folder), manifest(folder)
    runs = [name for name in files if name.endswith(f"/{RUN}")]
    try:
        for name in [*runs, *(name for name in files if name in LISTS)]:
            whole(folder, name, files)
    except FileNotFoundError as error:
        raise RecordError(f"{folder} is incomplete: {error.filename} is missing", "run it again") from None
    except RecordError as error:
        raise RecordError(f"{folder} is a mixture: {error.message}", "report each run in it by itself") from None
    return [folder / Path(name).parent for name in runs]


def _incomplete(folder: Path, missing: str, what: str) -> tuple[str, str]:
    """What to say of a folder without a run or a profile, and what to do."""
    state = unfinished(folder)
    if state == "interrupted":
        return f"{folder} holds no complete {what}: what was begun there was interrupted", "run it again"
    if state:
        return f"{folder} holds no complete {what}: the first one is {state}", "wait until it is done"
    several = [str(folder / Path(name).parent) for name in manifest(folder) if name.endswith(f"/{what}.json")]
    if several:
        which = f"name one of them: {', '.join(several[:MOST_NAMED])}"
        return f"{folder} holds no single {what} but {len(several)}", which
    return (
        f"{folder} holds no complete {what}: {missing} is missing",
        f"name the folder that `workbench {what} … -o DIR` wrote",
    )


def whole(folder: Path, name: str, files: dict[str, str], most: int = LARGEST_FILE) -> bytes:
    """The content of a file that a manifest names. Raises RecordError if it has another digest than there."""
    if not within(folder, name) or ((folder / name).exists() and not (folder / name).is_file()):
        raise RecordError(f"{name} is no file of that folder")
    content = read_file(folder / name, most)
    if sha256(content).hexdigest() != files.get(name):
        raise RecordError(f"{name} is not the one this run wrote: it is truncated or was edited")
    return content
