"""Figures as files and in notebooks: the same runs give the same bytes."""

import io
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from workbench.record.folder import replacing
from workbench.report import palette

ENDINGS = (".png", ".svg", ".pdf")
LEGEND = {  # of curves: words stay legible where a line runs behind them
    "loc": "upper right", "fontsize": 9.5, "labelcolor": palette.INK, "facecolor": "white", "edgecolor": "none",
    "framealpha": 0.85,
}  # fmt: skip
WIDTH, DPI = 16.0, 100  # inches, dots an inch: 1600 pixels
MOST_PIXELS = 12_000  # of a PNG, along one side: as large as viewers open


class Picture(Figure):
    """A figure that a notebook shows by itself, without pyplot."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=DPI)
        return file.getvalue()


def save_figure(figure: Figure, path, text: bool = False) -> None:
    """Write PNG, SVG or PDF, by the name's ending, at once; the same figure gives the same bytes.

    A PNG has 100 pixels an inch, fewer where it would be more than MOST_PIXELS high or wide.
    `text`: what is written in an SVG stays text, which can be searched; else it is outlines, the same everywhere.
    """
    metadata = {
        ".svg": {"Date": None, "Creator": "workbench"},
        ".pdf": {"CreationDate": None, "Creator": "workbench", "Producer": None},
    }.get(Path(path).suffix.lower(), {"Software": "workbench"})
    fonts = {"svg.hashsalt": "workbench", "svg.fonttype": "none" if text else "path", "pdf.fonttype": 42}
    with mpl.rc_context(fonts), replacing(path) as part:
        figure.savefig(part, dpi=min(DPI, MOST_PIXELS / max(figure.get_size_inches())), metadata=metadata)
