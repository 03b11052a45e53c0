"""What a network keeps of a module, and what keeps a module or a .pt2 file from being a network: all of it, by name."""

import io
import json
import pickle
import re
import subprocess
import sys
import zipfile
import zlib
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from torch import nn
from torch_modules import Of, differences, drawn, given

import workbench
from workbench.cli import main
from workbench.errors import ModelError
from workbench.frontends import load
from workbench.frontends.obstacles import Unsupported
from workbench.frontends.torch import archive, from_torch
from workbench.policy import AS_GIVEN

ROW = torch.zeros(1, 4)


def dense(*widths: int) -> nn.Sequential:
    return nn.Sequential(*(nn.Linear(a, b) for a, b in pairwise(widths)))


def refused(module, example=ROW, **how) -> ModelError:
    with pytest.raises(ModelError) as error:
        from_torch(module, example, name="net", **how)
    assert "Traceback" not in str(error.value) and len(str(error.value).splitlines()[0]) < 500
    return error.value


# What is kept


def test_names_weights_policy_and_module_are_as_given():
    module = drawn(nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3)))
    module[0].weight.requires_grad_(False)
    module.train()
    module[1].eval()
    before = {name: each.clone() for name, each in module.state_dict().items()}
    model = from_torch(module, torch.zeros(1, 1, 4, 4))
    assert list(model.origin.stored) == ["0.weight", "1.weight", "1.bias", "3.weight", "3.bias"]
    assert np.array_equal(model.weights["3.weight"], module[3].weight.detach().numpy())
    trained = model.policies[AS_GIVEN]
    assert "0.weight" not in str(trained) and all(each in str(trained) for each in ("1.weight", "3.bias"))
    assert [each.training for each in module] == [True, False, True, True] and module.training
    assert all(torch.equal(each, before[name]) for name, each in module.state_dict().items())
    assert not any("training mode" in each for each in model.notes)  # nothing in it computes otherwise then


class Tied(nn.Module):
    """A weight that two layers share, and that a product reads the other way."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.first(x)) @ self.first.weight


def test_a_tied_weight_is_one_parameter_in_whatever_layout():
    assert differences(drawn(Tied()), (4,)) == []
    assert set(from_torch(Tied(), ROW).weights) == {"first.weight", "first.bias", "second.bias"}


@pytest.mark.parametrize(
    ("end", "what"), [(nn.Softmax(1), "softmax"), (nn.LogSoftmax(1), "log-softmax"), (nn.Sigmoid(), "sigmoid")]
)
def test_an_end_that_the_loss_does_without_is_told(end, what):
    model = from_torch(nn.Sequential(nn.Linear(4, 3), end).eval(), ROW)
    assert [note.startswith(f"the {what} at the end is left to the loss") for note in model.notes] == [True]
    assert len(model.inference.nodes) == len(model.graph.nodes) + 1


def test_modules_in_other_numbers_hooked_compiled_or_without_weights():
    for dtype in (torch.float16, torch.float64, torch.bfloat16):
        module = dense(4, 3).to(dtype)
        model = from_torch(module, ROW, name="net")
        assert model.weights["0.weight"].dtype == np.float32 and module[0].weight.dtype == dtype
        assert f"net is of {str(dtype)[6:]}; its network computes in float32" in model.notes
    hooked = drawn(dense(4, 3))
    hooked[0].register_forward_hook(lambda module, inputs, output: output * 2)
    assert differences(hooked, (4,)) == []
    assert set(from_torch(torch.compile(dense(4, 3)), ROW).weights) == {"0.weight", "0.bias"}
    assert from_torch(nn.ReLU(), ROW).weights == {}
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
    assert differences(drawn(normed), (4,)) == []


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 5), (1, 5, 1)], ids=str)
def test_one_row_one_column_one_class(shape):
    module = nn.Sequential(
        nn.Conv2d(1, 1, 1, stride=9), nn.BatchNorm2d(1), nn.MaxPool2d(1), nn.Flatten(), nn.Linear(1, 1)
    )
    assert differences(drawn(module), shape) == []


@pytest.mark.parametrize("name", ["int", "a/b", "input0", "ü"])
def test_odd_names_work(name):
    module = nn.Module()
    module.add_module(name, nn.Linear(4, 3))
    holder = Of(lambda x, inner: getattr(inner, name)(x), inner=module)
    assert f"inner.{name}.weight" in from_torch(holder, ROW).weights


@pytest.mark.parametrize("name", ["*/", '"', "x y", "\n", "\\", "a" * 300], ids=ascii)
def test_names_that_no_table_or_c_can_hold_are_refused(name):
    module = nn.Module()
    module.add_module(name, nn.Linear(4, 3))
    assert "a layer cannot be called" in str(refused(Of(lambda x, inner: getattr(inner, name)(x), inner=module)))


# What is refused


class Broken(nn.Module):
    def forward(self, x):
        x = torch.cumsum(x, 1)
        x = torch.sort(x, 1)[0]
        return torch.cumsum(x, 1)


def test_all_obstacles_are_named_with_the_line_of_the_user():
    error = refused(Broken())
    assert isinstance(error, Unsupported) and len(error.obstacles) == 3
    assert "cumsum (#0" in str(error) and "sort (#1" in str(error)
    assert "test_import.py, line" in str(error) and "x = torch.sort(x, 1)[0]" in str(error)


@pytest.mark.parametrize(("function", "words"), [
    (lambda x: (x * 2, x + 1), "has 2 outputs; a network has one"),
    (lambda x: x, "gives its input as it is"),
    (lambda x: torch.ones(x.shape[0], 3), "gives what does not depend on its input"),
    (lambda x: x.sum(0), "first axis is not the batch"),
    (lambda x: x * x.shape[0], "computes with the size of the batch"),
    (lambda x: x + torch.full((4,), x.shape[0]), "computes with the size of the batch"),
    (lambda x: x + torch.randn(4), "draws random numbers"),
    (lambda x: torch.cond(x.sum() > 0, lambda x: x * 2, lambda x: x + 1, (x,)), "is control flow"),
    (lambda x: x[x > 0], "gt.Scalar"),
    (lambda x: torch.where(x > 0, x, 2 * x), "gt.Scalar"),
    (lambda x: x[:, :0].sum(1, keepdim=True) + x, "nothing is left of an axis of 4"),
    (lambda x: nn.functional.softplus(x, threshold=1), "a threshold of 1"),
    (lambda x: x**2.5, "the power 2.5"),
    (lambda x: torch.div(x, 2, rounding_mode="floor"), "a division that rounds"),
    (lambda x: nn.functional.pad(x[:, None], (1, 1), mode="reflect"), "'reflect'"),
    (lambda x: nn.functional.adaptive_avg_pool1d(x[:, None], 3), "windows of different sizes"),
], ids=lambda each: each if isinstance(each, str) else "")  # fmt: skip
def test_what_has_no_form_here_is_said(function, words):
    assert words in str(refused(Of(function)))


def test_inputs_and_modules_that_cannot_be_read():
    assert "takes a torch.nn.Module; got int" in str(refused(3))
    assert "has 2 inputs" in str(refused(dense(4, 3), (ROW, ROW)))
    assert "an example of its input is a tensor" in str(refused(dense(4, 3), torch.zeros(0, 4)))
    assert "no values, it is on the meta device" in str(refused(nn.Linear(4, 3, device="meta")))
    assert "0.weight has no shape yet" in str(refused(nn.Sequential(nn.LazyLinear(3))))
    assert "is scripted" in str(refused(torch.jit.trace(dense(4, 3), ROW)))
    assert "cannot be exported: RuntimeError" in str(refused(dense(5, 3)))


def test_what_pytorch_prints_of_control_flow_is_not_shown(capfd):
    assert "cannot be exported: GuardOnDataDependent" in str(refused(Of(lambda x: x * 2 if x.sum() > 0 else x)))
    assert capfd.readouterr() == ("", "")


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(4))

    def forward(self, x):
        self.calls += 1
        return x + self.calls


def test_a_module_that_remembers_is_refused():
    assert 'writes to "calls" in every call' in str(refused(Counts()))


def test_a_module_that_fixes_its_batch_is_for_that_batch():
    module = Of(lambda x, layer: layer(x.view(1, -1)), layer=nn.Linear(4, 3))
    assert from_torch(module, torch.zeros(1, 2, 2), name="net").batch == 1
    assert "cannot be exported" in str(refused(module, torch.zeros(1, 2, 2), batch=4))


# Python files

NET = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.layer = nn.Linear(4, width)

    def forward(self, x):
        return self.layer(x)

net = Net().eval()

def made(width: int = 5):
    return Net(width)

class Bad(nn.Module):
    def forward(self, x):
        x = torch.sort(x, 1)[0]
        return torch.cumsum(x, 1)
"""
EXAMPLE = "\nexample_input = torch.zeros(2, 4)\n"


def test_an_instance_a_class_and_a_function_of_a_file(tmp_path):
    path = tmp_path / "mynet.py"
    path.write_text(NET)
    with pytest.raises(ModelError, match=r"what its input looks like is not told") as error:
        load(f"{path}:net")
    assert error.value.hint == "a line in mynet.py tells: example_input = torch.zeros(1, 3, 32, 32)"
    path.write_text(NET + EXAMPLE)
    for name, width in (("net", 3), ("Net", 3), ("made", 5)):
        model = load(f"{path}:{name}", batch=4)
        assert model.graph.types[model.graph.outputs[0]].shape == (4, width) and model.name == f"mynet.{name}"
    assert np.array_equal(load(f"{path}:Net", seed=1).weights["layer.weight"],
                          load(f"{path}:Net", seed=1).weights["layer.weight"])  # fmt: skip
    path.write_text(f"{NET}{EXAMPLE}\nother = Net()\n")
    with pytest.raises(ModelError, match="holds 2 networks"):
        load(path)


def test_inspect_shows_all_obstacles(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mynet.py").write_text(NET + EXAMPLE)
    assert main(["inspect", "mynet.py:Bad"]) == 1
    captured = capsys.readouterr()
    told = captured.out + captured.err
    assert "sort" in told and "cumsum" in told and "x = torch.sort(x, 1)[0]" in told
    assert main(["inspect", "mynet.py:Bad", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [each["operator"] for each in told["unsupported"]] == ["sort", "cumsum"]


# Files of exported programs


def exported(path, module=None, dynamic=True):
    module = drawn(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))) if module is None else module
    shapes = ({0: torch.export.Dim.DYNAMIC},) if dynamic else None
    torch.export.save(torch.export.export(module, (torch.zeros(2 if dynamic else 1, 4),), dynamic_shapes=shapes), path)
    return module


def test_programs_of_any_batch_and_of_one(tmp_path):
    module = exported(path := tmp_path / "net.pt2")
    x = torch.randn(4, 4)
    for batch in (1, 4):
        model = load(path, batch=batch)
        assert model.batch == batch and model.source == str(path)
        with torch.no_grad():
            assert np.allclose(given(model, x[:batch].numpy()), module(x[:batch]).numpy(), atol=1e-6)
    exported(path, module, dynamic=False)
    assert load(path).batch == 1
    with pytest.raises(ModelError, match="fixes its batch at 1"):
        load(path, batch=4)


def test_a_program_that_was_exported_in_training_mode_is_told_so(tmp_path):
    norm, drop = nn.BatchNorm1d(4), nn.Dropout(0.5)
    by_itself, active = "a batch norm by the statistics of the batch itself", "dropout that is active"
    for parts, told in (((norm,), by_itself), ((drop,), active), ((drop, norm), f"{by_itself} and {active}"),
                        ((nn.AlphaDropout(0.5),), active)):  # fmt: skip
        module = nn.Sequential(nn.Linear(4, 4), *parts, nn.Linear(4, 3))
        exported(path := tmp_path / "net.pt2", module.train())
        with pytest.raises(ModelError, match=rf"net\.pt2 was exported in training mode: it has {told}\n") as error:
            load(path)
        assert "module.eval()" in error.value.hint
        exported(path, module.eval())
        assert load(path).graph.nodes


@pytest.mark.parametrize("number", [torch.nan, torch.inf, -torch.inf])
def test_weights_that_are_no_finite_numbers_are_refused(number):
    module = dense(4, 3, 2)
    with torch.no_grad():
        module[1].bias[1] = number
    assert str(refused(module)) == "net: 1.bias holds values that are no finite numbers"
    masked = Of(lambda x, mask: (x + mask).softmax(-1), mask=torch.tensor([0.0, 0, 0, number]))
    if number == -torch.inf:  # hides an element, as it should
        assert from_torch(masked, ROW)
    elif number is torch.nan:
        assert "holds values that are no finite numbers" in str(refused(masked))


def test_dropout_that_is_active_in_evaluation_mode_is_refused():
    for active in (nn.functional.dropout, lambda x: nn.functional.scaled_dot_product_attention(
            x[:, None], x[:, None], x[:, None], dropout_p=0.1)[:, 0]):  # fmt: skip
        error = refused(Of(active))
        assert "is dropout that is active, which is not supported" in str(error) and "self.training" in error.hint


def test_files_of_weights_are_no_networks(tmp_path):
    for name in ("net.pt", "net.pth"):
        (tmp_path / name).write_bytes(pickle.dumps(Trap(tmp_path / "harm")))
        with pytest.raises(ModelError, match="holds weights alone") as error:
            load(tmp_path / name)
        assert "--load-weights" in error.value.hint and ".pt2" in error.value.hint
    assert not (tmp_path / "harm").exists()


class Trap:
    """What makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def changed(content: bytes, changes: dict, compress: int = zipfile.ZIP_STORED) -> bytes:
    """The archive with other members: name without the folder -> bytes, or a function of them."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(written, "w", compress) as new:
        names = [each.partition("/")[2] for each in old.namelist()]
        for name in dict.fromkeys([*names, *changes]):
            value = old.read(f"net/{name}") if name in names else b""
            change = changes.get(name, value)
            value = change(value) if callable(change) else change
            if value is not None:
                new.writestr(f"net/{name}", value)
    return written.getvalue()


def _text(old: str, new: str):
    def change(content: bytes) -> bytes:
        assert old in content.decode()
        return content.decode().replace(old, new).encode()

    return change


def _object(content: bytes) -> bytes:
    told = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    return json.dumps({"config": {"x": told}}).encode()


def hostile(trap: str) -> dict[str, dict]:
    pickled = pickle.dumps(Trap(trap))
    saved = io.BytesIO()
    torch.save({"x": Trap(trap)}, saved)
    run = f"open('{trap}', 'w')"
    return {
        "pickled samples": {archive.SAMPLES: saved.getvalue()},
        "pickled samples, bare": {archive.SAMPLES: pickled},
        "pickled weights": {"data/weights/weight_0": saved.getvalue(),
                            archive.CONFIGS[archive.WEIGHTS]: _text('"use_pickle": false', '"use_pickle": true')},
        "old weights": {"data/weights/model.pt": saved.getvalue()},
        "old constants": {"data/constants/model.pt": saved.getvalue()},
        "an object": {"data/constants/opaque_obj_0": pickled, archive.CONFIGS[archive.CONSTANTS]: _object},
        "a size that runs": {archive.MODEL: lambda model: re.sub(rb"Symbol\('s\d+'[^)]*\)", run.encode(), model)},
        "a guard that runs": {archive.MODEL: _text('"guards_code": [', f'"guards_code": ["{run}"')},
        "an operator of the system": {archive.MODEL: _text("torch.ops.aten.relu.default", "torch.os.system")},
        "an operator that reads files": {archive.MODEL: _text("torch.ops.aten.relu.default", "torch.load")},
        "an operator that makes files": {archive.MODEL: _text("relu.default", "from_file.default")},
        "a name that runs": {archive.MODEL: _text('"linear"', f'"linear={run}"')},
        "compiled code": {"data/aotinductor/model/x.so": b"\\x7fELF"},
        "no model": {archive.MODEL: None},
        "no JSON": {archive.MODEL: b"{" * 100_000},
        "a list": {archive.MODEL: b"[]"},
        "a huge weight": {archive.CONFIGS[archive.WEIGHTS]: _text('{"as_int": 4}', '{"as_int": 400000000000}')},
        "a negative weight": {archive.CONFIGS[archive.WEIGHTS]: _text('{"as_int": 4}', '{"as_int": -4}')},
        "a longer weight": {archive.CONFIGS[archive.WEIGHTS]: _text('{"as_int": 4}', '{"as_int": 400}')},
        "a weight beside it": {archive.CONFIGS[archive.WEIGHTS]: _text('"weight_0"', '"../../weight_0"')},
        "a weight that is missing": {"data/weights/weight_0": None},
        "another version": {"archive_version": b"77"},
        "another format": {"archive_format": b"pt3"},
    }  # fmt: skip


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> bytes:
    exported(path := tmp_path_factory.mktemp("torch") / "net.pt2")
    return path.read_bytes()


HARMLESS = ("pickled samples", "a guard that runs")  # what is left out


@pytest.mark.parametrize("case", hostile(""))
def test_hostile_members_are_refused_or_left_out_and_nothing_runs(tmp_path, program, case):
    path, trap = tmp_path / "net.pt2", tmp_path / "harm"
    path.write_bytes(changed(program, hostile(str(trap))[case]))
    if case.startswith(HARMLESS):
        assert load(path).batch == 1
    else:
        with pytest.raises(ModelError, match=r"net\.pt2 is no exported PyTorch program: ") as error:
            load(path)
        assert len(str(error.value).splitlines()) == 2
    assert [each.name for each in tmp_path.iterdir()] == ["net.pt2"]


def test_what_is_no_archive_is_said(tmp_path, program, capfd):
    path = tmp_path / "net.pt2"
    zipped = io.BytesIO()
    zipfile.ZipFile(zipped, "w").close()
    bomb = changed(program, {"data/weights/weight_0": bytes(50 << 20)}, zipfile.ZIP_DEFLATED)
    twice = io.BytesIO(program)
    with pytest.warns(UserWarning), zipfile.ZipFile(twice, "a") as file:
        file.writestr(f"net/{archive.MODEL}", b"{}")
    cut = [program[:end] for end in (1, 100, len(program) // 2, len(program) - 1)]
    for content in (
        b"",
        b"hello",
        zipped.getvalue(),
        bomb,
        twice.getvalue(),
        pickle.dumps(Trap(tmp_path / "harm")),
        *cut,
    ):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"net\.pt2 is no exported PyTorch program: "):
            load(path)
    path.unlink()
    with pytest.raises(ModelError, match="is missing"):
        load(path)
    path.mkdir()
    with pytest.raises(ModelError, match="cannot be read: "):
        load(path)
    path.rmdir()
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ModelError, match="cannot be read: "):
        load(path)
    assert capfd.readouterr().err == "" and not (tmp_path / "harm").exists()


def test_whatever_byte_is_changed_there_is_a_line_or_a_network(tmp_path, program):
    """With its checksums mended: what is changed is read."""
    rng, path = np.random.default_rng(0), tmp_path / "net.pt2"
    with zipfile.ZipFile(io.BytesIO(program)) as file:
        model = file.read(f"net/{archive.MODEL}")
    for _ in range(20):
        harmed = bytearray(model)
        for at in rng.integers(0, len(model), 2):
            harmed[at] = rng.integers(32, 127)
        path.write_bytes(changed(program, {archive.MODEL: bytes(harmed)}))
        assert zlib.crc32(harmed) != zlib.crc32(model)
        try:
            load(path)
        except ModelError as error:
            assert len(str(error).splitlines()[0]) < 500


# What is imported


def test_torch_is_imported_only_for_its_modules():
    code = ("import sys, workbench, workbench.cli.run\nworkbench.load('lenet')\n"
            "print([each for each in ('torch', 'onnx') if each in sys.modules])")  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_tflite_file_needs_no_torch(tmp_path):
    from tflite_files import TfliteFile

    file = TfliteFile()
    x = file.tensor((1, 6), name="x", scale=0.05, zero=-3)
    y = file.op("RELU", [x], file.tensor((1, 6), name="y", scale=0.05, zero=-3))
    path = file.write(tmp_path / "net.tflite", [x], [y])
    code = (f"import sys\nfrom workbench.frontends import load\ntry: load({str(path)!r})\nexcept Exception: pass\n"
            "print([each for each in ('torch', 'onnx') if each in sys.modules])")  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_without_the_package_the_remedy_is_named(tmp_path):
    code = (
        f"import sys\nsys.modules['torch'] = None\nfrom workbench.frontends import load\n"
        f"try: load({str(tmp_path / 'net.pt2')!r})\nexcept Exception as error: print(type(error).__name__, error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert re.search(r"ModelError .*PyTorch is not installed", told)
    assert "pip install 'workbench[torch]'" in told and "./workbench.sh setup torch" in told
    assert workbench.from_torch
