"""A profile as a callgrind file, for KCachegrind, QCachegrind and callgrind_annotate.

    fl=(1) src/main.c            file and function of the cost lines below
    fn=(1) main
    12 340 510                   line, then self instructions and cycles
    cfn=(2) crc                  calls: the callee, how often, its own line;
    calls=4 30                   then the line they stand in, and their inclusive cost
    12 4640 6960

The format: "Callgrind Format Specification" of the Valgrind manual, https://valgrind.org/docs/manual/cl-format.html,
version 1. Names are always compressed, `(id) name`, so that none is taken for an id itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pandas as pd

from workbench.plain import printable
from workbench.record import Profile
from workbench.report.exports.walk import CYCLES, INSTRUCTIONS, measures

UNKNOWN = "???"  # as callgrind itself writes what it does not know
SHORT = {INSTRUCTIONS: "Ir", CYCLES: "Cy"}


def callgrind(profile: Profile) -> str:
    """The text of a callgrind file; functions that share a name are one. Costs are those of the tables: a function's
    lines, and what its lines do not account for in the line of its head."""
    costs = measures(profile)
    total = profile.functions[list(costs)].sum().tolist()
    names = _Names()
    body = [line for function in _functions(profile, costs) for line in _lines(function, costs, names)]
    return "\n".join([*_head(profile, costs), f"summary: {_costs(total)}", "", *body, ""])


class _Names:
    """Files and functions by number: the first time with their name."""

    def __init__(self) -> None:
        self.ids: dict[str, dict[str, int]] = {"file": {}, "function": {}}

    def __call__(self, kind: str, name: str) -> str:
        """`kind`: file or function, which are numbered apart."""
        ids = self.ids[kind]
        if name in ids:
            return f"({ids[name]})"
        ids[name] = len(ids) + 1
        return f"({ids[name]}) {printable(name).strip() or UNKNOWN}"


@dataclass
class _Function:
    """All rows of a name: where its head is, its self costs, its lines and its calls."""

    name: str
    own: list[int]
    file: str = UNKNOWN
    line: int = 0
    lines: list[tuple[str, int, list[int]]] = field(default_factory=list)
    calls: list["_Call"] = field(default_factory=list)


@dataclass(frozen=True)
class _Call:
    """The calls of a function from one line, and what they took."""

    callee: _Function
    file: str
    line: int
    count: int
    spent: list[int]


def _functions(profile: Profile, costs: Sequence[str]) -> list[_Function]:
    functions: dict[str, _Function] = {}
    for name, rows in profile.functions.groupby("name", sort=False):
        own = [int(rows[column].sum()) for column in costs]
        functions[name] = _Function(name, own, rows.file.iloc[0] or UNKNOWN, _known(rows.line.iloc[0]))
    for name, rows in profile.lines.groupby("function", sort=False):
        if name in functions:
            functions[name].lines = _summed(rows, ["file", "line"], costs)
    sites = profile.calls.groupby(["caller", "callee", "file", "line"], sort=False, dropna=False)
    for (caller, callee, file, line), rows in sites:
        above, below = (functions.setdefault(name, _Function(name, [0] * len(costs))) for name in (caller, callee))
        spent = [int(rows[f"{column}_inclusive"].sum()) for column in costs]
        at, number = (file, int(line)) if file and not pd.isna(line) else (above.file, above.line)
        above.calls.append(_Call(below, at, number, int(rows.calls.sum()), spent))
    return list(functions.values())


def _summed(rows: pd.DataFrame, keys: list[str], costs: Sequence[str]) -> list[tuple[str, int, list[int]]]:
    """The costs of each line, a file's together."""
    sums = rows.groupby(keys, sort=False, dropna=False)[list(costs)].sum()
    return [(file or UNKNOWN, _known(line), list(map(int, spent)))
            for (file, line), *spent in sums.itertuples(name=None)]  # fmt: skip


def _head(profile: Profile, costs: Sequence[str]) -> Iterator[str]:
    meta = profile.meta
    yield from ("# callgrind format", "version: 1", "creator: workbench", f"cmd: {printable(meta['firmware'])}")
    yield f"desc: Ended: {printable(meta['ended'])}"
    if CYCLES in costs:
        yield f"desc: Timing model: {printable(meta.get('timing_model') or UNKNOWN)}"
    yield "positions: line"
    yield f"event: {SHORT[INSTRUCTIONS]} : instructions"
    if CYCLES in costs:
        yield f"event: {SHORT[CYCLES]} : cycles, modelled"
    yield f"events: {' '.join(SHORT[column] for column in costs)}"


def _lines(function: _Function, costs: Sequence[str], names: _Names) -> Iterator[str]:
    yield f"fl={names('file', function.file)}"
    yield f"fn={names('function', function.name)}"
    left = [own - sum(spent[at] for _, _, spent in function.lines) for at, own in enumerate(function.own)]
    lines = function.lines
    if min(left) < 0:  # lines of code that other functions inlined stand there too: they cannot be told apart
        lines, left = [], function.own
    if any(left) or not lines:
        yield f"{function.line} {_costs(left)}"
    at = function.file
    for file, line, spent in sorted(lines, key=lambda each: each[0] != function.file):
        if file != at:
            yield f"fi={names('file', file)}"
            at = file
        yield f"{line} {_costs(spent)}"
    for call in function.calls:
        if call.file != at:
            yield f"{'fe' if call.file == function.file else 'fi'}={names('file', call.file)}"
            at = call.file
        yield f"cfi={names('file', call.callee.file)}"
        yield f"cfn={names('function', call.callee.name)}"
        yield f"calls={call.count} {call.callee.line}"
        yield f"{call.line} {_costs(call.spent)}"
    yield ""


def _known(line) -> int:
    return 0 if pd.isna(line) else int(line)


def _costs(values: Sequence[int]) -> str:
    return " ".join(str(int(value)) for value in values)
