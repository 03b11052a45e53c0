"""What a profile tells, as text: the whole, functions, the call tree, lines, stacks, memory; and one beside another."""

from collections.abc import Iterator

import pandas as pd

from workbench import units
from workbench.record import Profile, Run
from workbench.report.cells import NOTHING, grid, known
from workbench.report.short_names import short_name

ENDS = {
    "exit": "it exited", "breakpoint": "it reached a breakpoint", "until": "it reached the symbol asked for",
    "limit": "its time was up", "fault": "it failed",
}  # fmt: skip
PASSED = {"idle_cycles": "waited for an interrupt", "exception_cycles": "of taking and leaving exceptions",
          "miss_cycles": "of misses in the cache (estimated)"}  # fmt: skip
SMALLEST = 0.01  # of all cycles: less is left out of the tree
DEEPEST = 12  # levels of the tree
NAME, PLACE, WIDE = 44, 28, 100  # letters


def profile_text(profile: Profile, top: int = 15) -> str:
    """Everything, the `top` functions and lines."""
    parts = [heading(profile), functions_text(profile, top)]
    parts += [tree_text(profile), lines_text(profile, top), _stacks(profile), _memory(profile), _objects(profile, top)]
    return "\n\n".join(part.rstrip() for part in parts if part) + "\n"


def step_text(run: Run, top: int = 15) -> str:
    """Functions, call tree and source lines of a run's first step."""
    if run.tree.empty:
        why = f"trace level {run.meta['trace']}" if run.meta["trace"] == "off" else "an older workbench wrote this run"
        return f"{run.title}: calls were not counted ({why})\n"
    sums = [units.count(int(run.tree[column].sum())) for column in ("instructions", "modelled_cycles")]
    head = f"a step of {run.title}: {sums[0]} instructions, {sums[1]} cycles ({run.meta.get('timing_model')}; modelled)"
    parts = [head, functions_text(run, top), tree_text(run), lines_text(run, top)]
    return "\n\n".join(part.rstrip() for part in parts if part) + "\n"


def heading(profile: Profile) -> str:
    """What ran, how it ended, and the sums."""
    meta = profile.meta
    code = "" if meta.get("exit_code") is None else f" with code {meta['exit_code']}"
    on = f"{meta['board']} ({meta['core']})" if meta.get("board") else f"{meta['core']}, memory as its ELF tells"
    cycles, hz = meta.get("modelled_cycles"), meta.get("clock_hz")
    why = f": {meta['notes'][0]}" if meta["ended"] == "fault" and meta.get("notes") else ""
    lines = [f"{meta['firmware']} on {on}: {ENDS.get(meta['ended'], meta['ended'])}{code}{why}"]
    if meta.get("part"):
        lines.append(f"{meta['part']} alone")
    took = ""
    if cycles is not None:
        took = f", {cycles:,} cycles"
        took += f" = {units.milliseconds(1000 * cycles / hz)} at {units.frequency(hz)}" if hz else ""
        took += f" ({meta.get('timing_model')}; modelled)"
    lines.append(f"{meta['instructions']:,} instructions{took}")
    passed = [f"{meta[name]:,} cycles {words}" for name, words in PASSED.items() if meta.get(name)]
    if passed:
        lines.append(f"and {' and '.join(passed)}, which belong to no function")
    flash, static, stack = (meta["memory"].get(name) for name in ("flash", "sram_static", "stack_peak"))
    told = [f"flash {units.kilobytes(flash)}", f"static SRAM {units.kilobytes(static)}"]
    several = profile.stack["stack"].nunique() > 1
    told.append(f"stack{'s' * several} {units.size(stack)} at {'their' if several else 'its'} deepest")
    lines.append(" · ".join(told))
    if len(stacks := meta.get("stacks") or []) == 1:
        lines.append(f"deepest in {_chain(stacks[0], WIDE)}")
    return "\n".join(lines)


def _chain(stack: dict, room: int) -> str:
    """The calls that a stack was deepest in; of many the first and the last ones, in so many letters."""
    names = [short_name(name, NAME) for name in stack["calls"]]
    kept = list(names)
    while len(" > ".join(kept)) > room and len(kept) > 2:
        kept.pop(len(kept) // 2)
    half = (len(kept) + 1) // 2
    return " > ".join(kept if kept == names else [*kept[:half], "…", *kept[half:]])


def functions_text(profile: Profile | Run, top: int) -> str:
    """Those that took most, by their own cycles."""
    table, whole = profile.functions, max(1, profile.functions.modelled_cycles.sum())
    rows = [[short_name(row.name, NAME), _count(row.calls), _count(row.instructions), _count(row.modelled_cycles),
             units.percent(row.modelled_cycles / whole), _count(row.modelled_cycles_inclusive),
             _count(row.stack), _place(row)] for row in table.head(top).itertuples(index=False)]  # fmt: skip
    heads = ["function", "calls", "instructions", "cycles", "", "with callees", "stack B", "where"]
    return grid(heads, rows, {0, 7}) + _more(len(table), top, "functions")


def tree_text(profile: Profile | Run) -> str:
    """Who called whom, with all that each took; less than a hundredth is left out."""
    tree = profile.tree
    whole = max(1, tree.modelled_cycles.sum())
    rows = []
    for level, row in _walk(tree, SMALLEST * whole):
        name = "  " * level + short_name(row.name, NAME)
        rows.append([name, units.percent(row.modelled_cycles_inclusive / whole), _count(row.modelled_cycles_inclusive),
                     _count(row.modelled_cycles), _count(row.calls)])  # fmt: skip
    heads = ["call tree", "", "cycles", "its own", "calls"]
    return grid(heads, rows, {0})


def _walk(tree: pd.DataFrame, least: float) -> Iterator[tuple[int, "pd.Series"]]:
    """(level, row) in depth-first order, the largest first."""
    below: dict[int, list] = {}
    for row in tree.sort_values("modelled_cycles_inclusive", ascending=False, kind="stable").itertuples(index=False):
        if row.modelled_cycles_inclusive >= max(least, 1):
            below.setdefault(row.parent, []).append(row)
    waiting = [(0, row) for row in reversed(below.get(-1, []))]
    while waiting:
        level, row = waiting.pop()
        yield level, row
        if level < DEEPEST:
            waiting += [(level + 1, each) for each in reversed(below.get(row.id, []))]


def lines_text(profile: Profile | Run, top: int) -> str:
    """Source lines that took most; '' without any."""
    table = profile.lines[profile.lines.file != ""]
    if not len(table):
        return ""
    whole = max(1, profile.lines.modelled_cycles.sum())
    rows = [[f"{row.file}:{row.line}", short_name(_holder(row), NAME), _count(row.executions), _count(row.instructions),
             _count(row.modelled_cycles), units.percent(row.modelled_cycles / whole)]
            for row in table.head(top).itertuples(index=False)]  # fmt: skip
    heads = ["source line", "function", "executions", "instructions", "cycles", ""]
    return grid(heads, rows, {0, 1}) + _more(len(table), top, "lines")


def _holder(row) -> str:
    """The function that holds a line's code, and the one that it was inlined from."""
    return f"{row.inlined} in {row.function}" if row.inlined else row.function


def _stacks(profile: Profile) -> str:
    """Each stack at its deepest, where there are several."""
    stacks = profile.meta.get("stacks") or []
    rows = [[stack["stack"], units.size(stack["bytes"]), _chain(stack, WIDE // 2)] for stack in stacks]
    return grid(["stack", "deepest", "in"], rows, {0, 2}) if len(rows) > 1 else ""


def _memory(profile: Profile) -> str:
    table = profile.memory.dropna(subset=["bytes_read", "bytes_written"])
    rows = [[row.region, units.address(row.base), units.kilobytes(row.size), _count(row.bytes_read),
             _count(row.bytes_written)] for row in table.itertuples(index=False)]  # fmt: skip
    return grid(["region", "at", "size", "bytes read", "bytes written"], rows, {0, 1}) if rows else ""


def _objects(profile: Profile, top: int) -> str:
    """What takes most of the SRAM that is taken always."""
    table = profile.symbols
    objects = table[(table.region == "sram") & (table.kind == "object")].sort_values(
        ["size", "name"], ascending=[False, True]
    )
    rows = [
        [short_name(row.name, NAME), row.section, _count(row.size)] for row in objects.head(min(top, 5)).itertuples()
    ]
    return grid(["in SRAM", "section", "bytes"], rows, {0, 1}) if rows else ""


def difference_text(before: Profile, now: Profile, top: int = 15) -> str:
    """Functions by what they take more, or less, than in another profile."""
    both = difference(before, now)
    sums = {name: (int(getattr(before.functions, name).sum()), int(getattr(now.functions, name).sum()))
            for name in ("instructions", "modelled_cycles")}  # fmt: skip
    lines = [f"{now.meta['firmware']} against {before.meta['firmware']}"]
    for name, words in (("instructions", "instructions"), ("modelled_cycles", "cycles")):
        lines.append(f"{words} {sums[name][0]:,} → {sums[name][1]:,}  {units.change(*sums[name])}")
    for name, words in (("flash", "flash"), ("sram_static", "static SRAM"), ("stack_peak", "stack")):
        old, new = (each.meta["memory"].get(name) for each in (before, now))
        if old is not None and new is not None:
            lines.append(f"{words} {old:,} B → {new:,} B  {units.change(old, new)}")
    models = {each.meta.get("timing_model") for each in (before, now)}
    if len(models) > 1:
        lines.append("cycles are of different timing models: they say nothing beside each other")
    changed = both[(both.cycles != 0) | (both.instructions != 0)]
    if not len(changed):
        return "\n".join([*lines, "", "every function took as much as before"]) + "\n"
    rows = [
        [short_name(row.name, NAME), _count(row.cycles_before), _count(row.cycles_now)]
        + [f"{change:+,}" for change in (row.cycles, row.instructions, row.calls)]
        for row in changed.head(top).itertuples(index=False)
    ]
    heads = ["function", "cycles before", "now", "change", "instructions", "calls"]
    return "\n".join([*lines, "", grid(heads, rows, {0})]) + _more(len(changed), top, "functions")


def difference(before: Profile, now: Profile) -> pd.DataFrame:
    """name, cycles_before, cycles_now, cycles, instructions, calls (changes): the largest change first. Functions are
    known by their names; several of one name are one."""
    columns = ["calls", "instructions", "modelled_cycles"]
    old, new = (each.functions.groupby("name")[columns].sum() for each in (before, now))
    names = old.index.union(new.index)
    old, new = (each.reindex(names, fill_value=0) for each in (old, new))
    table = pd.DataFrame({
        "name": names, "cycles_before": old.modelled_cycles.to_numpy(), "cycles_now": new.modelled_cycles.to_numpy(),
        "cycles": (new.modelled_cycles - old.modelled_cycles).to_numpy(),
        "instructions": (new.instructions - old.instructions).to_numpy(), "calls": (new.calls - old.calls).to_numpy(),
    })  # fmt: skip
    order = table.assign(most=table.cycles.abs()).sort_values(["most", "name"], ascending=[False, True]).index
    return table.loc[order].reset_index(drop=True)


def _place(row) -> str:
    if not row.file:
        return ""
    return short_name(f"{row.file}:{row.line}" if known(row.line) is not None else row.file, PLACE)


def _count(value) -> str:
    return NOTHING if known(value) is None else f"{int(value):,}"


def _more(count: int, top: int, what: str) -> str:
    return f"… and {count - top} more {what}\n" if count > top else ""
