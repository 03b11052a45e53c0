"""The confusion matrix: which classes were taken for which, counted, as text and as a picture.

          predicted
          cat dog  of
cat        18   2  20  90 %           rows: what the samples are; behind each, how many and how many were right
dog         5  15  20  75 %
most often taken for another: dog for cat (5 of 20)
"""

from collections.abc import Sequence

import numpy as np

from workbench import units
from workbench.plain import printable
from workbench.report import palette
from workbench.report.cells import grid
from workbench.report.figure import DPI, WIDTH, Picture

WIDEST = 20  # classes that a table in text has room for
NUMBERED, NAMED = 25, 60  # classes up to which a picture's cells hold numbers, its sides names
MOST_TOLD = 3  # confusions told in words
LONGEST = 24  # letters of a name in the picture


def confusion(actual: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """How many samples of each class (rows) were predicted as each (columns): int64 (classes, classes)."""
    counts = np.bincount(np.asarray(actual, np.int64) * classes + np.asarray(predicted, np.int64), minlength=classes**2)
    return counts.reshape(classes, classes)


def confusion_text(matrix: np.ndarray, names: Sequence[str]) -> str:
    """The matrix as a table, for as many classes as have room; then the most frequent confusions in words."""
    lines = []
    if len(matrix) <= WIDEST:
        rows = [[printable(name), *(str(count) if count else "·" for count in row), str(row.sum()), _right(row, i)]
                for i, (name, row) in enumerate(zip(names, matrix, strict=True))]  # fmt: skip
        heads = ["actual \\ predicted", *map(printable, names), "of", "right"]
        lines.append(grid(heads, rows, {0}).rstrip("\n"))
    wrong = [f"{printable(names[i])} for {printable(names[j])} ({count} of {matrix[i].sum()})"
             for count, i, j in most_confused(matrix)]  # fmt: skip
    lines.append(f"most often taken for another: {', '.join(wrong)}" if wrong else "none was taken for another")
    return "\n".join(lines) + "\n"


def most_confused(matrix: np.ndarray) -> list[tuple[int, int, int]]:
    """(count, actual, predicted) of the most frequent wrong predictions, at most MOST_TOLD of them."""
    wrong = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_TOLD]
    places = [divmod(int(place), len(matrix)) for place in order]
    return [(int(wrong[i, j]), i, j) for i, j in places if wrong[i, j]]


def confusion_figure(matrix: np.ndarray, names: Sequence[str], title: str) -> Picture:
    """The matrix as a picture: a row's shades are shares of its samples, right ones in blue, wrong ones in red."""
    classes = len(matrix)
    side = min(WIDTH, max(6.0, 2.6 + 0.5 * classes))
    figure = Picture(figsize=(side + 1.0, side), dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    right = np.eye(classes, dtype=bool)
    axes.imshow(_shades(shares, right), aspect="equal", interpolation="nearest")
    if classes <= NUMBERED:
        for i, j in np.argwhere(matrix):
            ink = "white" if shares[i, j] > 0.55 else palette.INK
            axes.text(j, i, str(matrix[i, j]), ha="center", va="center", fontsize=10, color=ink)
    if classes <= NAMED:
        shown = [printable(name)[:LONGEST] for name in names]
        upright = 90 if max(map(len, shown)) > 3 else 0
        axes.set_xticks(range(classes), shown, rotation=upright, fontsize=10)
        axes.set_yticks(range(classes), shown, fontsize=10)
    axes.set_xlabel("predicted", fontsize=11, color=palette.INK)
    axes.set_ylabel("actual", fontsize=11, color=palette.INK)
    axes.tick_params(length=0, labelcolor=palette.INK)
    for spine in axes.spines.values():
        spine.set_color(palette.HAIR)
    axes.set_title(title, fontsize=12, color=palette.INK, loc="left", pad=12)
    return figure


def _shades(shares: np.ndarray, right: np.ndarray) -> np.ndarray:
    """White to the colour of right or wrong, by share: (classes, classes, 3)."""
    colours = np.where(right[..., None], _rgb("#2f6fae"), _rgb(palette.LIMIT))
    depth = np.sqrt(shares)[..., None]  # one sample of many is seen
    return 1 - depth * (1 - colours)


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def _right(row: np.ndarray, i: int) -> str:
    return units.percent(row[i] / row.sum()) if row.sum() else "–"
