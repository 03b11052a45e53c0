"""`policies` and `passes` explain what there is; `show --diff` what a policy drops."""

import json

import pytest

from workbench.cli import main


def out_of(capsys, *arguments):
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_policies_of_a_network(capsys, golden):
    golden("cli_policies_lenet.txt", out_of(capsys, "policies", "lenet", "--schedule", "vanilla"))


def test_one_policy_layer_by_layer(capsys, golden):
    policy = "bias-only+conv2:0.25+head"
    golden("cli_policies_one.txt", out_of(capsys, "policies", "lenet", "--policy", policy, "--schedule", "vanilla"))


def test_policies_as_json(capsys):
    found = json.loads(out_of(capsys, "policies", "mlp", "--policies", "full,last-1", "--json"))
    full, last = found["policies"]
    assert (full["updated"], last["updated"]) == (64 * 64 + 64 + 64 * 32 + 32 + 32 * 10 + 10, 330)
    assert last["parameters_bytes"] == 330 * 4
    assert last["saved_bytes"] == 32 * 4 + 40 + 4  # fc3's input; the logits and the label, for the loss's gradient
    assert last["backward_macs"] == 320
    assert full["forward_macs"] == 64 * 64 + 64 * 32 + 320


def test_passes(capsys, golden):
    golden("cli_passes.txt", out_of(capsys, "passes"))


def test_what_a_policy_drops(capsys):
    text = out_of(capsys, "show", "mlp", "--stage", "backward", "--policy", "last-1", "--diff")
    assert "    # %" in text
    assert "nn.sgd(%fc3.weight" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["policies", "mlp", "--policy", "fc9"], "'fc9' is neither a policy nor a layer"),
        (["policies", "mlp", "--policies", ","], "--policies names nothing"),
        (["show", "mlp", "--diff"], "give --stage backward"),
    ],
)
def test_slips(arguments, words, capsys):
    assert main(arguments) == 1
    assert words in capsys.readouterr().err
