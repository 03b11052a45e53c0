"""The confusion matrix and the loss curve, as numbers, words and pictures."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_run import synthetic_run

from workbench.report.confusion import confusion, confusion_figure, confusion_text
from workbench.report.loss_curve import loss_figure


def test_rows_are_what_samples_are_and_columns_what_they_were_taken_for():
    matrix = confusion([0, 0, 0, 1, 2], [0, 2, 2, 1, 0], 3)
    assert matrix.tolist() == [[1, 0, 2], [0, 1, 0], [1, 0, 0]]
    assert confusion_text(matrix, ["cat", "dog", "owl"]).splitlines() == [
        "actual \\ predicted  cat  dog  owl  of    right",
        "cat                   1    ·    2   3   33.3 %",
        "dog                   ·    1    ·   1  100.0 %",
        "owl                   1    ·    ·   1    0.0 %",
        "most often taken for another: cat for owl (2 of 3), owl for cat (1 of 1)",
    ]


def test_many_classes_are_told_in_words_alone():
    matrix = confusion(np.arange(50), np.arange(50), 50)
    assert confusion_text(matrix, [str(n) for n in range(50)]) == "none was taken for another\n"
    assert len(confusion_figure(matrix, [str(n) for n in range(50)], "fifty").axes[0].texts) == 0
    assert len(confusion_figure(matrix[:3, :3], ["a", "b", "c"], "three").axes[0].texts) == 3


COURSES = [([2.0, 1.0], "linear"), ([2.0 * 0.98**n for n in range(500)], "log"), ([1.0, None, 3.0] * 30, "linear"),
           ([], "linear"), ([0.0], "linear")]  # fmt: skip


@pytest.mark.parametrize(("losses", "scale"), COURSES)
def test_the_loss_curve_draws_what_there_is(losses, scale):
    run = synthetic_run()
    run = replace(run, meta=run.meta | {"loss": losses, "held_out_loss": {"before": 2.0, "after": None}})
    (axes,) = loss_figure(run).axes
    assert axes.get_yscale() == scale and axes.get_ylabel().startswith("loss (")
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "held-out samples" in labels and any(label.startswith("mean of") for label in labels) == (len(losses) >= 40)
