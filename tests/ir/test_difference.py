"""What a policy drops of the full update, as text: the paradigms of sparse updating on one layer and on a network."""

import pytest

from workbench import frontends
from workbench.autodiff import differentiate, training_step
from workbench.ir.diff import print_difference
from workbench.ir.text import parse_graph, print_graph
from workbench.passes.apply_policy import apply_policy
from workbench.policy import parse_policy

PARADIGMS = {  # of the one-layer network, of lenet
    "full": ("full", "full"),
    "bias_only": ("bias-only", "bias-only"),
    "sparse_layer": ("v0.weight", "biases-2+conv2+fc2"),
    "sparse_tensor": ("bias-only+v0:0.34", "biases-3+conv2:0.25+fc1:0.5"),
}


def backward(name: str, policy: str):
    model = frontends.load(name)
    marked = apply_policy(model.graph, parse_policy(policy))
    if model.classifies:
        return training_step(marked)
    return differentiate(marked, [name for name in marked.parameters if marked.types[name].needs_grad])[0]


@pytest.mark.parametrize("paradigm", PARADIGMS)
@pytest.mark.parametrize("name", ["conv-relu", "lenet"])
def test_the_paradigms(name, paradigm, golden):
    policy = PARADIGMS[paradigm][name == "lenet"]
    text = print_difference(backward(name, "full"), backward(name, policy))
    golden(f"paradigm_{name.replace('-', '_')}_{paradigm}.txt", text)
    assert parse_graph(text).renumbered() == backward(name, policy).renumbered()


def test_of_equal_graphs_nothing_is_dropped():
    graph = backward("mlp", "full")
    assert print_difference(graph, graph) == print_graph(graph)


def test_only_what_no_update_needs_is_dropped():
    text = print_difference(backward("lenet", "full"), backward("lenet", "last-1"))
    dropped = [line.strip() for line in text.splitlines() if line.strip().startswith("#")]
    assert any("nn.conv2d_transpose" in line for line in dropped)
    assert not any("/* d.fc2.weight */" in line for line in dropped)
    assert "nn.sgd(%conv1.weight" not in "\n".join(line for line in text.splitlines() if "#" not in line)
