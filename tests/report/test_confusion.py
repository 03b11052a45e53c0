"""The confusion matrix: rows are what samples are, columns what they were taken for."""

import numpy as np

from workbench.report.confusion import confusion, confusion_text, most_confused

NAMES = ("cat", "dog", "owl")


def test_rows_are_actual_and_columns_predicted():
    matrix = confusion(np.array([0, 0, 0, 2, 1]), np.array([1, 1, 0, 0, 1]), 3)
    assert matrix.tolist() == [[1, 2, 0], [0, 1, 0], [1, 0, 0]]
    assert most_confused(matrix) == [(2, 0, 1), (1, 2, 0)]
    text = confusion_text(matrix, NAMES)
    assert "cat for dog (2 of 3), owl for cat (1 of 1)" in text and "33.3 %" in text
