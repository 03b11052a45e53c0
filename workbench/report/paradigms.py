"""Update policies as layers: weights and biases of each layer as boxes, filled as far as the policy updates them.

               conv1   conv2   fc1    fc2
full           [###]#  [###]#  [###]# [###]#      a wide box is the weights, a narrow one the biases
bias-only      [   ]#  [   ]#  [   ]# [   ]#
conv2:0.5      [   ]   [#  ]#  [   ]  [   ]
"""

from collections.abc import Mapping, Sequence
from math import ceil

import pandas as pd
from matplotlib.patches import Patch, Rectangle

from workbench import units
from workbench.report import palette
from workbench.report.figure import DPI, WIDTH, Picture
from workbench.report.labels import Labels

COLUMNS = ("policy", "layer", "weights", "weights_of", "biases", "biases_of")
POINTS, SMALL = 20, 15  # of 1600 pixels: 9 and 6.5 on a page seven inches wide
MARGIN, ABOVE, BELOW = 30, 130, 80
ROW, BOX, NAMES, BREAK = 104, 62, 30, 28  # pixels: of a line of layers, a box, a policy's name, between policies
MOST_IN_A_LINE = 16  # layers; more go into further lines
FILL, FRAME = palette.ROLE["parameter"], palette.QUIET


def paradigms(parts: Mapping[str, Sequence]) -> pd.DataFrame:
    """A row a policy and layer: elements of its weights and biases that are updated, and of how many.

    `parts`: policy -> what it updates of each layer (study/policies.layer_parts).
    """
    rows = [
        (policy, part.layer, part.weights, part.weights_of, part.biases, part.biases_of)
        for policy, layers in parts.items()
        for part in layers
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def paradigms_figure(network: str, table: pd.DataFrame) -> Picture:
    """The figure of the table that `paradigms` gives."""
    groups = [(policy, rows.reset_index(drop=True)) for policy, rows in table.groupby("policy", sort=False)]
    count = max(len(rows) for _, rows in groups)
    across = min(count, MOST_IN_A_LINE)
    lines = ceil(count / across)
    height = ABOVE + BELOW + len(groups) * (lines * ROW + NAMES + BREAK)
    figure = Picture(figsize=(WIDTH, height / DPI), dpi=DPI, facecolor="white")
    labels = Labels(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH * DPI), ylim=(height, 0))
    axes.axis("off")
    style = {"color": palette.INK, "va": "center", "parse_math": False}
    axes.text(MARGIN, 46, f"{network}: what each policy updates", fontsize=POINTS + 5, weight="bold", **style)
    cell = (WIDTH * DPI - 2 * MARGIN) / across
    numbered = any(labels.measure(name, SMALL)[0] > cell - 6 for name in table.layer)  # as policies number layers, too
    y = float(ABOVE) - 30
    for policy, rows in groups:
        updated, total = rows.weights.sum() + rows.biases.sum(), rows.weights_of.sum() + rows.biases_of.sum()
        share = f"{units.quantity(int(updated))} of {units.quantity(int(total))}, {100 * updated / total:.3g} %"
        axes.text(MARGIN, y, f"{policy}   {share}", fontsize=POINTS, weight="bold", **style)
        for at, row in rows.iterrows():
            left, top = MARGIN + at % across * cell, y + NAMES + at // across * ROW
            _layer(axes, row, left, top, cell)
            name = str(at) if numbered else row.layer
            axes.text(left, top + BOX + 16, name, fontsize=SMALL, **{**style, "color": palette.QUIET})
        y += lines * ROW + NAMES + BREAK
    handles = [Patch(facecolor=FILL, edgecolor=FRAME, label="updated"),
               Patch(facecolor="white", edgecolor=FRAME, label="frozen")]  # fmt: skip
    axes.legend(handles=handles, loc="lower left", fontsize=SMALL, ncols=2, frameon=False, labelcolor=palette.INK,
                bbox_to_anchor=(0.01, 0))  # fmt: skip
    axes.text(WIDTH * DPI - MARGIN, height - 30, "wide: weights · narrow: biases", fontsize=SMALL, ha="right",
              **{**style, "color": palette.QUIET})  # fmt: skip
    return figure


def _layer(axes, row, left: float, top: float, cell: float) -> None:
    """Its weights, its biases: a frame each, filled from the left as far as they are updated."""
    room = cell - 14
    for at, width, part, whole in ((left, 0.74 * room, row.weights, row.weights_of),
                                   (left + 0.8 * room, 0.2 * room, row.biases, row.biases_of)):  # fmt: skip
        if whole:
            axes.add_patch(Rectangle((at, top), width * part / whole, BOX, facecolor=FILL, linewidth=0))
            axes.add_patch(Rectangle((at, top), width, BOX, facecolor="none", edgecolor=FRAME, linewidth=1.4))
