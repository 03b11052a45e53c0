"""Buffers too small for their names: a number in the rectangle, and one key of numbers and names below all columns.

A buffer has the same number in all columns; the buffer of the largest area is number 1.

buffers by number
 1 d.block10.depthwise  48.0 KB      2 block2.pointwise1  128.0 KB     …      COLUMNS a line, MOST lines
"""

from workbench import units
from workbench.report import headings, magnified, panels
from workbench.report.blocks import NUMBER, TIGHT, placed
from workbench.report.figure import DPI, WIDTH, Picture
from workbench.report.labels import Labels, Names, shorten

COLUMNS, MOST = 5, 6  # of the key: entries a line, lines
LINE, HEAD, GAP = 18, 26, 18  # pixels: a line, the key's title, below it
WIDEST = "88"  # of what is written into a rectangle

Buffer = tuple[str, int]  # its name and its bytes


def choose(runs, scale) -> dict[Buffer, int]:
    """The buffers that may have numbers: those whose rectangle in some column has room for a number but not a name."""
    labels = Labels(Picture(figsize=(WIDTH, 1), dpi=DPI))
    across, high = panels.size(runs)
    areas: dict[Buffer, float] = {}
    for run in runs:
        table = placed(run, scale.axis.edges(run))
        names = Names(table.name)
        x, y = across / scale.axis.end, high / scale.top
        times = magnified.likely_times(y * (table.y1.max() - table.y0.min()))
        for row in table.itertuples():
            width, height = (row.x1 - row.x0) * x, (row.y1 - row.y0) * y
            if not labels.has_room([WIDEST], width, height * times, (NUMBER,), TIGHT):
                continue
            if not labels.has_room(names.ways(row.name, units.kilobytes(row.bytes)), width, height):
                buffer = (row.name, int(row.bytes))
                areas[buffer] = max(areas.get(buffer, 0), width * height)
    largest = sorted(areas, key=lambda buffer: (-areas[buffer], buffer))[: COLUMNS * MOST]
    return {buffer: number for number, buffer in enumerate(largest, 1)}


def height(numbers: dict[Buffer, int]) -> int:
    """Pixels that the key takes."""
    return HEAD + LINE * -(-len(numbers) // COLUMNS) + GAP if numbers else 0


def key(labels: Labels, figure, numbers: dict[Buffer, int], written) -> None:
    """Write it, column by column, above the keys of colours; `written` are the numbers in rectangles, by buffer.

    Where others had no room in the end they close up.
    """
    top = panels.KEYS + height(numbers) - HEAD
    drawn = {buffer for buffer, _ in written}
    numbers = {buffer: number for number, buffer in enumerate((each for each in numbers if each in drawn), 1)}
    for buffer, text in written:
        text.set_text(str(numbers[buffer]))
    if not numbers:
        return
    left, right = panels.LEFT * figure.bbox.width, panels.RIGHT * figure.bbox.width
    lines, each = -(-len(numbers) // COLUMNS), (right - left) / COLUMNS
    headings.write(figure, left, top, "buffers by number", 10.5, weight="bold")
    for at, ((name, size), number) in enumerate(numbers.items()):
        x, y = left + at // lines * each, top - LINE * (at % lines + 1) - 2
        headings.write(figure, x + 16, y, str(number), 10, ha="right", weight="bold")
        room = each - 24 - GAP - labels.measure(f"  {units.kilobytes(size)}", 10)[0]
        entry = f"{shorten(labels, name, 10, room)}  {units.kilobytes(size)}"
        headings.write(figure, x + 24, y, entry, 10)
