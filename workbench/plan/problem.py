"""The nouns of planning: a Buffer wants bytes for a lifetime, those of a Stack want to lie together, a Plan places each
at an offset."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from workbench import files
from workbench.errors import PlanError, shown

LARGEST_FILE, MOST_BUFFERS = 16 * files.MB, 50_000  # of a buffer file: bytes, rows
LONGEST_NAME, LARGEST_NUMBER = 200, 1 << 40


@dataclass(frozen=True)
class Buffer:
    """`size` bytes alive at positions [lower, upper)."""

    id: str
    lower: int
    upper: int
    size: int

    def __post_init__(self) -> None:
        if self.lower >= self.upper or self.size < 1 or self.lower < 0:
            raise PlanError(
                f"buffer {self.id}: a lifetime [lower, upper) is not empty and a size is positive; "
                f"got [{self.lower}, {self.upper}) and {self.size}"
            )

    def meets(self, other: "Buffer") -> bool:
        """Whether there is a position at which both are alive."""
        return self.lower < other.upper and other.lower < self.upper


Stack = tuple[Buffer, ...]  # buffers that lie directly one on another, the first at the bottom


@dataclass(frozen=True)
class Placed(Buffer):
    """A buffer at `offset` bytes from the start of the arena."""

    offset: int

    @property
    def end(self) -> int:
        return self.offset + self.size


@dataclass(frozen=True)
class Plan:
    """Placed buffers, the arena's `bytes`, the most bytes live at once (`bound`), and the `method` that found it.

    No plan is smaller than `proven` bytes: the bound, or more where a search of so many `nodes` has shown it.
    """

    buffers: tuple[Placed, ...]
    bytes: int
    bound: int
    method: str
    proven: int = 0
    nodes: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "proven", max(self.proven, self.bound))

    @property
    def optimal(self) -> bool:
        """Whether it is proven that no plan is smaller."""
        return self.bytes == self.proven

    @property
    def gap(self) -> int:
        """Bytes that might still be saved."""
        return self.bytes - self.proven

    def offsets(self) -> dict[str, int]:
        return {buffer.id: buffer.offset for buffer in self.buffers}


def plan_of(placed: Sequence[Placed], bound: int, method: str, proven: int = 0) -> Plan:
    """The plan of buffers that have their places."""
    return Plan(tuple(placed), max((buffer.end for buffer in placed), default=0), bound, method, proven)


def lower_bound(buffers: Iterable[Buffer]) -> int:
    """The most bytes alive at one position: no plan can need fewer."""
    return max((live for live, _ in _live(buffers)), default=0)


def busiest(buffers: Iterable[Buffer]) -> int:
    """The first position at which the most bytes are alive."""
    return -max(((live, -position) for live, position in _live(buffers)), default=(0, 0))[1]


def _live(buffers: Iterable[Buffer]) -> Iterator[tuple[int, int]]:
    """(bytes alive, position) for each position at which the bytes alive change."""
    change: dict[int, int] = {}
    for buffer in buffers:
        change[buffer.lower] = change.get(buffer.lower, 0) + buffer.size
        change[buffer.upper] = change.get(buffer.upper, 0) - buffer.size
    live = 0
    for position in sorted(change):
        live += change[position]
        yield live, position


def read_buffers(path: Path) -> list[Buffer]:
    """Buffers of a CSV file with the columns id, lower, upper, size (a column offset is ignored).

    In a plan table of the workbench, which has a column `storage`, static rows are left out. Raises PlanError with the
    line at fault.
    """
    try:
        lines = [[cell.strip() for cell in line] for line in files.read_rows(path, LARGEST_FILE, MOST_BUFFERS)]
    except (OSError, ValueError) as error:
        raise PlanError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    head, *rows = lines or [[]]
    _require_columns(path, head, rows)
    buffers, seen = [], set()
    for number, cells in enumerate(rows, 2):
        if not cells:
            continue
        row = dict(zip(head, cells, strict=False))
        if row.get("storage", "arena") != "arena":
            continue  # what is static has no lifetime
        try:
            buffer = _buffer(row, head, cells)
        except PlanError as error:
            raise PlanError(f"{path}:{number}: {error.message}") from None
        if buffer.id in seen:
            raise PlanError(f"{path}:{number}: buffer {buffer.id} is there twice")
        seen.add(buffer.id)
        buffers.append(buffer)
    return buffers


def _require_columns(path: Path, head: list[str], rows: list[list[str]]) -> None:
    """Raise PlanError unless the columns are those of a buffer file: another could be a wish that no plan heeds."""
    wanted = [field.name for field in fields(Buffer)]
    help_ = f"it needs the columns {','.join(wanted)} and at least one row"
    if not set(wanted) <= set(head):
        raise PlanError(f"{path} is not a buffer file: it begins with {','.join(head)[:60]!r}", help_)
    if not any(rows):
        raise PlanError(f"{path} is not a buffer file: it has no row", help_)
    further = [name for name in head if name not in (*wanted, "offset")]
    if further and "storage" not in head:
        raise PlanError(f"{path}: nothing is planned by {', '.join(further)}",
                        f"leave out what is not {','.join(wanted)}")  # fmt: skip


def _buffer(row: dict[str, str], head: list[str], cells: list[str]) -> Buffer:
    if len(cells) > len(head):
        raise PlanError(f"there are {len(cells)} fields, but {len(head)} columns")
    lacking = [field.name for field in fields(Buffer) if not row.get(field.name)]
    if lacking:
        raise PlanError(f"{' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} missing")
    try:
        lower, upper, needed = (int(row[name]) for name in ("lower", "upper", "size"))
    except ValueError:
        got = ", ".join(shown(row[name]) for name in ("lower", "upper", "size"))
        raise PlanError(f"lower, upper and size are whole numbers; got {got}") from None
    if len(row["id"]) > LONGEST_NAME or max(upper, needed) > LARGEST_NUMBER:
        raise PlanError(f"buffer {shown(row['id'])}: an id has up to {LONGEST_NAME} letters, upper and size are up to "
                        f"{LARGEST_NUMBER}; got {shown(upper)} and {shown(needed)}")  # fmt: skip
    return Buffer(row["id"], lower, upper, needed)


def write_plan(path: Path, buffers: Sequence[Placed]) -> None:
    """id,lower,upper,size,offset, a row a buffer."""
    with Path(path).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Placed))
        writer.writerows(astuple(buffer) for buffer in buffers)
