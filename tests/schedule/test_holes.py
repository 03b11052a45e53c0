"""What `workbench ops --tiles` tells: what the operators' footprints say, of samples with the axes they are about."""

import json

from workbench.cli import main
from workbench.ir.op import registered
from workbench.schedule.holes import holes


def test_it_tells_of_every_operator():
    told = holes()
    assert {name for name, _ in told} == set(registered()) - {"region"}
    assert {"float32", "int8"} <= {of for _, of in told}


def test_what_runs_and_why_the_rest_does_not():
    told = holes()
    assert told["nn.conv2d", "float32"] == {"rows": "", "channels": "works on all channels at once"}
    assert told["nn.conv2d_transpose", "float32"] == {"rows": "", "channels": ""}
    assert told["nn.conv2d_backward_weight", "float32"] == {"rows": "", "channels": ""}
    alone = "updates when its gradient is complete"
    assert told["nn.conv2d_backward_weight_sgd", "float32"] == {"rows": alone, "channels": ""}
    assert told["nn.max_pool2d", "int8"]["rows"] == told["nn.max_pool2d", "float32"]["rows"] == ""
    assert told["qnn.global_avg_pool2d", "int8"] == {"rows": "", "channels": "works on all channels at once"}


def test_what_carries_a_gradient_back_runs_by_rows():
    """All but what takes no images, and what a network begins or ends with."""
    told = holes()
    still = {"mean_grad", "nn.bce_with_logits_grad", "nn.mse_grad", "nn.softmax_cross_entropy_grad", "nn.softmax_grad",
             "nn.log_softmax_grad"}  # fmt: skip
    assert {op for (op, _), reasons in told.items() if op.endswith("_grad") and reasons["rows"]} == still
    for op in ("qnn.conv2d_transpose", "nn.conv2d_transpose", "qnn.through_clip", "nn.apply_mask", "add"):
        assert told[op, "float32"]["rows"] == ""


def test_the_table(capsys):
    assert main(["ops", "--tiles"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["operator", "of", "rows", "channels"]
    assert [line.split() for line in lines if line.startswith("sum ")] == [["sum", "float32", "runs", "runs"]]
    assert main(["ops", "--tiles", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["ops"]
    assert {"name": "sum", "of": "float32", "rows": "runs", "channels": "runs"} in rows
