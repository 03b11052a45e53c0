"""Trained weights go back into the PyTorch module that they came from: what it then gives is what the run gives."""

import pickle

import numpy as np
import pytest

from workbench import session
from workbench.cli import main
from workbench.errors import ModelError
from workbench.frontends import saving
from workbench.frontends.origin import TORCH
from workbench.ir.interpret import interpret

torch = pytest.importorskip("torch")
nn = torch.nn


def close(a, b, within=1e-5):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape
    assert np.linalg.norm(a - b) <= within * np.linalg.norm(b)


def settled(module):
    """With statistics as a training leaves them, in evaluation mode."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            if part.affine:
                nn.init.normal_(part.weight, 1, 0.3)
                nn.init.normal_(part.bias)
    return module.eval()


def trained(module, shape, classes=3, **how):
    from workbench.frontends.torch import from_torch

    rng = np.random.default_rng(0)
    model = from_torch(module, torch.zeros(1, *shape), batch=4)
    x, y = rng.normal(size=(24, *shape)).astype(np.float32), rng.integers(0, classes, 24)
    options = {"steps": 6, "lr": 0.05, "trace": "off", "policy": "full"} | how
    return session.run(model, data=(x, y), **options), x[:8]


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.head(torch.relu(self.second(torch.relu(self.first(x)))))


def conv_net(bias, affine=True):
    torch.manual_seed(1)
    return settled(nn.Sequential(nn.Conv2d(2, 4, 3, bias=bias), nn.BatchNorm2d(4, affine=affine), nn.ReLU(),
                                 nn.Flatten(), nn.Linear(64, 3)))  # fmt: skip


def line_net(bias):
    torch.manual_seed(1)
    line = nn.Conv1d(2, 4, 3, bias=bias), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten()
    return settled(nn.Sequential(*line, nn.Linear(24, 5, bias=bias), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)))


HEAD = {"4.weight", "4.bias"}
ENDS = {"7.weight", "7.bias"}
NORMS = {f"{layer}.{what}" for layer in (1, 5) for what in ("weight", "bias")}
MODULES = {  # module, shape of its input, entries that change
    "conv-norm": (lambda: conv_net(False), (2, 6, 6), {"0.weight", "1.weight", "1.bias"} | HEAD),
    "conv-bias-norm": (lambda: conv_net(True), (2, 6, 6), {"0.weight", "0.bias", "1.weight", "1.bias"} | HEAD),
    "conv-plain-norm": (lambda: conv_net(False, False), (2, 6, 6), {"0.weight"} | HEAD),
    "conv1d-norm": (lambda: line_net(False), (2, 8), {"0.weight", "4.weight"} | NORMS | ENDS),
    "conv1d-bias-norm": (lambda: line_net(True), (2, 8), {"0.weight", "0.bias"} | NORMS | HEAD | ENDS),
    "tied": (Tied, (6,), {f"{layer}.{what}" for layer in ("first", "second", "head") for what in ("weight", "bias")}),
    "transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(2, 3, 2), nn.Flatten(), nn.Linear(27, 3)),
        (2, 2, 2),
        {"0.weight", "0.bias", "2.weight", "2.bias"},
    ),
}


@pytest.mark.parametrize("case", MODULES)
def test_a_module_with_the_trained_weights_gives_what_the_run_gives(case):
    make, shape, changes = MODULES[case]
    module = make().eval()
    before = {name: each.clone() for name, each in module.state_dict().items()}
    run, x = trained(module, shape)
    state, after = run.state_dict(), run.model()
    assert list(state) == list(before)
    assert {name for name in before if not torch.equal(state[name], before[name])} == changes
    assert all(state[name].dtype == each.dtype for name, each in before.items())
    with torch.no_grad():
        close(run.predict(x), after.eval()(torch.from_numpy(x)))
    assert all(torch.equal(each, before[name]) for name, each in module.state_dict().items())  # left as it was
    module.load_state_dict(state)
    assert all(torch.equal(each, state[name]) for name, each in after.state_dict().items())


def test_channels_that_no_policy_updated_stay_to_the_bit():
    run, _ = trained(module := conv_net(True), (2, 6, 6), policy="head+biases-1")
    state = run.state_dict()
    assert torch.equal(state["0.weight"], module[0].weight) and torch.equal(state["0.bias"], module[0].bias)
    assert not torch.equal(state["4.weight"], module[4].weight)


def test_numbers_of_other_types_come_back_as_such():
    run, x = trained(module := nn.Sequential(nn.Linear(4, 3)).double(), (4,))
    assert run.state_dict()["0.weight"].dtype == torch.float64
    with torch.no_grad():
        close(run.predict(x), run.model()(torch.from_numpy(x).double()))
    assert module[0].weight.dtype == torch.float64


def test_an_origin_passes_to_other_processes_without_its_module():
    run, _ = trained(conv_net(True), (2, 6, 6))
    there = pickle.loads(pickle.dumps(run.origin))
    state = saving.state_dict_of(there, run.weights)
    assert all(torch.equal(each, state[name]) for name, each in run.state_dict().items())
    with pytest.raises(ModelError, match="stayed in another process"):
        saving.model_of(there, run.weights)


def test_files_of_a_module(tmp_path):
    run, _ = trained(conv_net(True), (2, 6, 6))
    run.save_weights(tmp_path / "w.pt")
    state = torch.load(tmp_path / "w.pt", weights_only=True)
    assert all(torch.equal(each, state[name]) for name, each in run.state_dict().items())
    run.save_weights(tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz") as arrays:
        assert all(np.array_equal(arrays[name], each) for name, each in run.weights.items())
    for ending, kind in ((".onnx", "an .onnx file"), (".tflite", "a .tflite file"), (".pt2", "a .pt2 file")):
        with pytest.raises(ModelError, match=rf"was not read from {kind}") as error:
            run.save_weights(tmp_path / f"w{ending}")
        assert ".pt, .pth and .npz can be written" in error.value.hint


def test_an_exported_program_comes_back_with_the_trained_tensors(tmp_path):
    from workbench.frontends.torch import load

    path, module = tmp_path / "net.pt2", conv_net(True)
    torch.export.save(torch.export.export(module, (torch.zeros(1, 2, 6, 6),)), path)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 2, 6, 6)).astype(np.float32)
    run = session.run(load(path), data=(x, rng.integers(0, 3, 12)), steps=5, lr=0.05, trace="off")
    run.save_weights(tmp_path / "trained.pt2")
    run.save_weights(tmp_path / "w.pt")
    module.load_state_dict(torch.load(tmp_path / "w.pt", weights_only=True))
    for program in (run.model(), torch.export.load(tmp_path / "trained.pt2")):
        with torch.no_grad():
            got = torch.cat([program.module()(torch.from_numpy(each[None])) for each in x])
            close(got, module(torch.from_numpy(x)))
            close(got, run.predict(x))
    path.write_bytes(b"")
    with pytest.raises(ModelError, match="was changed since the network was read"):
        run.state_dict()


PROGRAM = """import torch
from torch import nn
from workbench.frontends.torch import from_torch

torch.manual_seed(0)
layers = nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10)
module = nn.Sequential(*layers).eval()
module[1].running_mean.fill_(0.1)
def net(batch=1):
    return from_torch(module, torch.zeros(1, 1, 8, 8), batch=batch, name="net", data="digits")
"""


def test_the_command_line_writes_and_reads_state_dicts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(PROGRAM)
    quick = ["run", "mine.py:net", "--steps", "2", "--trace", "off"]
    assert main([*quick, "--save-weights", "w.pt"]) == 0, capsys.readouterr().err
    state = torch.load(tmp_path / "w.pt", weights_only=True)
    assert list(state) == ["0.weight", *(f"1.{name}" for name in (
        "weight", "bias", "running_mean", "running_var", "num_batches_tracked")), "4.weight", "4.bias"]  # fmt: skip
    assert main([*quick, "--load-weights", "w.pt", "--save-weights", "first.npz", "--force"]) == 0
    assert main([*quick, "--load-weights", "w.pt", "--save-weights", "again.pt", "--force"]) == 0
    again = torch.load(tmp_path / "again.pt", weights_only=True)
    assert not torch.equal(again["1.bias"], state["1.bias"]) and not torch.equal(again["1.weight"], state["1.weight"])
    capsys.readouterr()
    for name in ("w.onnx", "w.tflite", "w.pt2"):
        assert main([*quick, "--save-weights", name, "-o", "other"]) == 1
        assert "mine.net was not read from" in capsys.readouterr().err
        assert not (tmp_path / name).exists() and not (tmp_path / "other").exists()  # before the training
    state["1.running_var"] *= 2
    torch.save(state, tmp_path / "other.pt")
    assert main([*quick, "--load-weights", "other.pt"]) == 1
    assert "1.running_var differs from that of net" in capsys.readouterr().err
    (tmp_path / "broken.pt").write_bytes(b"no archive")
    assert main([*quick, "--load-weights", "broken.pt"]) == 1
    assert "broken.pt is not a whole .pt of weights: it is no state dict" in capsys.readouterr().err
    assert main(["run", "mlp", "--load-weights", "w.pt"]) == 1
    assert "mlp was not read from a PyTorch module" in capsys.readouterr().err


def test_a_state_dict_makes_the_parameters_it_came_from():
    from workbench.frontends.torch import saved

    for bias, affine in ((True, True), (False, True), (False, False)):
        run, _ = trained(conv_net(bias, affine), (2, 6, 6))
        state, own = run.state_dict(), saved._Arrays(saved._loaded(run.origin.snapshot))
        again = run.origin.parameters(saved._Arrays(state), own)
        for name, values in run.weights.items():
            close(again[name], values, 1e-6)
        same = run.origin.parameters(own, own)
        assert all(np.array_equal(same[name], values) for name, values in run.origin.made.items())
    assert saving.KINDS[".pt"] == TORCH


class Twice(nn.Module):
    """A convolution behind whose first use alone there is a norm, and a norm behind two convolutions."""

    def __init__(self):
        super().__init__()
        self.shared, self.one, self.other, self.norm, self.head = (
            *(nn.Conv2d(2, 2, 1, bias=False) for _ in range(3)), nn.BatchNorm2d(2), nn.Linear(8, 3),
        )  # fmt: skip
        self.last = nn.BatchNorm2d(2)

    def forward(self, x):
        x = self.shared(torch.relu(self.norm(self.shared(x))))
        x = self.last(self.other(torch.relu(self.last(self.one(x)))))
        return self.head(x.flatten(1))


def test_what_is_read_elsewhere_too_is_not_changed():
    run, x = trained(module := settled(Twice()), (2, 2, 2), policy="head")
    with torch.no_grad():
        close(run.predict(x), run.model()(torch.from_numpy(x)))
    assert torch.equal(run.state_dict()["shared.weight"], module.shared.weight)


@pytest.mark.parametrize(
    "end", [nn.Softmax(1), nn.LogSoftmax(1), nn.Sigmoid()], ids=["softmax", "log-softmax", "sigmoid"]
)
def test_predictions_are_what_a_module_with_an_end_gives(end, tmp_path):
    how = {"loss": "bce"} if isinstance(end, nn.Sigmoid) else {}
    module = nn.Sequential(nn.Linear(4, 1 if how else 3), end)
    run, x = trained(module, (4,), classes=2, **how)
    with torch.no_grad():
        logits = run.model()[0](torch.from_numpy(x))
        close(run.scores(x), logits)
        close(run.predict(x), run.model()(torch.from_numpy(x)))
        close(run.predict(x[:1]), end(logits[:1]))
    run.save(tmp_path / "run")
    again = session.load_run(tmp_path / "run")
    assert np.array_equal(again.predict(x), run.predict(x))
    with pytest.raises(ModelError, match="is not known to come from a module or file"):
        again.state_dict()


class Parts(nn.Module):
    """A weight that is read in parts, one that is stored the other way, and one of every element."""

    def __init__(self):
        super().__init__()
        self.joined = nn.Parameter(torch.randn(6, 6))
        self.turned, self.scale = nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.randn(4))

    def forward(self, x):
        first, second = self.joined.chunk(2)
        x = nn.functional.linear(x, first) * torch.sigmoid(nn.functional.linear(x, second))
        return (x @ self.turned) * self.scale


ANY = {
    "layer norm": lambda: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3)),
    "group norm": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 1, 3)), nn.Conv2d(2, 4, 1), nn.GroupNorm(2, 4), nn.Flatten()
    ),
    "parts": Parts,
    "line": lambda: nn.Sequential(nn.Unflatten(1, (2, 3)), nn.BatchNorm1d(2), nn.Conv1d(2, 2, 2), nn.Flatten()),
}


@pytest.mark.parametrize("case", ANY)
def test_whatever_a_policy_may_train_goes_back(case):
    """Scales and shifts of norms too: all parameters that the module has, moved by hand."""
    from workbench.frontends.torch import from_torch

    torch.manual_seed(0)
    module, x = settled(ANY[case]()), torch.randn(1, 6)
    model, rng = from_torch(module, x), np.random.default_rng(0)
    moved = {name: values + rng.normal(scale=0.1, size=values.shape).astype(np.float32) if name in model.origin.stored
             else values for name, values in model.weights.items()}  # fmt: skip
    after = saving.model_of(model.origin, moved)
    got = interpret(model.graph, {**moved, model.graph.inputs[0]: x.numpy()})[model.graph.outputs[0]]
    with torch.no_grad():
        close(got, after(x), 2e-6)
        assert not np.allclose(got, module(x), atol=1e-3)
    stored = {own for name in moved if name in model.origin.stored for own in model.origin.stored[name].names}
    assert stored >= {name for name, _ in module.named_parameters()}
