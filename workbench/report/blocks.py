"""The rectangles of the lifecycle figure: a buffer's lifetime × its addresses, coloured by role, and named."""

from itertools import pairwise

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.transforms import Bbox

from workbench import units
from workbench.report import palette, tables
from workbench.report.labels import Names

NUMBER, TIGHT = 8.5, (2, 1)  # of a number: points, pixels around it


def draw(axes, table, scale):
    """`table` is tables.rectangles: solid from the first write to the last read, pale where merely planned."""
    untraced = table.used0.isna().all()
    edge = 0.8 if scale.positions <= 120 else 0.3
    for role, rows in table.groupby("role", sort=False):
        colour, traced = palette.role_colour(role), rows[rows.used0.notna()]
        _boxes(axes, rows, "x0", "x1", scale, colour if untraced else palette.pale(colour), 0, 2)
        _boxes(axes, traced, "used0", "used1", scale, colour, 0, 2.2)
        _boxes(axes, rows, "x0", "x1", scale, "none", edge, 2.4)


def placed(run, edges):
    """tables.rectangles with its positions where the axis has them; `edges`: where each begins."""
    table, positions = tables.rectangles(run), np.arange(len(edges))
    return table.assign(**{
        column: np.interp(table[column].to_numpy(float), positions, edges) for column in ("x0", "x1", "used0", "used1")
    })  # fmt: skip


def name(labels, axes, table, scale, worst, numbers) -> list[tuple]:
    """Write its name and bytes into each rectangle that has room for them, beside the outline of the worst position
    (from, to); else its number, if it has one. Gives each number that was written: what it stands for, and the text.
    """
    names, written = Names(table.name), []
    for row in table.sort_values(["bytes", "id"], ascending=[False, True]).itertuples():
        x0, x1 = _beside((row.x0, row.x1), worst)
        frame = Bbox(axes.transData.transform([(x0, row.y0 / scale.unit), (x1, row.y1 / scale.unit)]))
        if labels.fill(axes, frame, names.ways(row.name, units.kilobytes(row.bytes))):
            continue
        buffer = (row.name, int(row.bytes))
        if buffer in numbers and labels.fill(axes, frame, [str(numbers[buffer])], (NUMBER,), TIGHT):
            written.append((buffer, axes.texts[-1]))
    return written


def _beside(life: tuple[float, float], outline) -> tuple[float, float]:
    """The longest part of a lifetime that neither side of the worst position's outline cuts."""
    cuts = sorted({*life, *(at for at in outline if life[0] < at < life[1])})
    return max(pairwise(cuts), key=lambda part: part[1] - part[0])


def _boxes(axes, rows, left, right, scale, colour, edge, zorder):
    if rows.empty:
        return
    x0, x1, y0, y1 = (rows[name].to_numpy(float) for name in (left, right, "y0", "y1"))
    y0, y1 = y0 / scale.unit, y1 / scale.unit
    corners = np.stack([np.stack(pair, axis=1) for pair in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))], axis=1)
    low, high = (axes.transData.transform(np.stack([x0, y], axis=1))[:, 1] for y in (y0, y1))  # pixels
    style = {
        "facecolors": colour,
        "edgecolors": "white",
        "linewidths": np.minimum(edge, 0.15 * (high - low)),
        "zorder": zorder,
    }
    axes.add_collection(PolyCollection(corners, **style), autolim=False)
