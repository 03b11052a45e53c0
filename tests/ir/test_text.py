"""The IR's text: what it looks like, that it comes back the same, and what it says of text it cannot read."""

import pytest
from graphs import convnet, mlp, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import frontends
from workbench.autodiff import differentiate
from workbench.errors import WorkbenchError
from workbench.ir.text import parse_graph, print_graph
from workbench.passes.apply_policy import apply_policy
from workbench.passes.pipeline import SCHEDULES, run_schedule
from workbench.policy import Optimizer, parse_policy


def conv_relu(needs_grad=True):
    graph = frontends.load("conv-relu").graph
    return graph.with_needs_grad(dict.fromkeys(graph.parameters, needs_grad))


def test_forward_of_conv_relu(golden):
    golden("conv_relu_forward.txt", print_graph(conv_relu()))


def test_backward_of_conv_relu(golden):
    graph = conv_relu()
    backward, _ = differentiate(graph, (*graph.inputs, *graph.parameters))
    golden("conv_relu_backward.txt", print_graph(backward))


def test_reordered_lenet(golden):
    golden("lenet_last1_reordered.txt", print_graph(_schedule("lenet", "last-1", "reordered")))


def _schedule(name, policy, schedule):
    from workbench.autodiff import training_step

    return run_schedule(training_step(apply_policy(frontends.load(name).graph, parse_policy(policy))), schedule)[0]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("policy", ["full", "bias-only", "last-1", "last-2"])
@pytest.mark.parametrize("name", ["mlp", "lenet"])
def test_round_trip_of_every_network(name, policy, schedule):
    graph = _schedule(name, policy, schedule)
    text = print_graph(graph)
    assert parse_graph(text) == graph
    assert print_graph(parse_graph(text)) == text


@settings(deadline=None, max_examples=30)
@given(
    widths=st.lists(st.integers(1, 9), min_size=2, max_size=5),
    channels=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    shared=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_round_trip_of_random_graphs(widths, channels, shared, seed):
    optimizer = Optimizer(momentum=0.9, weight_decay=1e-4, accumulate=2)
    for graph in (mlp(widths, optimizer=optimizer), convnet(channels, shared_input=shared)):
        graph = shuffled(graph, seed)
        assert parse_graph(print_graph(graph)) == graph


def test_a_slice_of_a_parameter_prints_as_a_fraction():
    graph = conv_relu().with_needs_grad({"v0.weight": (1, 2), "v0.bias": False})
    text = print_graph(graph)
    assert "%v0.weight: Tensor[(3, 3, 3, 3), float32, needs_grad=0.666667, grad_slice=[1, 2]]" in text
    assert "%v0.bias: Tensor[(3,), float32, needs_grad=False]" in text
    assert parse_graph(text) == graph


WHOLE = print_graph(conv_relu())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("nn.relu", "nn.swish", "no operator 'nn.swish'"),
        ("nn.relu(%1)", "nn.relu(%7)", "%7 is read before it is made"),
        ("kernel_size=[3, 3]", "kernel_size=[3, 3", "attributes are"),
        ("channels=3, ", "", "needs channels"),
        ("channels=3", "colour=3, channels=3", "no attribute colour"),
        ("(3, 3, 3, 3)", "(3, 2, 3, 3)", "so w needs"),
        ("float32, needs_grad", "float17, needs_grad", "float17"),
        ("%1 = ", "", "expected `%result"),
        ("%1 = ", "%1, %9 = ", "gives 1 results"),
        ("Tensor[(1, 3", "Tensor(1, 3", "expected `%name"),
        ("}\n", "", "IR text is"),
        ("    %2\n}", "    %9\n}", "output %9 is never made"),
        ("needs_grad=True", "needs_grad=0.5", "needs a grad_slice"),
        ("needs_grad=True", "needs_grad=0.5, grad_slice=[, 1]", "is no [axis, channels]"),
        ("padding=[1, 1, 1, 1]", "padding=[1, 1, 1, 1], groups=0", "groups"),
        ("fn (", "func (", "IR text is"),
    ],
)
def test_unreadable_text_is_told_where(old, new, message):
    assert old in WHOLE
    with pytest.raises(WorkbenchError) as caught:
        parse_graph(WHOLE.replace(old, new, 1))
    assert message in str(caught.value)


@given(st.integers(0, len(WHOLE)))
@settings(deadline=None, max_examples=60)
def test_truncated_text_is_refused(length):
    if WHOLE[:length].rstrip() == WHOLE.rstrip():
        return
    with pytest.raises(WorkbenchError):
        parse_graph(WHOLE[:length])
