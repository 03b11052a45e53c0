"""Networks in Python files: found by file and name, made as asked; the user's own mistakes are told by line."""

import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from workbench.cli import main, options
from workbench.cli.grammar import parse
from workbench.errors import ModelError
from workbench.frontends import called, load

NET = """\
from workbench.frontends.layers import Network

print("hello")

def net(batch=1, seed=0, classes=10, width=3):
    net = Network("mine", (batch, 1, 8, 8), seed)
    x = net.relu(net.conv2d(net.input, "conv", width, kernel=3, stride=2), "conv")
    return net.model(net.dense(net.flatten(x), "fc", classes), data="digits")

def fixed():
    return net(width=2)

ready = net(width=4)
assert __name__ != "__main__"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mynet.py").write_text(NET)
    return tmp_path


def test_a_function_makes_it_as_asked(folder):
    model = load("mynet.py:net", batch=4, seed=7, classes=5)
    assert (model.name, model.batch, model.source) == ("mine", 4, "mynet.py:net")
    assert model.graph.types[model.graph.outputs[0]].shape == (4, 5)
    drawn = np.random.default_rng(7).normal(size=(3, 1, 3, 3)) * np.sqrt(2 / 9)
    assert np.array_equal(model.weights["conv.weight"], drawn.astype(np.float32))


@pytest.mark.parametrize(("name", "channels"), [("fixed", 2), ("ready", 4)])
def test_what_does_not_take_a_batch_is_made_for_it(folder, name, channels):
    model = load(folder / f"mynet.py:{name}", batch=8)
    assert model.batch == 8 and model.graph.types["conv.bias"].shape == (channels,)
    with pytest.raises(ModelError, match=r"has 10 classes, fixed by its data set\n.*the parameter `classes`"):
        load(folder / f"mynet.py:{name}", classes=5)


def test_without_a_name_it_is_the_only_one(folder):
    assert load("mynet.py").graph.types["conv.bias"].shape == (4,)  # the Model, beside functions
    (folder / "two.py").write_text(NET.replace("ready = ", ""))
    with pytest.raises(ModelError, match=r"two.py holds 2 networks\n.*name one: two.py:net, two.py:fixed"):
        load("two.py")
    (folder / "one.py").write_text("from mynet import net, fixed\ndef mine(batch, width=3): return net(batch, 0, 9)\n")
    assert load("one.py").graph.types["fc.bias"].shape == (9,)  # not those that it imports
    (folder / "none.py").write_text("import numpy\ndef block(net, x): return x\n")
    with pytest.raises(ModelError, match=r"none\.py holds no Model, and no function that could return one"):
        load("none.py")


def test_int8(folder):
    model = load("mynet.py:net-int8", batch=2)
    assert (model.name, model.batch, model.source) == ("mine-int8", 2, "mynet.py:net-int8")
    assert model.graph.types["conv.weight"].dtype == "int8"


@pytest.mark.parametrize("place", ["a b", 'it\'s "quoted"', "dir:x.py:y", "ü"])
def test_any_path(folder, place):
    (folder / place).mkdir()
    (folder / place / "mynet.py").write_text(NET)
    assert load(f"{place}/mynet.py:ready").source == f"{place}/mynet.py:ready"
    assert called(f"{place}/mynet.py:ready") == "mynet.ready" and called(f"{place}/mynet.py") == "mynet"


def test_each_file_has_its_own_neighbours(folder):
    """Two files of one name, each with a module beside it that is called as the other's; nothing stays behind."""
    for place, width in (("a", 5), ("b", 6)):
        (folder / place).mkdir()
        blocks = NET.replace("ready", f"{place} = ready").replace("width=4", f"width={width}")
        (folder / place / "blocks.py").write_text(blocks)
        (folder / place / "net.py").write_text(f"import blocks\nnet = blocks.{place}\n")
    before, modules = list(sys.path), set(sys.modules)
    assert [load(f"{place}/net.py:net").graph.types["conv.bias"].shape for place in "ab"] == [(5,), (6,)]
    assert sys.path == before and not {"blocks", "net"} & (set(sys.modules) - modules)


def test_what_it_prints_is_no_result(folder, capsys):
    assert main(["show", "mynet.py:ready", "--json"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("{") and "hello\n" in told.err


WRONG = """\
import sys
from workbench.frontends.layers import Network
value = 3
def divides(batch):
    return helper(batch) / 0
def helper(n): return n
def layer():
    net = Network("x", (1, 1, 8, 8))
    return net.conv2d(net.input, "conv", 3, kernel=0)
def network(): return Network("x", (1, 4))
def ends(): sys.exit(3)
def needs(width): return width
def open_classes(classes): return classes
def imports():
    import nowhere_to_be_found
def hidden(): raise ValueError("one\\ntwo")
"""


@pytest.mark.parametrize(("name", "told"), [
    ("divides", "wrong.py, line 5: ZeroDivisionError: division by zero\n  help: -vv shows the traceback"),
    ("layer", "wrong.py, line 9: conv: kernel are 2 whole numbers; got 0\n  help: each 1 or more; one number stands "
              "for all"),
    ("network", "wrong.py:network returns a Network, no Model\n  help: of a layers.Network, net.model(output) makes a "
                "Model"),
    ("ends", "wrong.py, line 11: the file ends the program\n  help: guard what only a script does with `if __name__ "
             '== "__main__":`'),
    ("needs", "wrong.py:needs takes width, which nobody gives it\n  help: a function can have the parameters batch, "
              "seed, classes, and others with defaults"),
    ("open_classes", "wrong.py:open_classes needs to know how many classes it has\n  help: --classes N, or a default "
                     "in the function"),
    ("hidden", "wrong.py, line 16: ValueError: one\n  help: -vv shows the traceback"),
    ("value", "wrong.py:value is 3, neither a Model nor a function that returns one"),
    ("valeu", "wrong.py has nothing called 'valeu'\n  help: did you mean value? there are divides, layer, network, "
              "ends, open_classes, imports, hidden"),
])  # fmt: skip
def test_mistakes_are_told_in_a_line(folder, capsys, name, told):
    (folder / "wrong.py").write_text(WRONG)
    assert main(["plan", f"wrong.py:{name}", "-q"]) == 1
    assert capsys.readouterr().err == f"error: {told}\n"


@pytest.mark.parametrize(("content", "told"), [
    (b"x = (\n", "broken.py, line 1: SyntaxError: '(' was never closed"),
    (b"x = 1\nimport nowhere_to_be_found\n", "broken.py, line 2: ModuleNotFoundError: No module named"),
    (b"\xff\xfe", "broken.py, line 1: SyntaxError: (unicode error)"),
    (b"x = 1\0", "broken.py: SyntaxError: source code string cannot contain null bytes"),
    (b"def f(): f()\nf()\n", "broken.py, line 1: RecursionError"),
])  # fmt: skip
def test_a_file_that_does_not_run(folder, content, told):
    (folder / "broken.py").write_bytes(content)
    with pytest.raises(ModelError) as error:
        load("broken.py:net")
    assert error.value.message.startswith(told)


def test_verbose_shows_where(folder, capsys):
    (folder / "wrong.py").write_text(WRONG)
    assert main(["plan", "wrong.py:divides", "-vv"]) == 1
    assert "return helper(batch) / 0" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "told"), [
    ("nothing.py:net", "nothing.py is missing"), ("folder.py:net", "folder.py cannot be read"),
    ("mynet:net", "did you mean mynet.py:net? "), ("mynet", "did you mean mynet.py? "),
])  # fmt: skip
def test_no_such_file(folder, name, told):
    (folder / "folder.py").mkdir()
    with pytest.raises(ModelError) as error:
        load(name)
    assert told in str(error.value)


def test_another_process_gets_the_network_that_was_made_here(folder):
    """A comparison pickles it: the file is not looked at again, and may be gone or changed by then."""
    model = load("mynet.py:ready")
    (folder / "mynet.py").unlink()
    there = pickle.loads(pickle.dumps(model))
    assert (there.graph, there.source) == (model.graph, model.source)
    assert all(np.array_equal(there.weights[name], model.weights[name]) for name in model.weights)


def test_its_results_are_called_after_file_and_name():
    args = parse(["run", "mynet.py:ready", "--policy", "last-1"])
    assert options.run_name(args, options.board(args)) == "mynet.ready-last-1-nrf52840"


def test_the_example_of_the_readme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "README.md").read_text()
    (example,) = re.findall(r"```python\n(from workbench.*?def net\(.*?)```", page, re.DOTALL)
    (tmp_path / "mynet.py").write_text(example)
    assert (load("mynet.py:net", batch=4).batch, load("mynet.py").wanted.output) == (4, (10,))
