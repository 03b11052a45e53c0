"""Text in figures that never overlaps other text and never leaves its frame: measured before it is drawn."""

from bisect import bisect_left
from collections import Counter

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.transforms import Bbox

SIZES, PADS = (9.5, 8.5), (6, 3)  # of text in a rectangle: points, pixels that stay free along and across it
SHORTEST = 6  # letters kept of an abbreviated name
LEADING = 1.35  # heights of a letter a line of several takes


class Labels:
    """Places text in pixel space and remembers what is taken. The axes' limits must be final before it is used."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.renderer = FigureCanvasAgg(figure).get_renderer()
        self.taken: list[Bbox] = []
        self._sizes: dict = {}

    def measure(self, text: str, points: float, weight: str = "normal") -> tuple[float, float]:
        """Width and height of `text` in pixels, the height that of the font's tallest letters."""
        key = (text, points, weight)
        if key not in self._sizes:
            font = FontProperties(size=points, weight=weight)
            width, height, _ = self.renderer.get_text_width_height_descent(text, font, ismath=False)
            self._sizes[key] = (width, height)
        return self._sizes[key]

    def free(self, box: Bbox) -> bool:
        return not any(box.overlaps(other) for other in self.taken)

    def put(self, axes, x, y, text, *, points=10, ha="left", va="bottom", within=None, pad=2, **style) -> bool:
        """Write `text` at the pixel (x, y), moved sideways into `within` (the axes); False if it has no room."""
        width, height = self.measure(text, points, style.get("weight", "normal"))
        frame = within or axes.bbox
        left = x - {"left": 0, "center": width / 2, "right": width}[ha]
        left = max(frame.x0 + pad, min(left, frame.x1 - pad - width))
        bottom = y - {"bottom": 0, "center": height / 2, "top": height}[va]
        box = Bbox.from_bounds(left - pad, bottom - pad, width + 2 * pad, height + 2 * pad)
        fits = width + 2 * pad <= frame.width and bottom >= frame.y0 and bottom + height <= frame.y1
        if not (fits and self.free(box)):
            return False
        self._draw(axes, left + width / 2, bottom + height / 2, text, points, style)
        self.taken.append(box)
        return True

    def fill(self, axes, frame: Bbox, candidates, sizes=SIZES, pads=PADS) -> bool:
        """Write the first of `candidates` that fits inside the pixel `frame`, upright if it is tall and narrow.

        `pads`: pixels that stay free along and across it.
        """
        for text in candidates:
            for points in sizes:
                for rotation, way in ((0, 1), (90, -1)):
                    if not self._fits(text, points, pads, *(frame.width, frame.height)[::way]):
                        continue
                    w, h = self._block(text, points)[::way]
                    x, y = (frame.x0 + frame.x1) / 2, (frame.y0 + frame.y1) / 2
                    box = Bbox.from_bounds(x - w / 2 - 1, y - h / 2 - 1, w + 2, h + 2)
                    if self.free(box):
                        self._draw(axes, x, y, text, points, {"rotation": rotation})
                        self.taken.append(box)
                        return True
        return False

    def has_room(self, candidates, width: float, height: float, sizes=SIZES, pads=PADS) -> bool:
        """Whether one of the candidates fits into so many pixels, were nothing in its way."""
        return any(
            self._fits(text, points, pads, *room)
            for text in candidates
            for points in sizes
            for room in ((width, height), (height, width))
        )

    def _fits(self, text: str, points: float, pads: tuple[float, float], along: float, across: float) -> bool:
        """The same height for every text: else 'conv2.re…' fits where the taller 'conv2.relu' did not."""
        lines = 1 + LEADING * text.count("\n")
        if lines * self.measure("l", points)[1] + pads[1] > across:
            return False  # most do not get as far as being measured
        return self._block(text, points)[0] + pads[0] <= along

    def _block(self, text: str, points: float) -> tuple[float, float]:
        """Width and height of one or more lines."""
        sizes = [self.measure(line, points) for line in text.split("\n")]
        return max(width for width, _ in sizes), sum(height for _, height in sizes) * (LEADING if sizes[1:] else 1)

    def _draw(self, axes, x, y, text, points, style):
        at = axes.transData.inverted().transform((x, y))
        artist = axes.text(*at, text, fontsize=points, ha="center", va="center",
                           parse_math=False, zorder=6, **style)  # fmt: skip
        artist.set_in_layout(False)


class Names:
    """Short names for one of many buffers. Each is unambiguous: no other buffer's name ends, or begins, so.

    Among conv1.weight, conv1.bias and conv2.weight, '…1.weight' and 'conv2…' do; 'conv1…' and '…weight' do not.
    """

    def __init__(self, names):
        distinct = set(names)
        self.tails = Counter(name[at:] for name in distinct for at in range(len(name)))
        self.heads = Counter(name[:at] for name in distinct for at in range(1, len(name) + 1))

    def ways(self, name: str, extra: str = "") -> list[str]:
        """Ever shorter: itself, then what tells it from all others, its end before its beginning; all with `extra`."""
        tails = [f"…{name[at:]}" for at in _joints(name) if self.tails[name[at:]] == 1]
        starts = [name[:at].rstrip("._") for at in range(SHORTEST, len(name) - 1)]
        heads = [f"{start}…" for start in starts if self.heads[start] == 1]
        short = sorted((way for way in tails + heads if len(way) < len(name)), key=len, reverse=True)
        ways = [name, *dict.fromkeys(short)]
        return [f"{way}{gap}{extra}" for way in ways for gap in ("  ", "\n")] if extra else ways


def _joints(name: str) -> list[int]:
    """Where a name's end may begin: after a dot or an underscore, and before a number; SHORTEST letters stay."""
    return [
        at
        for at in range(2, len(name) - SHORTEST + 1)
        if name[at - 1] in "._" or (name[at].isdigit() and not name[at - 1].isdigit())
    ]


def shorten(labels: Labels, text: str, points: float, width: float, weight: str = "normal") -> str:
    """`text`, or as much of it with an ellipsis as `width` pixels hold."""
    if labels.measure(text, points, weight)[0] <= width:
        return text
    too_wide = lambda kept: labels.measure(text[:kept] + "…", points, weight)[0] > width  # noqa: E731
    kept = max(1, bisect_left(range(len(text)), True, key=too_wide) - 1)
    return text[:kept].rstrip() + "…"
