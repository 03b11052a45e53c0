"""A thin arena once more, higher: where the axes that all columns share leave it too few pixels to read.

| saved ............ arena × 4.6 |      over what is saved against another run, or else over static, which is one band
| +----------------------------+ |
| |  the arena, same positions | |
| +----------------------------+ |
| ====== arena ================= |
| ////// static //////////////// |
"""

from dataclasses import dataclass

from workbench.report import palette

THIN, WORTH, ENOUGH = 110, 1.8, 240  # pixels of a readable arena, times it must become higher, pixels it then has
LINE, CLEAR = 24, 28  # pixels a line of words needs, and one that is named from above


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
        ("saved", pixel(high) + CLEAR, min(pixel(high) + CLEAR + ENOUGH, pixel(ceiling) - LINE)),
        ("static", max(pixel(0) + CLEAR, pixel(low) - LINE - ENOUGH), pixel(low) - LINE),
    ]
    found = [Room(y0, y1, over, (y1 - y0) / height) for over, y0, y1 in rooms]
    return next((room for room in found if room.times >= WORTH and room.y1 - room.y0 > 2 * LINE), None)


def frame(labels, axes, room: Room, low: float, high: float):
    """The axes of the magnified arena, over the same positions; its words say how many times as high it is."""
    box = axes.bbox
    bounds = (0, (room.y0 - box.y0) / box.height, 1, (room.y1 - room.y0) / box.height)
    inset = axes.inset_axes(bounds, zorder=7)
    inset.set(xlim=axes.get_xlim(), ylim=(low, high), xticks=[], yticks=[])
    for spine in inset.spines.values():
        spine.set_color(palette.QUIET)
        spine.set_linewidth(0.8)
    text = f"arena, {room.times:.1f} × as high"
    backed = {"bbox": {"facecolor": palette.STATIC, "edgecolor": "none", "pad": 2}} if room.over == "static" else {}
    labels.put(
        axes, box.x1 - 4, room.y1 + LINE / 2, text, ha="right", va="center", points=9.5, color=palette.INK, **backed
    )
    return inset
