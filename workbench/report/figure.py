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


class Picture(Figure):
    """A figure that a notebook shows by itself, without pyplot."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=DPI)
        return file.getvalue()


def save_figure(figure: Figure, path) -> None:
    """Write PNG (1600 pixels wide), SVG or PDF, by the name's ending, at once; the same figure gives the same bytes."""
    metadata = {
        ".svg": {"Date": None, "Creator": "workbench"},
        ".pdf": {"CreationDate": None, "Creator": "workbench", "Producer": None},
    }.get(Path(path).suffix.lower(), {"Software": "workbench"})
    fonts = {"svg.hashsalt": "workbench", "svg.fonttype": "path", "pdf.fonttype": 42}
    with mpl.rc_context(fonts), replacing(path) as part:
        figure.savefig(part, dpi=DPI, metadata=metadata)
