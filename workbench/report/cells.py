"""Cells and aligned columns for text on a terminal; a missing value is '–' whatever its kind."""

import pandas as pd

from workbench import units

NOTHING = "–"


def grid(heads, rows, left) -> str:
    """Columns two blanks apart; those in `left` left-aligned, numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows, strict=True)]
    lines = []
    for row in (heads, *rows):
        cells = (
            cell.ljust(w) if i in left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def known(value):
    """None for every kind of missing cell."""
    return None if value is None or pd.isna(value) else value


def size(count) -> str:
    """'1.5 KB'."""
    return NOTHING if known(count) is None else units.kilobytes(int(count))


def bare_kb(count) -> str:
    """'1.5', for a column whose unit stands below the table."""
    return NOTHING if known(count) is None else units.bare(int(count), units.KB)


def arrow(before, after, form) -> str:
    """'2.31 → 0.11'."""
    before, after = known(before), known(after)
    return NOTHING if before is None and after is None else f"{form(before)} → {form(after)}"
