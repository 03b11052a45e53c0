"""A thin arena once more, higher: where the axes that all columns share leave it too few pixels to read.

| 42.7 KB below vanilla              |      over what is saved against another run, or else over static
|      magnified 2.2×                |
|  KB +------------------------+     |      a box of its own, white, narrower than the panel, with its own addresses
|  20 |  the arena             |     |
|     +------------------------+     |
|    lines to both ends of the arena  |      lines that lead to it from the arena
| ======== arena ==================  |
| //////// static /////////////////  |
"""

from dataclasses import dataclass
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from workbench.report import palette

THIN, WORTH, ENOUGH = 110, 1.8, 240  # pixels of a readable arena, times it must become higher, pixels it then has
LINE, CLEAR = 24, 34  # pixels a line of words needs, and one that is named from above
LEFT, RIGHT, FRAME = 64, 24, 8  # pixels left for its own addresses, right of it, of white around it


@dataclass(frozen=True)
class Room:
    """Pixels between which the magnified arena stands, what it covers ('saved' or 'static'), times its height."""

    y0: float
    y1: float
    over: str
    times: float


def room(axes, low: float, high: float, ceiling: float) -> Room | None:
    """Where the arena [low, high) may be drawn higher; None where it is readable, or nothing has room.

    Below `ceiling` it covers what is saved, if anything is. All in units of the vertical axis.
    """
    pixel = lambda value: axes.transData.transform((0, value))[1]  # noqa: E731
    height = pixel(high) - pixel(low)
    if not 0 < height < THIN:
        return None
    rooms = [
        ("saved", pixel(high) + CLEAR, min(pixel(high) + CLEAR + ENOUGH, pixel(ceiling) - 2 * LINE)),
        ("static", max(pixel(0) + CLEAR, pixel(low) - LINE - ENOUGH), pixel(low) - LINE),
    ]
    found = [Room(y0, y1, over, (y1 - y0) / height) for over, y0, y1 in rooms]
    return next((room for room in found if room.times >= WORTH and room.y1 - room.y0 > 2 * LINE), None)


def likely_times(height: float) -> float:
    """How much higher an arena of so many pixels is drawn again, before `room` can tell."""
    return min(3.0, ENOUGH / height) if 0 < height < THIN else 1.0


def frame(labels, axes, room: Room, low: float, high: float):
    """The axes of the magnified arena: a framed box with its own addresses, led to from the arena by thin lines."""
    box = axes.bbox
    x0, x1 = box.x0 + LEFT, box.x1 - RIGHT
    outer = (x0 - LEFT + 2 * FRAME, room.y0 - FRAME, x1 + FRAME, room.y1 + LINE - 2)
    corners = axes.transData.inverted().transform([outer[:2], outer[2:]])
    (left, bottom), (right, top) = corners
    style: dict[str, Any] = {"facecolor": "white", "edgecolor": palette.INK, "linewidth": 0.9, "zorder": 6.5}
    axes.add_patch(Rectangle((left, bottom), right - left, top - bottom, **style))
    near, edge = (high, bottom) if room.over == "saved" else (low, top)
    for start, end in ((axes.get_xlim()[0], left), (axes.get_xlim()[1], right)):
        lead = Line2D([start, end], [near, edge], color=palette.INK, linewidth=0.7, zorder=6.4)
        axes.add_artist(lead)
    bounds = ((x0 - box.x0) / box.width, (room.y0 - box.y0) / box.height,
              (x1 - x0) / box.width, (room.y1 - room.y0) / box.height)  # fmt: skip
    inset = axes.inset_axes(bounds, zorder=7)
    inset.set(xlim=axes.get_xlim(), ylim=(low, high), xticks=[])
    inset.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    inset.tick_params(axis="y", labelsize=8.5, color=palette.QUIET, labelcolor=palette.QUIET, length=2, pad=2)
    for spine in inset.spines.values():
        spine.set_color(palette.QUIET)
        spine.set_linewidth(0.6)
    text = f"magnified {room.times:.1f}×"
    style = {"va": "center", "points": 9.5, "color": palette.INK, "weight": "bold"}
    if labels.put(axes, x0, room.y1 + LINE / 2 - 2, text, **style):
        axes.texts[-1].set_zorder(8)  # above the box
    return inset
