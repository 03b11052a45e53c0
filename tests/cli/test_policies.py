"""`policies` and `passes` explain what there is; `show --diff` what a policy drops."""

import json

import numpy as np
import pytest

from workbench.cli import main
from workbench.frontends import load
from workbench.ir.text import parse_graph


def out_of(capsys, *arguments):
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_policies_of_a_network(capsys, golden):
    golden("cli_policies_lenet.txt", out_of(capsys, "policies", "lenet", "--schedule", "vanilla"))


def test_one_policy_layer_by_layer(capsys, golden):
    policy = "bias-only+conv2:0.25+head"
    golden("cli_policies_one.txt", out_of(capsys, "policies", "lenet", "--policy", policy, "--schedule", "vanilla"))


def test_globs_and_exact_names(capsys, tmp_path, monkeypatch):
    """The folder of a run is one folder, whatever its policy is called."""
    monkeypatch.chdir(tmp_path)
    found = json.loads(out_of(capsys, "policies", "mlp", "--policies", "*.bias,=fc3,bias-only", "--json"))
    globbed, exact, biases = found["policies"]
    assert globbed["updated"] == biases["updated"] == 64 + 32 + 10
    assert (exact["policy"], exact["updated"]) == ("=fc3", 330)
    for policy in ("*.bias", "=fc3+fc?.bias", '="fc3"'):
        out_of(capsys, "run", "mlp", "--policy", policy, "--steps", "1")
    folders = sorted(each.name for each in (tmp_path / "out").iterdir())
    assert len(folders) == 3 and all(name.startswith("mlp-_") and name.endswith("-nrf52840") for name in folders)


def test_policies_as_json(capsys):
    found = json.loads(out_of(capsys, "policies", "mlp", "--policies", "full,last-1", "--json"))
    full, last = found["policies"]
    assert (full["updated"], last["updated"]) == (64 * 64 + 64 + 64 * 32 + 32 + 32 * 10 + 10, 330)
    assert last["parameters_bytes"] == 330 * 4
    assert last["saved_bytes"] == 32 * 4 + 40 + 4  # fc3's input; the logits and the label, for the loss's gradient
    assert last["backward_macs"] == 320
    assert full["forward_macs"] == 64 * 64 + 64 * 32 + 320


@pytest.mark.parametrize("passes", ["", "-in-place", "-in-place,-regions,-fuse-update", "-order-search"])
def test_policies_are_planned_with_the_passes_asked_for(capsys, passes):
    how = ["--passes", passes, "--json"]
    (cost,) = json.loads(out_of(capsys, "policies", "lenet", "--policy", "last-2", *how))["policies"]
    assert cost["arena_bytes"] == json.loads(out_of(capsys, "plan", "lenet", "--policy", "last-2", *how))["bytes"]


def test_the_largest_channels_are_named(capsys):
    """conv2 is 16×8×3×3; of its input channels the two of largest magnitude, by numpy."""
    weight = load("lenet").weights["conv2.weight"]
    two = sorted(np.argsort(-np.abs(weight).sum(axis=(0, 2, 3)))[:2].tolist())
    assert two != [0, 1]
    named = f"{two[0]}, {two[1]}"
    assert f"{named} of 8" in out_of(capsys, "policies", "lenet", "--policy", "conv2:0.25+largest")
    for stage in ("backward", "optimized"):
        text = out_of(capsys, "show", "lenet", "--stage", stage, "--policy", "conv2:0.25+largest")
        assert text.startswith(f"# conv2.weight: channels {named} of 8 first\n")
        parse_graph(text)
        assert not out_of(capsys, "show", "lenet", "--stage", stage, "--policy", "conv2:0.25").startswith("#")


def test_passes(capsys, golden):
    golden("cli_passes.txt", out_of(capsys, "passes"))


def test_passes_tells_what_holds_the_peak(capsys, golden):
    took, region, peak = out_of(capsys, "passes", "lenet").split("\n\n")
    assert "nothing to do" in took
    golden("cli_passes_lenet.txt", peak)
    regions = out_of(capsys, "passes", "mobilenet", "--policy", "bias-only").split("\n\n")[1]
    assert regions.startswith("region ")
    assert "by rows" in regions
    without = out_of(capsys, "passes", "lenet", "--passes=-regions")
    assert "can run by rows, but the pass regions does not run" in without
    found = json.loads(out_of(capsys, "passes", "lenet", "--json"))
    assert found["regions"] and all(each["label"] in region for each in found["regions"])
    assert json.loads(out_of(capsys, "passes", "mlp", "--json"))["regions"] == []
    assert f"at position {found['peak']['position']} of {found['peak']['positions']}, {found['peak']['node']}\n" in peak


def test_what_a_policy_drops(capsys):
    text = out_of(capsys, "show", "mlp", "--stage", "backward", "--policy", "last-1", "--diff")
    assert "    # %" in text
    assert "nn.sgd(%fc3.weight" in text
    asked = ("show", "mlp", "--stage", "backward", "--diff", "--policy")
    assert json.loads(out_of(capsys, *asked, "last-1", "--json"))["ir"].rstrip() == text.rstrip()
    assert main([*asked, "last-3"]) == 0
    assert capsys.readouterr().err == "note: last-3 drops nothing of the full update\n"


def test_what_a_policy_adds_and_changes(capsys):
    """Of fc2's input a quarter is kept: a slice that the full update has not, and a smaller gradient."""
    asked = ["show", "mlp", "--stage", "backward", "--policy", "fc2:0.25+fc3"]
    lines = out_of(capsys, *asked, "--diff").splitlines()
    added = [line for line in lines if line.startswith("  + ")]
    changed = [line for line in lines if line.startswith("  ~ ")]
    assert len(added) == 1 and "strided_slice" in added[0]
    assert any("%fc2.weight: Tensor[(32, 64), float32, needs_grad=0.25" in line for line in changed)
    kept = [line.strip() for line in lines if line.startswith("    ") and not line.strip().startswith("#")]
    full = out_of(capsys, "show", "mlp", "--stage", "backward")
    assert all(line in full for line in kept)  # what is not marked is as in the full update
    assert parse_graph("\n".join(lines)).renumbered() == parse_graph(out_of(capsys, *asked)).renumbered()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["policies", "mlp", "--policy", "fc9"], "'fc9' is neither a policy nor a layer"),
        (["run", "mlp", "--policy", "as-given"], "mlp does not say which parameters it trains"),
        (["run", "mlp", "--policy", "=fc9"], "no layer and no parameter of the network is called 'fc9'"),
        (["policies", "mlp", "--policies", "full,fc*.bais"], "did you mean fc"),
        (["policies", "mlp", "--policies", ","], "--policies names nothing"),
        (["policies", "mlp", "--policy", ""], "no policy is called ''"),
        (["policies", "mlp", "--policies", "a/p.toml,b/p.toml"], "both called 'p'"),
        (["compare", "mlp", "--policies", "a/p.toml,b/p.toml"], "both called 'p'"),
        (["policies", "mlp", "--passes", "nope"], "no pass is called 'nope'"),
        (["show", "mlp", "--diff"], "give --stage backward"),
    ],
)
def test_slips(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "p.toml").write_text('biases = "all"\n')
    assert main(arguments) == 1
    assert words in capsys.readouterr().err
