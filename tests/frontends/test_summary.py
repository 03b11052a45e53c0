"""A network alone in a notebook's cell tells its layers, not its weights; a hybrid file says that it is one."""

import json

import numpy as np
import pytest
from tflite_files import TfliteFile

from workbench import boards, frontends, session
from workbench.cli import main
from workbench.frontends.layers import Network

MLP = """\
mlp · float32 (1, 64) → (1, 10) · 6.46 k MACs · 6.57 k parameters · data digits
layer  operators                   result   parameters    MACs
fc1    nn.dense + bias_add + relu  (1, 64)      4.16 k   4.1 k
fc2    nn.dense + bias_add + relu  (1, 32)      2.08 k  2.05 k
fc3    nn.dense + bias_add         (1, 10)         330     320"""


def test_a_network_tells_its_layers():
    model = frontends.load("mlp")
    assert repr(model) == str(model) == MLP


@pytest.mark.parametrize("name", ["lenet", "resnet-int8", "mcunet-5fps", "proxyless-w0.3"])
def test_it_is_short_and_counts_everything_once(name):
    model = frontends.load(name)
    lines = repr(model).splitlines()
    assert len(lines) <= 42 and max(map(len, lines)) <= 120
    assert all(line.isprintable() for line in lines)


def test_a_shared_weight_counts_where_it_is_read_first():
    net = Network("tied", (1, 4))
    w = net.build.parameter("a.weight", (4, 4))
    x = net.build.dense(net.build.dense(net.input, w, label="a"), w, label="b")
    assert [line.split()[-2:] for line in repr(net.model(x)).splitlines()[2:]] == [["16", "16"], ["4)", "16"]]


def test_a_big_network_leaves_out_its_middle():
    net = Network("deep", (1, 4))
    x = net.input
    for number in range(99):
        x = net.dense(x, f"fc{number}", 4)
    lines = repr(net.model(x)).splitlines()
    assert len(lines) == 2 + 16 + 1 + 16 and lines[-1].startswith("fc98 ")
    assert lines[18] == "… 67 more: `workbench inspect` prints all"


def test_what_is_compiled_tells_itself_in_a_line(tmp_path):
    compiled = session.compile("mlp", "last-1")
    nodes, arena = len(compiled.graph.nodes), compiled.memory.plan.bytes
    assert repr(compiled) == f"<Compiled mlp last-1 optimized · {nodes} nodes · arena {arena} B>"
    built = session.build(compiled, boards.get("nrf52840"), tmp_path)
    assert repr(built).startswith("<Built mlp last-1 optimized · ") and len(repr(built)) < 120


def hybrid(folder, dtype, through=False):
    """A dense layer of float32 whose weights are stored as int8 or float16."""
    file, weight = TfliteFile(), np.arange(12).reshape(3, 4)
    w = file.tensor(data=weight.astype(dtype), scale=0.5 if dtype == "int8" else None)
    if through:
        w = file.op("DEQUANTIZE", [w], file.tensor((3, 4), "float32"))
    x, y = file.tensor((1, 4), "float32"), file.tensor((1, 3), "float32")
    file.op("FULLY_CONNECTED", [x, w, -1], y, "FullyConnectedOptions", FusedActivationFunction=0)
    return file.write(folder / "net.tflite", [x], [y])


@pytest.mark.parametrize(("dtype", "through"), [("int8", False), ("int8", True), ("float16", True)])
def test_a_hybrid_file_says_so(tmp_path, capsys, monkeypatch, dtype, through):
    monkeypatch.chdir(tmp_path)
    path = str(hybrid(tmp_path, dtype, through))
    model = frontends.load(path)
    (values,) = model.weights.values()
    assert values.dtype == np.float32 and values.max() == (5.5 if dtype == "int8" else 11)
    note = f"net.tflite stores weights as {dtype} and computes in float32 (a hybrid file): they are read, trained and"
    assert model.notes[0].startswith(note) and f"note: {note}" in repr(model)
    assert main(["plan", path]) == 0
    assert capsys.readouterr().err.startswith(f"note: {note}")
    assert main(["plan", path, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_a_hybrid_file_s_run_tells_it_again(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", str(hybrid(tmp_path, "int8")), "--steps", "1", "--trace", "off", "-o", "run", "--json"]) == 0
    (note,) = [note for note in json.loads(capsys.readouterr().out)["notes"] if "hybrid" in note]
    assert main(["report", "run"]) == 0
    assert note in capsys.readouterr().out


def test_a_float32_file_has_nothing_to_say(tmp_path):
    assert frontends.load(hybrid(tmp_path, "float32")).notes == ()
