"""The IR's text: what it looks like, that it comes back the same, and what it says of text it cannot read."""

import re

import pytest
from graphs import convnet, int8net, mlp, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import frontends
from workbench.autodiff import differentiate
from workbench.errors import ParseError, WorkbenchError
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
        text = print_graph(graph)
        assert parse_graph(text) == graph
        assert parse_graph(without_result_types(text)) == graph


def without_result_types(text: str) -> str:
    """As graphs were printed before results had types; a saved run may hold such a text."""
    sides = [line.partition(" = ") for line in text.splitlines()]
    return "\n".join(
        (re.sub(r": Tensor\[[^\]]*\]", "", left) if equals else left) + equals + right for left, equals, right in sides
    )


def test_a_region_states_the_types_of_its_results_and_of_those_inside():
    graph = run_schedule(convnet((2, 3), size=12, policy="full"), "optimized")[0]
    text = print_graph(graph)
    inside = [node for region in graph.nodes if region.body for node in region.body.nodes]
    assert inside and len(inside) == len(re.findall(r"\n        %[\d.]+: Tensor\[\([\d, ]+\), \w+\]", text))
    assert re.search(r"%31: Tensor\[\(1, 3, 12, 12\), bit\], %6: Tensor.*, %7: Tensor.*, int8\] = region", text)
    assert parse_graph(text) == parse_graph(without_result_types(text)) == graph


@given(seed=st.integers(0, 10**6), which=st.integers(0, 10**6))
@settings(deadline=None, max_examples=15)
def test_a_result_type_that_is_another_is_refused(seed, which):
    graph = int8net(seed)[0]
    text = print_graph(graph)
    assert parse_graph(text) == parse_graph(without_result_types(text)) == graph
    stated = list(re.finditer(r"%([\w.]+): Tensor\[\((\d*)[^=]*\] = ([\w.]+)", text))
    match = stated[which % len(stated)]
    wrong = text[: match.start(2)] + f"{int(match[2] or 6) + 1}, " + text[match.end(2) :].lstrip(", ")
    with pytest.raises(ParseError, match=rf"{match[3]} gives %{match[1]}: .*; the text says") as caught:
        parse_graph(wrong)
    assert wrong.splitlines()[int(re.search(r"line (\d+)", str(caught.value))[1]) - 1].strip() in str(caught.value)


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
        ("%1: Tensor[(1, 3, 28, 28), float32] = ", "", "expected `%result"),
        ("%1: Tensor", "%9, %1: Tensor", "gives 1 results"),
        ("%1: Tensor", "%1, %1: Tensor", "%1 stands twice"),
        ("%1: Tensor[(1, 3, 28, 28), float32]", "%1: Tensor[1]", "expected `%result"),
        ("%1: Tensor[(1, 3, 28, 28)", "%1: Tensor[(1, 3, 28, 27)", "nn.bias_add gives %1: Tensor[(1, 3, 28, 28)"),
        ("28), float32] = nn.relu", "28), int8] = nn.relu", "nn.relu gives %2: Tensor[(1, 3, 28, 28), float32]; the"),
        ("Tensor[(1, 3", "Tensor(1, 3", "expected `%name"),
        ("}\n", "", "IR text is"),
        ("    %2\n}", "    %9\n}", "output %9 is never made"),
        ("needs_grad=True", "needs_grad=0.5", "needs a grad_slice"),
        ("needs_grad=True", "needs_grad=0.5, grad_slice=[, 1]", "is no [axis, channels]"),
        ("needs_grad=True", "needs_grad=0.5, grad_slice=[1]", "is no [axis, channels]"),
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
