"""A computational graph drawn: operators in layers, coloured by phase; the buffers between them, with their bytes.

  input0
    | 9.2 KB
[ conv2d  conv1            ]      a box an operator; its parameters in it, trained ones bold, frozen ones pale
[ conv1.weight 288 B       ]
    |        \\ 2 KB              what the forward saves for the backward is drawn in the colour of activations
[ relu ]      |
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd
from matplotlib.patches import FancyBboxPatch, Patch, PathPatch
from matplotlib.path import Path as Curve

from workbench import units
from workbench.report import palette
from workbench.report.figure import DPI, WIDTH, Picture
from workbench.report.labels import Labels
from workbench.report.layered import Layered, layered

NODES = ("op", "label", "phase", "trained", "frozen", "dropped")
EDGES = ("source", "target", "value", "bytes", "dropped")
POINTS, SMALL = 18, 15  # of 1600 pixels: 8 and 6.5 on a page seven inches wide
LETTERS = 20  # of a line in a box
LINE, PAD, GAP, BETWEEN = 30, 12, 54, 28  # pixels: a line in a box, around it, between layers, between boxes
MARGIN, TITLE = 36, 130
MOST_COLUMNS = 10  # of boxes; where more would stand beside each other, saved values are arcs beside the boxes
SWING, FARTHEST = 0.08, 420  # of an arc: pixels sideways for each one down, and at most
TEXT = {"loss": "white", "update": "white"}  # on dark phases
DASHES = (0, (4, 3))


@dataclass(frozen=True)
class Drawn:
    """What the figure shows.

    nodes   op, label, phase ("input" for what the host writes), trained and frozen parameters ("name 288 B" a line),
            dropped: the policy at hand leaves it out
    edges   source and target (rows of nodes), value, its bytes, dropped
    """

    title: str
    nodes: pd.DataFrame
    edges: pd.DataFrame

    @property
    def saved(self) -> pd.Series:
        """Of each edge, whether its value is made for the forward, and it leads behind the loss."""
        phase, edges = self.nodes.phase, self.edges
        target = phase.loc[edges.target].set_axis(edges.index)
        read = edges.source[target == "forward"]
        early = (phase.loc[edges.source] == "forward").to_numpy() | edges.source.isin(read)
        return early & target.isin(("backward", "update"))


def graph_figure(drawn: Drawn) -> Picture:
    """The figure: as tall as the graph is deep, and as wide as the page, or wider where much stands side by side."""
    nodes, edges = drawn.nodes, drawn.edges
    places = _layout(drawn, edges)
    arcs = places.columns > MOST_COLUMNS
    if arcs:
        places = _layout(drawn, edges[~drawn.saved])
    labels = Labels(Picture(dpi=DPI))
    texts = {at: _lines(row) for at, row in nodes.iterrows()}
    size = {at: _size(labels, lines) for at, lines in texts.items()}
    column = max(width for width, _ in size.values()) + BETWEEN
    middles, end = _rows(places, size)
    room = FARTHEST if arcs else MARGIN
    width = max(WIDTH * DPI, places.columns * column + 2 * room)
    height = end + MARGIN + 60
    figure = Picture(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    left = (width - places.columns * column) / 2
    spot = lambda place: (left + (place[0] + 0.5) * column, middles[round(place[1])])  # noqa: E731
    _draw_edges(axes, drawn, places, size, spot)
    for at, row in nodes.iterrows():
        _draw_node(axes, row, texts[at], size[at], *spot(places.places[at]))
    style = {"color": palette.INK, "parse_math": False, "va": "center"}
    axes.text(MARGIN, 44, drawn.title, fontsize=POINTS + 4, weight="bold", **style)
    axes.text(MARGIN, 88, finding(drawn), fontsize=POINTS, **style)
    _key(axes, drawn)
    return figure


def _layout(drawn: Drawn, edges: pd.DataFrame) -> Layered:
    return layered(len(drawn.nodes), zip(edges.source, edges.target, strict=True))


def finding(drawn: Drawn) -> str:
    """Operators by phase, and what the forward saves for the backward, each value once."""
    left = drawn.nodes[~drawn.nodes.dropped]
    told = [f"{count} {phase}" for phase in palette.PHASE if (count := int((left.phase == phase).sum()))]
    words = [f"operators: {', '.join(told)}"]
    edges = drawn.edges[drawn.saved & ~drawn.edges.dropped]
    if len(edges):
        words.append(f"{units.size(int(edges.drop_duplicates('value').bytes.sum()))} saved for the backward")
    if dropped := int(drawn.nodes.dropped.sum()):
        words.append(f"{dropped} dropped by the policy")
    return " · ".join(words)


def _lines(row) -> list[tuple[str, float, str]]:
    """Text, points and weight of each line in a box."""
    label = row.label if row.label != row.op else ""
    return [
        *((line, POINTS, "bold") for line in _wrapped(row.op.rpartition(".")[2])),
        *((line, SMALL, "normal") for line in _wrapped(label)),
        *((line, SMALL, "normal" if row.dropped else "bold") for text in row.trained for line in _wrapped(text)),
        *((line, SMALL, "light") for text in row.frozen for line in _wrapped(text)),
    ]


def _wrapped(text: str) -> Iterator[str]:
    """Lines of at most LETTERS where a dot, an underscore or a blank lets it be broken."""
    line = ""
    for part in re.split(r"(?<=[_ ])|(?<=\.)(?=[a-z])", text):
        if line and len(line + part.rstrip()) > LETTERS:
            yield line.rstrip()
            line = ""
        line += part
    if line:
        yield line


def _size(labels: Labels, lines) -> tuple[float, float]:
    widest = max(labels.measure(text, points, weight)[0] for text, points, weight in lines)
    return widest + 2 * PAD, len(lines) * LINE + PAD


def _rows(places: Layered, size) -> tuple[list[float], float]:
    """The middle of each layer, as high as its highest box, in pixels from the top; and where the last one ends."""
    heights = [0.0] * round(places.layers)
    for node, (_, layer) in places.places.items():
        heights[round(layer)] = max(heights[round(layer)], size[node][1])
    middles, top = [], float(TITLE)
    for height in heights:
        middles.append(top + height / 2)
        top += height + GAP
    return middles, top


def _draw_node(axes, row, lines, size, x, y) -> None:
    width, height = size
    colour = palette.ROLE["input"] if row.phase == "input" else palette.PHASE.get(row.phase, palette.HAIR)
    ink = TEXT.get(row.phase, palette.INK)
    edge = {"edgecolor": colour, "linewidth": 1.5}
    if row.dropped:
        edge, colour, ink = {"edgecolor": palette.QUIET, "linewidth": 2, "linestyle": DASHES}, "white", palette.QUIET
    box = FancyBboxPatch((x - width / 2, y - height / 2), width, height, facecolor=colour, zorder=3,
                         boxstyle=f"round,pad=0,rounding_size={12 if row.phase == 'input' else 5}", **edge)  # fmt: skip
    axes.add_patch(box)
    top = y - (len(lines) - 1) * LINE / 2
    for at, (text, points, weight) in enumerate(lines):
        faint = weight == "light" and not row.dropped
        axes.text(x, top + at * LINE, text, fontsize=points, weight="normal" if faint else weight, ha="center",
                  va="center", color=palette.QUIET if faint else ink, parse_math=False, zorder=4)  # fmt: skip


def _draw_edges(axes, drawn: Drawn, places: Layered, size, spot) -> None:
    """Each as a curve through the points it passes; below each node the bytes of what it makes."""
    made: dict[int, dict[str, int]] = {}
    below: dict[int, tuple[float, float]] = {}
    for edge, saved in zip(drawn.edges.itertuples(), drawn.saved, strict=True):
        way = [spot(place) for place in places.ways.get((edge.source, edge.target), ())]
        if way:
            way[0] = way[0][0], way[0][1] + size[edge.source][1] / 2
            way[-1] = way[-1][0], way[-1][1] - size[edge.target][1] / 2
            vertices = [way[0]]
            for (x0, y0), (x1, y1) in pairwise(way):
                vertices += [(x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2), (x1, y1)]
        else:  # an arc beside the boxes
            (x0, y0), (x1, y1) = (spot(places.places[node]) for node in (edge.source, edge.target))
            x0, x1 = x0 + size[edge.source][0] / 2, x1 + size[edge.target][0] / 2
            beside = max(x0, x1) + min(SWING * (y1 - y0) + BETWEEN, FARTHEST)
            vertices = [(x0, y0), (beside, y0), (beside, y1), (x1, y1)]
        codes = [Curve.MOVETO] + [Curve.CURVE4] * (len(vertices) - 1)
        colour = palette.ROLE["activation"] if saved else palette.QUIET
        style = {"edgecolor": colour, "linewidth": 4 if saved else 2, "zorder": 1 + saved}
        if edge.dropped:
            style = {"edgecolor": palette.pale(palette.QUIET, 0.3), "linewidth": 2, "linestyle": DASHES, "zorder": 1}
        axes.add_patch(PathPatch(Curve(vertices, codes), facecolor="none", **style))
        if way:
            axes.plot([way[-1][0]], [way[-1][1] - 5], marker=(3, 0, 180), markersize=11, color=style["edgecolor"])
        if way and edge.bytes:
            made.setdefault(edge.source, {})[edge.value] = edge.bytes
            below.setdefault(edge.source, way[0])
    beside = {"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8}
    for node, (x, y) in below.items():
        sizes = sorted(made[node].values(), reverse=True)
        axes.text(x + 8, y + 15, " · ".join(map(units.size, sizes)), fontsize=SMALL, va="center", color=palette.INK,
                  zorder=3, bbox=beside)  # fmt: skip


def _key(axes, drawn: Drawn) -> None:
    phases = [phase for phase in palette.PHASE if (drawn.nodes.phase == phase).any()]
    handles = [Patch(facecolor=palette.PHASE[phase], label=phase) for phase in phases]
    if drawn.saved.any():
        handles.append(Patch(facecolor=palette.ROLE["activation"], label="saved for the backward"))
    if drawn.nodes.dropped.any():
        style = {"edgecolor": palette.QUIET, "linestyle": DASHES}
        handles.append(Patch(facecolor="white", label="dropped by the policy", **style))
    axes.legend(handles=handles, loc="lower left", fontsize=SMALL, ncols=len(handles), frameon=False,
                labelcolor=palette.INK, bbox_to_anchor=(0.01, 0), handlelength=1.4)  # fmt: skip
