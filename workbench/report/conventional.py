"""The conventional baseline beside compiled steps, as text: what fragmentation and code cost, and where each difference
comes from, part by part."""

from collections.abc import Sequence

from workbench import units
from workbench.baseline import BASELINES, LADDER, TAKEN_AWAY
from workbench.record import Run
from workbench.report import tables
from workbench.report.cells import NOTHING, bare_kb, grid, known

CODE = ("kernels", "code", "parameters", "tables")  # what flash consists of
FORMS = (bare_kb, bare_kb, units.quantity, units.milliseconds)  # SRAM, flash, instructions, a step


def conventional_text(runs: Sequence[Run]) -> str:
    """Two tables, "" where no run is conventional: heap and flash of every run; and, where runs have one part after
    another taken away, what each change is worth."""
    if not any(run.meta["schedule"] in BASELINES for run in runs):
        return ""
    return "\n".join([_flash(runs), *filter(None, map(_ladder, _of_each_training(runs)))])


def steps_of(runs: Sequence[Run]) -> list[tuple[str, Run, Run]]:
    """What is taken away, the run before and the run after, of runs that differ in their schedules alone."""
    by_schedule = {run.meta["schedule"]: run for run in runs if run.meta["schedule"] in LADDER}
    there = [by_schedule[name] for name in LADDER if name in by_schedule]
    if len(there) < 3:
        return []
    names = [run.meta["schedule"] for run in there]
    return [
        (
            " and ".join(TAKEN_AWAY[name] for name in LADDER[LADDER.index(before) + 1 : LADDER.index(after) + 1]),
            one,
            other,
        )
        for before, after, one, other in zip(names, names[1:], there, there[1:], strict=False)
    ]


def _of_each_training(runs: Sequence[Run]) -> list[list[Run]]:
    groups: dict[tuple, list[Run]] = {}
    for run in runs:
        key = tuple(str(tables.key(run, name)) for name in tables.KEYS if name not in ("schedule", "passes"))
        groups.setdefault(key, []).append(run)
    return list(groups.values())


def _flash(runs: Sequence[Run]) -> str:
    apart = tables.apart(runs) or ["schedule"]
    rows = []
    for run in runs:
        flash, holes = run.meta.get("flash") or {}, run.meta["memory"].get("fragmentation") or {}
        cells = [bare_kb(holes.get(name)) for name in ("at_peak", "largest")]
        cells += [bare_kb(flash.get(name)) for name in (*CODE, "total")]
        rows.append([*(str(tables.key(run, key)) or NOTHING for key in apart), *cells])
    heads = [*apart, "fragmented", "at most", *CODE, "flash"]
    body = grid(heads, rows, set(range(len(apart))))
    return (
        body + "KB; fragmented: bytes of the heap in which no tensor lies, at its peak, and at most below the highest\n"
    )


def _ladder(runs: Sequence[Run]) -> str:
    steps = steps_of(runs)
    if not steps:
        return ""
    rows = [[str(steps[0][1].meta["schedule"]), *_cells(steps[0][1], None)]]
    rows += [[f"− {what}", *_cells(after, before)] for what, before, after in steps]
    heads = ["where it comes from", "SRAM", "", "flash", "", "instr.", "", "a step", ""]
    policy = tables.key(runs[0], "policy")
    note = f"policy {policy}: one part after another taken away, each row against the one above\n"
    return grid(heads, rows, {0}) + note


def _cells(run: Run, before: Run | None) -> list[str]:
    """Each figure, and its change against the run before."""
    now, then = _figures(run), _figures(before) if before else [None] * len(FORMS)
    cells = []
    for value, earlier, form in zip(now, then, FORMS, strict=True):
        cells += [form(value), units.change(earlier, value) if value is not None and earlier is not None else ""]
    return cells


def _figures(run: Run) -> list[float | None]:
    row = tables.comparison([run]).iloc[0]
    return [tables.sram(run)[0], known(row.flash), known(row.instructions), known(row.ms)]
