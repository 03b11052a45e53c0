"""Figures as files and in notebooks: the same runs give the same bytes."""

import io

import matplotlib as mpl
from matplotlib.figure import Figure

from workbench.record.folder import replacing

WIDTH, DPI = 16.0, 100  # inches, dots an inch: 1600 pixels


class Picture(Figure):
    """A figure that a notebook shows by itself, without pyplot."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=DPI)
        return file.getvalue()


def save_figure(figure: Figure, path) -> None:
    """Write PNG (1600 pixels wide) or SVG, by the name's ending, at once; the same figure gives the same bytes."""
    is_svg = str(path).lower().endswith(".svg")
    metadata = {"Date": None, "Creator": "workbench"} if is_svg else {"Software": "workbench"}
    with mpl.rc_context({"svg.hashsalt": "workbench", "svg.fonttype": "path"}), replacing(path) as part:
        figure.savefig(part, dpi=DPI, metadata=metadata)
