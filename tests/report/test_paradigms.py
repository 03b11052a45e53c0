"""Policies as layers: the table is what each updates, and every box is filled as far."""

import pytest
from matplotlib.patches import Rectangle

import workbench
from workbench import frontends
from workbench.cli import main
from workbench.report.paradigms import FILL, paradigms, paradigms_figure
from workbench.study.policies import layer_parts

PARADIGMS = ("full", "bias-only", "conv2+fc2", "bias-only+conv2:0.25")


def table():
    model = frontends.load("lenet")
    return paradigms({policy: layer_parts(model, policy) for policy in PARADIGMS})


def test_a_row_a_policy_and_layer():
    rows = table()
    assert len(rows) == 4 * 4 and list(rows.layer[:4]) == ["conv1", "conv2", "fc1", "fc2"]
    shares = (rows.weights / rows.weights_of).to_numpy().reshape(4, 4).tolist()
    assert shares == [[1, 1, 1, 1], [0, 0, 0, 0], [0, 1, 0, 1], [0, 0.25, 0, 0]]
    assert list(rows.biases[4:8]) == list(rows.biases_of[4:8]) and list(rows.biases[8:12] > 0) == [0, 1, 0, 1]


def test_boxes_are_filled_as_far_as_they_are_updated():
    rows, boxes = table(), [box for box in paradigms_figure("lenet", table()).axes[0].patches
                            if isinstance(box, Rectangle)]  # fmt: skip
    filled, frames = boxes[::2], boxes[1::2]
    shares = [
        share for row in rows.itertuples() for share in (row.weights / row.weights_of, row.biases / row.biases_of)
    ]
    assert [fill.get_width() / frame.get_width() for fill, frame in zip(filled, frames, strict=True)] == pytest.approx(
        shares
    )


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_in_python_and_by_the_command(ending, tmp_path, capsys):
    ours, theirs = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
    workbench.plot_policies("lenet", ["full", "bias-only"], ours)
    assert main(["policies", "lenet", "--policies", "full,bias-only", "--picture", str(theirs)]) == 0
    assert ours.read_bytes() == theirs.read_bytes() and f"Wrote {theirs}" in capsys.readouterr().out
    if ending == ".svg":
        assert FILL in ours.read_text() and ">conv2</text>" in ours.read_text()


def test_a_file_that_is_no_picture_is_told(capsys):
    assert main(["policies", "mlp", "--picture", "p.txt"]) == 1
    assert "such as --picture picture.png" in capsys.readouterr().err
