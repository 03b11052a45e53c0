"""A budget's verdict for people and programs: a Markdown table for a pull request, one sentence, one object."""

import math

from workbench import units
from workbench.report.budget import APART, BYTES, FREE, OK, Budget, Row


def verdict_text(budget: Budget) -> str:
    """One line: how many figures are over their limits, and by how much."""
    if budget.apart:
        return f"not comparable: {'; '.join(budget.apart)}"
    held = [row for row in budget.rows if row.verdict != FREE]
    if budget.kept:
        return f"within the limits: {sum(row.verdict == OK for row in held)} of {len(budget.rows)} figures have one"
    several = len({row.subject for row in budget.rows}) > 1
    failing = [row for row in held if row.fails]
    over = [f"{f'{row.subject}, ' * several}{row.words} {_excess(row)}" for row in failing]
    return f"over budget, {len(failing)} of {len(budget.rows)} figures: {'; '.join(over)}"


def _excess(row: Row) -> str:
    if row.verdict == APART:
        return APART
    return f"by {units.count(math.ceil(row.now - (row.limit or 0)))}{' bytes' * (row.figure in BYTES)}"


def markdown(budget: Budget) -> str:
    """The table for a pull request, a line a figure, then the notes."""
    several = len({row.subject for row in budget.rows}) > 1
    heads = [*["run"] * several, "figure", "baseline", "now", "change", "limit", "verdict"]
    lines = [heads, [*["---"] * several, "---", *["---:"] * 4, "---"]]
    for row in budget.rows:
        verdict = f"**{row.verdict}**" if row.fails else row.verdict
        figure = f"{row.words}{', bytes' * (row.figure in BYTES)}"
        cells = [units.count(row.baseline), units.count(row.now), _change(row), units.count(row.limit)]
        lines.append([*[row.subject.replace("|", "\\|")] * several, figure, *cells, verdict])
    table = [f"| {' | '.join(cells)} |" for cells in lines]
    told = [*(f"**not comparable**: {reason}" for reason in budget.apart), *budget.notes]
    return "\n".join([*table, *[""] * bool(told), *(f"- {note}" for note in told)])


def _change(row: Row) -> str:
    change = row.change
    if change is None:
        return "–"
    sign = "+" if change > 0 else "−" if change < 0 else "±"
    share = f" ({units.change(row.baseline, row.now)})" if change and row.baseline else ""
    return f"{sign}{units.count(abs(change))}{share}"


def as_object(budget: Budget) -> dict:
    """For JSON: `kept`, `rows` with their verdicts, `notes`."""
    rows = [
        {
            "subject": row.subject, "figure": row.figure, "measure": row.measure,
            "unit": "bytes" if row.figure in BYTES else row.figure, "baseline": row.baseline, "now": row.now,
            "change": row.change, "limit": row.limit, "verdict": row.verdict, "fails": row.fails,
        }
        for row in budget.rows
    ]  # fmt: skip
    return {"kept": budget.kept, "rows": rows, "notes": budget.notes, "not_comparable": budget.apart}
