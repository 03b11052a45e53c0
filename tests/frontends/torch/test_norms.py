"""Batch norms of modules: they train as PyTorch's do, whatever is before them; frozen ones cost nothing."""

import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from random_torch import settled, trained_alike
from torch import nn

import workbench
from workbench import session
from workbench.frontends.loading import in_int8
from workbench.frontends.torch import from_torch


class PreActivation(nn.Module):
    """A norm in front, a block with norms before its convolutions, a norm that two convolutions share."""

    def __init__(self):
        super().__init__()
        self.first, self.n1, self.n2, self.shared = (nn.BatchNorm2d(3) for _ in range(4))
        self.c1, self.c2, self.c3, self.c4 = (nn.Conv2d(3, 3, 3, padding=1, bias=bias) for bias in (1, 0, 0, 0))
        self.line, self.of_line = nn.Conv1d(3, 3, 3, padding=1), nn.BatchNorm1d(3)
        self.of_rows, self.of_features, self.head = nn.BatchNorm1d(6), nn.BatchNorm1d(36), nn.Linear(36, 3)

    def forward(self, x):
        x = self.first(x)
        x = x + self.c2(torch.relu(self.n2(self.c1(torch.relu(self.n1(x))))))
        x = torch.tanh(self.shared(self.c3(x))) + torch.tanh(self.shared(self.c4(x)))
        x = torch.relu(self.of_line(self.line(x.flatten(2))))
        x = self.of_rows(torch.tanh(x).reshape(-1, 6, 6))
        return self.head(self.of_features(x.flatten(1)))


def preactivation():
    torch.manual_seed(0)
    return settled(PreActivation())


@pytest.mark.parametrize("policy", [
    "full", "=of_line.weight+=shared.weight+=c4.weight",
    pytest.param("bias-only", marks=pytest.mark.long), pytest.param("head", marks=pytest.mark.long),
])  # fmt: skip
def test_norms_train_as_pytorch_s(policy):
    trained = trained_alike(preactivation(), (3, 3, 4), 3, "native", policy)
    error, allowed = trained.worst()
    assert error <= allowed and abs(trained.losses[0] - trained.losses[1]) < 1e-5


def test_a_norm_behind_a_reshape_is_of_the_reshaped_channels():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Unflatten(2, (4, 1)), nn.Flatten(1, 3), nn.BatchNorm1d(12),
                           nn.Flatten(), nn.Linear(36, 3))  # fmt: skip
    trained = trained_alike(settled(module), (1, 6, 5), 0, "native")
    error, allowed = trained.worst()
    assert error <= allowed and abs(trained.losses[0] - trained.losses[1]) < 1e-5


def block():
    torch.manual_seed(0)
    convs = (part for wide in (2, 4) for part in (nn.Conv2d(wide, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU()))
    return settled(nn.Sequential(*convs, nn.Flatten(), nn.Linear(16, 3)))


def test_parts_of_layers_by_magnitude_beside_folded_norms():
    module, rng = block(), np.random.default_rng(0)
    x = rng.normal(size=(8, 2, 6, 6)).astype(np.float32)
    model = from_torch(module, x[:1])
    run = workbench.run(model, policy="=3:0.5+bias-only+largest", data=(x, rng.integers(0, 3, 8)), steps=3, lr=0.1,
                        trace="off", engine="native")  # fmt: skip
    with torch.no_grad():
        assert np.allclose(run.predict(x), run.model()(torch.from_numpy(x)), rtol=1e-5, atol=1e-5)
    own = (run.state_dict()["3.weight"] != module[3].weight).flatten(2).any(2).any(0)
    assert 0 < own.sum() <= 2  # of four input channels; what a ReLU stops learns nothing


def test_a_frozen_norm_costs_a_bias_and_the_graph_without_it_is_the_same():
    model = from_torch(block(), torch.zeros(1, 2, 6, 6))
    steps = {policy: session.compile(model, policy, "vanilla").graph for policy in ("full", "bias-only", "head")}
    count = {policy: sum(node.op == "multiply" for node in graph.nodes) for policy, graph in steps.items()}
    assert count["full"] > 0 and count["bias-only"] == count["head"] == 0
    assert {"0.weight.folded", "1.bias.folded"} < set(steps["head"].parameters)


@pytest.mark.parametrize("module, shape, own", [
    (preactivation, (3, 3, 4), "c1.weight"),
    (lambda: settled(nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3))), (4,), "1.weight"),
    (lambda: nn.Sequential(*[settled(nn.Sequential(nn.Conv2d(2, 2, 1, bias=False), nn.BatchNorm2d(2), nn.Tanh()))] * 2,
                           nn.Flatten(), nn.Linear(8, 3)), (2, 2, 2), "0.0.weight"),
], ids=["pre-activation", "norm first", "shared"])  # fmt: skip
def test_norms_of_int8_networks(module, shape, own):
    torch.manual_seed(1)
    module, x = module().eval(), np.random.default_rng(0).normal(size=(32, *shape)).astype(np.float32)
    small = in_int8(from_torch(module, x[:1]), x)
    assert own in small.weights and not any("folded" in name for name in small.weights)
    kinds = small.graph.types[small.graph.inputs[0]], small.graph.types[small.graph.outputs[0]]
    given = np.clip(np.round(x / kinds[0].scale) + kinds[0].zero_point, -128, 127).astype(np.int8)
    feeds = dict(small.weights)
    (output,) = small.graph.outputs
    got = [workbench.interpret(small.graph, {small.graph.inputs[0]: each[None], **feeds})[output] for each in given]
    got = (np.concatenate(got).astype(np.float32) - kinds[1].zero_point) * kinds[1].scale
    with torch.no_grad():
        wanted = module(torch.from_numpy(x)).numpy()
    assert np.abs(got - wanted).mean() < 0.1 * np.ptp(wanted)
