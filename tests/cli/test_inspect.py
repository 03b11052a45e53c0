"""`inspect`: a network's layers, all obstacles of a file, and an estimate of each policy."""

import json

import numpy as np
import pytest
from tflite_files import TfliteFile

import workbench
from workbench.cli import main
from workbench.frontends import load
from workbench.frontends.layers import Network

Q = {"scale": 0.05, "zero": -3}


def out_of(capsys, *arguments, code=0):
    assert main(list(arguments)) == code
    return capsys.readouterr().out


@pytest.fixture
def obstacles(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = TfliteFile()
    x = file.tensor((1, 4, 4, 2), name="image", **Q)
    w, b = file.tensor(data=np.ones((3, 1, 1, 2), np.int8), scale=0.01, name="net/conv/Conv2D"), -1
    y = file.tensor((1, 4, 4, 3), name="stem", **Q)
    y = file.op("CONV_2D", [x, w, b], y, "Conv2DOptions", StrideH=1, StrideW=1)
    for number in range(2):
        y = file.op("LSTM", [y], file.tensor((1, 4, 4, 3), name=f"rnn/{number}", **Q))
    return file.write(tmp_path / "net.tflite", [x], [y, x])


def test_a_network(capsys, golden):
    golden("cli_inspect_lenet.txt", out_of(capsys, "inspect", "lenet", "--policy", "bias-only+conv2:0.25"))


def test_a_file_with_obstacles(capsys, golden, obstacles):
    golden("cli_inspect_obstacles.txt", out_of(capsys, "inspect", "net.tflite", code=1))
    assert main(["inspect", "net.tflite", "-q"]) == 1
    assert capsys.readouterr().err == "error: net.tflite cannot be imported: 3 obstacles of 2 kinds\n"


def test_obstacles_as_json(capsys, obstacles):
    told = json.loads(out_of(capsys, "inspect", "net.tflite", "--json", code=1))
    assert [layer["layer"] for layer in told["layers"]] == ["conv"] and told["policies"] == []
    assert told["unsupported"][1] == {
        "operator": "LSTM", "number": 2, "node": "rnn/1", "reason": "is a recurrent layer, which is not supported",
        "operands": ["INT8 (1, 4, 4, 3)"], "results": ["INT8 (1, 4, 4, 3)"],
        "help": "`workbench ops --frontend tflite` lists what is; everything before operator 2 imported",
    }  # fmt: skip
    assert told["unsupported"][2]["operator"] == "" and "2 outputs" in told["unsupported"][2]["reason"]


def test_as_json(capsys):
    told = json.loads(out_of(capsys, "inspect", "mlp", "--json", "--policies", "last-1", "--sram", "16K"))
    assert (told["model"], told["parameters"], told["trainable"], told["unsupported"]) == ("mlp", 6570, 6570, [])
    assert told["macs"] == {"forward": 6464, "backward": 2 * 6464 - 4096}
    assert told["layers"][2] == {
        "layer": "fc3", "operators": ["nn.dense", "nn.bias_add"], "dtype": "float32", "shape": [1, 10],
        "parameters": 330, "trainable": 330, "updated": 330, "macs": 320, "backward_macs": 640,
    }  # fmt: skip
    (policy,) = told["policies"]
    assert policy["policy"] == "last-1" and policy["fits"] == {"nrf52840": True} and not policy["at_most"]
    assert policy["sram_bytes"] == policy["arena_bytes"] + policy["static_bytes"] + 512


def test_what_cannot_be_trained_so_has_layers_all_the_same(capsys):
    out = out_of(capsys, "inspect", "conv-relu")
    assert "v0     nn.conv2d + bias_add + relu" in out and "last-1" not in out  # it has but one layer
    out = out_of(capsys, "inspect", "conv-relu", "--loss", "cross-entropy")
    assert "v0     nn.conv2d + bias_add + relu" in out and "cross-entropy takes class scores" in out


def test_the_display_in_a_notebook_is_the_same_table():
    html = load("lenet")._repr_html_()
    assert html.count("<tr>") == 1 + 7 + 1 + 4 and ">nn.conv2d + bias_add + relu<" in html and ">last-2<" in html
    assert workbench.inspect("lenet", ["last-1"], sram="1K").estimates[0].boards == {"nrf52840": False}
    of_a_big_one = load("mcunet-5fps")._repr_html_()
    assert "<p>workbench.inspect(model) estimates what training it takes</p>" in of_a_big_one
    assert len(of_a_big_one) < 12_000
    net = Network("squeezed", (1, 4))
    assert "the network has no such parameter" in net.model(net.relu(net.input, "r"))._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mlp", "--policies", "last-1,nope"], "'nope' is neither a policy nor a layer"),
        (["mlp", "--policy", "nope"], "'nope' is neither a policy nor a layer"),
        (["mlp", "--board", "nrf"], "no board is called 'nrf'"),
        (["nothing.tflite"], "nothing.tflite is missing"),
    ],
)
def test_slips(capsys, arguments, words):
    assert main(["inspect", *arguments]) == 1
    assert words in capsys.readouterr().err


def test_policies_tell_what_fits(capsys):
    for sram, fits in (("256K", True), ("16K", False)):
        asked = ["policies", "mlp", "--policies", "full", "--sram", sram]
        assert out_of(capsys, *asked).splitlines()[1].endswith("  yes" if fits else "  no")
        told = json.loads(out_of(capsys, *asked, "--json"))
        assert told["policies"][0]["fits"] is fits and told["sram_limit"] == int(sram[:-1]) * 1024
