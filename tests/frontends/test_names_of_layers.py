"""Files whose layers are called as words of policies are read; such layers train, and are meant by =NAME."""

import json
from dataclasses import replace

import numpy as np
import pytest
import small_mcu
from tflite_files import TfliteFile
from trained_operands import operand

from workbench import boards, session
from workbench.errors import PolicyError
from workbench.feeding import Training
from workbench.frontends import load
from workbench.frontends.layers import Network
from workbench.frontends.loading import in_int8
from workbench.ir.text import parse_graph, print_graph
from workbench.ir.verify import verify
from workbench.passes.apply_policy import apply_policy, weighted_layers
from workbench.policy import AS_GIVEN, as_given, parse_policy
from workbench.study.check import check
from workbench.study.inspection import usual_policies

WORDS = ("0", "full", "last-2", "-1", "head")


def updated(model, policy):
    graph = apply_policy(model.graph, model.policy(policy))
    return [name for name in graph.parameters if graph.types[name].needs_grad]


def test_in_json(tmp_path):
    """The small network of the other tests, its layers renamed."""
    path = small_mcu.write(tmp_path)
    old = ["stem", "b1.expand", "b1.depthwise", "b1.project", "b2.depthwise"]
    text = path.read_text()
    for name, word in zip(old, ("0", "full", "last-2", "-1", "all"), strict=True):
        text = text.replace(f'"{name}"', f'"{word}"')
    path.write_text(text)
    with np.load(path.with_suffix(".npz")) as arrays:
        new = dict(zip(old, ("0", "full", "last-2", "-1", "all"), strict=True))
        renamed = {f"{new.get(name.rpartition('.')[0], 'head')}.{name.rpartition('.')[2]}": arrays[name]
                   for name in arrays.files}  # fmt: skip
    np.savez(path.with_suffix(".npz"), **renamed)
    model = load(path, classes=5)
    assert [layer.name for layer in weighted_layers(model.graph)] == ["0", "full", "last-2", "-1", "all", "head"]
    assert updated(model, "=all+=0") == ["0.weight", "0.bias", "all.weight", "all.bias"]
    assert updated(model, "=full.bias") == ["full.bias"]
    assert json.loads(text)["convs"][0]["name"] == "0"


def test_in_tflite(tmp_path):
    rng, file = np.random.default_rng(0), TfliteFile()
    x = first = file.tensor((1, 4), "float32")
    for name in ("0", "head", "full"):
        w = file.tensor(data=rng.normal(size=(4, 4)).astype(np.float32), name=f"{name}/MatMul")
        b = file.tensor(data=rng.normal(size=4).astype(np.float32))
        x = file.op("FULLY_CONNECTED", [x, w, b], file.tensor((1, 4), "float32"), "FullyConnectedOptions")
    model = load(file.write(tmp_path / "net.tflite", [first], [x]))
    assert [layer.name for layer in weighted_layers(model.graph)] == ["0", "head", "full"]
    assert updated(model, "=head") == ["head.weight", "head.bias"]
    assert updated(model, "head") == ["full.weight", "full.bias"]


def test_a_step_of_such_layers(tmp_path):
    net = Network("words", (2, 5))
    x = net.input
    for name in WORDS:
        x = net.relu(net.dense(x, name, 4), name)
    model = net.model(x)
    for policy in ("full", "+".join(f"={name}:0.5" for name in WORDS)):
        compiled = session.compile(model, parse_policy(policy))
        assert not check(session.build(compiled, boards.get("nrf52840"), tmp_path / policy[:4]), Training()).findings


def test_what_a_network_says_that_it_trains():
    """By name, beside the usual policies; a network that says nothing, or is quantized, has no such policy."""
    net = Network("given", (1, 5))
    silent = net.model(net.dense(net.relu(net.dense(net.input, "head", 4), "head"), "0", 3))
    model = replace(silent, policies={AS_GIVEN: as_given(["head.bias", "0.weight"])})
    assert updated(model, AS_GIVEN) == ["head.bias", "0.weight"]
    compiled = session.compile(model, AS_GIVEN)
    assert compiled.policy.name == AS_GIVEN
    assert usual_policies(model) == ("full", "bias-only", AS_GIVEN, "last-1")
    assert usual_policies(silent) == ("full", "bias-only", "last-1")
    for asked, hint in ((silent, "terms are full"), (in_int8(model), "given, which it was made of, does")):
        with pytest.raises(PolicyError, match=f"does not say which parameters it trains.*\n  help: {hint}"):
            session.compile(asked, AS_GIVEN)
    with pytest.raises(PolicyError, match="'haed' is neither a policy nor a layer of the network, which has =head, =0"):
        session.compile(model, "haed")


def test_parameters_called_as_values_are(tmp_path):
    """A graph numbers its values; what is called by a number keeps it, if it is declared before the number is used."""
    net = Network("numbers", (1, 5))
    gain, shift = operand(net, "1", (1, 4)), operand(net, "30", (1, 4))
    x = net.multiply(net.dense(net.input, "0", 4), gain, "gain")
    model = net.model(net.dense(net.relu(net.add(x, shift, "shift"), "shift"), "2", 3))
    compiled = session.compile(model, "=1+=2+=30")
    types = compiled.graph.types
    assert [name for name in compiled.graph.parameters if types[name].needs_grad] == ["1", "30", "2.weight", "2.bias"]
    assert parse_graph(print_graph(compiled.graph)) == compiled.graph
    assert verify(compiled.graph.renumbered()).parameters == compiled.graph.parameters
    assert not check(session.build(compiled, boards.get("nrf52840"), tmp_path), Training()).findings
