"""What a reader sees of a figure: its texts, where each lies, and that none overlaps another or is cut."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text


def boxes(figure):
    """Every text that is drawn, with its bounding box in pixels."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    ticks = {t for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for t in hidden_tick_texts(axis)}
    return [(t.get_text(), t.get_window_extent(renderer)) for t in texts if t not in ticks]


def hidden_tick_texts(axis):
    drawn = {id(tick) for tick in axis._update_ticks()}
    for tick in [*axis.majorTicks, *axis.minorTicks]:
        for text, shown in ((tick.label1, tick.label1.get_visible()), (tick.label2, tick.label2.get_visible())):
            if id(tick) not in drawn or not shown:
                yield text


def assert_legible(figure) -> None:
    """No text overlaps another or leaves the figure."""
    found = boxes(figure)
    width, height = figure.bbox.width, figure.bbox.height
    for at, (text, box) in enumerate(found):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, f"{text!r} is cut"
        for other, other_box in found[:at]:
            apart = box.x1 <= other_box.x0 or other_box.x1 <= box.x0 or box.y1 <= other_box.y0 or other_box.y1 <= box.y0
            assert apart, f"{text!r} overlaps {other!r}"
