"""The rectangles of the lifecycle figure: a buffer's lifetime × its addresses, coloured by role, and named."""

from itertools import pairwise

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.transforms import Bbox

from workbench import units
from workbench.report import palette
from workbench.report.labels import Names


def draw(axes, table, scale):
    """`table` is tables.rectangles: solid from the first write to the last read, pale where merely planned."""
    untraced = table.used0.isna().all()
    edge = 0.8 if scale.positions <= 120 else 0.3
    for role, rows in table.groupby("role", sort=False):
        colour, traced = palette.role_colour(role), rows[rows.used0.notna()]
        _boxes(axes, rows, "x0", "x1", scale, colour if untraced else palette.pale(colour), 0, 2)
        _boxes(axes, traced, "used0", "used1", scale, colour, 0, 2.2)
        _boxes(axes, rows, "x0", "x1", scale, "none", edge, 2.4)


def name(labels, axes, table, scale, worst: int):
    """Write its name and bytes into each rectangle that has room for them, beside the `worst` position's outline."""
    names = Names(table.name)
    for row in table.sort_values(["bytes", "id"], ascending=[False, True]).itertuples():
        x0, x1 = _beside((row.x0, row.x1), worst)
        corners = axes.transData.transform([(x0, row.y0 / scale.unit), (x1, row.y1 / scale.unit)])
        labels.fill(axes, Bbox(corners), names.ways(row.name, units.kilobytes(row.bytes)))


def _beside(life: tuple[int, int], position: int) -> tuple[int, int]:
    """The longest part of a lifetime that no side of the position's outline cuts."""
    cuts = sorted({*life, *(at for at in (position, position + 1) if life[0] < at < life[1])})
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
