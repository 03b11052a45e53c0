"""Draw notebooks/pictures anew, each from runs measured for it; run it where kernels, passes or figures have changed.

    .venv/bin/python notebooks/draw_pictures.py                  all of them (minutes)
    .venv/bin/python notebooks/draw_pictures.py lenet_lifecycle  one; what each says in numbers is printed

at_a_glance        README: the schedules, the memory alone   lenet_lifecycle     the same in full, as `demo` draws it
mcunet_lifecycle   MCUNet's schedules over modelled cycles   lenet_adaptation    03_policies: policies on turned digits
paper_peaks        00_the_lecture: published peaks and ours

Each PNG carries what it shows (`shown`), so that tests can hold it against the runs of today.
"""

import json
import sys
from functools import cache
from pathlib import Path

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.text import Text
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import workbench
from workbench import units
from workbench.report import comparison_figure, comparison_text, lifecycle_figure, palette, save_figure, tables
from workbench.report.figure import Picture
from workbench.report.peaks import peaks_figure

PICTURES = Path(__file__).parent / "pictures"
SCHEDULES = ("vanilla", "reordered", "optimized")
POLICIES = ("full", "bias-only", "bias-only+head", "last-2", "conv1+conv2+head", "conv1+conv2+fc1:0.125+head")
SHOWN = "Shown"  # the key under which a PNG carries it


@cache
def measured(model: str, policy: str) -> list:
    """A step of each schedule."""
    return [
        workbench.run(model, policy=policy, schedule=schedule, steps=1, trace="memory", evaluate=False)
        for schedule in SCHEDULES
    ]


def at_a_glance():
    runs = measured("lenet", "full")
    return runs, glance(runs)


def lenet_lifecycle():
    runs = measured("lenet", "full")
    return runs, lifecycle_figure(runs)


def mcunet_lifecycle():
    runs = measured("mcunet-5fps", "sparse-49kb")
    return runs, lifecycle_figure(runs, "cycles")


def lenet_adaptation():
    """What 03_policies runs."""
    runs = workbench.compare("lenet", POLICIES, ["optimized"], pretrain="digits", data="digits-rotated", epochs=1).runs
    return runs, comparison_figure(runs)


def paper_peaks():
    """The paper's networks: the full update, and one of its sparse policies under each schedule."""
    ways = [("full", "vanilla", "whole"), *(("sparse-49kb", schedule, "whole") for schedule in SCHEDULES),
            ("sparse-49kb", "optimized", "rows")]  # fmt: skip
    runs = [
        workbench.run(model, policy=policy, schedule=schedule, board="virtual-m7", input=input, steps=1,
                      trace="memory", evaluate=False)
        for model in ("mbv2-w0.35", "proxyless-w0.3", "mcunet-5fps")
        for policy, schedule, input in ways
    ]  # fmt: skip
    return runs, peaks_figure(runs, with_published=True)


DRAWN = {
    draw.__name__: draw for draw in (at_a_glance, lenet_lifecycle, mcunet_lifecycle, lenet_adaptation, paper_peaks)
}


# ---------------------------------------------------------------------------------------------------- at a glance


def glance(runs) -> Picture:
    """A panel a run, on the same axes: its buffers, SRAM address over time; large letters, few words."""
    figure = Picture(figsize=(10, 4.7), dpi=160, facecolor="white")
    (panels,) = figure.subplots(1, len(runs), sharex=True, sharey=True, squeeze=False)
    figure.subplots_adjust(left=0.065, right=0.99, top=0.765, bottom=0.19, wspace=0.06)
    about = f"SRAM of one training step of {runs[0].meta['model']}, measured; the weights are the same, to the bit"
    figure.text(0.065, 0.945, about, fontsize=13, color=palette.INK)
    peaks = [run.meta["memory"]["sram_peak"] for run in runs]
    panels[0].set_xlim(0, max(map(tables.position_count, runs)))
    for axes, run, peak in zip(panels, runs, peaks, strict=True):
        _panel(axes, run, max(peaks))
        saved = f"−{round(100 - 100 * peak / peaks[0])} %" if peak < peaks[0] else ""
        axes.text(0, 1.145, run.meta["schedule"], transform=axes.transAxes, fontsize=13, color=palette.QUIET)
        large = {"fontsize": 18, "weight": "bold", "transform": axes.transAxes}
        axes.text(0, 1.03, units.kilobytes(peak), color=palette.INK, **large)
        axes.text(1, 1.03, saved, color=palette.SAVED, ha="right", **large)
    panels[0].set_ylabel("SRAM address (KB)", fontsize=12, y=0.53)
    figure.text(0.53, 0.115, "operators, in the order they run", fontsize=12, ha="center")
    roles = {
        "gradient": "gradients",
        "activation": "activations",
        "input": "input",
        "mask": "masks",
        "scratch": "scratch",
    }
    keys = [Patch(color=palette.role_colour(role), label=words) for role, words in roles.items()]
    keys.append(Patch(facecolor=palette.STATIC, edgecolor=palette.STATIC_HATCH, hatch="//", label="weights"))
    keys += [Patch(color=palette.PHASE[phase], label=phase) for phase in ("forward", "backward", "update")]
    figure.legend(handles=keys, loc="lower center", ncols=len(keys), fontsize=10.5, frameon=False, handlelength=1.1,
                  columnspacing=1.1, handletextpad=0.5)  # fmt: skip
    return figure


def _panel(axes, run, tallest: int) -> None:
    """Static weights below, arena buffers above them, the run's peak and the tallest one; phases along the bottom."""
    kb, base = units.KB, tables.arena_base(run)
    axes.set(ylim=(-2.2, tallest / kb * 1.04), xticks=[])
    axes.tick_params(labelsize=11, length=3)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.axhspan(0, base / kb, facecolor=palette.STATIC, edgecolor=palette.STATIC_HATCH, hatch="//", linewidth=0)
    for row in tables.rectangles(run).itertuples():
        style = {
            "facecolor": palette.role_colour(row.role),
            "edgecolor": "white",
            "linewidth": 0.6 * (row.bytes > kb / 4),
        }
        axes.add_patch(Rectangle((row.x0, row.y0 / kb), row.x1 - row.x0, row.bytes / kb, **style))
    peak = run.meta["memory"]["sram_peak"]
    axes.axhline(peak / kb, color=palette.INK, linewidth=1.2)
    if peak < tallest:
        axes.axhspan(peak / kb, tallest / kb, facecolor=palette.SAVED_FILL, zorder=0)
    for row in tables.phases(run).itertuples():
        axes.add_patch(Rectangle((row.position, -2.0), 0.88, 1.3, facecolor=palette.PHASE[row.phase]))


# ---------------------------------------------------------------------------------------- what a picture shows


def shown(figure) -> dict:
    """The words, and the shapes in the units of their axes; words are fitted by matplotlib's measure of letters, so
    its version is told too."""
    FigureCanvasAgg(figure).draw()  # which writes the numbers of the axes
    words = [text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    shapes = [shape for axes in _axes(figure) for artist in axes.get_children() for shape in _shapes(artist)]
    return {"matplotlib": ".".join(mpl.__version__.split(".")[:2]), "words": words, "shapes": shapes}


def _axes(figure):
    return [child for axes in figure.axes for child in (axes, *axes.child_axes)]


def _shapes(artist) -> list[str]:
    if isinstance(artist, PolyCollection):
        colours = [mpl.colors.to_hex(colour) for colour in artist.get_facecolor()[:1]]
        return [" ".join([*colours, *_numbers(path.vertices[:4])]) for path in artist.get_paths()]
    if isinstance(artist, Rectangle):
        return [" ".join([mpl.colors.to_hex(artist.get_facecolor()), *_numbers([artist.get_bbox().get_points()])])]
    if isinstance(artist, Line2D):
        return [" ".join([mpl.colors.to_hex(artist.get_color()), *_numbers(artist.get_xydata())])]
    return []


def _numbers(points) -> list[str]:
    return [f"{value:.4g}" for point in points for value in mpl.cbook.flatten(point)]


def carried(path: Path) -> dict:
    """What a picture that was drawn before shows."""
    with Image.open(path) as image:
        return json.loads(image.text[SHOWN])


def write(figure, path: Path) -> None:
    save_figure(figure, path)
    about = PngInfo()
    about.add_text(SHOWN, json.dumps(shown(figure)), zip=True)
    with Image.open(path) as image:
        image.load()
    image.save(path, pnginfo=about, optimize=True)


def main(names: list[str]) -> None:
    for name in names or DRAWN:
        runs, figure = DRAWN[name]()
        path = PICTURES / f"{name}.png"
        write(figure, path)
        print(f"{comparison_text(runs)}\nWrote {path}\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
